"""What OpenTelemetry is told of an error: correlated, scrubbed, and nothing where nobody listens."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import opentelemetry._logs as logs_api
import pytest
from opentelemetry import baggage, context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from otel_monitoring.errors import Corridor
from otel_monitoring.errors.telemetry import CONTEXT_ATTRIBUTES, LogErrors, SpanEvents
from otel_monitoring.logs.handler import attach
from otel_monitoring.metrics import Registry
from tests.logging_state import bare_root, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry._logs import LogRecord
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as SentLogRecord
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.trace import Span, Tracer

    from otel_monitoring.errors import ErrorRecord

ROOT = Path(__file__).parents[1]
SECRET = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
"""A JSON Web Token."""


class Logs:
    """The LoggerProvider of an application, and what it has exported."""

    def __init__(self, limits: LogRecordLimits | None = None) -> None:
        self._exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.provider = LoggerProvider(shutdown_on_exit=False, log_record_limits=limits)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    @property
    def exported(self) -> list[ReadableLogRecord]:
        """Everything."""
        return list(self._exporter.get_finished_logs())

    @property
    def records(self) -> list[LogRecord]:
        """The records without what the SDK puts around them."""
        return [exported.log_record for exported in self.exported]

    @property
    def attributes(self) -> Mapping[str, object]:
        """The attributes of the only one."""
        (record,) = self.records
        return record.attributes or {}


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Makes a LoggerProvider the application's; a real application can set only one in its life."""
    return lambda provider: monkeypatch.setattr(logs_api, "get_logger_provider", lambda: provider)


@pytest.fixture
def logs(use: Callable[[object], None]) -> Logs:
    made = Logs()
    use(made.provider)
    return made


@pytest.fixture
def corridor() -> Corridor:
    return Corridor(Registry(strict=True).incidents, [LogErrors()])


@pytest.fixture
def of_spans() -> Corridor:
    return Corridor(Registry(strict=True).incidents, [SpanEvents()])


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


def raised(exception: BaseException) -> BaseException:
    """Return an exception with a traceback."""
    try:
        fail(exception)
    except BaseException as error:  # noqa: BLE001
        return error


def record_of(corridor: Corridor, message: str, **said: object) -> ErrorRecord:
    return corridor.recorder.record(message, error_type="quota", component="mail", context=said)


def ids_of(span: Span) -> tuple[int, int]:
    ids = span.get_span_context()
    return ids.trace_id, ids.span_id


def context_in(logs: Logs) -> dict[str, object]:
    prefix = "otel_monitoring.context."
    return {name.removeprefix(prefix): value for name, value in logs.attributes.items() if name.startswith(prefix)}


SET_UP = """
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
exporter = InMemoryLogRecordExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
set_logger_provider(provider)
"""


