"""The corridor: every sink hears of every error, and of each exception object once."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
from dataclasses import dataclass

import pytest

from otel_monitoring.errors import Corridor, CountErrors, ErrorRecord, Recorder
from otel_monitoring.metrics import Registry
from tests.logging_state import errors_of, fail


def record_of(exception: BaseException | None = None) -> ErrorRecord:
    return Recorder().record("failed", error_type="kind", component="part", context={}, exception=exception)


@pytest.fixture
def heard() -> list[ErrorRecord]:
    return []


@pytest.fixture
def corridor(heard: list[ErrorRecord]) -> Corridor:
    return Corridor(Registry(strict=True).incidents, [heard.append])


@dataclass(frozen=True)
class FrozenError(Exception):
    """An exception that refuses new attributes."""

    code: int


class GuardedError(Exception):
    """An exception that minds attributes being set."""

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError("read-only")


def test_every_sink_hears_of_an_error_in_order(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    later: list[int] = []
    corridor.add_sink(lambda _: later.append(len(heard)))
    record = record_of()
    assert corridor.report(record)
    assert heard == [record]
    assert later == [1]


def test_a_group_of_exceptions_that_were_all_reported_is_nothing_new(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    """As ``TaskGroup`` raises it; one with a member that nobody has reported is an error."""
    first, second, third = LookupError("1"), LookupError("2"), LookupError("3")
    for error in (first, second):
        corridor.report_exception(error, component="part")
    assert not corridor.report_exception(ExceptionGroup("all", [first, second]), component="part")
    assert not corridor.report(record_of(ExceptionGroup("all", [first, ExceptionGroup("inner", [second])])))
    assert len(heard) == 2
    assert corridor.report_exception(ExceptionGroup("new", [first, ExceptionGroup("in", [third])]), component="part")
    assert len(heard) == 3


def test_errors_are_counted_by_type_and_component() -> None:
    registry = Registry(strict=True)
    corridor = Corridor(registry.incidents, [CountErrors(registry)])
    corridor.report(record_of())
    corridor.report(record_of())
    assert errors_of(registry) == {("kind", "part"): 2}


def test_a_sink_that_fails_stops_neither_the_next_nor_the_caller(heard: list[ErrorRecord]) -> None:
    def fail(record: ErrorRecord) -> None:
        raise OSError("disk full")

    registry = Registry()
    corridor = Corridor(registry.incidents, [fail, heard.append])
    assert corridor.report(record_of())
    assert len(heard) == 1
    dropped = {point.labels.get("reason"): point.value for point in registry.snapshot().points()}
    assert dropped["internal"] == 1


@pytest.mark.parametrize("exception", [ValueError("x"), KeyboardInterrupt(), FrozenError(1), GuardedError()])
def test_an_exception_object_is_reported_once(
    corridor: Corridor, heard: list[ErrorRecord], exception: BaseException
) -> None:
    assert corridor.report(record_of(exception))
    assert not corridor.report(record_of(exception))
    assert len(heard) == 1


def test_an_exception_reported_by_nested_functions_on_its_way_counts_once(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    def reporting(depth: int) -> None:
        try:
            if depth == 0:
                fail(ValueError("deep"))
            reporting(depth - 1)
        except ValueError as error:
            corridor.report(record_of(error))
            raise

    with pytest.raises(ValueError, match="deep"):
        reporting(5)
    assert len(heard) == 1


def test_an_exception_raised_from_another_is_an_error_of_its_own(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    cause = ValueError()
    corridor.report(record_of(cause))
    error = RuntimeError()
    error.__cause__ = cause
    assert corridor.report(record_of(error))
    assert len(heard) == 2


def test_copies_and_pickles_of_a_reported_exception_are_errors_of_their_own(corridor: Corridor) -> None:
    exception = ValueError("x")
    corridor.report(record_of(exception))
    assert corridor.report(record_of(copy.copy(exception)))
    assert corridor.report(record_of(pickle.loads(pickle.dumps(exception))))


def test_each_corridor_hears_of_an_exception(corridor: Corridor) -> None:
    other = Corridor(Registry(strict=True).incidents)
    exception = ValueError()
    assert corridor.report(record_of(exception))
    assert other.report(record_of(exception))


def test_errors_without_an_exception_are_never_taken_for_the_same(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    record = record_of()
    corridor.report(record)
    corridor.report(record)
    assert len(heard) == 2


def test_of_many_threads_that_report_one_exception_one_wins(corridor: Corridor) -> None:
    exceptions = [ValueError(number) for number in range(200)]
    start = threading.Barrier(8)
    won: list[int] = []

    def report_all() -> None:
        start.wait()
        won.append(sum(corridor.report(record_of(exception)) for exception in exceptions))

    threads = [threading.Thread(target=report_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == len(exceptions)


def test_a_sink_that_reports_an_error_of_its_own_is_not_told_of_it(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    answers: list[bool] = []
    corridor.add_sink(lambda _: answers.append(corridor.report(record_of())))
    assert corridor.report(record_of())
    assert answers == [False]
    assert len(heard) == 1
    assert corridor.report(record_of())


def test_an_exception_is_made_a_record_only_the_first_time(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    texts: list[str] = []

    class TellingError(Exception):
        def __str__(self) -> str:
            texts.append("asked")
            return "told"

    error = TellingError()
    assert corridor.report_exception(error, component="part", context={"attempt": 1})
    asked = len(texts)
    assert not corridor.report_exception(error, component="outer")
    assert not corridor.report(record_of(error))
    assert len(texts) == asked
    assert [(record.component, record.message, dict(record.context)) for record in heard] == [
        ("part", "told", {"attempt": 1})
    ]


def test_an_exception_that_fills_the_stack_is_reported_where_there_is_room(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    def deeper() -> None:
        try:
            deeper()
        except RecursionError as error:
            corridor.report_exception(error, component="part")
            raise

    with pytest.raises(RecursionError):
        deeper()
    assert [record.error_type for record in heard] == ["RecursionError"]


class Nesting:
    """A sink that hears of everything, and that a signal's handler interrupts once."""

    takes_nested = True

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, record: ErrorRecord, /) -> None:
        """Hear of an error."""
        self.heard.append(record.component)
        if len(self.heard) == 1:
            signal.raise_signal(signal.SIGALRM)


def test_an_error_of_a_signals_handler_is_heard_though_its_thread_is_being_told_of_another(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    nesting = Nesting()
    corridor.add_sink(nesting)
    answers: list[bool] = []

    def handle(number: int, frame: object) -> None:
        record = corridor.recorder.record("late", error_type="kind", component="handler", context={})
        answers.append(corridor.report(record))

    before = signal.signal(signal.SIGALRM, handle)
    try:
        assert corridor.report(record_of())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert answers == [True]
    assert nesting.heard == ["part", "handler"]
    assert len(heard) == 1  # which may report errors itself, for all that is known
