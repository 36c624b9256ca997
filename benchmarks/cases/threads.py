"""One counter from several threads at once.

Two figures.  *Core time* is what a call keeps a core busy for, in the calling thread: the same
with one thread and with four where they do not hinder each other, also on a machine that has
other work.  *Time between calls* is wall time by calls of all threads: what waiting costs is in
it, and with cores of their own four threads take a quarter of what one takes.
"""

from __future__ import annotations

import threading
from time import perf_counter, thread_time
from timeit import Timer
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.case import OURS, Case, Subject
from benchmarks.cases.recording import WITH_ATTRIBUTES, WITH_KEYWORDS
from benchmarks.peers import LABELS, OTEL_SDK, PROMETHEUS_CLIENT, client_counter, sdk_counter
from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.metrics import Counter, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.case import Sample

    Figure = Callable[["list[_Span]", int], float]

THREADS = (2, 4)
NO_SLOWER = 1.1
"""Measured twice, the same differs by a tenth on a machine that does other things too."""


class _Threaded(NamedTuple):
    """A line of code and what makes its names."""

    code: str
    names: Callable[[], dict[str, object]]


def _our_counter() -> Counter:
    # As MonitoringService.counter makes it, which wants more installed than a free-threaded interpreter may have.
    return Registry().counter(Declaration(name="jobs", kind=Kind.COUNTER, unit="{job}", labels=LABELS))


_BOUND = {
    OURS: _Threaded("mail.add()", lambda: {"mail": _our_counter().labels(queue="mail", outcome="done")}),
    PROMETHEUS_CLIENT: _Threaded("mail.inc()", lambda: {"mail": client_counter().labels(queue="mail", outcome="done")}),
}
_LABELLED = {
    OURS: _Threaded(f"JOBS.add(1, {WITH_ATTRIBUTES})", lambda: {"JOBS": _our_counter()}),
    PROMETHEUS_CLIENT: _Threaded(f"JOBS.labels({WITH_KEYWORDS}).inc()", lambda: {"JOBS": client_counter()}),
    OTEL_SDK: _Threaded(f"JOBS.add(1, {WITH_ATTRIBUTES})", lambda: {"JOBS": sdk_counter()}),
}


def _core_time(spans: list[_Span], count: int) -> float:
    return sum(span.busy for span in spans) / (len(spans) * count)


def _time_between_calls(spans: list[_Span], count: int) -> float:
    wall = max(span.end for span in spans) - min(span.start for span in spans)
    return wall / (len(spans) * count)


class _Span(NamedTuple):
    """When a thread ran, and how long a core was busy with it."""

    start: float
    end: float
    busy: float


def _in_threads(work: _Threaded, threads: int, figure: Figure) -> Callable[[], Sample]:
    """Run a line in so many threads that start together."""

    def prepare() -> Sample:
        timer = Timer(work.code, globals=work.names())
        return lambda count: figure(_spans(timer, threads, count), count)

    return prepare


def _spans(timer: Timer, threads: int, count: int) -> list[_Span]:
    barrier = threading.Barrier(threads)
    spans: list[_Span] = []

    def run() -> None:
        barrier.wait()
        start, busy = perf_counter(), thread_time()
        timer.timeit(count)
        spans.append(_Span(start, perf_counter(), thread_time() - busy))

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return spans


def _cases(name: str, title: str, works: Mapping[str, _Threaded]) -> Iterator[Case]:
    for threads in THREADS:
        for measured, figure, at_most in (
            ("core time", _core_time, NO_SLOWER),
            ("time between calls", _time_between_calls, None),
        ):
            subjects = {f"{who}, {threads} threads": _in_threads(work, threads, figure) for who, work in works.items()}
            (ours, *others) = (Subject(who, prepare) for who, prepare in subjects.items())
            alone = Subject("ours, 1 thread", _in_threads(works[OURS], 1, figure), at_most)
            yield Case(
                name=f"threads-{name}-{threads}-{measured.split()[0]}",
                title=f"{title}, {threads} threads, {measured}",
                ours=ours,
                peers=(alone, *others),
                rounds=21,
                # Longer than the 5 ms after which the GIL is handed on.
                seconds=0.05,
            )


CASES = (
    *_cases("bound", "Add to a bound counter", _BOUND),
    *_cases("labelled", "Add to a counter with two labels in the call", _LABELLED),
)