def run(program: str) -> list[str]:
    """Run a program with a function ``report`` in a process of its own, and return what it prints."""
    beginning = """
import sys
from otel_monitoring.errors import Corridor
from otel_monitoring.errors.telemetry import LogErrors, SpanEvents
from otel_monitoring.metrics import Registry
corridor = Corridor(Registry(strict=True).incidents, [LogErrors(), SpanEvents()])
def report():
    corridor.report(corridor.recorder.record("failed", error_type="kind", component="part", context={}))
"""
    ran = subprocess.run(
        [sys.executable, "-c", beginning + program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes what exporters send: its address, and the bodies of the requests."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (as http.server names it)
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/logs", bodies
        server.shutdown()
        thread.join()


def records_in(body: bytes) -> list[SentLogRecord]:
    """Return the log records of a request."""
    request = ExportLogsServiceRequest.FromString(body)
    return [record for logs in request.resource_logs for scope in logs.scope_logs for record in scope.log_records]


# Log records


def test_an_exception_is_an_event_under_the_names_of_the_conventions(logs: Logs, corridor: Corridor) -> None:
    heard: list[ErrorRecord] = []
    corridor.add_sink(heard.append)
    corridor.report_exception(raised(ValueError("no such user")), component="mail", context={"user": 4711})
    (record,) = logs.records
    assert record.event_name == "exception"
    assert record.severity_number == logs_api.SeverityNumber.ERROR
    assert record.severity_text == "ERROR"
    assert record.body == "no such user"
    assert record.timestamp == pytest.approx(heard[0].time * 1e9, abs=1000)
    stacktrace = logs.attributes["exception.stacktrace"]
    assert isinstance(stacktrace, str)
    assert "test_error_telemetry.py" in stacktrace
    assert "ValueError: no such user" in stacktrace
    assert logs.attributes == {
        "error.type": "ValueError",
        "exception.type": "ValueError",
        "exception.message": "no such user",
        "exception.stacktrace": stacktrace,
        "log.record.uid": heard[0].id,
        "otel_monitoring.component": "mail",
        "otel_monitoring.fingerprint": heard[0].fingerprint,
        "otel_monitoring.context.user": 4711,
    }


def test_an_error_without_an_exception_is_no_event_of_one(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "quota used up"))
    assert logs.records[0].event_name is None
    assert logs.records[0].body == "quota used up"
    assert logs.attributes["error.type"] == "quota"
    assert not [name for name in logs.attributes if name.startswith("exception.")]


def test_the_scope_is_ours(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "failed"))
    scope = logs.exported[0].instrumentation_scope
    assert scope is not None
    assert scope.name == "otel_monitoring"


def test_a_stacktrace_tells_of_the_causes(logs: Logs, corridor: Corridor) -> None:
    error = raised(RuntimeError("not sent"))
    error.__cause__ = raised(ConnectionError("refused"))
    corridor.report_exception(error, component="mail")
    assert logs.attributes["exception.type"] == "RuntimeError"
    stacktrace = str(logs.attributes["exception.stacktrace"])
    assert stacktrace.index("ConnectionError: refused") < stacktrace.index("direct cause")
    assert stacktrace.index("direct cause") < stacktrace.index("RuntimeError: not sent")


def test_no_secret_of_an_exception_leaves(logs: Logs, corridor: Corridor) -> None:
    error = raised(RuntimeError(f"refused: Bearer {SECRET}"))
    error.__cause__ = raised(KeyError(SECRET))
    error.add_note(f"sent {SECRET}")
    corridor.report_exception(error, component="mail", context={"token": SECRET, "headers": {"seen": [SECRET]}})
    (exported,) = logs.exported
    assert exported.log_record.exception is None
    assert "RuntimeError" in exported.to_json()
    assert SECRET not in exported.to_json()


def test_it_belongs_to_the_span_of_the_error(logs: Logs, corridor: Corridor, tracer: Tracer) -> None:
    with tracer.start_as_current_span("work") as span:
        corridor.report_exception(ValueError(), component="mail")
        assert get_current_span() is span
    (record,) = logs.records
    assert (record.trace_id, record.span_id) == ids_of(span)
    assert record.trace_flags == span.get_span_context().trace_flags


def test_it_belongs_to_that_span_wherever_it_is_reported(logs: Logs, corridor: Corridor, tracer: Tracer) -> None:
    outside = record_of(corridor, "outside")
    with tracer.start_as_current_span("work") as span:
        inside = record_of(corridor, "inside")
        corridor.report(outside)
    with tracer.start_as_current_span("later"):
        token = context.attach(baggage.set_baggage("tenant", "another"))
        corridor.report(inside)
        context.detach(token)
    assert [(record.trace_id, record.span_id) for record in logs.records] == [(0, 0), ids_of(span)]
    assert not baggage.get_all(logs.records[1].context)


# The context as attributes


def test_nested_data_has_dotted_names(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "failed", order={"id": 7, "paid": False, "buyer": {"rating": 0.5}}))
    assert context_in(logs) == {"order.id": 7, "order.paid": False, "order.buyer.rating": 0.5}


