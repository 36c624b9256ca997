"""What the last seconds were like, as a table for the terminal."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from otel_monitoring.catalogue.shipped import (
    HTTP_REQUESTS,
    OPERATIONS,
    PROCESSING_TIME,
    RATE_LIMIT_HITS,
    RATE_LIMIT_QUOTA,
    RATE_LIMIT_REMAINING,
    REQUEST_DURATION,
    SYSTEM_ERRORS,
)
from otel_monitoring.metrics.quantile import quantile
from otel_monitoring.metrics.snapshot import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.metrics.snapshot import Snapshot

WINDOW_READINGS = 10

Labels = tuple[str, ...]
Value = float | Distribution
Reading = dict[tuple[str, Labels], Value]


class Row(NamedTuple):
    """One line of the table: what, how often, how long, how it failed."""

    name: str
    per_second: float
    p50_seconds: float | None
    p95_seconds: float | None
    failed_per_second: float


class RecentFigures:
    """Compares each reading with the one some readings before."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, Reading]] = deque(maxlen=WINDOW_READINGS + 1)

    def read(self, snapshot: Snapshot) -> None:
        """Take in another reading."""
        values = {(point.metric.name, tuple(point.labels.values())): point.value for point in snapshot.points()}
        self._readings.append((snapshot.taken, values))

    def tables(self) -> Group:
        """Return the figures since the oldest reading that is kept."""
        work = _table("", "per second", "p50", "p95", "failed/s")
        for section in (self._requests(), self._operations(), self._errors()):
            for row in section:
                times = (_duration(row.p50_seconds), _duration(row.p95_seconds))
                work.add_row(row.name, f"{row.per_second:.1f}", *times, _failures(row.failed_per_second))
            work.add_section()
        return Group(work, self._rate_limits())

    def _requests(self) -> Iterator[Row]:
        for endpoint, method in self._labels_of(REQUEST_DURATION):
            failed = sum(self._rate(HTTP_REQUESTS, (endpoint, method, status)) for status in ("4xx", "5xx"))
            yield self._timed(f"{method} {endpoint}", REQUEST_DURATION, (endpoint, method), failed)

    def _operations(self) -> Iterator[Row]:
        for operation, component in self._labels_of(PROCESSING_TIME):
            failed = self._rate(OPERATIONS, (operation, component, "error"))
            yield self._timed(f"{component}: {operation}", PROCESSING_TIME, (operation, component), failed)

    def _errors(self) -> Iterator[Row]:
        for error_type, component in self._labels_of(SYSTEM_ERRORS):
            rate = self._rate(SYSTEM_ERRORS, (error_type, component))
            yield Row(f"{error_type} in {component}", rate, None, None, rate)

    def _rate_limits(self) -> Table:
        table = _table("rate limit", "calls left", "of", "hits")
        values = self._readings[-1][1]
        for labels in self._labels_of(RATE_LIMIT_REMAINING):
            figures = (
                values.get((metric.name, labels))
                for metric in (RATE_LIMIT_REMAINING, RATE_LIMIT_QUOTA, RATE_LIMIT_HITS)
            )
            table.add_row(" ".join(labels), *(f"{_number(figure):.0f}" for figure in figures))
        return table

    def _labels_of(self, metric: Declaration) -> list[Labels]:
        return sorted(labels for name, labels in self._readings[-1][1] if name == metric.name)

    def _timed(self, name: str, metric: Declaration, labels: Labels, failed: float) -> Row:
        before, now, seconds = self._ends(metric, labels)
        none = (0,) * (len(metric.buckets) + 1)
        earlier, latest = (end.cumulative if isinstance(end, Distribution) else none for end in (before, now))
        recent = [new - old for new, old in zip(latest, earlier, strict=True)]
        p50, p95 = (quantile(share, metric.buckets, recent) for share in (0.5, 0.95))
        return Row(name, recent[-1] / seconds, p50, p95, failed)

    def _rate(self, metric: Declaration, labels: Labels) -> float:
        before, now, seconds = self._ends(metric, labels)
        return (_number(now) - _number(before)) / seconds

    def _ends(self, metric: Declaration, labels: Labels) -> tuple[Value | None, Value | None, float]:
        (began, first), (ended, last) = self._readings[0], self._readings[-1]
        key = (metric.name, labels)
        return first.get(key), last.get(key), max(ended - began, 1e-9)


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _number(value: Value | None) -> float:
    return value if isinstance(value, int | float) else 0.0


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _failures(per_second: float) -> str:
    return f"[red]{per_second:.1f}[/red]" if per_second else ""
