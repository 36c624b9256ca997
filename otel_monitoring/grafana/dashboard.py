"""Dashboards as data: rows of panels, and what Grafana reads of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Query
from otel_monitoring.catalogue.usual import UsualQueries
from otel_monitoring.exceptions import DashboardError
from otel_monitoring.grafana.extra import needing_extra
from otel_monitoring.grafana.panel import Link, Panel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_monitoring.catalogue import Catalogue

FIRING = 'ALERTS{job=~"$job", alertstate="firing", severity!="none"}'
"""Alerts that fire, without those that always do, to show that alerts arrive."""

ALWAYS_THERE = ("datasource", "job", "instance")
"""The variables of every dashboard."""

UID_LENGTH = 40
"""What Grafana takes at most."""

UID = re.compile(rf"[A-Za-z0-9_-]{{1,{UID_LENGTH}}}")

TAG = "otel-monitoring"
"""What dashboards carry, so that they find each other."""

DEPLOYMENT_TAG = "deployment"
"""Of the annotations in Grafana that say that a version went out; dashboards mark them."""

DIGEST_LENGTH = 8

NO_RECORDED: Mapping[str, frozenset[str]] = MappingProxyType({})

_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
_START = re.compile(r"now-\d+[smhdwMy]|now(-\d+[smhdwMy])?/[smhdwMy]")
_DURATION = re.compile(r"\d+(ms|s|m|h|d|w)")


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it.

    Args:
        title: the heading.
        panels: panels, a metric's own queries such as ``JOBS.rate(by="queue")``, or metrics, which show
            what is usual for their kind.
        collapsed: show the heading alone until it is clicked on.

    Raises:
        DashboardError: something is no panel, or there is no title.
    """

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False

    def __init__(self, title: str, *panels: Panel | Query | UsualQueries, collapsed: bool = False) -> None:
        if not isinstance(title, str):
            raise DashboardError(f"a row's title is {title!r}: write Row('Flow', …)")
        put = object.__setattr__
        put(self, "title", title)
        put(self, "panels", tuple(_panel(panel, row=title) for panel in panels))
        put(self, "collapsed", collapsed)


