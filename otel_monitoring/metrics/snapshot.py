"""What all series hold at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_monitoring.catalogue import OVERFLOW_LABEL, Declaration, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.metrics.family import Family
    from otel_monitoring.metrics.pages import Slots
    from otel_monitoring.metrics.series import Series

    AnyFamily = Family[Any]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's value.

    Attributes:
        cumulative: for each bound, and at last for infinity, how many values were at most it.
        sum: of all values, in the metric's unit.
    """

    cumulative: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return self.cumulative[-1]


class Point(NamedTuple):
    """One series' value.

    Attributes:
        metric: its declaration.
        labels: label values by Prometheus label name.
        value: a number, or a distribution of a histogram.
        created: when the series came to be, in seconds since 1970.
    """

    metric: Declaration
    labels: dict[str, str]
    value: float | Distribution
    created: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reading of all pages; what is recorded later does not change it.

    Attributes:
        families: every metric that has been used, in the order of declaration.
        slots: the pages added up; meaningful for all kinds but gauges.
        pages: a copy of each page, for the gauges, of which the latest set counts.
        taken: when, as ``time.perf_counter`` tells.
    """

    families: tuple[AnyFamily, ...]
    slots: Slots
    pages: tuple[Slots, ...]
    taken: float

    def points(self) -> Iterator[Point]:
        """Go through all series that have a value."""
        for family in self.families:
            for series in family.all_series():
                value = self.value(family, series)
                if value is not None:
                    yield Point(family.declaration, labels_of(family, series), value, series.created)

    def value(self, family: AnyFamily, series: Series) -> float | Distribution | None:
        """Return a series' value, or None of a gauge never set and of a series made since."""
        kind = family.declaration.kind
        if kind is Kind.GAUGE:
            return self.gauge(series)
        slot = series.slot  # once: another thread may remove the series meanwhile
        end = slot + series.slots_needed(family.buckets)
        if end > len(self.slots):
            return None
        if kind is Kind.HISTOGRAM:
            counts = accumulate(self.slots[slot + 1 : end])
            return Distribution(tuple(map(int, counts)), float(self.slots[slot]))
        return float(self.slots[slot])

    def gauge(self, series: Series) -> float | None:
        """Return the value that was set last on any page."""
        slot = series.slot
        latest, value = 0.0, None
        for page in self.pages:
            if slot + 1 < len(page) and page[slot] > latest:
                latest, value = page[slot], page[slot + 1]
        return value

    def age(self, series: Series) -> float:
        """Return the seconds since a gauge was set last, infinite where it never was."""
        slot = series.slot
        latest = max((page[slot] for page in self.pages if slot + 1 < len(page)), default=0.0)
        return self.taken - latest if latest else float("inf")


def labels_of(family: AnyFamily, series: Series) -> dict[str, str]:
    """Return a series' label values by Prometheus label name."""
    if series.labels is None:
        return {OVERFLOW_LABEL: "true"}
    return dict(zip(family.declaration.prometheus_labels, series.labels, strict=True))
