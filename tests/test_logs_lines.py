"""The lines that we write: what they say of where an event comes from, and that nothing in them is secret."""

from __future__ import annotations

import io
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from otel_monitoring.errors import Corridor, CountErrors, Recorder
from otel_monitoring.errors.secrecy.scrub import HIDDEN, Scrubber
from otel_monitoring.logs.configure import configure
from otel_monitoring.logs.emit import ErrorLog
from tests.logging_state import bare_root, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.metrics import Registry


pytestmark = pytest.mark.usefixtures("kept")

SECRET = "hunter2"
CARD = 4111111111111111
CONTEXT: dict[str, Any] = {"password": SECRET, "card": CARD, "tried": [f"token={SECRET}"], "attempt": 2}


class Wallet:
    """Shows what it holds."""

    def __repr__(self) -> str:
        """Say it."""
        return f"Wallet(pin={SECRET})"


class Faulty:
    """Cannot be compared."""

    def __eq__(self, other: object) -> bool:
        """Fail."""
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]


class Kept(logging.Handler):
    """Keeps the records that it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


@pytest.fixture
def corridor(registry: Registry) -> Corridor:
    return Corridor(registry.incidents, [CountErrors(registry)])


@pytest.fixture
def stream(corridor: Corridor) -> io.StringIO:
    """Where the lines of a logging are written that we have configured alone."""
    bare_root()
    stream = io.StringIO()
    configure(corridor, default_component="service", stream=stream)
    return stream


def event(corridor: Corridor) -> None:
    structlog.get_logger("mail").info(f"password={SECRET}", **CONTEXT, wallet=Wallet())


def error_event(corridor: Corridor) -> None:
    structlog.get_logger("mail").error("%s", f"password={SECRET}", **CONTEXT, wallet=Wallet())


def bound_event(corridor: Corridor) -> None:
    with structlog.contextvars.bound_contextvars(**CONTEXT):
        ErrorLog(corridor, "service").emit(f"password={SECRET}", error_type=f"token={SECRET}", context=CONTEXT)


def error_by_name(corridor: Corridor) -> None:
    ErrorLog(corridor, "service").emit(f"password={SECRET}", context={**CONTEXT, "wallet": Wallet()})


def record(corridor: Corridor) -> None:
    logging.getLogger("mail").warning("password=%s", SECRET, extra={**CONTEXT, "wallet": Wallet()})


def exception(corridor: Corridor) -> None:
    try:
        fail(ValueError(f"password={SECRET}"))
    except ValueError as error:
        ErrorLog(corridor, "service").emit("one", exception=error)
        structlog.get_logger("mail").exception("two", **CONTEXT)
        logging.getLogger("mail").exception("three", extra=CONTEXT)


WAYS = (event, error_event, bound_event, error_by_name, record, exception)


@pytest.mark.parametrize("log", WAYS, ids=lambda way: way.__name__)
def test_no_line_shows_a_secret(corridor: Corridor, stream: io.StringIO, log: Callable[[Corridor], None]) -> None:
    log(corridor)
    assert HIDDEN in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert str(CARD) not in stream.getvalue()


@pytest.mark.parametrize("log", [event, error_event, bound_event, error_by_name], ids=lambda way: way.__name__)
def test_no_other_handler_is_handed_a_secret_by_structlogs_chain(
    corridor: Corridor, stream: io.StringIO, log: Callable[[Corridor], None]
) -> None:
    theirs = Kept()
    logging.getLogger().addHandler(theirs)
    log(corridor)
    (record,) = theirs.records
    assert HIDDEN in repr(vars(record))
    assert SECRET not in repr(vars(record))


def test_what_holds_no_secret_is_written_as_it_was_said(corridor: Corridor, stream: io.StringIO) -> None:
    said = {"attempt": 2, "tried": ["one", {"two": 2.5}], "done": True, "none": None, "text": "x" * 10_000}
    ErrorLog(corridor, "service").emit("failed", context={"attempt": 2, "tried": ["one"]})
    structlog.get_logger("mail").info("sent", **said)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["context"] == {"attempt": 2, "tried": ["one"]}
    assert {name: second[name] for name in said} == said


def test_a_context_is_written_without_what_is_bound(corridor: Corridor, stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="7", attempt=1):
        ErrorLog(corridor, "service").emit("failed", context={"attempt": 2})
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["context"], line["request_id"], line["attempt"]) == ({"attempt": 2}, "7", 1)


def test_what_cannot_be_compared_is_written_all_the_same(corridor: Corridor, stream: io.StringIO) -> None:
    structlog.get_logger("mail").info("sent", to=[Faulty()])
    assert "Faulty" in json.loads(stream.getvalue())["to"][0]


def test_a_service_hides_by_its_own_rules_what_another_one_logs(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    """The first writes the lines, the second reports: the rules of both hold."""
    other = Corridor(registry.incidents, (), Recorder(scrubber=Scrubber(keys=["badge"])))
    ErrorLog(other, "other").emit("failed", context={"badge": SECRET})
    ErrorLog(corridor, "service").emit("failed", context={"badge": "shown"})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["context"] == {"badge": HIDDEN}
    assert second["context"] == {"badge": "shown"}


def test_a_record_that_went_through_another_process_is_written_alike(corridor: Corridor, stream: io.StringIO) -> None:
    theirs = Kept()
    logging.getLogger().addHandler(theirs)
    error_by_name(corridor)
    (record,) = theirs.records
    logging.getLogger().handle(pickle.loads(pickle.dumps(record)))
    first, second = stream.getvalue().splitlines()
    assert second == first


def test_a_class_may_say_how_it_is_written(corridor: Corridor, stream: io.StringIO) -> None:
    class Said:
        def __structlog__(self) -> str:
            return "said"

    structlog.get_logger("mail").info("sent", one=Said())
    assert json.loads(stream.getvalue())["one"] == "said"
