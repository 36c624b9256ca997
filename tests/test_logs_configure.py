"""structlog and logging configured together: one look, and everything put back."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from structlog.stdlib import ProcessorFormatter

from otel_monitoring.errors import Corridor, CountErrors
from otel_monitoring.logs.chain import install
from otel_monitoring.logs.configure import configure
from otel_monitoring.logs.emit import ErrorLog
from otel_monitoring.logs.handler import ErrorHandler
from otel_monitoring.metrics import Registry
from tests.logging_state import bare_root, errors_of, fail

if TYPE_CHECKING:
    from structlog.typing import Processor


pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def corridor(registry: Registry) -> Corridor:
    return Corridor(registry.incidents, [CountErrors(registry)])


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "timestamp"}


def test_both_write_the_same_json(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger("mail").warning("sent", attempt=2)
    logging.getLogger("mail").warning("sent", extra={"attempt": 2})
    first, second = lines_of(stream)
    assert without_time(first) == {"event": "sent", "level": "warning", "logger": "mail", "attempt": 2}
    assert without_time(second) == without_time(first)
    for line in (first, second):
        written = datetime.fromisoformat(line["timestamp"])
        assert line["timestamp"].endswith("Z")
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


def test_lines_inside_a_span_carry_its_ids(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        structlog.get_logger("mail").info("one")
        logging.getLogger("mail").info("two")
    context = span.get_span_context()
    for line in lines_of(stream):
        assert line["trace_id"] == f"{context.trace_id:032x}"
        assert line["span_id"] == f"{context.span_id:016x}"


def test_exceptions_are_written_once_as_text_and_counted_once(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    try:
        fail(ValueError("refused"))
    except ValueError:
        structlog.get_logger("mail").exception("send failed")
    try:
        fail(KeyError("lost"))
    except KeyError:
        logging.getLogger("mail").exception("send failed")
    first, second = lines_of(stream)
    assert first["exception"].endswith("ValueError: refused")
    assert second["exception"].endswith("KeyError: 'lost'")
    assert "exc_info" not in first
    assert errors_of(registry) == {("ValueError", "service"): 1, ("KeyError", "service"): 1}


def test_every_way_of_an_error_counts_once(corridor: Corridor, registry: Registry, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    ErrorLog(corridor, "service").emit("one", context={"name": "x", "event": 1})
    structlog.get_logger("mail").error("two %s", "fields", component="sender")
    logging.getLogger("mail").error("three %s", "fields", extra={"component": "sender"})
    assert errors_of(registry) == {("log_error", "service"): 1, ("log_error", "sender"): 2}
    assert [line["event"] for line in lines_of(stream)] == ["one", "two fields", "three fields"]
    assert [line["logger"] for line in lines_of(stream)] == ["service", "mail", "mail"]
    assert lines_of(stream)[0]["context"] == {"name": "x", "event": 1}


def test_no_field_clashes_with_those_of_a_logging_record(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger("mail").info("sent 100%", name="Ann", args=(1,), msg="x", level="high", message="m")
    (line,) = lines_of(stream)
    assert (line["event"], line["level"], line["logger"]) == ("sent 100%", "info", "mail")
    assert (line["name"], line["args"], line["msg"], line["message"]) == ("Ann", [1], "x", "m")


def test_values_that_json_does_not_know_are_written_all_the_same(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger("mail").info("sent", when=datetime(2026, 1, 1, tzinfo=UTC), by={(1, 2): 3}, text="\ud800ü")
    (line,) = lines_of(stream)
    assert "2026" in line["when"]
    assert line["text"] == "\ufffdü"  # what no encoding can hold is replaced


def test_the_level_is_that_of_both(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", level="WARNING", stream=stream)
    structlog.get_logger("mail").info("no")
    logging.getLogger("mail").info("no")
    structlog.get_logger("mail").warning("yes")
    assert [line["event"] for line in lines_of(stream)] == ["yes"]


def test_console_lines_are_plain_where_the_stream_is_no_terminal(corridor: Corridor, stream: io.StringIO) -> None:
    bare_root()
    configure(corridor, default_component="service", format="console", stream=stream)
    try:
        fail(ValueError("refused"))
    except ValueError:
        structlog.get_logger("mail").exception("send failed", attempt=2)
    logging.getLogger("mail").info("sent")
    written = stream.getvalue()
    assert "\x1b" not in written
    first = written.splitlines()[0]
    assert "error" in first
    assert "send failed" in first
    assert "[mail]" in first
    assert "attempt=2" in first
    assert "ValueError: refused" in written
    assert "sent" in written.splitlines()[-1]


def test_handlers_that_are_there_stay_and_can_read_structlogs_events(corridor: Corridor, stream: io.StringIO) -> None:
    root = bare_root()
    theirs = io.StringIO()
    handler = logging.StreamHandler(theirs)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root.addHandler(handler)
    undo = configure(corridor, default_component="service", stream=stream)
    try:
        fail(ValueError("refused"))
    except ValueError:
        structlog.get_logger("mail").exception("send failed", name="Ann")
    assert theirs.getvalue().startswith("mail send failed\nTraceback")
    undo()
    assert root.handlers == [handler]


def test_an_applications_structlog_configuration_is_extended_and_writes_as_before(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    root = bare_root()
    theirs = io.StringIO()
    chain: list[Processor] = [structlog.processors.add_log_level, structlog.processors.JSONRenderer(sort_keys=True)]
    before = chain.copy()
    structlog.configure(processors=chain, logger_factory=structlog.WriteLoggerFactory(theirs))
    undo = configure(corridor, default_component="service", stream=stream)
    structlog.get_logger().error("one")
    logging.getLogger("mail").error("two")
    assert lines_of(theirs) == [{"event": "one", "level": "error"}]
    assert [line["event"] for line in lines_of(stream)] == ["two"]
    assert errors_of(registry) == {("log_error", "service"): 2}
    undo()
    assert structlog.get_config()["processors"] is chain
    assert chain == before
    assert root.handlers == []


def test_where_the_application_has_configured_both_only_our_ears_are_added(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    root = bare_root()
    root.setLevel(logging.ERROR)
    theirs = logging.NullHandler()
    root.addHandler(theirs)
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger().error("one")
    logging.getLogger("mail").error("two")
    assert stream.getvalue() == ""
    assert root.level == logging.ERROR
    assert [type(handler) for handler in root.handlers] == [logging.NullHandler, ErrorHandler]
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_events_that_an_applications_chain_leaves_to_a_formatter_are_written_with_what_is_missing(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    bare_root()
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger("mail").error("failed", attempt=2)
    (line,) = lines_of(stream)
    assert without_time(line) == {"event": "failed", "attempt": 2, "level": "error", "logger": "mail"}
    assert "timestamp" in line
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_undoing_leaves_everything_as_before(corridor: Corridor, stream: io.StringIO) -> None:
    root = bare_root()
    structlog.get_config()["processors"].insert(0, structlog.processors.StackInfoRenderer())
    before = structlog.get_config()["processors"].copy(), root.level, logging.getLoggerClass()
    config = {name: value for name, value in structlog.get_config().items() if name != "processors"}
    undo = configure(corridor, default_component="service", level="DEBUG", stream=stream)
    assert structlog.is_configured()
    undo()
    assert (structlog.get_config()["processors"], root.level, logging.getLoggerClass()) == before
    assert {name: value for name, value in structlog.get_config().items() if name != "processors"} == config
    assert not structlog.is_configured()
    assert root.handlers == []


def test_undoing_leaves_alone_what_the_application_has_configured_since(
    corridor: Corridor, stream: io.StringIO
) -> None:
    root = bare_root()
    undo = configure(corridor, default_component="service", level="DEBUG", stream=stream)
    chain: list[Processor] = [structlog.processors.JSONRenderer()]
    structlog.configure(processors=chain)
    root.setLevel(logging.ERROR)
    undo()
    assert structlog.get_config()["processors"] is chain
    assert root.level == logging.ERROR


def test_configuring_again_adds_no_second_line_and_no_second_count(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    bare_root()
    configure(corridor, default_component="service", stream=stream)
    configure(corridor, default_component="service", stream=stream)
    structlog.get_logger("mail").error("failed")
    assert len(lines_of(stream)) == 1
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_services_installed_before_and_since_go_on_hearing(
    corridor: Corridor, registry: Registry, stream: io.StringIO
) -> None:
    bare_root()
    registries = [Registry(strict=True), Registry(strict=True)]
    earlier, later = (Corridor(other.incidents, [CountErrors(other)]) for other in registries)
    pristine = structlog.get_config()["processors"].copy()
    uninstall_earlier = install(earlier, "earlier")
    undo = configure(corridor, default_component="service", stream=stream)
    uninstall_later = install(later, "later")
    structlog.get_logger("mail").error("one")
    undo()
    structlog.get_logger("mail").error("two")
    assert errors_of(registry) == {("log_error", "service"): 1}
    assert errors_of(registries[0]) == {("log_error", "earlier"): 2}
    assert errors_of(registries[1]) == {("log_error", "later"): 2}
    uninstall_earlier()
    uninstall_later()
    assert structlog.get_config()["processors"] == pristine


def test_a_mistake_in_the_arguments_leaves_nothing_behind(corridor: Corridor) -> None:
    root = bare_root()
    with pytest.raises(ValueError, match="LOUD"):
        configure(corridor, default_component="service", level="LOUD")
    assert not structlog.is_configured()
    assert root.handlers == []
