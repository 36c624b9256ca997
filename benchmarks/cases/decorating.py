"""Calls of a decorated function that does nothing, and items of a decorated generator."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import cache
from time import thread_time
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import LOGFIRE, PROMETHEUS_CLIENT, local_logfire, our_service
from benchmarks.timing import awaited, once, statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from autometrics.tracker import TrackMetrics

    from benchmarks.case import Sample

AUTOMETRICS = "autometrics"


def _nothing() -> None:
    pass


async def _nothing_awaited() -> None:
    pass


def _items(count: int) -> Iterator[int]:
    yield from range(count)


async def _items_awaited(count: int) -> AsyncIterator[int]:
    for item in range(count):
        yield item


def _read(stream: Callable[[int], Iterable[object]]) -> Sample:
    """Time an item of a stream that is read to its end."""
    return lambda count: once(lambda: deque(stream(count), maxlen=0)) / count


def _read_awaited(stream: Callable[[int], AsyncIterator[object]]) -> Sample:
    async def read(count: int) -> float:
        start = thread_time()
        async for _ in stream(count):
            pass
        return thread_time() - start

    return lambda count: asyncio.run(read(count)) / count


def _our_items() -> Sample:
    return _read(our_service().operation("items", component="benchmarks")(_items))


def _our_items_awaited() -> Sample:
    return _read_awaited(our_service().operation("items", component="benchmarks")(_items_awaited))


def _client_items() -> Sample:
    import prometheus_client

    counter = prometheus_client.Counter("items", "Items of a stream.", registry=None)

    def counted(count: int) -> Iterator[int]:
        for item in _items(count):
            counter.inc()
            yield item

    return _read(counted)


def _client_items_awaited() -> Sample:
    import prometheus_client

    counter = prometheus_client.Counter("items", "Items of a stream.", registry=None)

    async def counted(count: int) -> AsyncIterator[int]:
        async for item in _items_awaited(count):
            counter.inc()
            yield item

    return _read_awaited(counted)


def _our_function() -> Sample:
    return statement("nothing()", nothing=our_service().operation("nothing", component="benchmarks")(_nothing))


def _our_coroutine() -> Sample:
    return awaited(our_service().operation("nothing", component="benchmarks")(_nothing_awaited))


def _client_function() -> Sample:
    import prometheus_client

    histogram = prometheus_client.Histogram("nothing_seconds", "Time in a function.", registry=None)
    return statement("nothing()", nothing=histogram.time()(_nothing))


@cache
def _autometrics_trackers() -> Mapping[str, TrackMetrics]:
    """Return autometrics' trackers; it is made for one in a process and told here which."""
    from autometrics.initialization import init
    from autometrics.settings import get_settings
    from autometrics.tracker import get_tracker, init_tracker
    from autometrics.tracker.types import TrackerType

    init(tracker="opentelemetry")
    opentelemetry = get_tracker()
    return {
        "opentelemetry": opentelemetry,
        "prometheus": init_tracker(TrackerType.PROMETHEUS, get_settings()),
    }


def _autometrics(tracker: str, make: Callable[[], Sample]) -> Callable[[], Sample]:
    def prepare() -> Sample:
        from autometrics.tracker import set_tracker

        chosen = _autometrics_trackers()[tracker]
        set_tracker(chosen)
        sample = make()

        def with_tracker(count: int) -> float:
            set_tracker(chosen)
            return sample(count)

        return with_tracker

    return prepare


def _autometrics_function() -> Sample:
    from autometrics import autometrics

    return statement("nothing()", nothing=autometrics(_nothing))


def _autometrics_coroutine() -> Sample:
    from autometrics import autometrics

    return awaited(autometrics(_nothing_awaited))


def _logfire_function() -> Sample:
    return statement("nothing()", nothing=local_logfire().instrument()(_nothing))


def _logfire_coroutine() -> Sample:
    return awaited(local_logfire().instrument()(_nothing_awaited))


CASES = (
    Case(
        name="function",
        title="Call a decorated function that does nothing",
        ours=Subject(OURS, _our_function),
        peers=(
            Subject(f"{PROMETHEUS_CLIENT}, time()", _client_function, at_most=0.3),
            Subject(AUTOMETRICS, _autometrics("opentelemetry", _autometrics_function), at_most=1 / 8),
            Subject(
                f"{AUTOMETRICS}, tracker prometheus", _autometrics("prometheus", _autometrics_function), at_most=1 / 8
            ),
            Subject(f"{LOGFIRE}, instrument()", _logfire_function, at_most=1 / 50),
        ),
    ),
    Case(
        # prometheus_client's time() does not wait for a coroutine, so there is nothing to compare.
        name="coroutine",
        title="Await a decorated coroutine function that does nothing",
        ours=Subject(OURS, _our_coroutine),
        peers=(
            Subject(AUTOMETRICS, _autometrics("opentelemetry", _autometrics_coroutine), at_most=1 / 8),
            Subject(
                f"{AUTOMETRICS}, tracker prometheus", _autometrics("prometheus", _autometrics_coroutine), at_most=1 / 8
            ),
            Subject(f"{LOGFIRE}, instrument()", _logfire_coroutine, at_most=1 / 50),
        ),
    ),
    Case(
        # Other decorators count no items, so it is compared with counting them by hand, and nothing else.
        name="stream",
        title="Read an item of a decorated generator",
        ours=Subject(OURS, _our_items),
        peers=(Subject(f"{PROMETHEUS_CLIENT}, inc() in a loop", _client_items),),
    ),
    Case(
        name="async-stream",
        title="Read an item of a decorated async generator",
        ours=Subject(OURS, _our_items_awaited),
        peers=(Subject(f"{PROMETHEUS_CLIENT}, inc() in a loop", _client_items_awaited),),
    ),
)
