"""What watched applications have recorded and reported, for the tests of all protocols and frameworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_monitoring.catalogue.shipped import HTTP_REQUESTS, REQUEST_DURATION
from otel_monitoring.metrics import Distribution

if TYPE_CHECKING:
    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.metrics import Registry


class Report(NamedTuple):
    """One exception that was reported."""

    error: Exception
    endpoint: str
    method: str


class Reported:
    """Hears what is reported."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def __call__(self, error: Exception, *, endpoint: str, method: str) -> None:
        """Keep it."""
        self.reports.append(Report(error, endpoint, method))

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        """What was reported, an exception by its class."""
        return [(type(report.error).__name__, report.endpoint, report.method) for report in self.reports]


def values(registry: Registry, metric: Declaration) -> dict[tuple[str, ...], float | Distribution]:
    """Return the values of a metric by its label values."""
    points = registry.snapshot().points()
    return {tuple(point.labels.values()): point.value for point in points if point.metric is metric}


def spreads(registry: Registry, metric: Declaration = REQUEST_DURATION) -> dict[tuple[str, ...], Distribution]:
    """Return the distributions of a metric by its label values."""
    found = values(registry, metric)
    return {labels: value for labels, value in found.items() if isinstance(value, Distribution)}


def counted(registry: Registry) -> float:
    """Return how many requests are counted by now, to be waited on: each has its duration already."""
    found = values(registry, HTTP_REQUESTS).values()
    return sum(value for value in found if isinstance(value, float))


def counts(registry: Registry) -> dict[tuple[str, ...], float]:
    """Return the requests by endpoint, method and status, having seen that each has a duration.

    To be asked when none is on its way any more: a request is not counted at the moment at which its duration is.
    """
    found: dict[tuple[str, ...], float] = {}
    durations: dict[tuple[str, ...], int] = {}
    for labels, value in values(registry, HTTP_REQUESTS).items():
        assert isinstance(value, float)
        found[labels] = value
        durations[labels[:2]] = durations.get(labels[:2], 0) + int(value)
    assert durations == {labels: spread.count for labels, spread in spreads(registry).items()}
    return found
