"""What a panel of a dashboard shows, as data; nothing of Grafana is needed to write one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Query, did_you_mean
from otel_monitoring.exceptions import DashboardError
from otel_monitoring.grafana.selectors import narrowed
from otel_monitoring.grafana.units import PLAIN, grafana_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GRID_COLUMNS = 24
"""How wide a dashboard is; panels are so many columns of it wide."""


class PanelKind(StrEnum):
    """How a panel draws what its queries give; the value is the name of Grafana's panel plugin."""

    TIME_SERIES = "timeseries"
    STAT = "stat"
    TABLE = "table"
    BAR_GAUGE = "bargauge"
    HEATMAP = "heatmap"
    STATE_TIMELINE = "state-timeline"

    @property
    def at_one_time(self) -> bool:
        """Whether it shows the end of the selected range only."""
        return self in {PanelKind.TABLE, PanelKind.BAR_GAUGE}


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel and how its series are drawn.

    Args:
        expr: the PromQL.
        legend: the text of each series, with labels as ``{{queue}}``; in a table the heading of the
            query's column. Empty shows all labels.
        unit: Grafana's id of the unit, where it is not the panel's.
        dashed: draw a dashed line without filling, as limits and earlier times are.
        color: of all its series, in Grafana's words: ``"red"``, ``"dark-blue"``, ``"#ff8800"``.
    """

    expr: str
    legend: str = ""
    unit: str = ""
    dashed: bool = False
    color: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click leads.

    Args:
        title: what is shown of it.
        url: an address, or a path in Grafana such as ``/d/jobs?var-queue={value}``; of a link from a
            label, ``{value}`` becomes the label's value.
    """

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class ValueText:
    """What is shown in place of one value, and in which colour."""

    text: str
    color: str


Queries = str | Query | Target | Iterable[str | Query | Target]


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: a title, one or more queries, and how they are shown.

    Each query is narrowed to the jobs and instances that the dashboard selects: where a selector
    says nothing about ``job`` or ``instance``, ``job=~"$job", instance=~"$instance"`` is put in.

    Args:
        title: what stands above it.
        queries: PromQL, a metric's own query such as ``JOBS.rate(by="queue")``, or several of them.
        unit: Grafana's id of the unit: ``s``, ``bytes``, ``percentunit``, ``reqps``, ``short`` …
        description: what it tells, and what to make of it; empty takes the help of the metrics it reads.
        kind: how it is drawn.
        legend: the text of each series of a query that says none itself.
        thresholds: from which value on which colour holds, rising.
        base_color: the colour below the first threshold.
        minimum: of the axis or scale.
        maximum: the same.
        stacked: bars on top of each other.
        steps: hold each value until the next, as for what is set and not measured.
        logarithmic: the axis.
        filled: shade what is below the lines.
        colors: of single series, by the text of their legend.
        texts: what is shown in place of single values, by value.
        links: where a click on a series leads, by the label whose value goes with it.
        empty: what is shown where there is nothing, if that is no fault.
        width: in columns of 24; None takes what suits the kind. Panels of one line share its width.
        height: in units of 30 pixels.

    Raises:
        DashboardError: something does not fit; the message says what would be right.
        QueryError: a query is no PromQL.
    """

    title: str
    queries: Queries
    _: KW_ONLY
    unit: str = ""
    description: str = ""
    kind: PanelKind | str = PanelKind.TIME_SERIES
    legend: str = ""
    thresholds: Mapping[float, str] = field(default_factory=dict)
    base_color: str = ""
    minimum: float | None = None
    maximum: float | None = None
    stacked: bool = False
    steps: bool = False
    logarithmic: bool = False
    filled: bool = False
    colors: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[float, ValueText] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    empty: str = ""
    width: int | None = None
    height: int | None = None
    targets: tuple[Target, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check what is given, and read the queries."""
        put = object.__setattr__
        put(self, "queries", tuple(_listed(self.queries)))
        problems = list(self._problems())
        if problems:
            raise DashboardError(f"panel {self.title!r}: " + "; ".join(problems))
        put(self, "kind", PanelKind(self.kind))
        put(self, "targets", tuple(map(self._target, self._given)))
        put(self, "unit", self.unit or _unit_of(self._given))
        put(self, "description", self.description or _description_of(self._given))
        for target in self.targets:
            _parse(target.expr, where=f"panel {self.title!r}")

    @property
    def shown_as(self) -> PanelKind:
        """How it is drawn."""
        return PanelKind(self.kind)

    @property
    def _given(self) -> tuple[str | Query | Target, ...]:
        return tuple(_listed(self.queries))

    def _target(self, query: str | Query | Target) -> Target:
        if isinstance(query, Target):
            return replace(query, expr=narrowed(query.expr), legend=query.legend or self.legend)
        if isinstance(query, Query):
            return Target(narrowed(query.expr), query.legend or self.legend)
        return Target(narrowed(query), self.legend)

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.title, str) or not self.title.strip():
            yield f"the title is {self.title!r}: write what it shows"
        if not self._given:
            yield "it has no query: write PromQL, or a metric's own such as JOBS.rate(by='queue')"
        for query in self._given:
            expr = getattr(query, "expr", query)
            if not isinstance(expr, str) or not expr.strip():
                yield f"{query!r} is no query: write PromQL, or a metric's own such as JOBS.rate(by='queue')"
        if self.kind not in list(PanelKind):
            kinds = ", ".join(repr(kind.value) for kind in PanelKind)
            yield f"the kind {self.kind!r} is none of {kinds}{did_you_mean(str(self.kind), list(PanelKind))}"
        yield from self._size_problems()

    def _size_problems(self) -> Iterator[str]:
        if list(self.thresholds) != sorted(self.thresholds):
            yield f"the thresholds {dict(self.thresholds)!r} do not rise"
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            yield f"the minimum {self.minimum!r} is not below the maximum {self.maximum!r}"
        if self.width is not None and not (type(self.width) is int and 0 < self.width <= GRID_COLUMNS):
            yield f"the width is {self.width!r}: a whole number of columns from 1 to {GRID_COLUMNS}"
        if self.height is not None and not (type(self.height) is int and self.height > 0):
            yield f"the height is {self.height!r}: a whole number above 0"


def _listed(queries: object) -> Iterator[str | Query | Target]:
    if isinstance(queries, Iterable) and not isinstance(queries, str):
        yield from queries
    else:
        yield queries  # type: ignore[misc]  # what is no query is refused by name


def _unit_of(queries: Iterable[str | Query | Target]) -> str:
    units = [grafana_unit(query.unit) for query in queries if isinstance(query, Query)]
    return units[0] if units else PLAIN


def _description_of(queries: Iterable[str | Query | Target]) -> str:
    return next((query.description for query in queries if isinstance(query, Query) and query.description), "")


def _parse(expr: str, *, where: str) -> None:
    # Without the extra nothing can parse; building a dashboard then says what is missing.
    if find_spec("promql_parser") is not None:
        from otel_monitoring.grafana.promql import parse_query

        parse_query(expr, where=where)
