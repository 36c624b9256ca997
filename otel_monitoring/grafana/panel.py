"""What a panel of a dashboard shows, as data; nothing of Grafana is needed to write one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Query, did_you_mean
from otel_monitoring.catalogue.usual import UsualQueries
from otel_monitoring.exceptions import DashboardError
from otel_monitoring.grafana.selectors import narrowed
from otel_monitoring.grafana.units import PLAIN, grafana_unit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

GRID_COLUMNS = 24
"""How wide a dashboard is; panels are so many columns of it wide."""
QUERIES_AT_MOST = 26

NO_HEADING = "Value"
"""What the column of a query in a table is called that says nothing itself."""


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


Given = str | Query | Target | UsualQueries


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: a title, one or more queries, and how they are shown.

    Each query is narrowed to the jobs and instances that the dashboard selects: where a selector
    says nothing about ``job`` or ``instance``, ``job=~"$job", instance=~"$instance"`` is put in.

    Args:
        title: what stands above it.
        queries: PromQL, a metric's own query such as ``JOBS.rate(by="queue")``, or a metric, which shows
            what is usual for its kind; or several of them.
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
        texts: what is shown in place of single values, by value; in a table of texts too.
        links: where a click on a series leads, by the label whose value goes with it.
        empty: what is shown where there is nothing, if that is no fault.
        width: in columns of 24; None takes what suits the kind. Panels of one line share its width.
        height: in units of 30 pixels.

    Raises:
        DashboardError: something does not fit; the message says what would be right.
        QueryError: a query is no PromQL.
    """

    title: str
    queries: Given | Iterable[Given]
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
    texts: Mapping[float | str, ValueText] = field(default_factory=dict)
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
        for query in self._given:
            _parse(_expr(query), where=f"panel {self.title!r}")
        put(self, "targets", tuple(map(self._target, self._given)))
        put(self, "unit", self.unit or _unit_of(self._given))
        put(self, "description", self.description or _description_of(self._given))

    @property
    def shown_as(self) -> PanelKind:
        """How it is drawn."""
        return PanelKind(self.kind)

    @property
    def _given(self) -> tuple[str | Query | Target, ...]:
        return tuple(_listed(self.queries))

    def _target(self, query: str | Query | Target) -> Target:
        given = query if isinstance(query, Target) else Target(_expr(query))
        return replace(given, expr=narrowed(given.expr), legend=self._legend(query))

    def _legend(self, query: str | Query | Target) -> str:
        if isinstance(query, Query) and self.kind == PanelKind.TABLE:
            return self.legend or query.title
        own = "" if isinstance(query, str) else query.legend
        return own or self.legend

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.title, str) or not self.title.strip():
            yield f"the title is {self.title!r}: write what it shows"
        if not isinstance(self.unit, str):
            yield f"the unit is {self.unit!r}: one of Grafana's, such as 's', 'bytes' or 'short'"
        if self.kind not in list(PanelKind):
            kinds = [kind.value for kind in PanelKind]
            yield f"the kind {self.kind!r} is none of {', '.join(kinds)}{did_you_mean(str(self.kind), kinds)}"
        yield from self._query_problems()
        yield from self._size_problems()
        yield from self._mapping_problems()

    def _query_problems(self) -> Iterator[str]:
        if not self._given:
            yield "it has no query: write PromQL, or a metric's own such as JOBS.rate(by='queue')"
        if len(self._given) > QUERIES_AT_MOST:
            yield f"it has {len(self._given)} queries: Grafana names them A to Z"
        wrong = [query for query in self._given if not _is_query(query)]
        for query in wrong:
            yield f"{query!r} is no query: write PromQL, or a metric's own such as JOBS.rate(by='queue')"
        if self.kind == PanelKind.TABLE and not wrong:
            headings = Counter(self._legend(query) or NO_HEADING for query in self._given)
            for heading in (heading for heading, times in headings.items() if times > 1):
                yield f"two queries have the heading {heading!r}: give each its own, Target(…, 'Waiting')"

    def _size_problems(self) -> Iterator[str]:
        for name in ("minimum", "maximum"):
            value: object = getattr(self, name)
            if value is not None and not _is_number(value):
                yield f"the {name} is {value!r}: a number"
        if _is_number(self.minimum) and _is_number(self.maximum) and self.minimum >= self.maximum:
            yield f"the minimum {self.minimum!r} is not below the maximum {self.maximum!r}"
        if self.width is not None and not (type(self.width) is int and 0 < self.width <= GRID_COLUMNS):
            yield f"the width is {self.width!r}: a whole number of columns from 1 to {GRID_COLUMNS}"
        if self.height is not None and not (type(self.height) is int and self.height > 0):
            yield f"the height is {self.height!r}: a whole number above 0"

    def _mapping_problems(self) -> Iterator[str]:
        if not _maps(self.thresholds, to=str) or not all(map(_is_number, self.thresholds)):
            yield f"the thresholds are {self.thresholds!r}: write colours by value, {{1: 'yellow', 5: 'red'}}"
        elif list(self.thresholds) != sorted(self.thresholds):
            yield f"the thresholds {dict(self.thresholds)!r} do not rise"
        if not _maps(self.colors, to=str):
            yield f"the colors are {self.colors!r}: write them by the legend's text, {{'error': 'red'}}"
        if not _maps(self.texts, to=ValueText):
            yield f"the texts are {self.texts!r}: write them by value, {{0: ValueText('down', 'red')}}"
        if not _maps(self.links, to=Link):
            yield f"the links are {self.links!r}: write them by label, {{'queue': link_to('jobs', 'queue')}}"


def _is_query(given: object) -> bool:
    expr = given.expr if isinstance(given, Query | Target) else given
    return isinstance(expr, str) and bool(expr.strip())


def _expr(query: str | Query | Target) -> str:
    return query if isinstance(query, str) else query.expr


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _maps(given: object, *, to: type) -> bool:
    return isinstance(given, Mapping) and all(isinstance(value, to) for value in given.values())


def _listed(queries: Given | Iterable[Given]) -> Iterator[str | Query | Target]:
    if isinstance(queries, str | Query | Target | UsualQueries) or not isinstance(queries, Iterable):
        queries = (queries,)
    for query in queries:
        yield query.usual() if isinstance(query, UsualQueries) else query


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