@dataclass(frozen=True, slots=True)
class Variable:
    """A selection above a dashboard: some or all values of a label.

    Args:
        label: the label, which is the variable's name too: ``$queue``.
        metrics: where its values come from, as Prometheus names series; empty takes those
            whose selectors use the variable.
        title: what stands before the selection; empty takes the label.
    """

    label: str
    metrics: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard: a title and rows of panels.

    Args:
        title: what it is called.
        rows: in their order.
        uid: by which Grafana knows it: up to 40 letters, digits, ``_`` and ``-``; empty makes one of the title.
        description: one sentence.
        tags: besides ``otel-monitoring``, by which the dashboards link to each other.
        refresh: how often it asks anew, such as ``30s``; empty is never.
        start: how far back it begins, such as ``now-6h``.
        step_at_least: the shortest time between two points, such as ``1h``, for what happens seldom.
        variables: selections besides those of jobs and instances, in their order. A label that a query
            compares with a variable of its name, ``queue=~"$queue"``, gets one by itself.
        links: shown above, beside those to the other dashboards.

    Raises:
        DashboardError: something does not fit; the message says what would be right.
    """

    title: str
    rows: Sequence[Row]
    _: KW_ONLY
    uid: str = ""
    description: str = ""
    tags: Sequence[str] = ()
    refresh: str = "30s"
    start: str = "now-6h"
    step_at_least: str = ""
    variables: Sequence[Variable | str] = ()
    links: Sequence[Link] = ()

    def __post_init__(self) -> None:
        """Check what is given, and derive the uid where there is none."""
        put = object.__setattr__
        for several in ("rows", "tags", "variables", "links"):
            put(self, several, _several(getattr(self, several)))
        put(self, "uid", self.uid or uid_of(str(self.title)))
        problems = list(self._problems())
        if problems:
            raise DashboardError(f"dashboard {self.title!r}: " + "; ".join(problems))

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in their order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def build(
        self,
        catalogue: Catalogue,
        *,
        recorded: Mapping[str, frozenset[str]] = NO_RECORDED,
    ) -> dict[str, object]:
        """Return what Grafana's API and its files take, after every query was checked.

        It is the classic form, without ``id`` and ``version``, the same for the same dashboard.

        Args:
            catalogue: the metrics that queries may name.
            recorded: the series that recording rules make, by name, with their labels.

        Raises:
            QueryError: a query names what is not there.
            DashboardError: a variable's values cannot be known.
            ExtraMissingError: otel-monitoring[grafana] is not installed.
        """
        with needing_extra("building a dashboard"):
            from otel_monitoring.grafana.assembly import assemble
            from otel_monitoring.grafana.check import check_query
        for where, expr in self._queries():
            check_query(expr, catalogue, where=f"dashboard {self.title!r}, {where}", recorded=recorded)
        return assemble(self, catalogue)

    def _queries(self) -> Iterator[tuple[str, str]]:
        """Go through all queries, each with what it is for."""
        for panel in self.panels:
            for target in panel.targets:
                yield f"panel {panel.title!r}", target.expr
        for variable in self.variables:
            for metric in variable.metrics if isinstance(variable, Variable) else ():
                yield f"variable {_label(variable)!r}", f"group by ({_label(variable)}) ({metric})"

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.title, str) or not self.title.strip():
            yield f"the title is {self.title!r}: write what it is called"
        if not _fits(UID, self.uid):
            yield f"the uid {self.uid!r} is none: up to {UID_LENGTH} letters, digits, '_' and '-'"
        for row in self.rows:
            if not isinstance(row, Row):
                yield f"{row!r} is no row: write Row('Flow', …) around panels"
        if not self.rows:
            yield "it has no rows: write rows=[Row('Flow', …)]"
        if not isinstance(self.description, str) or not all(isinstance(tag, str) for tag in self.tags):
            yield f"description is {self.description!r} and tags are {list(self.tags)!r}: write text"
        for link in self.links:
            if not isinstance(link, Link):
                yield f"{link!r} is no link: write Link('Runbook', 'https://…')"
        yield from self._time_problems()
        yield from self._variable_problems()

    def _time_problems(self) -> Iterator[str]:
        if self.refresh != "" and not _fits(_DURATION, self.refresh):
            yield f"refresh is {self.refresh!r}: write a time such as '30s' or '5m', or '' for never"
        if not _fits(_START, self.start):
            yield f"start is {self.start!r}: write how far back, such as 'now-6h'"
        if self.step_at_least != "" and not _fits(_DURATION, self.step_at_least):
            yield f"step_at_least is {self.step_at_least!r}: write a time such as '1m' or '1h'"

    def _variable_problems(self) -> Iterator[str]:
        labels = list(map(_label, self.variables))
        for label in labels:
            if not _fits(_LABEL, label):
                yield f"{label!r} is no label: write variables=['queue'], or Variable('queue', ('jobs_total',))"
            elif label in ALWAYS_THERE or labels.count(label) > 1:
                yield f"the variable {label!r} is there already: leave it out of variables"


def uid_of(title: str) -> str:
    """Return the uid that a title gives: its words, and a digest where they do not say all."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if len(words) <= UID_LENGTH and re.fullmatch(r"[\x20-\x7e]*[A-Za-z0-9][\x20-\x7e]*", title):
        return words
    digest = hashlib.sha256(title.encode(errors="replace")).hexdigest()[:DIGEST_LENGTH]
    return f"{words[: UID_LENGTH - DIGEST_LENGTH - 1].rstrip('-')}-{digest}".lstrip("-")


def link_to(uid: str, label: str, *, title: str = "") -> Link:
    """Return a link to a dashboard where one label is narrowed to the value that was clicked on.

    The selected range, data source, jobs and instances stay.

    Args:
        uid: of the dashboard.
        label: the label, which is a variable there.
        title: what the menu shows.
    """
    kept = "".join(f"&${{{name}:queryparam}}" for name in ("datasource", "job", "instance"))
    return Link(title or f"Only this {label}", f"/d/{uid}?var-{label}={{value}}&${{__url_time_range}}{kept}")


def _label(variable: Variable | str) -> str:
    return variable.label if isinstance(variable, Variable) else variable


def _fits(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _panel(panel: object, *, row: str) -> Panel:
    if isinstance(panel, UsualQueries):
        panel = panel.usual()
    if isinstance(panel, Query):
        return Panel(panel.title, panel)
    if not isinstance(panel, Panel):
        raise DashboardError(
            f"row {row!r}: {panel!r} is no panel: write Panel('Backlog', 'promql') or a metric's query"
        )
    return panel


def _several(values: object) -> tuple[object, ...]:
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)
