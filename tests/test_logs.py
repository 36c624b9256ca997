"""Error events of structlog and of logging reach the corridor once, whichever way they go."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from structlog.stdlib import ProcessorFormatter

from otel_monitoring.errors import Corridor, CountErrors, ErrorRecord
from otel_monitoring.logs.chain import install
from otel_monitoring.logs.handler import ErrorHandler, attach, listen
from otel_monitoring.logs.processors import AddTraceContext
from otel_monitoring.metrics import Registry
from tests.logging_state import bare_root, errors_of, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor


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


def as_dictionary(logger: object, method: str, event_dict: EventDict) -> Any:
    """End a chain so that the event is in the logging record as its message."""
    return ProcessorFormatter.wrap_for_formatter(logging.getLogger(), method, event_dict)


RENDERERS: dict[str, Processor] = {
    "text": structlog.processors.JSONRenderer(),
    "dictionary": as_dictionary,
    "keywords": structlog.stdlib.render_to_log_kwargs,
}


def on_logging(*last: Processor, wrapper: Any = structlog.stdlib.BoundLogger) -> None:
    """Configure structlog to write through logging."""
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=wrapper,
    )


def raised(exception: BaseException) -> BaseException:
    try:
        fail(exception)
    except BaseException as caught:  # noqa: BLE001 (it is what was asked for)
        return caught


def exc_info_of(exception: BaseException) -> tuple[Any, ...]:
    return type(exception), exception, exception.__traceback__


EVENTS: dict[str, Callable[[Any], object]] = {
    "error": lambda log: log.error("failed"),
    "critical": lambda log: log.critical("failed"),
    "fatal": lambda log: log.fatal("failed"),
    "by number": lambda log: log.log(logging.ERROR, "failed"),
    "exception outside of a handler": lambda log: log.exception("failed"),  # noqa: LOG004
}


# structlog alone, in its default configuration


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_error_event_of_structlogs_defaults_counts_once(
    corridor: Corridor, registry: Registry, event: Callable[[Any], object]
) -> None:
    install(corridor, "service")
    event(structlog.get_logger())
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_lesser_events_count_nothing(corridor: Corridor, registry: Registry) -> None:
    install(corridor, "service")
    log = structlog.get_logger()
    log.debug("x")
    log.info("x")
    log.warning("x", exc_info=ValueError())
    assert errors_of(registry) == {}


@pytest.mark.parametrize(
    "as_exc_info", [lambda exception: exception, exc_info_of], ids=["exception", "tuple of type, value, traceback"]
)
def test_an_exception_handed_over_is_found(
    corridor: Corridor, heard: list[ErrorRecord], as_exc_info: Callable[[BaseException], object]
) -> None:
    install(corridor, "service")
    exception = raised(ValueError("x"))
    structlog.get_logger().error("failed", exc_info=as_exc_info(exception))
    assert [(record.exception, record.error_type) for record in heard] == [(exception, "ValueError")]


@pytest.mark.parametrize("flag", [True, 1])
def test_an_exception_being_handled_is_found_by_a_flag(
    corridor: Corridor, heard: list[ErrorRecord], flag: object
) -> None:
    install(corridor, "service")
    try:
        fail(ValueError("x"))
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=flag)
        assert [record.exception for record in heard] == [error]


def test_an_exception_logged_and_raised_and_reported_again_counts_once(corridor: Corridor, registry: Registry) -> None:
    install(corridor, "service")
    log = structlog.get_logger()

    def send() -> None:
        try:
            fail(ValueError("refused"))
        except ValueError:
            log.exception("send failed", component="sender")
            raise

    try:
        send()
    except ValueError as error:
        log.exception("request failed")
        logging.getLogger("web").exception("request failed")
        corridor.report_exception(error, component="web")
    assert errors_of(registry) == {("ValueError", "sender"): 1}


def test_component_and_type_may_be_bound_to_logger_or_context(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    install(corridor, "service")
    with structlog.contextvars.bound_contextvars(component="sender", request_id="7"):
        structlog.get_logger().bind(error_type="smtp").error("send failed", attempt=2)
    (record,) = heard
    assert (record.component, record.error_type, record.message) == ("sender", "smtp", "send failed")
    assert record.context == {"request_id": "7", "attempt": 2}


def test_the_event_goes_on_unchanged(corridor: Corridor) -> None:
    install(corridor, "service")
    fields = {"component": "sender", "error_type": "smtp", "attempt": 2}
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().error("send failed", **fields)
    assert captured == [{"event": "send failed", "log_level": "error", **fields}]


def test_events_inside_a_span_carry_its_ids() -> None:
    add = AddTraceContext()
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        inside = add(None, "info", {"event": "x"})
        own = add(None, "info", {"event": "x", "trace_id": "mine"})
    context = span.get_span_context()
    ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    assert inside == {"event": "x", **ids}
    assert own == {"event": "x", "trace_id": "mine"}
    assert add(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.mark.asyncio
async def test_asynchronous_methods_count_once_with_the_callers_context(
    corridor: Corridor, heard: list[ErrorRecord]
) -> None:
    install(corridor, "service")
    with structlog.contextvars.bound_contextvars(component="sender"):
        try:
            fail(ValueError("x"))
        except ValueError:
            await structlog.get_logger().aexception("send failed")
    assert [(record.error_type, record.component) for record in heard] == [("ValueError", "sender")]


@pytest.mark.asyncio
async def test_tasks_keep_their_components_apart(corridor: Corridor, registry: Registry) -> None:
    install(corridor, "service")

    async def work(name: str) -> None:
        structlog.contextvars.bind_contextvars(component=name)
        for _ in range(10):
            await asyncio.sleep(0)
            structlog.get_logger().error("failed")

    await asyncio.gather(*(work(f"part-{number}") for number in range(5)))
    assert errors_of(registry) == {("log_error", f"part-{number}"): 10 for number in range(5)}


# logging alone


def test_an_error_of_logging_counts_once_with_what_came_as_extra(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    logging.getLogger("mail").error("%s of %s failed", 1, 2, extra={"component": "sender", "attempt": 2})
    (record,) = heard
    assert (record.error_type, record.component, record.message) == ("log_error", "sender", "1 of 2 failed")
    assert record.context == {"logger": "mail", "attempt": 2}


def test_an_exception_of_logging_counts_by_its_class(corridor: Corridor, registry: Registry) -> None:
    try:
        fail(ValueError("x"))
    except ValueError:
        logging.getLogger("mail").exception("failed")
        logging.getLogger("web").critical("failed", exc_info=True)
    assert errors_of(registry) == {("ValueError", "service"): 1}


def test_lesser_records_count_nothing(corridor: Corridor, registry: Registry) -> None:
    logging.getLogger("mail").warning("x", exc_info=ValueError())
    assert errors_of(registry) == {}


def test_a_record_whose_arguments_do_not_fit_counts_too(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    bare_root().addHandler(ErrorHandler(corridor, "service"))
    logging.getLogger("mail").error("%d failed", "one")
    assert [record.message for record in heard] == ["%d failed"]


def test_a_dictionary_may_be_the_message(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    logging.getLogger("mail").error({"attempt": 1})
    assert [record.message for record in heard] == ["{'attempt': 1}"]


def test_our_own_complaints_are_not_errors_of_the_application(corridor: Corridor, registry: Registry) -> None:
    logging.getLogger("otel_monitoring").error("x")
    logging.getLogger("otel_monitoring.export").error("x")
    logging.getLogger("otel_monitoring_app").error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_a_record_that_meets_two_handlers_of_a_corridor_counts_once(corridor: Corridor, registry: Registry) -> None:
    logger = logging.getLogger("mail")
    handler = ErrorHandler(corridor, "service")
    logger.addHandler(handler)
    try:
        logger.error("one")
        logger.error("two")
    finally:
        logger.removeHandler(handler)
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_a_handler_may_have_filters(corridor: Corridor, registry: Registry) -> None:
    handler = ErrorHandler(corridor, "service")
    bare_root().addHandler(handler)
    handler.addFilter(lambda record: record.name != "noise")
    logging.getLogger("noise").error("x")
    logging.getLogger("mail").error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_a_sink_that_logs_an_error_is_not_told_of_it(corridor: Corridor, registry: Registry) -> None:
    told: list[ErrorRecord] = []

    def complain(record: ErrorRecord) -> None:
        told.append(record)
        logging.getLogger("database").error("no space")

    corridor.add_sink(complain)
    logging.getLogger("mail").error("failed")
    assert [record.message for record in told] == ["failed"]
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_a_failure_while_reporting_never_reaches_the_caller() -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise OSError

    corridor = Corridor(Registry().incidents)
    bare_root().addHandler(ErrorHandler(corridor, "service"))
    install(corridor, "service")
    logging.getLogger("mail").error(Unprintable())
    with structlog.testing.capture_logs():
        structlog.get_logger().error("failed", component=Unprintable())


@pytest.mark.threads
def test_a_slow_sink_holds_up_no_other_thread(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    entered, released = threading.Event(), threading.Event()

    def wait(record: ErrorRecord) -> None:
        if record.message == "slow":
            entered.set()
            released.wait(10)

    corridor.add_sink(wait)
    slow = threading.Thread(target=logging.getLogger("mail").error, args=("slow",))
    quick = threading.Thread(target=logging.getLogger("mail").error, args=("quick",))
    slow.start()
    assert entered.wait(10)
    quick.start()
    quick.join(10)
    assert [record.message for record in heard] == ["slow", "quick"]
    released.set()
    slow.join()


def test_attaching_again_adds_nothing_and_detaching_leaves_nothing(corridor: Corridor) -> None:
    root = logging.getLogger()
    before = root.handlers.copy()
    attach(corridor, "service")()
    assert root.handlers == before
    detach = attach(Corridor(Registry(strict=True).incidents), "other")
    assert len(root.handlers) == len(before) + 1
    detach()
    assert root.handlers == before


# structlog through logging: two ears, one error


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("renderer", RENDERERS.values(), ids=RENDERERS)
@pytest.mark.parametrize(
    "wrapper", [structlog.stdlib.BoundLogger, structlog.make_filtering_bound_logger(0)], ids=["stdlib", "native"]
)
def test_an_event_that_goes_on_into_logging_counts_once(
    corridor: Corridor, registry: Registry, renderer: Processor, wrapper: Any, event: Callable[[Any], object]
) -> None:
    on_logging(renderer, wrapper=wrapper)
    install(corridor, "service")
    for _ in range(3):
        event(structlog.get_logger("mail"))
    assert errors_of(registry) == {("log_error", "service"): 3}


@pytest.mark.parametrize("renderer", RENDERERS.values(), ids=RENDERERS)
def test_an_exception_that_was_rendered_on_its_way_into_logging_counts_once(
    corridor: Corridor, registry: Registry, renderer: Processor
) -> None:
    on_logging(structlog.processors.format_exc_info, renderer)
    install(corridor, "service")
    try:
        fail(ValueError("x"))
    except ValueError:
        structlog.get_logger("mail").exception("failed")
    assert errors_of(registry) == {("ValueError", "service"): 1}


def test_the_same_processors_in_a_formatter_count_nothing_again(corridor: Corridor, registry: Registry) -> None:
    on_logging(as_dictionary)
    install(corridor, "service")
    shared = structlog.get_config()["processors"][:-1]
    writing = logging.StreamHandler(sys.stdout)
    writing.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[*shared, ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    logging.getLogger().addHandler(writing)
    structlog.get_logger("mail").error("one")
    logging.getLogger("mail").error("two")
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_an_event_of_a_chain_without_us_counts_by_its_record(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    on_logging(as_dictionary)
    structlog.get_logger("mail").error("failed", component="sender", attempt=2)
    (record,) = heard
    assert (record.component, record.message) == ("sender", "failed")
    assert record.context == {"logger": "mail", "attempt": 2}


def test_after_an_event_was_dropped_behind_us_the_next_record_counts(corridor: Corridor, registry: Registry) -> None:
    def drop(logger: object, method: str, event_dict: EventDict) -> EventDict:
        raise structlog.DropEvent

    on_logging(drop, structlog.processors.JSONRenderer())
    install(corridor, "service")
    structlog.get_logger("mail").error("dropped, but an error")
    logging.getLogger("mail").error("another")
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_after_a_level_was_disabled_the_next_record_counts(corridor: Corridor, registry: Registry) -> None:
    on_logging(structlog.processors.JSONRenderer())
    install(corridor, "service")
    logger = logging.getLogger("mail")
    logger.setLevel(logging.CRITICAL)
    try:
        structlog.get_logger("mail").error("not written, but an error")
    finally:
        logger.setLevel(logging.NOTSET)
    logger.error("another")
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_after_an_event_was_dropped_behind_us_one_of_another_chain_on_the_same_logger_counts(
    corridor: Corridor, registry: Registry
) -> None:
    def drop(logger: object, method: str, event_dict: EventDict) -> EventDict:
        raise structlog.DropEvent

    foreign = structlog.wrap_logger(logging.getLogger("mail"), processors=[structlog.processors.JSONRenderer()])
    on_logging(drop, structlog.processors.JSONRenderer())
    install(corridor, "service")
    structlog.get_logger("mail").error("dropped, but an error")
    foreign.error("another")
    assert errors_of(registry) == {("log_error", "service"): 2}


def test_an_error_that_a_later_processor_logs_counts_beside_the_event(corridor: Corridor, registry: Registry) -> None:
    def complain(logger: object, method: str, event_dict: EventDict) -> EventDict:
        logging.getLogger("processor").error("cannot mask", extra={"component": "masking"})
        return event_dict

    on_logging(complain, structlog.processors.JSONRenderer())
    install(corridor, "service")
    structlog.get_logger("mail").error("failed")
    assert errors_of(registry) == {("log_error", "service"): 1, ("log_error", "masking"): 1}


def test_an_error_logged_through_another_structlog_chain_on_the_way_counts_beside_the_event(
    corridor: Corridor, registry: Registry
) -> None:
    other = structlog.wrap_logger(
        logging.getLogger("processor"), processors=[structlog.processors.JSONRenderer()], wrapper_class=None
    )

    def complain(logger: object, method: str, event_dict: EventDict) -> EventDict:
        other.error("cannot mask")
        return event_dict

    on_logging(complain, structlog.processors.JSONRenderer())
    install(corridor, "service")
    structlog.get_logger("mail").error("failed")
    assert errors_of(registry) == {("log_error", "service"): 2}


@pytest.mark.threads
def test_threads_count_each_of_their_errors_once(corridor: Corridor, registry: Registry) -> None:
    on_logging(structlog.processors.JSONRenderer())
    install(corridor, "service")
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        for _ in range(100):
            structlog.get_logger("mail").error("failed", component=name)
            logging.getLogger("mail").error("failed", extra={"component": name})

    threads = [threading.Thread(target=work, args=(f"part-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors_of(registry) == {("log_error", f"part-{number}"): 200 for number in range(4)}


@pytest.mark.asyncio
async def test_asynchronous_methods_through_logging_count_once(corridor: Corridor, registry: Registry) -> None:
    on_logging(structlog.processors.JSONRenderer())
    install(corridor, "service")
    log = structlog.get_logger("mail")
    await asyncio.gather(*(log.aerror("failed") for _ in range(20)))
    assert errors_of(registry) == {("log_error", "service"): 20}


def test_each_of_two_services_counts_an_event_once(corridor: Corridor, registry: Registry) -> None:
    other_registry = Registry(strict=True)
    other = Corridor(other_registry.incidents, [CountErrors(other_registry)])
    attach(other, "other")
    on_logging(structlog.processors.JSONRenderer())
    install(corridor, "service")
    install(other, "other")
    structlog.get_logger("mail").error("one")
    logging.getLogger("mail").error("two")
    assert errors_of(registry) == {("log_error", "service"): 2}
    assert errors_of(other_registry) == {("log_error", "other"): 2}


def test_a_thread_that_has_logged_keeps_no_corridor_alive() -> None:
    corridor = Corridor(Registry(strict=True).incidents)
    on_logging(structlog.processors.JSONRenderer())
    uninstall, detach = install(corridor, "service"), attach(corridor, "service")
    structlog.get_logger("mail").error("failed")
    uninstall()
    detach()
    gone = weakref.ref(corridor)
    del corridor, uninstall, detach
    gc.collect()
    assert gone() is None


def loggers_apart() -> list[logging.Logger]:
    """Return a logger that hands on to the root, and one that does not."""
    apart = logging.getLogger("tests.apart")
    apart.propagate = False
    return [logging.getLogger("tests.handing_on"), apart]


def test_listening_hears_all_loggers_and_configures_none(registry: Registry, heard: list[ErrorRecord]) -> None:
    """Errors are heard once, of loggers that do not propagate too; ``logging`` stays unconfigured."""
    root = bare_root()
    end = listen(Corridor(registry.incidents, [CountErrors(registry), heard.append]), "service")
    try:
        for logger in loggers_apart():
            logger.error("first of %s", logger.name)
            logger.warning("not an error")
        assert not root.handlers
    finally:
        end()
    assert [record.message for record in heard] == ["first of tests.handing_on", "first of tests.apart"]
    logging.getLogger("tests.apart").error("afterwards")
    assert len(heard) == 2


def test_who_listens_and_has_a_handler_hears_once(corridor: Corridor, heard: list[ErrorRecord]) -> None:
    """As when the application sets up logging by the same service later; an exception is one error, however often."""
    end = listen(corridor, "service")
    try:
        try:
            fail(LookupError("no such prospect"))
        except LookupError:
            for logger in loggers_apart():
                logger.exception("failed")
        structlog.get_logger().error("by structlog")
    finally:
        end()
    assert len(heard) == 1


def test_listening_ends_where_somebody_has_replaced_the_method_since(
    registry: Registry, heard: list[ErrorRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs stays, and ours below it does nothing."""
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    end = listen(Corridor(registry.incidents, [heard.append]), "service")
    ours = logging.Logger.callHandlers

    def theirs(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)

    logging.Logger.callHandlers = theirs  # type: ignore[method-assign]
    end()
    assert logging.Logger.callHandlers is theirs
    logging.getLogger("tests.handing_on").error("afterwards")
    assert heard == []
