"""A scrape of many series: how long it takes, how large its text is, how it grows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject, Unit
from benchmarks.peers import (
    OTEL_SDK,
    PROMETHEUS_CLIENT,
    client_counter,
    client_histogram,
    our_counter,
    our_histogram,
    our_service,
    sdk_counter,
    sdk_histogram,
    sdk_provider,
)
from benchmarks.timing import once
from otel_monitoring.catalogue import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    import prometheus_client

    from benchmarks.case import Sample
    from otel_monitoring import MonitoringService

RECORDED = (0.003, 0.2, 1.7)
LINES_OF_A_PAIR = 1 + len(SECONDS) + 3
"""A counter's line, and a histogram's buckets, ``+Inf``, sum and count."""


def queues(count: int) -> list[str]:
    """Return so many label values."""
    return [f"queue-{number:06d}" for number in range(count)]


def _our_service(count: int) -> MonitoringService:
    service = our_service(max_series=count)
    jobs, wait = our_counter(service), our_histogram(service)
    for queue in queues(count):
        jobs.add(1, {"queue": queue, "outcome": "done"})
        for seconds in RECORDED:
            wait.record(seconds, {"queue": queue, "outcome": "done"})
    return service


def _client_registry(count: int) -> prometheus_client.CollectorRegistry:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    jobs, wait = client_counter(registry), client_histogram(registry)
    for queue in queues(count):
        jobs.labels(queue=queue, outcome="done").inc()
        for seconds in RECORDED:
            wait.labels(queue=queue, outcome="done").observe(seconds)
    return registry


def _sdk_registry(count: int) -> prometheus_client.CollectorRegistry:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    provider = sdk_provider(count, registry)
    jobs, wait = sdk_counter(provider), sdk_histogram(provider)
    for queue in queues(count):
        jobs.add(1, {"queue": queue, "outcome": "done"})
        for seconds in RECORDED:
            wait.record(seconds, {"queue": queue, "outcome": "done"})
    return registry


def _our_render(count: int) -> Callable[[], bytes]:
    service = _our_service(count)
    return lambda: service.exposition()[0]


def _client_render(count: int) -> Callable[[], bytes]:
    import prometheus_client

    registry = _client_registry(count)
    return lambda: prometheus_client.generate_latest(registry)


def _sdk_render(count: int) -> Callable[[], bytes]:
    import prometheus_client

    registry = _sdk_registry(count)
    return lambda: prometheus_client.generate_latest(registry)


def _timed(make: Callable[[int], Callable[[], bytes]]) -> Callable[[], Sample]:
    def prepare() -> Sample:
        render = cache(make)
        render(1)
        return lambda count: once(render(count))

    return prepare


def _timed_first(make: Callable[[int], Callable[[], bytes]]) -> Callable[[], Sample]:
    """Time a scrape of series that no one has asked for yet."""

    def prepare() -> Sample:
        make(1)
        return lambda count: once(make(count))

    return prepare


def _sized(make: Callable[[int], Callable[[], bytes]]) -> Callable[[], Sample]:
    def prepare() -> Sample:
        render = cache(make)
        render(1)
        return lambda count: len(render(count)())

    return prepare


def _per_line(part: float) -> Callable[[], Sample]:
    """Time a scrape of so large a part of the lines asked for."""

    def prepare() -> Sample:
        render = cache(_our_render)

        def sample(count: int) -> float:
            pairs = max(1, int(count * part / LINES_OF_A_PAIR))
            return once(render(pairs)) / (pairs * LINES_OF_A_PAIR)

        return sample

    return prepare


CASES = (
    Case(
        name="scrape",
        title="Scrape of 10 000 counters and 10 000 histograms of 14 buckets",
        ours=Subject(OURS, _timed(_our_render)),
        peers=(
            Subject(PROMETHEUS_CLIENT, _timed(_client_render), at_most=1 / 12),
            Subject(f"{OTEL_SDK} and its exporter", _timed(_sdk_render), at_most=1 / 15),
        ),
        rounds=9,
        count=10_000,
    ),
    Case(
        name="first-scrape",
        title="The same, the first time",
        ours=Subject(OURS, _timed_first(_our_render)),
        peers=(Subject(PROMETHEUS_CLIENT, _timed_first(_client_render)),),
        rounds=3,
        count=10_000,
    ),
    Case(
        name="text",
        title="Text of that scrape",
        ours=Subject(OURS, _sized(_our_render)),
        peers=(
            Subject(PROMETHEUS_CLIENT, _sized(_client_render), at_most=1),
            Subject(f"{OTEL_SDK} and its exporter", _sized(_sdk_render)),
        ),
        unit=Unit.BYTES,
        rounds=1,
        count=10_000,
    ),
    Case(
        name="lines",
        title="A line of a scrape of 1 000 000 lines",
        ours=Subject(f"{OURS}, 1 000 000 lines", _per_line(1)),
        peers=(
            Subject("ours, 300 000 lines", _per_line(0.3), at_most=1.25),
            Subject("ours, 100 000 lines", _per_line(0.1), at_most=1.25),
        ),
        rounds=5,
        count=1_000_000,
    ),
)
