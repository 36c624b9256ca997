"""A metric's series: their budget, their overflow, their removal and their expiry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.metrics import Distribution, Registry

if TYPE_CHECKING:
    import pytest

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue", "job_id"), max_series=3)
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("queue",), buckets=(1,), max_series=1)
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("room",), max_series=1)
PLAIN = Declaration(name="plain", kind=Kind.COUNTER, labels=("x",))
SHORT = Declaration(name="short", kind=Kind.GAUGE, labels=("x",), expire_after_seconds=1e-9)
LONG = Declaration(name="long", kind=Kind.GAUGE, labels=("x",), expire_after_seconds=3600)

OVERFLOW = "otel_metric_overflow"
Shown = dict[tuple[tuple[str, str], ...], float | Distribution]


def shown(registry: Registry, name: str) -> Shown:
    points = registry.snapshot().points()
    return {tuple(point.labels.items()): point.value for point in points if point.metric.prometheus_name == name}


def overflowed(registry: Registry) -> dict[str, float | Distribution]:
    return {labels[0][1]: count for labels, count in shown(registry, "monitoring_overflow_total").items()}


def fill(registry: Registry, count: int) -> None:
    for number in range(count):
        registry.counter(JOBS).add(1, {"queue": "mail", "job_id": f"id-{number}"})


def test_series_within_the_budget_are_kept_apart(registry: Registry) -> None:
    fill(registry, 3)
    assert len(shown(registry, "jobs_total")) == 3
    assert overflowed(registry) == {}


def test_label_sets_beyond_the_budget_share_one_series_as_opentelemetry_names_it(registry: Registry) -> None:
    fill(registry, 10)
    counts = shown(registry, "jobs_total")
    assert len(counts) == 4
    assert counts[((OVERFLOW, "true"),)] == 7
    assert counts[(("queue", "mail"), ("job_id", "id-0"))] == 1


def test_known_series_go_on_when_the_budget_is_spent(registry: Registry) -> None:
    fill(registry, 10)
    fill(registry, 3)
    assert shown(registry, "jobs_total")[(("queue", "mail"), ("job_id", "id-2"))] == 2
    assert overflowed(registry) == {"jobs_total": 7}


def test_each_measurement_that_overflows_is_counted(registry: Registry) -> None:
    fill(registry, 5)
    registry.histogram(WAIT).record(1, {"queue": "a"})
    for _ in range(4):
        registry.histogram(WAIT).record(1, {"queue": "b"})
    assert overflowed(registry) == {"jobs_total": 2, "wait": 4}
    assert shown(registry, "wait")[((OVERFLOW, "true"),)] == Distribution((4, 4), 4.0)


def test_one_warning_names_the_metric_the_label_and_a_value(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fill(registry, 10)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    message = caplog.records[0].getMessage()
    assert "jobs_total has 3 series, its budget" in message
    assert "The label 'job_id' has 3 values, the latest 'id-3'" in message
    assert "raise max_series" in message


def test_the_warning_names_the_label_that_varies_in_whichever_place(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        registry.counter(JOBS).add(1, {"queue": f"q-{number}", "job_id": "same"})
    assert "The label 'queue' has 3 values, the latest 'q-3'" in caplog.text


def test_the_order_of_labels_makes_no_second_series(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    for number in range(3):
        jobs.add(1, {"queue": "mail", "job_id": f"{number}"})
        jobs.add(1, {"job_id": f"{number}", "queue": "mail"})
    assert set(shown(registry, "jobs_total").values()) == {2.0}
    assert overflowed(registry) == {}


def test_a_bound_series_beyond_the_budget_is_the_overflow_series(registry: Registry) -> None:
    fill(registry, 3)
    jobs = registry.counter(JOBS)
    bound = jobs.labels(queue="mail", job_id="new")
    assert bound is jobs.labels(queue="mail", job_id="newer")
    assert bound.labels is None
    bound.add(4)
    assert shown(registry, "jobs_total")[((OVERFLOW, "true"),)] == 4


def test_a_gauge_overflows_too(registry: Registry) -> None:
    heat = registry.gauge(HEAT)
    for room in ("a", "b", "c"):
        heat.set(20, {"room": room})
    assert shown(registry, "heat") == {(("room", "a"),): 20, ((OVERFLOW, "true"),): 20}


def test_the_services_budget_holds_for_metrics_without_their_own() -> None:
    registry = Registry(max_series=5, strict=True)
    for number in range(9):
        registry.counter(PLAIN).add(1, {"x": number})
    assert len(shown(registry, "plain_total")) == 6
    assert shown(registry, "plain_total")[((OVERFLOW, "true"),)] == 4


def test_the_budget_is_two_thousand_unless_told(registry: Registry) -> None:
    for number in range(2001):
        registry.counter(PLAIN).add(1, {"x": number})
    assert len(shown(registry, "plain_total")) == 2001
    assert overflowed(registry) == {"plain_total": 1}


def test_a_series_that_goes_makes_room_for_another(registry: Registry) -> None:
    fill(registry, 4)
    jobs = registry.counter(JOBS)
    assert jobs.remove(queue="mail", job_id="id-0")
    jobs.add(1, {"queue": "mail", "job_id": "late"})
    assert shown(registry, "jobs_total")[(("queue", "mail"), ("job_id", "late"))] == 1


def test_what_overflowed_shows_also_when_every_other_series_is_gone(registry: Registry) -> None:
    fill(registry, 5)
    for number in range(3):
        registry.counter(JOBS).remove(queue="mail", job_id=f"id-{number}")
    assert shown(registry, "jobs_total") == {((OVERFLOW, "true"),): 2}


def test_a_removed_series_beyond_the_budget_goes_on_in_the_overflow(registry: Registry) -> None:
    fill(registry, 2)
    jobs = registry.counter(JOBS)
    kept = jobs.labels(queue="mail", job_id="kept")
    jobs.remove(queue="mail", job_id="kept")
    jobs.add(1, {"queue": "mail", "job_id": "third"})
    kept.add(5)
    assert shown(registry, "jobs_total")[((OVERFLOW, "true"),)] == 5


def test_removing_tells_whether_there_was_a_series(registry: Registry) -> None:
    plain = registry.counter(PLAIN)
    plain.add(1, {"x": "a"})
    assert plain.remove(x="b") is False
    assert plain.remove(x="a") is True
    assert plain.remove(x="a") is False
    assert shown(registry, "plain_total") == {}


def test_a_value_that_is_no_text_removes_what_it_recorded(registry: Registry) -> None:
    plain = registry.counter(PLAIN)
    for value in (1, True, None):
        plain.add(1, {"x": value})
        assert plain.remove(x=value)
    assert shown(registry, "plain_total") == {}


def test_a_series_that_comes_back_starts_from_zero(registry: Registry) -> None:
    plain = registry.counter(PLAIN)
    plain.add(7, {"x": "a"})
    plain.remove(x="a")
    plain.add(1, {"x": "a"})
    assert shown(registry, "plain_total") == {(("x", "a"),): 1}


def test_clearing_removes_every_series_and_the_overflow(registry: Registry) -> None:
    fill(registry, 10)
    jobs = registry.counter(JOBS)
    beyond = jobs.labels(queue="mail", job_id="beyond")
    jobs.clear()
    assert shown(registry, "jobs_total") == {}
    beyond.add(2)
    fill(registry, 1)
    assert shown(registry, "jobs_total") == {(("queue", "mail"), ("job_id", "id-0")): 1, ((OVERFLOW, "true"),): 2}


def test_the_number_of_series_is_a_metric(registry: Registry) -> None:
    fill(registry, 2)
    registry.counter(PLAIN).add(1, {"x": "a"})
    registry.snapshot()
    counts = {labels[0][1]: count for labels, count in shown(registry, "monitoring_series").items()}
    assert (counts["jobs_total"], counts["plain_total"]) == (2, 1)


def test_the_number_of_series_falls_when_all_are_removed(registry: Registry) -> None:
    registry.counter(PLAIN).add(1, {"x": "a"})
    registry.snapshot()
    registry.counter(PLAIN).clear()
    counts = {labels[0][1]: count for labels, count in shown(registry, "monitoring_series").items()}
    assert counts.get("plain_total", 0) == 0


def test_the_number_of_series_shows_from_the_first_snapshot_on(registry: Registry) -> None:
    registry.counter(PLAIN).add(1, {"x": "a"})
    assert shown(registry, "monitoring_series")[(("metric", "plain_total"),)] == 1


def test_a_gauge_that_is_not_set_for_its_time_is_forgotten(registry: Registry) -> None:
    registry.gauge(SHORT).set(1, {"x": "a"})
    registry.gauge(LONG).set(1, {"x": "a"})
    assert shown(registry, "short") == {}
    assert shown(registry, "long") == {(("x", "a"),): 1}
    assert registry.gauge(SHORT).remove(x="a") is False


def test_a_gauge_that_expired_is_heard_when_it_is_set_again(registry: Registry) -> None:
    short = Declaration(name="short", kind=Kind.GAUGE, labels=("x",), expire_after_seconds=0.05)
    bound = registry.gauge(short).labels(x="a")
    bound.set(1)
    while shown(registry, "short"):
        pass
    bound.set(2)
    assert shown(registry, "short") in ({(("x", "a"),): 2}, {})
    registry.gauge(short).set(3, {"x": "b"})
    assert bound.labels == ("a",)


def test_expiry_makes_room_in_the_budget() -> None:
    registry = Registry(max_series=2, strict=True)
    for number in range(6):
        registry.gauge(SHORT).set(number, {"x": number})
        registry.snapshot()
    assert overflowed(registry) == {}


def test_a_gauge_that_is_bound_and_not_yet_set_does_not_expire(registry: Registry) -> None:
    bound = registry.gauge(SHORT).labels(x="a")
    registry.snapshot()
    assert registry.gauge(SHORT).labels(x="a") is bound
    assert registry.gauge(SHORT).remove(x="a") is True


def test_a_series_removed_a_thousand_times_takes_no_more_memory_of_known_labels(registry: Registry) -> None:
    plain = registry.counter(PLAIN)
    for number in range(1000):
        plain.add(1, {"x": number})
        plain.remove(x=number)
    plain.add(1, {"x": "last"})
    assert shown(registry, "plain_total") == {(("x", "last"),): 1}
