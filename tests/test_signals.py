"""Signal handlers, finalisers and weakref callbacks record into the very series that is being recorded to."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Counter, Distribution, Registry

pytestmark = [
    pytest.mark.threads,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer"),
]

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",), max_series=1_000_000)
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER, labels=("queue",))
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("queue",), buckets=(1, 2))
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("queue",))

Ring = Callable[[Callable[[], None]], list[int]]


def values(registry: Registry, name: str) -> dict[str, float | Distribution]:
    points = registry.snapshot().points()
    return {point.labels["queue"]: point.value for point in points if point.metric.name == name}


@pytest.fixture
def ring() -> Iterator[Ring]:
    """Have a function called by a signal, some ten thousand times a second; its calls are counted."""
    calls = [0]
    busy: list[bool] = []
    before = signal.getsignal(signal.SIGALRM)

    def start(work: Callable[[], None]) -> list[int]:
        def handle(number: int, frame: object) -> None:
            # A handler is interrupted too: on a busy machine a slow one would nest without end.
            if not busy:
                busy.append(True)
                calls[0] += 1
                work()
                busy.clear()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
        return calls

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def stop() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)


def until_rung(calls: list[int], least: int) -> Iterator[int]:
    """Count, for as long as the signal was not heard so often."""
    number = 0
    while calls[0] < least:
        number += 1
        yield number
    stop()


def repeat_until_rung(calls: list[int], least: int, work: Callable[[], object]) -> int:
    """Work again and again until the signal was heard so often; return how many times."""
    number = 0
    for number in until_rung(calls, least):  # noqa: B007 (counted, not used)
        work()
    return number


def test_no_add_to_the_same_bound_series_is_lost(registry: Registry, ring: Ring) -> None:
    bound = registry.counter(JOBS).labels(queue="mail")
    calls = ring(bound.add)
    number = repeat_until_rung(calls, 2000, bound.add)
    assert values(registry, "jobs") == {"mail": number + calls[0]}


def test_no_add_by_labels_is_lost(registry: Registry, ring: Ring) -> None:
    jobs, doors = registry.counter(JOBS), registry.up_down_counter(OPEN)

    def work() -> None:
        jobs.add(1, {"queue": "mail"})
        doors.add(-1, {"queue": "mail"})

    calls = ring(work)

    def once() -> None:
        jobs.add(1, {"queue": "mail"})
        doors.add(1, {"queue": "mail"})

    number = repeat_until_rung(calls, 2000, once)
    assert values(registry, "jobs") == {"mail": number + calls[0]}
    assert values(registry, "open") == {"mail": number - calls[0]}


def test_no_value_of_a_histogram_is_lost(registry: Registry, ring: Ring) -> None:
    wait = registry.histogram(WAIT)
    bound = wait.labels(queue="mail")

    def work() -> None:
        bound.record(0.5)
        wait.record(1.5, {"queue": "mail"})

    calls = ring(work)

    def once() -> None:
        bound.record(0.5)
        wait.record(1.5, {"queue": "mail"})

    number = repeat_until_rung(calls, 2000, once)
    each = number + calls[0]
    assert values(registry, "wait") == {"mail": Distribution((each, 2 * each, 2 * each), 2.0 * each)}


def test_the_long_way_loses_none_either(registry: Registry, ring: Ring) -> None:
    """Numbers of other kinds and label values that are no text go round the short way."""
    jobs = registry.counter(JOBS)
    bound = jobs.labels(queue="7")

    class Amount:
        def __float__(self) -> float:
            return 1.0

    amount = Amount()

    def work() -> None:
        bound.add(amount)  # type: ignore[arg-type]
        jobs.add(1, {"queue": 7})

    calls = ring(work)
    number = repeat_until_rung(calls, 1000, work)
    assert values(registry, "jobs") == {"7": 2 * (number + calls[0])}


def test_a_gauge_holds_one_of_the_values_that_were_set(registry: Registry, ring: Ring) -> None:
    heat = registry.gauge(HEAT).labels(queue="mail")
    calls = ring(lambda: heat.set(-1))
    for number in until_rung(calls, 500):
        heat.set(number)
    heat.set(5)
    assert values(registry, "heat") == {"mail": 5}


def test_both_make_new_series_and_nobody_waits_for_ever(registry: Registry, ring: Ring) -> None:
    jobs = registry.counter(JOBS)
    made = iter(range(10**9))
    calls = ring(lambda: jobs.add(1, {"queue": f"signal-{next(made)}"}))
    number = 0
    for number in until_rung(calls, 1000):
        jobs.add(1, {"queue": f"main-{number}"})
    counts = values(registry, "jobs")
    assert len(counts) == number + calls[0]
    assert set(counts.values()) == {1.0}


def test_both_make_the_same_new_series_once(registry: Registry, ring: Ring) -> None:
    jobs = registry.counter(JOBS)
    now = [0]
    calls = ring(lambda: jobs.add(1, {"queue": str(now[0])}))
    number = 0
    for number in until_rung(calls, 1000):
        now[0] = number
        jobs.add(1, {"queue": str(number)})
        jobs.labels(queue=str(number)).add()
    counts = values(registry, "jobs").values()
    assert sum(float(str(count)) for count in counts) == 2 * number + calls[0]


def test_both_overflow_for_the_first_time_and_nothing_is_lost(registry: Registry, ring: Ring) -> None:
    made: list[Counter] = []

    def declare() -> None:
        name = f"tiny_{len(made)}"
        made.append(registry.counter(Declaration(name=name, kind=Kind.COUNTER, labels=("queue",), max_series=1)))

    declare()
    calls = ring(lambda: made[-1].add(1, {"queue": "signal"}))

    def once() -> None:
        declare()
        made[-1].add(1, {"queue": "first"})
        made[-1].add(1, {"queue": "second"})

    number = repeat_until_rung(calls, 1500, once)
    points = [point for point in registry.snapshot().points() if point.metric.name.startswith("tiny")]
    assert sum(float(str(point.value)) for point in points) == 2 * number + calls[0]


def test_both_come_back_to_a_removed_series_and_nothing_is_lost(registry: Registry, ring: Ring) -> None:
    jobs = registry.counter(JOBS)
    bound = [jobs.labels(queue="0")]

    def work() -> None:
        bound[-1].add()

    calls = ring(work)
    number = 0
    for number in until_rung(calls, 1500):
        series = jobs.labels(queue=str(number))
        jobs.remove(queue=str(number))
        bound.append(series)
        series.add()
        series.add()
    assert sum(float(str(value)) for value in values(registry, "jobs").values()) == 2 * number + calls[0]


def test_both_declare_metrics_and_each_is_counted_by_itself(registry: Registry, ring: Ring) -> None:
    made = iter(range(10**9))

    def declare() -> None:
        name = f"metric_{next(made)}"
        registry.counter(Declaration(name=name, kind=Kind.COUNTER, labels=("queue",))).add(1, {"queue": "same"})

    repeat_until_rung(ring(declare), 500, declare)
    counts = [point.value for point in registry.snapshot().points() if point.metric.name.startswith("metric_")]
    assert counts == [1.0] * next(made)


def test_a_handler_may_remove_and_scrape(registry: Registry, ring: Ring) -> None:
    jobs, wait = registry.counter(JOBS), registry.histogram(WAIT)
    bound, safe = jobs.labels(queue="mail"), jobs.labels(queue="safe")
    exposition = Exposition(registry)

    def work() -> None:
        jobs.remove(queue="mail")
        wait.remove(queue="mail")
        exposition.render()

    calls = ring(work)

    def once() -> None:
        bound.add()
        jobs.add(1, {"queue": "mail"})
        wait.record(1, {"queue": "mail"})
        safe.add()
        exposition.render("application/openmetrics-text")

    number = repeat_until_rung(calls, 500, once)
    assert values(registry, "jobs")["safe"] == number


def test_a_handler_may_record_while_a_scrape_runs(registry: Registry, ring: Ring) -> None:
    jobs = registry.counter(JOBS)
    for number in range(300):
        jobs.add(1, {"queue": f"old-{number}"})
    exposition = Exposition(registry)
    made = iter(range(10**9))
    calls = ring(lambda: jobs.add(1, {"queue": f"new-{next(made)}"}))
    repeat_until_rung(calls, 300, exposition.render)
    assert len(values(registry, "jobs")) == 300 + calls[0]


def test_the_first_recording_of_a_thread_may_be_interrupted(ring: Ring) -> None:
    """The lease of a page is the moment at which a handler's own lease could be lost."""
    registries = [Registry(strict=True)]
    bound = [registries[0].counter(JOBS).labels(queue="mail")]

    def work() -> None:
        bound[-1].add()

    calls = ring(work)
    expected = 0
    for _ in until_rung(calls, 500):
        fresh = Registry(strict=True)
        counter = fresh.counter(JOBS).labels(queue="mail")
        registries.append(fresh)
        bound.append(counter)
        counter.add()
        expected += 1
    shown = [values(one, "jobs")["mail"] for one in registries]
    assert sum(float(str(value)) for value in shown) == expected + calls[0]