def test_lists_of_one_type_are_sequences_and_others_json(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "failed", names=["a", "b"], mixed=[1, "a", None], rows=[{"ä": 1}], none=[]))
    assert context_in(logs) == {"names": ("a", "b"), "mixed": '[1, "a", null]', "rows": '[{"ä": 1}]', "none": ()}


def test_nothing_is_said_of_what_is_none(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "failed", user=None))
    assert context_in(logs) == {}


def test_there_is_a_bound_and_a_note_of_what_lies_beyond(logs: Logs, corridor: Corridor) -> None:
    corridor.report(record_of(corridor, "failed", **{f"key{number}": number for number in range(50)}))
    corridor.report(
        record_of(
            corridor,
            "failed",
            many={f"key{number}": number for number in range(40)},
            **{f"key{number}": number for number in range(40)},
        )
    )
    few, many = (record.attributes or {} for record in logs.records)
    assert "otel_monitoring.context_cut" not in few
    assert many["otel_monitoring.context_cut"] is True
    assert sum(name.startswith("otel_monitoring.context.") for name in many) == CONTEXT_ATTRIBUTES


@pytest.mark.filterwarnings("ignore::opentelemetry.sdk._logs.LogRecordDroppedAttributesWarning")
def test_where_the_sdk_takes_less_it_drops_the_context(use: Callable[[object], None], corridor: Corridor) -> None:
    logs = Logs(LogRecordLimits(max_attributes=6))
    use(logs.provider)
    corridor.report(record_of(corridor, "failed", **{f"key{number}": number for number in range(50)}))
    assert len(logs.attributes) == 6
    assert {"error.type", "otel_monitoring.component", "otel_monitoring.fingerprint"} < set(logs.attributes)


def test_what_has_no_form_in_otlp_costs_no_batch(use: Callable[[object], None], corridor: Corridor) -> None:
    """Text out of broken file names and numbers beyond 64 bits reach a collector, and so do their neighbours."""
    with collector() as (endpoint, bodies):
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint)))
        use(provider)
        corridor.report(record_of(corridor, "before"))
        corridor.report_exception(
            raised(OSError("no file \udcff.txt")),
            component="m\udcffil",
            context={"size": 2**70, "na\udcffme": ["\udcff"]},
        )
        provider.shutdown()
    sent = [record for body in bodies for record in records_in(body)]
    assert [record.body.string_value[:7] for record in sent] == ["before", "no file"]
    values = {pair.key: pair.value for pair in sent[1].attributes}
    assert values["otel_monitoring.component"].string_value == "m\ufffdil"
    assert values["otel_monitoring.context.size"].string_value == str(2**70)
    assert len([name for name in values if name.startswith("otel_monitoring.context.na")]) == 1


# The application's LoggerProvider may be missing, late or broken


def test_without_one_nothing_is_done_and_nothing_loaded() -> None:
    assert run("report(); print('opentelemetry._logs' in sys.modules)") == ["False"]


def test_one_that_is_set_later_is_found() -> None:
    """Whether the API of logs was loaded when the first error came, or not."""
    program = f"""
report()
import opentelemetry._logs
report()
{SET_UP}
report()
print(*[record.log_record.body for record in exporter.get_finished_logs()])
report()
print(len(exporter.get_finished_logs()))"""
    assert run(program) == ["failed", "2"]


def test_one_that_is_switched_off_is_left_alone(use: Callable[[object], None], corridor: Corridor) -> None:
    use(logs_api.NoOpLoggerProvider())
    corridor.report(record_of(corridor, "failed"))


def test_a_fault_of_one_stops_nobody(use: Callable[[object], None]) -> None:
    class Faulty(logs_api.NoOpLoggerProvider):
        def get_logger(self, *arguments: object, **named: object) -> NoReturn:
            raise OSError("no socket")

    use(Faulty())
    heard: list[ErrorRecord] = []
    corridor = Corridor(Registry().incidents, [LogErrors(), heard.append])
    assert corridor.report(record_of(corridor, "failed"))
    assert len(heard) == 1


