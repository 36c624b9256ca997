"""Tries queries on the server before anything is written: Grafana takes those that can never work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, cast

from otel_monitoring.grafana.failures import QueryFailedError
from otel_monitoring.grafana.normal_form import objects_in
from otel_monitoring.grafana.plan import Action, Kind
from otel_monitoring.grafana.queries import instant_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otel_monitoring.grafana.desired import Desired, DesiredDashboard
    from otel_monitoring.grafana.plan import Plan

AT_ONCE = 25
"""How many queries are tried in one request."""

_DURATION_VARIABLE = re.compile(r"\$\{?__(?:rate_interval|interval|range)\}?")
_PROMETHEUS = "prometheus"


class Evaluating(Protocol):
    """What is asked of a client of Grafana."""

    async def try_rule(self, rule: Mapping[str, object]) -> None:
        """Run a rule's queries."""
        ...

    async def evaluate(self, data: Sequence[Mapping[str, object]]) -> dict[str, str]:
        """Run queries, and return what failed by refId."""
        ...


async def try_rules(client: Evaluating, desired: Desired, plan: Plan) -> list[str]:
    """Run the queries of each rule that is to be written, and return what does not work."""
    written = _written(plan, Kind.GROUP)
    failed: list[str] = []
    for rule in (rule for group in desired.groups if group.name in written for rule in group.rules):
        try:
            await client.try_rule(rule)
        except QueryFailedError as error:
            failed.append(str(error))
    return failed


async def try_panels(client: Evaluating, desired: Desired, plan: Plan, *, datasource_uid: str) -> list[str]:
    """Run the queries of each dashboard that is to be written, and return what does not work."""
    written = _written(plan, Kind.DASHBOARD)
    queries = [
        (where, expr)
        for dashboard in desired.dashboards
        if dashboard.uid in written
        for where, expr in panel_queries(dashboard)
    ]
    failed: list[str] = []
    for start in range(0, len(queries), AT_ONCE):
        failed += await _try_some(client, queries[start : start + AT_ONCE], datasource_uid)
    return failed


def panel_queries(dashboard: DesiredDashboard) -> Iterator[tuple[str, str]]:
    """Give the PromQL of each panel, with where it stands, as it is with everything selected."""
    variables = _variable_names(dashboard.spec)
    for panel in _panels(dashboard.spec.get("panels")):
        for target in objects_in(panel.get("targets")):
            expr = target.get("expr")
            if isinstance(expr, str) and expr:
                where = f"dashboard {dashboard.title!r}, panel {panel.get('title')!r}"
                yield where, _with_all_selected(expr, variables)


async def _try_some(client: Evaluating, queries: Sequence[tuple[str, str]], datasource_uid: str) -> list[str]:
    named = {f"Q{number}": query for number, query in enumerate(queries)}
    data = [instant_query(ref_id, expr, datasource_uid) for ref_id, (_, expr) in named.items()]
    failed = await client.evaluate(data)
    return [f"{named[ref_id][0]}: {reason}" for ref_id, reason in failed.items() if ref_id in named]


def _with_all_selected(expr: str, variables: Iterable[str]) -> str:
    text = _DURATION_VARIABLE.sub("5m", expr)
    for name in variables:
        text = re.sub(rf"\$\{{{name}(?::\w+)?\}}|\${name}\b", ".+", text)
    return text


def _variable_names(spec: Mapping[str, object]) -> list[str]:
    templating = spec.get("templating")
    variables = objects_in(cast("dict[str, object]", templating).get("list")) if isinstance(templating, dict) else ()
    return [re.escape(str(variable.get("name"))) for variable in variables]


def _panels(panels: object) -> Iterator[Mapping[str, object]]:
    for panel in objects_in(panels):
        yield from _panels(panel.get("panels"))
        datasource = panel.get("datasource")
        kind = cast("dict[str, object]", datasource).get("type") if isinstance(datasource, dict) else _PROMETHEUS
        if kind == _PROMETHEUS:
            yield panel


def _written(plan: Plan, kind: Kind) -> set[str]:
    wanted = {Action.CREATE, Action.CHANGE}
    return {step.uid for step in plan.steps if step.kind is kind and step.action in wanted}
