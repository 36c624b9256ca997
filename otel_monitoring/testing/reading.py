"""What a service has recorded since a moment."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from otel_monitoring.catalogue import Kind
from otel_monitoring.metrics import Distribution
from otel_monitoring.metrics.snapshot import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_monitoring.metrics import Registry, Snapshot


class Series(NamedTuple):
    """Which series of which metric, by the names that Prometheus shows."""

    metric: str
    labels: tuple[tuple[str, str], ...]


class Amount(NamedTuple):
    """What a series holds: how many values and their total, of a histogram; of any other kind the value is both."""

    number: float
    total: float


NOTHING = Amount(0.0, 0.0)


class Reading:
    """What one registry has recorded since this was made.

    Args:
        registry: whose metrics are read.
        whole: count what was recorded before, too.
    """

    def __init__(self, registry: Registry, *, whole: bool = False) -> None:
        self.registry = registry
        self._since = 0.0 if whole else perf_counter()
        self._before = {} if whole else dict(_amounts(registry.snapshot(), self._since))

    def amounts(self) -> Iterator[tuple[Series, Amount]]:
        """Go through the series: what was added to it since, or the value of a gauge that was set since."""
        gauges = {metric.prometheus_name for metric in self.registry.catalogue if metric.kind is Kind.GAUGE}
        for series, now in _amounts(self.registry.snapshot(), self._since):
            before = NOTHING if series.metric in gauges else self._before.get(series, NOTHING)
            yield series, Amount(now.number - before.number, now.total - before.total)


def _amounts(snapshot: Snapshot, since: float) -> Iterator[tuple[Series, Amount]]:
    for family in snapshot.families:
        is_gauge = family.declaration.kind is Kind.GAUGE
        for series in family.all_series():
            value = snapshot.value(family, series)
            if value is None or (is_gauge and snapshot.taken - snapshot.age(series) < since):
                continue
            named = Series(family.declaration.prometheus_name, sorted_labels(labels_of(family, series)))
            if isinstance(value, Distribution):
                yield named, Amount(value.count, value.sum)
            else:
                yield named, Amount(value, value)


def sorted_labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return labels in one order."""
    return tuple(sorted(labels.items()))
