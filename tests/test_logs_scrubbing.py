"""No line that is written of an error shows a secret, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any, Literal

import pytest
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from otel_monitoring import MonitoringService
from tests.logging_state import bare_root, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2"

pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    return io.StringIO()


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    """A service that listens to structlog."""
    with MonitoringService(third_party=False, resources=False, strict=True) as service:
        yield service


def own_chain(stream: io.StringIO, *further: Any) -> None:
    """Configure structlog as an application does that writes JSON lines by itself."""
    structlog.configure(
        processors=[
            merge_contextvars,
            *further,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(stream),
    )


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines that were written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_log_error_hides_them_in_message_context_and_exception(stream: io.StringIO) -> None:
    """The line of the application's own configuration holds none of them, and all the rest."""
    own_chain(stream)
    with MonitoringService(third_party=False, resources=False, strict=True) as monitoring:
        try:
            fail(ValueError(f"login with password={SECRET} refused"))
        except ValueError as error:
            monitoring.log_error(
                f"calling https://api.example.com/?token={SECRET}&page=2",
                component="sender",
                context={"user": "ann", "login": {"api_key": SECRET}, "attempts": [1, 2]},
                exception=error,
            )
    assert SECRET not in stream.getvalue()
    (line,) = lines_of(stream)
    assert line["event"] == "calling https://api.example.com/?token=***&page=2"
    assert line["context"] == {"user": "ann", "login": {"api_key": "***"}, "attempts": [1, 2]}
    assert "ValueError: login with password=*** refused" in line["exception"]
    assert "in fail" in line["exception"]


def test_what_is_bound_to_the_context_is_hidden_too(stream: io.StringIO) -> None:
    """Also where the application has configured structlog after the service was made."""
    with MonitoringService(third_party=False, resources=False, strict=True) as monitoring:
        own_chain(stream)
        with bound_contextvars(session_token=SECRET, request_id="7"):
            monitoring.log_error("no", component="sender")
    (line,) = lines_of(stream)
    assert (line["session_token"], line["request_id"]) == ("***", "7")


@pytest.mark.parametrize("method", ["error", "exception", "critical"])
def test_error_events_of_structlog_hide_them(stream: io.StringIO, method: str) -> None:
    """Fields, text and exception of the application's own error events."""
    own_chain(stream)
    with MonitoringService(third_party=False, resources=False, strict=True):
        try:
            fail(ValueError(f"api_key: {SECRET}"))
        except ValueError:
            getattr(structlog.get_logger(), method)(f"token={SECRET}", password=SECRET, exc_info=True)
    (line,) = lines_of(stream)
    assert SECRET not in stream.getvalue()
    assert (line["event"], line["password"]) == ("token=***", "***")
    assert "api_key: ***" in line["exception"]


def test_a_secret_that_comes_as_an_argument_is_hidden(stream: io.StringIO) -> None:
    """Text and arguments may be harmless each by itself."""
    own_chain(stream, structlog.stdlib.PositionalArgumentsFormatter())
    structlog.configure(wrapper_class=structlog.stdlib.BoundLogger)
    with MonitoringService(third_party=False, resources=False, strict=True):
        structlog.get_logger().error("password=%s of %s", SECRET, "ann")
    assert [line["event"] for line in lines_of(stream)] == ["password=*** of ann"]


def test_events_below_errors_are_left_to_the_application(stream: io.StringIO) -> None:
    """Its own chain writes what it likes."""
    own_chain(stream)
    with MonitoringService(third_party=False, resources=False, strict=True):
        structlog.get_logger().info("started", password="default")
    assert lines_of(stream) == [{"event": "started", "password": "default"}]


def test_what_holds_no_secret_goes_on_as_it_is(stream: io.StringIO) -> None:
    """Objects stay the objects that they are, and an exception stays one, for processors that come later."""
    seen: list[dict[str, Any]] = []

    def look(logger: object, name: str, event: Any) -> Any:
        seen.append(dict(event))
        return event

    own_chain(stream, look)
    when, error, found = object(), ValueError("no"), {"a": [1, None, "x"]}
    with MonitoringService(third_party=False, resources=False, strict=True):
        structlog.get_logger().error("failed", when=when, found=found, exc_info=error)
    assert seen[0]["when"] is when
    assert seen[0]["found"] is found
    assert seen[0]["exc_info"] is error


@pytest.mark.parametrize("style", ["json", "console"])
def test_configured_logging_hides_them_in_every_line(
    monitoring: MonitoringService, stream: io.StringIO, style: Literal["json", "console"]
) -> None:
    """Whatever the level, from structlog and from logging, in fields, arguments and tracebacks."""
    bare_root()
    monitoring.configure_logging(style, stream=stream)
    structlog.get_logger("a").info("started", token=SECRET)
    logging.getLogger("b").warning("password=%s", SECRET, extra={"cookie": SECRET})
    try:
        fail(ValueError(f"secret={SECRET}"))
    except ValueError:
        logging.getLogger("c").exception("failed")
        structlog.get_logger("d").exception("failed")
    shown = stream.getvalue()
    assert SECRET not in shown
    assert shown.count("***") >= 5
    assert shown.count("ValueError: ") == 2


def test_an_unconfigured_structlog_shows_no_local_variables(
    monitoring: MonitoringService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own traceback for terminals would show them all."""

    def connect(credential: str) -> None:
        fail(ValueError("refused"))

    try:
        connect(SECRET)
    except ValueError as error:
        monitoring.log_error("failed", component="db", exception=error)
        structlog.get_logger().exception("failed again")
    shown = capsys.readouterr().out
    assert "ValueError: refused" in shown
    assert "failed again" in shown
    assert SECRET not in shown


def test_a_file_name_in_a_traceback_is_no_secret(stream: io.StringIO) -> None:
    """A traceback without secrets is written whole."""
    own_chain(stream)
    with MonitoringService(third_party=False, resources=False, strict=True) as monitoring:
        try:
            fail(KeyError("prospect"))
        except KeyError as error:
            monitoring.log_error("failed", exception=error)
    (line,) = lines_of(stream)
    assert "raise exception" in line["exception"]
    assert "***" not in line["exception"]
