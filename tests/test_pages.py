"""Pages: leased to a thread while it lives, one for all greenlets of a thread, slots rested before reuse."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

import otel_monitoring
from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.metrics import Registry
from otel_monitoring.metrics.pages import Pages
from otel_monitoring.metrics.space import QUARANTINE_SECONDS, Space

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",))
ROOT = Path(otel_monitoring.__file__).parent.parent


def total(registry: Registry, name: str = "jobs_total") -> float:
    points = registry.snapshot().points()
    values = [point.value for point in points if point.metric.prometheus_name == name]
    return sum(value for value in values if isinstance(value, float))


def add_in_threads(registry: Registry, count: int) -> None:
    threads = [threading.Thread(target=registry.counter(JOBS).add, args=(1, {"queue": "mail"})) for _ in range(count)]
    for thread in threads:
        thread.start()
        thread.join()


@pytest.mark.threads
def test_threads_one_after_another_share_one_page(registry: Registry) -> None:
    add_in_threads(registry, 50)
    assert registry.pages == 1
    assert total(registry) == 50


@pytest.mark.threads
def test_threads_alive_at_once_have_a_page_each_and_leave_it_to_the_next(registry: Registry) -> None:
    barrier = threading.Barrier(8)
    bound = registry.counter(JOBS).labels(queue="mail")

    def add() -> None:
        bound.add()
        barrier.wait()

    for _ in range(5):
        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert total(registry) == 40
    assert registry.pages <= 8 + 1


def test_only_a_thread_that_records_has_a_page(registry: Registry) -> None:
    pages = registry.pages
    idle = threading.Thread(target=lambda: None)
    idle.start()
    idle.join()
    assert registry.pages == pages


@pytest.mark.threads
def test_a_page_is_the_same_for_one_thread_and_another_for_a_second() -> None:
    pages = Pages()
    mine = pages.here()
    seen = []

    def look() -> None:
        seen.append(pages.here())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert pages.here() is mine
    assert seen[0] is not mine
    assert len(pages) == 2


@pytest.mark.threads
def test_a_finaliser_that_records_at_the_end_of_its_thread_costs_no_page(registry: Registry) -> None:
    """What a thread's locals hold is finalised when the thread's page may have been given back already."""
    bound = registry.counter(JOBS).labels(queue="mail")
    local = threading.local()

    class Session:
        def __del__(self) -> None:
            bound.add()

    numbers: set[int] = set()

    def work(*, record_first: bool) -> None:
        numbers.add(threading.get_ident())
        if record_first:
            bound.add()
        local.session = Session()
        bound.add()

    for number in range(100):
        thread = threading.Thread(target=work, kwargs={"record_first": number % 2 == 0})
        thread.start()
        thread.join()
    gc.collect()
    assert total(registry) == 250
    # The system may give a thread's number away some moments after join() only; then the next thread has another.
    assert registry.pages <= len(numbers) + 1
    assert registry.pages < 20


def test_a_registry_goes_when_nobody_holds_it() -> None:
    registry = Registry()
    registry.counter(JOBS).labels(queue="mail").add()
    watched = weakref.ref(registry)
    del registry
    gc.collect()
    assert watched() is None


def test_pages_of_two_registries_are_apart(registry: Registry) -> None:
    other = Registry(strict=True)
    registry.counter(JOBS).add(1, {"queue": "mail"})
    other.counter(JOBS).add(2, {"queue": "mail"})
    assert (total(registry), total(other)) == (1, 2)


def test_more_series_than_a_page_first_holds_are_all_kept(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    for number in range(1500):
        jobs.add(1, {"queue": number})
    for number in range(1500):
        jobs.labels(queue=str(number)).add(2)
    assert total(registry) == 4500


def test_slots_are_given_out_one_run_after_another() -> None:
    space = Space(lambda: 0.0)
    assert [space.take(2), space.take(1), space.take(3)] == [(0, False), (2, False), (3, False)]
    assert space.end == 6


def test_slots_rest_before_another_series_may_have_them() -> None:
    now = 0.0
    space = Space(lambda: now)
    start, _ = space.take(2)
    space.give_back(start, 2)
    assert space.take(2) == (2, False)
    now = QUARANTINE_SECONDS
    assert space.take(1) == (4, False)
    assert space.take(2) == (start, True)
    assert space.take(2) == (5, False)


def test_slots_that_are_used_again_are_set_to_zero_in_every_page() -> None:
    pages = Pages()
    slots = pages.reach(4)
    slots[:4] = [1.0, 2.0, 3.0, 4.0]
    pages.clear(1, 3)
    assert pages.total(4)[:4] == [1.0, 0, 0, 4.0]
    pages.clear(2, 10_000)
    assert pages.total(4)[:4] == [1.0, 0, 0, 0]


GREENLETS = """
{before}
import gevent
{after}
from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.metrics import Registry
{late}
registry = Registry(strict=True)
jobs = registry.counter(Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",)))
{last}
bound = jobs.labels(queue="bound")

def work(number):
    bound.add()
    jobs.add(1, {{"queue": number % 10}})
    gevent.sleep(0)
    bound.add()
    jobs.add(1, {{"queue": number % 10}})

gevent.joinall([gevent.spawn(work, number) for number in range(3000)])
print(registry.pages, sum(point.value for point in registry.snapshot().points() if point.metric.name == "jobs"))
"""
PATCH = "from gevent import monkey; monkey.patch_all()"


@pytest.mark.parametrize("place", ["never", "before", "after", "late", "last"])
def test_thousands_of_greenlets_share_one_page_whenever_gevent_patches(place: str) -> None:
    parts = {"before": "", "after": "", "late": "", "last": "", **({place: PATCH} if place != "never" else {})}
    run = subprocess.run(
        [sys.executable, "-c", GREENLETS.format(**parts)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.stdout, run.returncode) == ("1 12000.0\n", 0), run.stderr
