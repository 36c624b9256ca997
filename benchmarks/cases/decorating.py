"""Calls of a decorated function that does nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import LOGFIRE, PROMETHEUS_CLIENT, local_logfire, our_service
from benchmarks.timing import awaited, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from autometrics.tracker import TrackMetrics

    from benchmarks.case import Sample

AUTOMETRICS = "autometrics"


def _nothing() -> None:
    pass


async def _nothing_awaited() -> None:
    pass


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
)
