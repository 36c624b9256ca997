"""Exact under threads: nothing is lost and nothing goes backwards, with and without the GIL."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Distribution, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

pytestmark = pytest.mark.threads

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",))
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER, labels=("queue",))
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("queue",))
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("queue",), buckets=(1, 2, 3))
THREADS = 32
ADDS = 100_000


def values(registry: Registry, name: str) -> dict[str, float | Distribution]:
    points = registry.snapshot().points()
    return {point.labels["queue"]: point.value for point in points if point.metric.name == name}


def run_all(works: list[Callable[[], None]]) -> None:
    """Run each in a thread of its own, all at once, and raise what any of them raised."""
    faults: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait()
            work()
        except BaseException as fault:  # noqa: BLE001 (handed to the test's own thread)
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


@contextmanager
def meanwhile(work: Callable[[], object]) -> Generator[None]:
    """Do something again and again in another thread, and raise what it raised."""
    done = threading.Event()
    faults: list[BaseException] = []

    def repeat() -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as fault:  # noqa: BLE001 (handed to the test's own thread)
            faults.append(fault)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if faults:
        raise faults[0]


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns a thousand times more often, so that races show soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def test_32_threads_lose_none_of_100_000_adds_each(registry: Registry) -> None:
    bound = registry.counter(JOBS).labels(queue="mail")

    def add() -> None:
        for _ in range(ADDS):
            bound.add()

    run_all([add] * THREADS)
    assert values(registry, "jobs") == {"mail": THREADS * ADDS}
    assert registry.pages <= THREADS + 1


@pytest.mark.usefixtures("eager_switching")
def test_adds_by_labels_lose_none_either(registry: Registry) -> None:
    jobs = registry.counter(JOBS)

    def add() -> None:
        for number in range(4000):
            jobs.add(1, {"queue": str(number % 7)})

    run_all([add] * 8)
    assert sum(float(str(value)) for value in values(registry, "jobs").values()) == 8 * 4000


@pytest.mark.usefixtures("eager_switching")
def test_every_kind_is_exact_while_scrapes_run(registry: Registry) -> None:
    jobs, doors = registry.counter(JOBS).labels(queue="a"), registry.up_down_counter(OPEN).labels(queue="a")
    wait, heat = registry.histogram(WAIT).labels(queue="a"), registry.gauge(HEAT).labels(queue="a")
    exposition = Exposition(registry)

    def record() -> None:
        for number in range(3000):
            jobs.add(0.5)
            doors.add(3)
            wait.record(number % 5)
            heat.set(number)
            doors.add(-2)

    with meanwhile(exposition.render):
        run_all([record] * 8)
    assert values(registry, "jobs") == {"a": 8 * 3000 * 0.5}
    assert values(registry, "open") == {"a": 8 * 3000}
    assert values(registry, "heat") == {"a": 2999}
    fifth = 8 * 3000 // 5
    assert values(registry, "wait") == {"a": Distribution((2 * fifth, 3 * fifth, 4 * fifth, 5 * fifth), 10.0 * fifth)}


@pytest.mark.usefixtures("eager_switching")
def test_a_scraper_sees_nothing_go_backwards_and_every_histogram_whole(registry: Registry) -> None:
    jobs, wait = registry.counter(JOBS), registry.histogram(WAIT)
    exposition = Exposition(registry)
    latest: Counter[tuple[str, ...]] = Counter()
    scrapes = Counter[str]()

    def scrape() -> None:
        body, _ = exposition.render()
        buckets: dict[str, list[float]] = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                if family.name not in ("jobs", "wait"):
                    continue
                key = (sample.name, *sample.labels.values())
                assert sample.value >= latest[key], key
                latest[key] = sample.value  # type: ignore[assignment]
                if sample.name == "wait_bucket":
                    buckets.setdefault(sample.labels["queue"], []).append(sample.value)
                if sample.name == "wait_count":
                    assert buckets[sample.labels["queue"]] == sorted(buckets[sample.labels["queue"]])
                    assert buckets[sample.labels["queue"]][-1] == sample.value
        scrapes["done"] += 1

    def record() -> None:
        for number in range(4000):
            jobs.add(1, {"queue": str(number % 3)})
            wait.record(number % 5, {"queue": str(number % 3)})

    with meanwhile(scrape):
        run_all([record] * 4)
    scrape()
    assert scrapes["done"] > 1
    assert sum(value for (name, *_), value in latest.items() if name == "jobs_total") == 16_000
    assert sum(value for (name, *_), value in latest.items() if name == "wait_count") == 16_000


@pytest.mark.usefixtures("eager_switching")
def test_a_thousand_short_threads_lose_nothing_and_leave_no_pages(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    bound = jobs.labels(queue="bound")
    at_once = 10
    room = threading.Semaphore(at_once)

    def short() -> None:
        try:
            for _ in range(50):
                bound.add()
            jobs.add(1, {"queue": "labelled"})
        finally:
            room.release()

    def long() -> None:
        for _ in range(20_000):
            bound.add()

    def start_many() -> None:
        threads = []
        for _ in range(1000):
            room.acquire()
            thread = threading.Thread(target=short)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    exposition = Exposition(registry)
    with meanwhile(exposition.render):
        run_all([start_many, long, long])
    assert values(registry, "jobs") == {"bound": 1000 * 50 + 2 * 20_000, "labelled": 1000}
    # The semaphore opens a moment before its thread ends: twice as many may be alive at once.
    assert registry.pages <= 2 * at_once + 4


@pytest.mark.usefixtures("eager_switching")
def test_new_series_made_by_all_threads_at_once_are_made_once(registry: Registry) -> None:
    jobs = registry.counter(JOBS)

    def add() -> None:
        for number in range(300):
            jobs.add(1, {"queue": number})
            jobs.labels(queue=number).add()

    run_all([add] * 8)
    assert values(registry, "jobs") == {str(number): 16 for number in range(300)}


@pytest.mark.usefixtures("eager_switching")
def test_the_budget_holds_whoever_comes_first(registry: Registry) -> None:
    small = Declaration(name="small", kind=Kind.COUNTER, labels=("x",), max_series=50)
    instrument = registry.counter(small)

    def add(first: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(200):
                instrument.add(1, {"x": (number + first) % 200})

        return work

    run_all([add(25 * number) for number in range(8)])
    points = [point for point in registry.snapshot().points() if point.metric is small]
    assert len(points) == 51
    assert sum(float(str(point.value)) for point in points) == 8 * 200


def test_one_declaration_gives_all_threads_one_instrument(registry: Registry) -> None:
    made: list[object] = []

    def declare() -> None:
        made.extend(registry.counter(Declaration(name=f"metric_{number}", kind=Kind.COUNTER)) for number in range(100))

    run_all([declare] * 8)
    assert len(made) == 800
    assert len(set(map(id, made))) == 100


@pytest.mark.usefixtures("eager_switching")
def test_removing_a_series_never_disturbs_those_who_record_to_it(registry: Registry) -> None:
    jobs, wait, heat = registry.counter(JOBS), registry.histogram(WAIT), registry.gauge(HEAT)
    bound, spread, warm = jobs.labels(queue="a"), wait.labels(queue="a"), heat.labels(queue="a")
    other = jobs.labels(queue="other")

    def record() -> None:
        for number in range(4000):
            bound.add()
            other.add()
            spread.record(1)
            warm.set(number)
            jobs.add(1, {"queue": "a"})
            wait.record(1, {"queue": "a"})

    def remove() -> None:
        jobs.remove(queue="a")
        wait.remove(queue="a")
        heat.remove(queue="a")

    with meanwhile(remove):
        run_all([record] * 3)
    remove()
    bound.add(5)
    spread.record(1)
    assert values(registry, "jobs") == {"a": 5, "other": 3 * 4000}
    assert values(registry, "wait") == {"a": Distribution((1, 1, 1, 1), 1.0)}


@pytest.mark.usefixtures("eager_switching")
def test_a_scrape_never_fails_while_series_come_and_go(registry: Registry) -> None:
    jobs, wait, heat = registry.counter(JOBS), registry.histogram(WAIT), registry.gauge(HEAT)
    text, openmetrics = Exposition(registry), Exposition(registry)

    def come_and_go() -> None:
        for number in range(300):
            mark = {"queue": number}
            wait.record(1, mark)
            jobs.add(1, mark)
            heat.set(1, mark)
        for number in range(300):
            wait.remove(queue=number)
            jobs.remove(queue=number)
            heat.remove(queue=number)

    def scrape() -> None:
        for _ in range(60):
            text.render()
            openmetrics.render("application/openmetrics-text")
            list(registry.snapshot().points())

    with meanwhile(come_and_go):
        run_all([scrape, scrape])


@pytest.mark.usefixtures("eager_switching")
def test_clearing_while_others_overflow_never_fails(registry: Registry) -> None:
    tiny = Declaration(name="tiny", kind=Kind.COUNTER, labels=("queue",), max_series=2)
    instrument = registry.counter(tiny)
    exposition = Exposition(registry)

    def record() -> None:
        for number in range(3000):
            instrument.add(1, {"queue": number % 9})

    def clear() -> None:
        instrument.clear()
        exposition.render()

    with meanwhile(clear):
        run_all([record, record])
    instrument.clear()
    instrument.add(1, {"queue": "last"})
    assert [point.value for point in registry.snapshot().points() if point.metric is tiny] == [1]


def test_two_scrapes_at_once_give_the_same(registry: Registry) -> None:
    for number in range(500):
        registry.histogram(WAIT).record(1, {"queue": number})
        registry.counter(JOBS).add(number, {"queue": number})
    exposition = Exposition(registry)
    # The number of series is a series itself: it is settled when it has counted itself.
    for _ in range(3):
        exposition.render()
    seen: list[bytes] = []

    def scrape() -> None:
        seen.extend(exposition.render()[0] for _ in range(5))

    run_all([scrape] * 4)
    assert len(seen) == 20
    assert set(seen) == {seen[0]}
