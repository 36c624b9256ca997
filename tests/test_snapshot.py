"""The snapshot: every series' value at one moment, which later recording does not change."""

from __future__ import annotations

import threading
import time

import pytest

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.metrics import Distribution, Point, Registry, Snapshot

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("job.queue",))
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("job.queue",), buckets=(1, 2))
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("room",))
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER)


def points(snapshot: Snapshot) -> list[Point]:
    return [point for point in snapshot.points() if not point.metric.name.startswith("monitoring_")]


def record_all(registry: Registry) -> None:
    registry.counter(JOBS).add(2, {"job.queue": "mail"})
    registry.histogram(WAIT).record(1.5, {"job.queue": "mail"})
    registry.gauge(HEAT).set(21, {"room": "hall"})
    registry.up_down_counter(OPEN).add(-1)


def test_a_registry_in_which_nothing_was_recorded_holds_nothing(registry: Registry) -> None:
    assert points(registry.snapshot()) == []


def test_points_carry_the_metric_its_prometheus_labels_its_value_and_its_birth(registry: Registry) -> None:
    before = time.time()
    record_all(registry)
    found = points(registry.snapshot())
    assert [(point.metric, point.labels, point.value) for point in found] == [
        (JOBS, {"job_queue": "mail"}, 2.0),
        (WAIT, {"job_queue": "mail"}, Distribution((0, 1, 1), 1.5)),
        (HEAT, {"room": "hall"}, 21.0),
        (OPEN, {}, -1.0),
    ]
    assert all(before <= point.created <= time.time() for point in found)


def test_what_is_recorded_later_does_not_change_a_snapshot(registry: Registry) -> None:
    record_all(registry)
    snapshot = registry.snapshot()
    before = points(snapshot)
    record_all(registry)
    registry.gauge(HEAT).set(22, {"room": "hall"})
    assert points(snapshot) == before
    assert points(registry.snapshot())[0].value == 4.0


def test_a_series_made_after_a_snapshot_is_not_in_it(registry: Registry) -> None:
    record_all(registry)
    snapshot = registry.snapshot()
    for number in range(2000):
        registry.counter(JOBS).add(1, {"job.queue": number})
    assert {str(point.value) for point in points(snapshot) if point.metric is JOBS} <= {"2.0", "0.0"}


def test_a_series_removed_after_a_snapshot_does_not_break_it(registry: Registry) -> None:
    record_all(registry)
    snapshot = registry.snapshot()
    iterator = snapshot.points()
    next(iterator)
    registry.counter(JOBS).remove(job_queue="mail")
    registry.histogram(WAIT).clear()
    registry.gauge(HEAT).clear()
    assert [point.metric for point in iterator if not point.metric.name.startswith("monitoring_")] in (
        [OPEN],
        [JOBS, OPEN],
        [JOBS, WAIT, OPEN],
        [JOBS, WAIT, HEAT, OPEN],
    )


def test_a_distribution_counts_what_its_last_bucket_holds() -> None:
    assert Distribution((1, 4, 6), 9.5).count == 6


def test_observers_run_before_each_snapshot(registry: Registry) -> None:
    readings = iter(range(10))
    registry.observe(lambda: registry.gauge(HEAT).set(next(readings), {"room": "hall"}))
    assert [points(registry.snapshot())[0].value for _ in range(3)] == [0, 1, 2]


def test_an_observer_that_fails_never_breaks_a_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()

    def fail() -> None:
        raise RuntimeError("no reading")

    registry.observe(fail)
    registry.observe(lambda: registry.gauge(HEAT).set(1, {"room": "hall"}))
    registry.snapshot()
    values = {tuple(point.labels.values()): point.value for point in registry.snapshot().points()}
    assert values["hall",] == 1
    assert values["internal",] == 2
    assert len(caplog.records) == 1
    assert "fault inside the monitoring while reading observed metrics" in caplog.text


def test_an_observer_that_fails_raises_where_strict(registry: Registry) -> None:
    def fail() -> None:
        raise RuntimeError("no reading")

    registry.observe(fail)
    with pytest.raises(RuntimeError, match="no reading"):
        registry.snapshot()


def test_an_observer_that_observes_another_does_no_harm(registry: Registry) -> None:
    registry.observe(lambda: registry.observe(lambda: None))
    registry.snapshot()
    registry.snapshot()


def test_the_latest_set_counts_whichever_thread_made_it(registry: Registry) -> None:
    heat = registry.gauge(HEAT)
    for value in (1, 2, 3):
        alive = threading.Thread(target=heat.set, args=(value, {"room": "hall"}))
        alive.start()
        alive.join()
        assert points(registry.snapshot())[0].value == value
        heat.set(-value, {"room": "hall"})
        assert points(registry.snapshot())[0].value == -value


def test_the_clocks_offset_turns_its_own_seconds_into_seconds_since_1970(registry: Registry) -> None:
    registry.snapshot()
    assert abs(time.perf_counter() + registry.clock_offset - time.time()) < 5
