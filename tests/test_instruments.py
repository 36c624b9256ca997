"""Instruments: OpenTelemetry's own signatures, labels of any kind, and mistakes that never raise."""

from __future__ import annotations

import enum
import gc
import inspect
import logging
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from opentelemetry import metrics as otel
from opentelemetry.context import Context

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.exceptions import MeasurementError
from otel_monitoring.metrics import Counter, Distribution, Gauge, Histogram, Registry, UpDownCounter

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",))
DONE = Declaration(name="done", kind=Kind.COUNTER, labels=("queue", "outcome"))
ALL = Declaration(name="all", kind=Kind.COUNTER)
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER, labels=("queue",))
HEAT = Declaration(name="heat", kind=Kind.GAUGE, labels=("room",))
WAIT = Declaration(name="wait", kind=Kind.HISTOGRAM, unit="s", labels=("queue",), buckets=(0.1, 1, 10))
CALLS = Declaration(name="calls", kind=Kind.COUNTER, labels=("gen_ai.request.model", "server"))

Record = Callable[..., None]


@pytest.fixture
def lenient() -> Registry:
    return Registry()


def values(registry: Registry, name: str) -> dict[tuple[str, ...], float | Distribution]:
    points = registry.snapshot().points()
    return {tuple(point.labels.values()): point.value for point in points if point.metric.prometheus_name == name}


def dropped(registry: Registry) -> dict[str, float]:
    counts = values(registry, "monitoring_dropped_total")
    return {labels[0]: count for labels, count in counts.items() if isinstance(count, float) and count}


def recorders(registry: Registry) -> dict[str, Record]:
    """Every way to record one amount, with labels and bound."""
    jobs, queues, heat = registry.counter(JOBS), registry.up_down_counter(OPEN), registry.gauge(HEAT)
    wait = registry.histogram(WAIT)
    mail = {"queue": "mail"}
    return {
        "jobs_total": lambda amount: jobs.add(amount, mail),
        "jobs_total bound": jobs.labels(queue="mail").add,
        "open": lambda amount: queues.add(amount, mail),
        "open bound": queues.labels(queue="mail").add,
        "heat": lambda amount: heat.set(amount, {"room": "mail"}),
        "heat bound": heat.labels(room="mail").set,
        "wait_seconds": lambda amount: wait.record(amount, mail),
        "wait_seconds bound": wait.labels(queue="mail").record,
    }


WAYS = ["jobs_total", "open", "heat", "wait_seconds"]
WAYS_AND_BOUND = [*WAYS, *(f"{way} bound" for way in WAYS)]


def test_instruments_are_opentelemetrys(registry: Registry) -> None:
    assert isinstance(registry.counter(JOBS), otel.Counter)
    assert isinstance(registry.up_down_counter(OPEN), otel.UpDownCounter)
    assert isinstance(registry.histogram(WAIT), otel.Histogram)
    assert isinstance(registry.gauge(HEAT), otel._Gauge)  # noqa: SLF001 (the API's only name for it)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Counter.add, otel.Counter.add),
        (UpDownCounter.add, otel.UpDownCounter.add),
        (Histogram.record, otel.Histogram.record),
        (Gauge.set, otel._Gauge.set),  # noqa: SLF001 (the API's only name for it)
    ],
    ids=["counter", "up-down counter", "histogram", "gauge"],
)
def test_signatures_are_opentelemetrys(ours: Callable[..., None], theirs: Callable[..., None]) -> None:
    mine, other = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    assert [(one.name, one.kind, one.default) for one in mine.values()] == [
        (one.name, one.kind, one.default) for one in other.values()
    ]


def test_a_context_is_accepted_by_position_and_by_name(registry: Registry) -> None:
    registry.counter(JOBS).add(1, {"queue": "mail"}, Context())
    registry.counter(JOBS).add(amount=1, attributes={"queue": "mail"}, context=Context())
    registry.histogram(WAIT).record(1, {"queue": "mail"}, Context())
    registry.gauge(HEAT).set(1, {"room": "hall"}, Context())
    registry.up_down_counter(OPEN).add(-1, {"queue": "mail"}, Context())
    assert values(registry, "jobs_total") == {("mail",): 2}
    assert values(registry, "open") == {("mail",): -1}


def test_code_typed_against_opentelemetry_takes_them(registry: Registry) -> None:
    def count(counter: otel.Counter) -> None:
        counter.add(1, {"queue": "mail"})

    count(registry.counter(JOBS))
    assert values(registry, "jobs_total") == {("mail",): 1}


