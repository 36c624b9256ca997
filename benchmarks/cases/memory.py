"""Memory that one series takes, as tracemalloc counts it.

The label values are there before: whoever keeps a copy of them pays for it.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject, Unit
from benchmarks.cases.scraping import queues
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.case import Sample

    Record = Callable[[str], object]
    Scrape = Callable[[], object]
    Make = Callable[[int], tuple[Record, Scrape]]


def _our_counter(count: int) -> tuple[Record, Scrape]:
    service = our_service(max_series=count)
    jobs = our_counter(service)
    return lambda queue: jobs.add(1, {"queue": queue, "outcome": "done"}), service.exposition


def _our_histogram(count: int) -> tuple[Record, Scrape]:
    service = our_service(max_series=count)
    wait = our_histogram(service)
    return lambda queue: wait.record(0.2, {"queue": queue, "outcome": "done"}), service.exposition


def _client_counter(_count: int) -> tuple[Record, Scrape]:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    jobs = client_counter(registry)
    scrape = lambda: prometheus_client.generate_latest(registry)  # noqa: E731
    return lambda queue: jobs.labels(queue=queue, outcome="done").inc(), scrape


def _client_histogram(_count: int) -> tuple[Record, Scrape]:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    wait = client_histogram(registry)
    scrape = lambda: prometheus_client.generate_latest(registry)  # noqa: E731
    return lambda queue: wait.labels(queue=queue, outcome="done").observe(0.2), scrape


def _sdk_counter(count: int) -> tuple[Record, Scrape]:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    jobs = sdk_counter(sdk_provider(count, registry))
    scrape = lambda: prometheus_client.generate_latest(registry)  # noqa: E731
    return lambda queue: jobs.add(1, {"queue": queue, "outcome": "done"}), scrape


def _sdk_histogram(count: int) -> tuple[Record, Scrape]:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    wait = sdk_histogram(sdk_provider(count, registry))
    scrape = lambda: prometheus_client.generate_latest(registry)  # noqa: E731
    return lambda queue: wait.record(0.2, {"queue": queue, "outcome": "done"}), scrape


def _traced(make: Make, *, scraped: bool) -> Callable[[], Sample]:
    def prepare() -> Sample:
        make(1)
        return lambda count: _bytes_per_series(*make(count), values=queues(count), scraped=scraped)

    return prepare


def _bytes_per_series(record: Record, scrape: Scrape, *, values: list[str], scraped: bool) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for value in values:
            record(value)
        if scraped:
            scrape()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / len(values)


_MADE: dict[str, dict[str, Make]] = {
    "counter": {OURS: _our_counter, PROMETHEUS_CLIENT: _client_counter, OTEL_SDK: _sdk_counter},
    "histogram": {OURS: _our_histogram, PROMETHEUS_CLIENT: _client_histogram, OTEL_SDK: _sdk_histogram},
}


def _cases() -> Iterator[Case]:
    for kind, made in _MADE.items():
        for suffix, scraped in (("", False), ("-scraped", True)):
            yield Case(
                name=f"memory-{kind}{suffix}",
                title=f"Memory of one {kind} series" + (" once it was scraped" if scraped else ""),
                ours=Subject(OURS, _traced(made[OURS], scraped=scraped)),
                peers=(
                    Subject(PROMETHEUS_CLIENT, _traced(made[PROMETHEUS_CLIENT], scraped=scraped), at_most=0.6),
                    Subject(OTEL_SDK, _traced(made[OTEL_SDK], scraped=scraped)),
                ),
                unit=Unit.BYTES,
                rounds=1,
                count=10_000,
            )


CASES = tuple(_cases())