def test_finalisers_record_into_the_series_being_recorded_to(registry: Registry) -> None:
    jobs, wait = registry.counter(JOBS), registry.histogram(WAIT)
    bound = jobs.labels(queue="mail")

    class Dying:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            bound.add()
            jobs.add(1, {"queue": "mail"})
            wait.record(1, {"queue": "mail"})

    for number in range(5000):
        Dying()
        bound.add()
        jobs.add(1, {"queue": "mail"})
        wait.record(1, {"queue": "mail"})
        jobs.add(1, {"queue": f"new-{number}"})
    gc.collect()
    assert values(registry, "jobs")["mail"] == 20_000
    assert values(registry, "wait") == {"mail": Distribution((10_000, 10_000, 10_000), 10_000.0)}


def test_weakref_callbacks_make_series_and_record(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    kept: list[weakref.ref[Thing]] = []

    class Thing:
        def __init__(self) -> None:
            self.cycle = self

    def watch(number: int) -> None:
        def gone(_: weakref.ref[Thing]) -> None:
            jobs.add(1, {"queue": f"gone-{number}"})

        kept.append(weakref.ref(Thing(), gone))

    for number in range(2000):
        watch(number)
        jobs.add(1, {"queue": f"here-{number}"})
    gc.collect()
    counts = values(registry, "jobs")
    assert len(counts) == 4000
    assert set(counts.values()) == {1.0}


def test_signals_finalisers_and_threads_together_lose_nothing(registry: Registry, ring: Ring) -> None:
    bound = registry.counter(JOBS).labels(queue="mail")
    done = threading.Event()
    others = [0, 0]

    def count(place: int) -> None:
        while not done.is_set():
            bound.add()
            others[place] += 1

    threads = [threading.Thread(target=count, args=(place,)) for place in range(2)]
    calls = ring(bound.add)
    for thread in threads:
        thread.start()
    number = repeat_until_rung(calls, 300, bound.add)
    done.set()
    for thread in threads:
        thread.join()
    assert values(registry, "jobs") == {"mail": number + calls[0] + sum(others)}