def test_a_counter_adds_up_by_labels(registry: Registry) -> None:
    done = registry.counter(DONE)
    done.add(1, {"queue": "mail", "outcome": "sent"})
    done.add(2.5, {"outcome": "sent", "queue": "mail"})
    done.add(4, {"queue": "mail", "outcome": "failed"})
    assert values(registry, "done_total") == {("mail", "sent"): 3.5, ("mail", "failed"): 4}


def test_labels_and_attributes_reach_the_same_series(registry: Registry) -> None:
    done = registry.counter(DONE)
    done.labels(outcome="sent", queue="mail").add()
    done.add(1, {"queue": "mail", "outcome": "sent"})
    assert done.labels(queue="mail", outcome="sent") is done.labels(outcome="sent", queue="mail")
    assert values(registry, "done_total") == {("mail", "sent"): 2}


def test_a_bound_series_adds_one_unless_told(registry: Registry) -> None:
    registry.counter(JOBS).labels(queue="mail").add()
    registry.up_down_counter(OPEN).labels(queue="mail").add()
    assert values(registry, "jobs_total") == {("mail",): 1}
    assert values(registry, "open") == {("mail",): 1}


def test_an_up_down_counter_goes_below_zero(registry: Registry) -> None:
    registry.up_down_counter(OPEN).add(-2, {"queue": "mail"})
    registry.up_down_counter(OPEN).labels(queue="mail").add(-0.5)
    assert values(registry, "open") == {("mail",): -2.5}


def test_a_histogram_counts_each_value_in_the_bucket_that_holds_it(registry: Registry) -> None:
    wait = registry.histogram(WAIT)
    for value in (0, 0.1, 0.5, 1, 10, 11):
        wait.record(value, {"queue": "mail"})
    assert values(registry, "wait_seconds") == {("mail",): Distribution((2, 4, 5, 6), 22.6)}


def test_a_histogram_with_a_negative_bound_takes_negative_values(registry: Registry) -> None:
    drift = registry.histogram(Declaration(name="drift", kind=Kind.HISTOGRAM, labels=("a",), buckets=(-1, 0, 1)))
    for value in (-2, -0.5, 0.5):
        drift.record(value, {"a": "x"})
        drift.labels(a="x").record(value)
    assert values(registry, "drift") == {("x",): Distribution((2, 4, 6, 6), -4.0)}


def test_a_gauge_keeps_the_last_value(registry: Registry) -> None:
    heat = registry.gauge(HEAT)
    for value in (3, -7.5, 21):
        heat.set(value, {"room": "hall"})
    heat.labels(room="attic").set(30)
    heat.labels(room="attic").set(31)
    assert values(registry, "heat") == {("hall",): 21, ("attic",): 31}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("way", ["heat", "heat bound"])
def test_infinity_and_nan_are_values_of_a_gauge(registry: Registry, value: float, way: str) -> None:
    recorders(registry)[way](value)
    (shown,) = values(registry, "heat").values()
    assert str(shown) == str(value)


def test_a_metric_without_labels_takes_none(registry: Registry) -> None:
    everything = registry.counter(ALL)
    everything.add(1)
    everything.add(1, {})
    everything.add(1, None)
    everything.labels().add()
    assert values(registry, "all_total") == {(): 4}


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.request.model": "m", "server": "s"},
        {"gen_ai_request_model": "m", "server": "s"},
        {"server": "s", "gen_ai_request_model": "m"},
    ],
)
def test_a_dotted_label_is_taken_by_either_spelling(registry: Registry, attributes: dict[str, str]) -> None:
    calls = registry.counter(CALLS)
    calls.add(1, attributes)
    calls.add(1, attributes)
    assert values(registry, "calls_total") == {("m", "s"): 2}


def test_a_dotted_label_is_written_with_underscores_as_keyword(registry: Registry) -> None:
    calls = registry.counter(CALLS)
    bound = calls.labels(gen_ai_request_model="m", server="s")
    assert calls.labels(**{"gen_ai.request.model": "m", "server": "s"}) is bound
    bound.add()
    assert values(registry, "calls_total") == {("m", "s"): 1}
    assert calls.remove(gen_ai_request_model="m", server="s")


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"


class Plain(str, enum.Enum):  # noqa: UP042 (the older spelling, whose str() is not its value)
    """An enumeration of texts."""

    RED = "red"


class Modern(enum.StrEnum):
    """An enumeration of texts as it is written today."""

    RED = "red"


