"""An error that is reported by name counts once, whatever becomes of its line in the log."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.contextvars import merge_contextvars

from otel_monitoring.errors import Corridor, CountErrors, ErrorRecord
from otel_monitoring.logs.chain import install
from otel_monitoring.logs.emit import ErrorLog
from otel_monitoring.logs.handler import attach
from otel_monitoring.metrics import Registry
from tests.logging_state import errors_of, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict

AWKWARD = {
    "event": 1,
    "exc_info": 2,
    "component": 3,
    "level": 4,
    "timestamp": 5,
    "message": 6,
    "name": 7,
    "self": 8,
    "error_type": 9,
}


pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def heard() -> list[ErrorRecord]:
    return []


@pytest.fixture
def corridor(registry: Registry, heard: list[ErrorRecord]) -> Corridor:
    """A corridor that listens to structlog's chain and to the root logger."""
    corridor = Corridor(registry.incidents, [CountErrors(registry), heard.append])
    attach(corridor, "service")
    return corridor


def emit(corridor: Corridor) -> None:
    """Report what the specification's example reports."""
    ErrorLog(corridor, "service").emit(
        "Failed to process prospect",
        error_type="processing_error",
        component="prospect_processor",
        context={"prospect_id": "123"},
    )


COUNTED = {("processing_error", "prospect_processor"): 1}


def json_lines(*processors: Any) -> io.StringIO:
    """Configure structlog to write JSON lines; return where they are written."""
    stream = io.StringIO()
    structlog.configure(
        processors=[merge_contextvars, *processors, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    return stream


def on_logging() -> None:
    structlog.configure(
        processors=[merge_contextvars, structlog.stdlib.filter_by_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def level_too_high() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def every_event_dropped() -> None:
    def drop(logger: object, method: str, event_dict: EventDict) -> EventDict:
        raise structlog.DropEvent

    json_lines(drop)


def logger_without_a_name() -> None:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=lambda: logging.getLogger("fixed")
    )


CONFIGURATIONS: dict[str, Callable[[], object]] = {
    "defaults": lambda: None,
    "json": json_lines,
    "on logging": on_logging,
    "level too high": level_too_high,
    "every event dropped": every_event_dropped,
    "factory that takes no name": logger_without_a_name,
}


@pytest.mark.parametrize("configure", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("order", ["installed before", "installed after", "never installed"])
def test_it_counts_once_in_every_configuration(
    corridor: Corridor, registry: Registry, configure: Callable[[], object], order: str
) -> None:
    if order == "installed before":
        install(corridor, "service")
    configure()
    if order == "installed after":
        install(corridor, "service")
    emit(corridor)
    assert errors_of(registry) == COUNTED


def test_a_processor_that_fails_reaches_neither_the_caller_nor_the_count() -> None:
    def fail(logger: object, method: str, event_dict: EventDict) -> EventDict:
        raise KeyError("processor")

    json_lines(fail)
    registry = Registry()
    corridor = Corridor(registry.incidents, [CountErrors(registry)])
    install(corridor, "service")
    emit(corridor)
    assert errors_of(registry) == COUNTED


def test_an_error_that_a_processor_logs_on_the_way_counts_beside_it(corridor: Corridor, registry: Registry) -> None:
    def complain(logger: object, method: str, event_dict: EventDict) -> EventDict:
        if event_dict["component"] != "masking":
            structlog.get_logger().error("cannot mask", component="masking")
        return event_dict

    json_lines(complain)
    install(corridor, "service")
    emit(corridor)
    assert errors_of(registry) == {**COUNTED, ("log_error", "masking"): 1}


def test_the_line_goes_through_the_applications_chain_with_its_context_under_one_key(corridor: Corridor) -> None:
    stream = json_lines(structlog.processors.add_log_level)
    install(corridor, "service")
    emit(corridor)
    assert json.loads(stream.getvalue()) == {
        "event": "Failed to process prospect",
        "level": "error",
        "error_type": "processing_error",
        "component": "prospect_processor",
        "context": {"prospect_id": "123"},
    }


@pytest.mark.parametrize("configure", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_no_name_in_the_context_clashes_with_the_events_own(
    corridor: Corridor, heard: list[ErrorRecord], configure: Callable[[], object]
) -> None:
    configure()
    install(corridor, "service")
    ErrorLog(corridor, "service").emit("failed", component="sender", context=AWKWARD)
    (record,) = heard
    assert (record.component, record.error_type, record.message) == ("sender", "log_error", "failed")
    assert record.context == AWKWARD


def test_a_context_with_names_that_are_no_text_is_logged_and_counted(corridor: Corridor, registry: Registry) -> None:
    stream = json_lines()
    wrong: Any = {1: "one", (2, 3): "pair"}
    ErrorLog(corridor, "service").emit("failed", context=wrong)
    assert json.loads(stream.getvalue())["context"] == {"1": "one", "(2, 3)": "pair"}
    assert errors_of(registry) == {("log_error", "service"): 1}


@pytest.mark.parametrize("wrong", ["prospect 123", ["prospect", 123], 7])
def test_a_context_that_is_no_mapping_is_kept_whole(corridor: Corridor, heard: list[ErrorRecord], wrong: Any) -> None:
    ErrorLog(corridor, "service").emit("failed", context=wrong)
    assert [record.context for record in heard] == [{"context": wrong}]


def test_what_is_bound_to_the_context_belongs_to_the_error(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    with structlog.contextvars.bound_contextvars(component="sender", error_type="smtp", request_id="7"):
        ErrorLog(corridor, "service").emit("failed", error_type="timeout", context={"attempt": 2})
    (record,) = heard
    assert (record.component, record.error_type) == ("sender", "timeout")
    assert record.context == {"request_id": "7", "attempt": 2}


def test_an_exception_gives_the_type_and_its_traceback_is_logged(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    stream = json_lines(structlog.processors.format_exc_info)
    install(corridor, "service")
    try:
        fail(ValueError("refused"))
    except ValueError as error:
        ErrorLog(corridor, "service").emit("send failed", exception=error)
        assert [(record.error_type, record.exception) for record in heard] == [("ValueError", error)]
    assert "ValueError: refused" in json.loads(stream.getvalue())["exception"]


def test_an_exception_that_was_reported_before_is_only_logged(corridor: Corridor, registry: Registry) -> None:
    stream = json_lines()
    exception = ValueError()
    corridor.report_exception(exception, component="sender")
    ErrorLog(corridor, "service").emit("send failed", exception=exception)
    assert json.loads(stream.getvalue())["event"] == "send failed"
    assert errors_of(registry) == {("ValueError", "sender"): 1}


def test_errors_reported_one_after_another_each_count(corridor: Corridor, registry: Registry) -> None:
    on_logging()
    install(corridor, "service")
    log = ErrorLog(corridor, "service")
    for _ in range(10):
        log.emit("failed")
        structlog.get_logger("service").error("failed")
        logging.getLogger("service").error("failed")
    assert errors_of(registry) == {("log_error", "service"): 30}


def test_a_second_service_hears_it_as_an_error_event(corridor: Corridor, registry: Registry) -> None:
    other_registry = Registry(strict=True)
    other = Corridor(other_registry.incidents, [CountErrors(other_registry)])
    json_lines()
    install(corridor, "service")
    install(other, "other")
    emit(corridor)
    assert errors_of(registry) == COUNTED
    assert errors_of(other_registry) == COUNTED
