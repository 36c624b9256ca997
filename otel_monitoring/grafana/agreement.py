"""Whether catalogue, dashboards, rules and documents agree: the list for contributors as a check."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.catalogue.conventions import convention_problems
from otel_monitoring.catalogue.objective import DeclaredObjective, Latency, Objective, Objectives
from otel_monitoring.exceptions import DashboardError, QueryError
from otel_monitoring.grafana.check import check_query
from otel_monitoring.grafana.documents import document_problems
from otel_monitoring.grafana.promql import parse_query
from otel_monitoring.grafana.result_labels import labels_within
from otel_monitoring.grafana.series import KnownSeries
from otel_monitoring.grafana.shipped_rules import recorded_series, shipped_groups
from otel_monitoring.grafana.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.alert import RuleGroup
    from otel_monitoring.grafana.dashboard import Dashboard
    from otel_monitoring.grafana.documents import Document
    from otel_monitoring.grafana.panel import Target

_LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was looked at, and what does not agree.

    Attributes:
        metrics: how many the catalogue holds.
        dashboards: how many there are.
        panels: how many they have together.
        rules: how many alerts and recorded series there are.
        documents: how many were read.
        problems: what does not agree, in one line each, with what would be right.
    """

    metrics: int
    dashboards: int
    panels: int
    rules: int
    documents: int
    problems: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What was looked at and whether it agrees, in one line."""
        looked_at = (
            f"{_counted(self.metrics, 'metric')}, {_counted(self.dashboards, 'dashboard')} with "
            f"{_counted(self.panels, 'panel')}, {_counted(self.rules, 'rule')} and "
            f"{_counted(self.documents, 'document')}"
        )
        return f"{looked_at}: " + (_counted(len(self.problems), "problem") if self.problems else "all agree")


def agreement_of(
    catalogue: Catalogue,
    dashboards: tuple[Dashboard, ...],
    groups: tuple[RuleGroup, ...],
    documents: tuple[Document, ...] = (),
    *,
    not_metrics: frozenset[str] = frozenset(),
) -> Agreement:
    """Hold dashboards, rules and documents to a catalogue, and the catalogue to conventions.

    Args:
        catalogue: what is declared.
        dashboards: all that there are.
        groups: all rules.
        documents: what is written about them.
        not_metrics: words in documents that look like metrics and are none.
    """
    recorded = recorded_series(groups)
    problems = (
        *_metric_problems(catalogue, dashboards, groups),
        *(problem for dashboard in dashboards for problem in _dashboard_problems(dashboard, catalogue, recorded)),
        *(problem for group in groups for problem in _group_problems(group, catalogue, recorded)),
        *document_problems(
            documents, catalogue, recorded={**_recorded_for_objectives(), **recorded}, not_metrics=not_metrics
        ),
    )
    return Agreement(
        metrics=len(catalogue),
        dashboards=len(dashboards),
        panels=sum(len(dashboard.panels) for dashboard in dashboards),
        rules=sum(len(group.rules) for group in groups),
        documents=len(documents),
        problems=tuple(dict.fromkeys(problems)),
    )


def _recorded_for_objectives() -> dict[str, frozenset[str]]:
    """Return what is recorded where an operation has an objective: documents speak of that, whether or not one has."""
    promised = Objective(success=0.99, latency=Latency(seconds=2.5, share=0.95))
    return recorded_series(shipped_groups(objectives=Objectives([DeclaredObjective("any", "any", promised)])))


def _metric_problems(
    catalogue: Catalogue, dashboards: tuple[Dashboard, ...], groups: tuple[RuleGroup, ...]
) -> Iterator[str]:
    shown = usage_of(catalogue, dashboards, groups).shown
    for metric in catalogue:
        for problem in convention_problems(metric):
            yield f"metric {metric.name!r}: {problem}"
        if metric.prometheus_name not in shown:
            yield f"metric {metric.name!r}: no panel shows {metric.prometheus_name}: add one, Row(…, metric) does"


def _dashboard_problems(
    dashboard: Dashboard, catalogue: Catalogue, recorded: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    known = KnownSeries(catalogue, recorded=recorded)
    found: list[str] = []
    for panel in dashboard.panels:
        where = f"dashboard {dashboard.title!r}, panel {panel.title!r}"
        for target in panel.targets:
            problem = _query_problem(target.expr, catalogue, where=where, recorded=recorded)
            found += [problem] if problem else [f"{where}: {one}" for one in _legend_problems(target, known)]
    yield from found or _build_problems(dashboard, catalogue, recorded)


def _build_problems(
    dashboard: Dashboard, catalogue: Catalogue, recorded: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    try:
        dashboard.build(catalogue, recorded=recorded)
    except (DashboardError, QueryError) as error:
        yield str(error)


def _legend_problems(target: Target, known: KnownSeries) -> Iterator[str]:
    labels = labels_within(parse_query(target.expr, where="query"), known.labels_of)
    if labels is None:
        return
    for label in _LEGEND_LABEL.findall(target.legend):
        if label not in labels:
            meant = did_you_mean(label, labels)
            yield f"the legend names the label {label!r}, which the result does not have{meant}"


def _group_problems(group: RuleGroup, catalogue: Catalogue, recorded: Mapping[str, frozenset[str]]) -> Iterator[str]:
    known = KnownSeries(catalogue, recorded=recorded)
    for record in group.records:
        problem = _query_problem(record.expr, catalogue, where=f"record {record.name!r}", recorded=recorded)
        if problem:
            yield problem
    for alert in group.alerts:
        where = f"alert {alert.name!r}"
        problem = _query_problem(alert.expr, catalogue, where=where, recorded=recorded)
        if problem:
            yield problem
            continue
        labels = labels_within(parse_query(alert.expr, where=where), known.labels_of)
        yield from (f"{where}: {one}" for one in alert.unknown_labels(labels))
        if not alert.summary:
            yield f"{where}: it has no summary: say in one line what is wrong"


def _query_problem(
    expr: str, catalogue: Catalogue, *, where: str, recorded: Mapping[str, frozenset[str]]
) -> str | None:
    try:
        check_query(expr, catalogue, where=where, recorded=recorded)
    except QueryError as error:
        return str(error)
    return None


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