class Shouting(str):
    """Text whose own str() says something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "x"),
        ("", ""),
        (None, ""),
        (1, "1"),
        (-3, "-3"),
        (1.0, "1.0"),
        (True, "true"),
        (False, "false"),
        (Colour.RED, "Colour.RED"),
        (Plain.RED, "red"),
        (Modern.RED, "red"),
        (Shouting("quiet"), "quiet"),
        (b"x", "b'x'"),
        (["a", 1], "['a', 1]"),
        (("a", "b"), "('a', 'b')"),
        ("a\udcff", "a\\udcff"),
        ("\ud83d\ude00", "\\ud83d\\ude00"),
        ('ä\x00\r\n"\\{}%', 'ä\x00\r\n"\\{}%'),
    ],
    ids=repr,
)
def test_a_label_value_of_any_kind_becomes_text(registry: Registry, value: Any, shown: str) -> None:
    jobs = registry.counter(JOBS)
    for _ in range(3):
        jobs.add(1, {"queue": value})
    jobs.labels(queue=value).add()
    assert values(registry, "jobs_total") == {(shown,): 4}


def test_values_that_are_equal_in_python_stay_apart_in_any_order(registry: Registry) -> None:
    jobs, done = registry.counter(JOBS), registry.counter(DONE)
    for _ in range(2):
        for value in (1, True, 1.0, "1", "true", "1.0", True, 1, "1", 1.0):
            jobs.add(1, {"queue": value})
            jobs.labels(queue=value).add()
            done.add(1, {"queue": value, "outcome": value})
    assert values(registry, "jobs_total") == {("1",): 16, ("true",): 12, ("1.0",): 12}
    assert values(registry, "done_total") == {("1", "1"): 8, ("true", "true"): 6, ("1.0", "1.0"): 6}


def test_a_tuple_as_one_label_is_not_two_labels(registry: Registry) -> None:
    registry.counter(DONE).add(1, {"queue": "a", "outcome": "b"})
    jobs = registry.counter(JOBS)
    jobs.add(1, {"queue": ("a", "b")})
    jobs.labels(queue=("a", "b")).add()
    assert values(registry, "jobs_total") == {("('a', 'b')",): 2}


WRONG: list[tuple[Mapping[str, str] | None, str]] = [
    (None, "missing ['queue', 'outcome']"),
    ({}, "missing ['queue', 'outcome']"),
    ({"queue": "mail"}, "missing ['outcome']"),
    ({"queue": "mail", "result": "ok"}, "missing ['outcome']; not declared ['result']"),
    ({"queue": "mail", "outcome": "ok", "result": "ok"}, "not declared ['result']"),
]


@pytest.mark.parametrize(("attributes", "what"), WRONG)
def test_wrong_labels_raise_where_strict_and_name_the_right_ones(
    registry: Registry, attributes: Mapping[str, str] | None, what: str
) -> None:
    done = registry.counter(DONE)
    message = f"done_total: wrong labels ({what}): the right ones are {{'queue': …, 'outcome': …}}"
    with pytest.raises(MeasurementError) as caught:
        done.add(1, attributes)
    assert str(caught.value) == message
    assert caught.value.reason == "wrong_labels"
    with pytest.raises(MeasurementError) as caught:
        done.labels(**dict(attributes or {}))
    assert str(caught.value) == message
    assert values(registry, "done_total") == {}


@pytest.mark.parametrize(("attributes", "what"), WRONG)
def test_wrong_labels_are_dropped_counted_and_logged_once(
    lenient: Registry, caplog: pytest.LogCaptureFixture, attributes: Mapping[str, str] | None, what: str
) -> None:
    done = lenient.counter(DONE)
    for _ in range(3):
        done.add(1, attributes)
    assert dropped(lenient) == {"wrong_labels": 3}
    assert values(lenient, "done_total") == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].name == "otel_monitoring"
    assert f"done_total: wrong labels ({what}): the right ones are {{'queue': …, 'outcome': …}}" in caplog.text


@pytest.mark.parametrize("kind", ["counter", "up_down_counter", "gauge", "histogram"])
def test_what_is_recorded_to_wrong_labels_shows_nowhere(lenient: Registry, kind: str) -> None:
    if kind == "counter":
        lenient.counter(JOBS).labels(que="mail").add()
    elif kind == "up_down_counter":
        lenient.up_down_counter(OPEN).labels(que="mail").add(-1)
    elif kind == "gauge":
        lenient.gauge(HEAT).labels().set(3)
    else:
        lenient.histogram(WAIT).labels(queue="mail", outcome="ok").record(3)
    assert dropped(lenient) == {"wrong_labels": 1}
    names = {point.metric.name for point in lenient.snapshot().points()}
    assert names == {"monitoring_dropped", "monitoring_series"}


def test_a_metric_without_labels_drops_labels(lenient: Registry) -> None:
    lenient.counter(ALL).add(1, {"queue": "mail"})
    assert dropped(lenient) == {"wrong_labels": 1}
    assert values(lenient, "all_total") == {}


@pytest.mark.parametrize("way", WAYS_AND_BOUND)
@pytest.mark.parametrize(
    "amount", ["1", b"1", bytearray(b"1"), None, [], {}, object(), 1j, "nan"], ids=lambda amount: repr(amount)[:10]
)
def test_what_is_no_number_is_dropped(lenient: Registry, way: str, amount: object) -> None:
    recorders(lenient)[way](amount)
    recorders(lenient)[way](amount)
    assert dropped(lenient) == {"not_a_number": 2}


@pytest.mark.parametrize("way", WAYS_AND_BOUND)
def test_what_is_no_number_raises_where_strict_and_names_its_type(registry: Registry, way: str) -> None:
    record = recorders(registry)[way]
    with pytest.raises(MeasurementError) as caught:
        record("7")
    assert str(caught.value) == f"{way.removesuffix(' bound')}: a value of type str is not a number"
    assert caught.value.reason == "not_a_number"


@pytest.mark.parametrize("way", [way for way in WAYS_AND_BOUND if "heat" not in way])
@pytest.mark.parametrize("amount", [math.nan, math.inf, 10**400], ids=["nan", "infinity", "huge"])
def test_nan_and_infinity_would_spoil_a_sum_and_are_dropped(lenient: Registry, way: str, amount: float) -> None:
    record = recorders(lenient)[way]
    record(amount)
    record(1)
    assert dropped(lenient) == {"not_finite": 1}
    (value,) = values(lenient, way.removesuffix(" bound")).values()
    assert value in (1.0, Distribution((0, 1, 1, 1), 1.0))


@pytest.mark.parametrize("way", [way for way in WAYS_AND_BOUND if "heat" not in way])
def test_nan_raises_where_strict(registry: Registry, way: str) -> None:
    with pytest.raises(MeasurementError, match=r"nan would spoil every sum it is added to") as caught:
        recorders(registry)[way](math.nan)
    assert caught.value.reason == "not_finite"


@pytest.mark.parametrize("way", ["jobs_total", "jobs_total bound", "wait_seconds", "wait_seconds bound"])
@pytest.mark.parametrize("amount", [-1, -0.001, -(10**300)], ids=["whole", "small", "huge"])
def test_a_negative_step_is_dropped(lenient: Registry, way: str, amount: float) -> None:
    recorders(lenient)[way](amount)
    assert dropped(lenient) == {"negative": 1}


def test_a_negative_step_raises_where_strict(registry: Registry) -> None:
    with pytest.raises(MeasurementError) as caught:
        registry.counter(JOBS).add(-1, {"queue": "mail"})
    assert str(caught.value) == "jobs_total: -1.0 is negative, and a counter takes only 0 and more"
    assert caught.value.reason == "negative"


def test_a_huge_integer_shows_as_infinity_of_its_sign_in_a_gauge(registry: Registry) -> None:
    heat = registry.gauge(HEAT)
    heat.set(10**400, {"room": "hot"})
    heat.set(-(10**400), {"room": "cold"})
    assert values(registry, "heat") == {("hot",): math.inf, ("cold",): -math.inf}


class OddError(Exception):
    """An exception that nobody expects."""


FAULTS = [
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    OSError,
    AssertionError,
    ZeroDivisionError,
    StopIteration,
    OddError,
]


class FaultyNumber:
    """A number that cannot be read, as tensors on other devices are."""

    def __init__(self, fault: type[Exception]) -> None:
        self._fault = fault

    def __add__(self, other: object) -> float:
        raise self._fault("no sum")

    def __float__(self) -> float:
        raise self._fault("no number")


class FaultyText:
    """A label value that can be neither looked up nor shown."""

    def __init__(self, fault: type[Exception]) -> None:
        self._fault = fault

    def __hash__(self) -> int:
        raise self._fault("no hash")

    def __eq__(self, other: object) -> bool:
        raise self._fault("no comparison")

    def __str__(self) -> str:
        raise self._fault("no text")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS_AND_BOUND)
def test_a_number_that_raises_never_reaches_the_application(
    lenient: Registry, caplog: pytest.LogCaptureFixture, way: str, fault: type[Exception]
) -> None:
    record = recorders(lenient)[way]
    for _ in range(3):
        record(FaultyNumber(fault))
    assert sum(dropped(lenient).values()) == 3
    assert len(caplog.records) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_label_value_that_raises_never_reaches_the_application(
    lenient: Registry, caplog: pytest.LogCaptureFixture, fault: type[Exception]
) -> None:
    jobs, done = lenient.counter(JOBS), lenient.counter(DONE)
    jobs.add(1, {"queue": "mail"})
    jobs.add(1, {"queue": FaultyText(fault)})  # type: ignore[dict-item]
    done.add(1, {"queue": "mail", "outcome": FaultyText(fault)})  # type: ignore[dict-item]
    jobs.labels(queue=FaultyText(fault)).add()
    lenient.gauge(HEAT).set(1, {"room": FaultyText(fault)})  # type: ignore[dict-item]
    lenient.histogram(WAIT).record(1, {"queue": FaultyText(fault)})  # type: ignore[dict-item]
    lenient.up_down_counter(OPEN).add(1, {"queue": FaultyText(fault)})  # type: ignore[dict-item]
    assert jobs.remove(queue=FaultyText(fault)) is False
    assert values(lenient, "jobs_total") == {("mail",): 1}
    assert sum(dropped(lenient).values()) >= 6
    assert caplog.records


@pytest.mark.parametrize(
    "attributes", [5, "queue", [("queue", "mail")], {5: "mail"}, object()], ids=lambda one: repr(one)[:10]
)
def test_attributes_that_are_no_mapping_of_names_never_raise(lenient: Registry, attributes: Any) -> None:
    lenient.counter(JOBS).add(1, attributes)
    lenient.histogram(WAIT).record(1, attributes)
    assert sum(dropped(lenient).values()) == 2
    assert values(lenient, "jobs_total") == {}


def test_removing_by_wrong_labels_says_that_nothing_was_there(lenient: Registry) -> None:
    lenient.counter(JOBS).add(1, {"queue": "mail"})
    assert lenient.counter(JOBS).remove(que="mail") is False
    assert values(lenient, "jobs_total") == {("mail",): 1}


def test_each_reason_is_counted_by_itself(lenient: Registry) -> None:
    jobs = lenient.counter(JOBS)
    jobs.add(1)
    jobs.add(-1, {"queue": "mail"})
    jobs.add(-1, {"queue": "mail"})
    jobs.add(math.nan, {"queue": "mail"})
    jobs.labels(queue="mail").add("x")  # type: ignore[arg-type]
    assert dropped(lenient) == {"wrong_labels": 1, "negative": 2, "not_finite": 1, "not_a_number": 1}


def test_one_reason_is_logged_once_for_each_metric(lenient: Registry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(5):
        lenient.counter(JOBS).add(-1, {"queue": "mail"})
        lenient.counter(DONE).add(-1, {"queue": "mail", "outcome": "sent"})
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "jobs_total: -1.0 is negative" in messages[0]
    assert "done_total: -1.0 is negative" in messages[1]


class Tensor:
    """Holds much memory, and becomes a number when asked."""

    def __init__(self, number: float) -> None:
        self._number = number

    def __float__(self) -> float:
        return self._number

    def __str__(self) -> str:
        return f"tensor({self._number})"


@pytest.mark.parametrize("way", WAYS_AND_BOUND)
@pytest.mark.parametrize("number", [1.0, -1.0, math.nan])
def test_a_tensor_is_not_kept_alive(lenient: Registry, way: str, number: float) -> None:
    tensor = Tensor(number)
    watched = weakref.ref(tensor)
    recorders(lenient)[way](tensor)
    del tensor
    gc.collect()
    assert watched() is None


def test_a_label_value_is_not_kept_alive(lenient: Registry) -> None:
    tensor = Tensor(3)
    watched = weakref.ref(tensor)
    lenient.counter(JOBS).add(1, {"queue": tensor})  # type: ignore[dict-item]
    lenient.counter(JOBS).labels(queue=tensor).add()
    lenient.counter(DONE).add(1, {"queue": tensor})  # type: ignore[dict-item]
    del tensor
    gc.collect()
    assert watched() is None
    assert values(lenient, "jobs_total") == {("tensor(3)",): 2}


def test_an_instrument_shows_its_name_and_labels(registry: Registry) -> None:
    assert repr(registry.counter(DONE)) == "<Counter done_total ('queue', 'outcome')>"
    assert registry.counter(DONE).declaration is DONE
