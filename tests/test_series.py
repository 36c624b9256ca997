"""Bound series: exact for every kind of number, and heard again after a removal."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.exceptions import MeasurementError
from otel_monitoring.metrics import Distribution, Registry

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",))
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER, labels=("queue",))
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("queue",))
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("queue",), buckets=(0.5, 2))


def values(registry: Registry, name: str) -> dict[tuple[str, ...], float | Distribution]:
    points = registry.snapshot().points()
    return {tuple(point.labels.values()): point.value for point in points if point.metric.prometheus_name == name}


NUMBERS: list[Any] = [
    True,
    3,
    3.25,
    0,
    -0.0,
    Decimal("0.1"),
    Fraction(1, 3),
    np.float64(0.1),
    np.float32(0.1),
    np.float16(0.1),
    np.int64(2**53),
    np.uint8(255),
    np.bool_(True),
    np.array(1.5),
    2**60,
    10**300,
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: repr(number)[:40])
def test_every_kind_of_number_is_taken_exactly(registry: Registry, number: Any) -> None:
    expected = float(number)
    registry.counter(JOBS).labels(queue="mail").add(number)
    registry.counter(JOBS).add(number, {"queue": "post"})
    registry.gauge(HEAT).labels(queue="mail").set(number)
    registry.gauge(HEAT).set(number, {"queue": "post"})
    registry.up_down_counter(OPEN).labels(queue="mail").add(number)
    registry.histogram(WAIT).labels(queue="mail").record(number)
    registry.histogram(WAIT).record(number, {"queue": "mail"})
    assert values(registry, "jobs_total") == {("mail",): expected, ("post",): expected}
    assert values(registry, "heat") == {("mail",): expected, ("post",): expected}
    assert values(registry, "open") == {("mail",): expected}
    low, middle = 2 * (expected <= 0.5), 2 * (expected <= 2)
    assert values(registry, "wait") == {("mail",): Distribution((low, middle, 2), 2 * expected)}


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: repr(number)[:40])
def test_what_a_snapshot_gives_is_a_plain_float(registry: Registry, number: Any) -> None:
    registry.counter(JOBS).labels(queue="mail").add(number)
    registry.gauge(HEAT).labels(queue="mail").set(number)
    assert [type(value) for value in values(registry, "jobs_total").values()] == [float]
    assert [type(value) for value in values(registry, "heat").values()] == [float]


@pytest.mark.parametrize("number", [np.array([1.0, 2.0]), np.array(["x"])], ids=str)
def test_an_array_is_no_number(registry: Registry, number: Any) -> None:
    with pytest.raises(MeasurementError) as caught:
        registry.counter(JOBS).labels(queue="mail").add(number)
    assert caught.value.reason == "not_a_number"


def test_numpy_nan_is_dropped_like_any_other(registry: Registry) -> None:
    with pytest.raises(MeasurementError) as caught:
        registry.counter(JOBS).labels(queue="mail").add(np.float64("nan"))
    assert caught.value.reason == "not_finite"


@given(st.lists(st.integers(0, 2**40), max_size=30))
def test_whole_numbers_add_up_exactly(numbers: list[int]) -> None:
    registry = Registry(strict=True)
    mail = registry.counter(JOBS).labels(queue="mail")
    for number in numbers:
        mail.add(number)
    assert values(registry, "jobs_total") == {("mail",): sum(numbers)}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_a_histogram_is_what_counting_by_hand_gives(numbers: list[float]) -> None:
    registry = Registry(strict=True)
    mail = registry.histogram(WAIT).labels(queue="mail")
    for number in numbers:
        mail.record(number)
    (value,) = values(registry, "wait").values()
    assert isinstance(value, Distribution)
    assert value.cumulative == (*(sum(number <= bound for number in numbers) for bound in (0.5, 2)), len(numbers))
    assert value.sum == pytest.approx(sum(numbers))
    assert value.count == len(numbers)


def test_a_series_that_is_bound_shows_at_zero(registry: Registry) -> None:
    """``rate()`` sees the first event only where the series was there before it."""
    registry.counter(JOBS).labels(queue="mail")
    registry.histogram(WAIT).labels(queue="mail")
    assert values(registry, "jobs_total") == {("mail",): 0}
    assert values(registry, "wait") == {("mail",): Distribution((0, 0, 0), 0.0)}


def test_a_gauge_that_was_never_set_shows_nothing(registry: Registry) -> None:
    registry.gauge(HEAT).labels(queue="mail")
    assert values(registry, "heat") == {}


def test_a_series_knows_its_labels_and_when_it_came_to_be(registry: Registry) -> None:
    mail = registry.counter(JOBS).labels(queue="mail")
    (point,) = [point for point in registry.snapshot().points() if point.metric is JOBS]
    assert mail.labels == ("mail",)
    assert point.labels == {"queue": "mail"}
    assert point.created == mail.created


def test_a_removed_series_counts_from_zero_when_it_is_recorded_to_again(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    mail = jobs.labels(queue="mail")
    mail.add(5)
    before = mail.created
    assert jobs.remove(queue="mail")
    assert values(registry, "jobs_total") == {}
    mail.add(2)
    assert values(registry, "jobs_total") == {("mail",): 2}
    assert mail.created >= before


def test_a_removed_series_is_the_same_object_when_it_is_asked_for_again(registry: Registry) -> None:
    jobs = registry.counter(JOBS)
    mail = jobs.labels(queue="mail")
    jobs.remove(queue="mail")
    jobs.add(1, {"queue": "mail"})
    assert jobs.labels(queue="mail") is mail
    mail.add(1)
    assert values(registry, "jobs_total") == {("mail",): 2}


def test_a_removed_histogram_and_gauge_are_heard_again_too(registry: Registry) -> None:
    wait, heat = registry.histogram(WAIT), registry.gauge(HEAT)
    bound, warm = wait.labels(queue="mail"), heat.labels(queue="mail")
    bound.record(1)
    warm.set(1)
    wait.remove(queue="mail")
    heat.remove(queue="mail")
    assert (values(registry, "wait"), values(registry, "heat")) == ({}, {})
    bound.record(3)
    warm.set(3)
    assert values(registry, "wait") == {("mail",): Distribution((0, 0, 1), 3.0)}
    assert values(registry, "heat") == {("mail",): 3}


def test_a_removed_gauge_that_comes_back_unset_shows_nothing(registry: Registry) -> None:
    heat = registry.gauge(HEAT)
    heat.set(1, {"queue": "mail"})
    heat.remove(queue="mail")
    heat.labels(queue="mail")
    assert values(registry, "heat") == {}