@pytest.mark.usefixtures("kept")
def test_an_export_that_fails_is_not_exported_as_an_error(use: Callable[[object], None], corridor: Corridor) -> None:
    """What the SDK logs of it is counted, and is not the next record that cannot be exported."""

    class Failing(LogRecordExporter):
        calls = 0

        def export(self, batch: Sequence[ReadableLogRecord]) -> NoReturn:
            self.calls += 1
            raise OSError("no collector")

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return True

    exporter = Failing()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    use(provider)
    bare_root()
    heard: list[ErrorRecord] = []
    corridor.add_sink(heard.append)
    detach = attach(corridor, "svc")
    logging.getLogger("application").error("failed")
    provider.force_flush()
    provider.shutdown()
    detach()
    assert [record.component for record in heard] == ["svc", "svc"]
    assert exporter.calls == 1


# Span events


def test_an_exception_is_an_event_of_its_span(spans: InMemorySpanExporter, tracer: Tracer, of_spans: Corridor) -> None:
    heard: list[ErrorRecord] = []
    of_spans.add_sink(heard.append)
    with tracer.start_as_current_span("work"):
        of_spans.report_exception(raised(ValueError("no such user")), component="mail", context={"user": 4711})
    (event,) = spans.get_finished_spans()[0].events
    attributes = dict(event.attributes or {})
    assert event.name == "exception"
    assert event.timestamp == pytest.approx(heard[0].time * 1e9, abs=1000)
    assert "ValueError: no such user" in str(attributes.pop("exception.stacktrace"))
    assert attributes == {
        "error.type": "ValueError",
        "exception.type": "ValueError",
        "exception.message": "no such user",
        "otel_monitoring.component": "mail",
        "otel_monitoring.fingerprint": heard[0].fingerprint,
        "otel_monitoring.context.user": 4711,
    }


def test_what_was_said_beside_the_exception_is_kept(
    spans: InMemorySpanExporter, tracer: Tracer, of_spans: Corridor
) -> None:
    with tracer.start_as_current_span("work"):
        error = raised(ConnectionError("refused"))
        of_spans.report(
            of_spans.recorder.record("not sent", error_type="x", component="mail", context={}, exception=error)
        )
    (event,) = spans.get_finished_spans()[0].events
    attributes = event.attributes or {}
    assert attributes["exception.message"] == "refused"
    assert attributes["otel_monitoring.message"] == "not sent"


def test_an_error_without_an_exception_has_its_message(
    spans: InMemorySpanExporter, tracer: Tracer, of_spans: Corridor
) -> None:
    with tracer.start_as_current_span("work"):
        of_spans.report(record_of(of_spans, "quota used up"))
    (event,) = spans.get_finished_spans()[0].events
    attributes = event.attributes or {}
    assert attributes["exception.message"] == "quota used up"
    assert attributes["error.type"] == "quota"
    assert "exception.type" not in attributes
    assert "otel_monitoring.message" not in attributes


def test_no_secret_of_an_exception_gets_into_its_span(
    spans: InMemorySpanExporter, tracer: Tracer, of_spans: Corridor
) -> None:
    with tracer.start_as_current_span("work"):
        of_spans.report_exception(
            raised(RuntimeError(f"refused: Bearer {SECRET}")), component="mail", context={"token": SECRET}
        )
    (span,) = spans.get_finished_spans()
    assert span.events
    assert SECRET not in span.to_json()


def test_another_span_than_that_of_the_error_gets_no_event(
    spans: InMemorySpanExporter, tracer: Tracer, of_spans: Corridor
) -> None:
    outside = record_of(of_spans, "outside")
    with tracer.start_as_current_span("work"):
        of_spans.report(outside)
    assert not spans.get_finished_spans()[0].events


def test_outside_of_spans_nothing_is_done(of_spans: Corridor) -> None:
    of_spans.report(record_of(of_spans, "failed"))
