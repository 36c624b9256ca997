"""The sinks that hand an error on to OpenTelemetry: as a log record, or as an event of its span.

Both say it in scrubbed text, under the names of OpenTelemetry's semantic conventions, and
neither is given the exception itself: the SDK would write its bare text.
https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/

What OpenTelemetry exports by itself is another matter: a handler of its own on a logger
exports the same error a second time, and a span that an exception leaves gets an event of
it; neither is scrubbed.  Ours are told apart by the instrumentation scope and by
``log.record.uid``; for spans, ``record_exception=False`` stops the other.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.errors.chain import format_chain, payload_of
from otel_monitoring.errors.trace import current_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.errors.stored import Plain

SCOPE = "otel_monitoring"
"""The instrumentation scope, and the namespace of what the conventions have no name for."""

EVENT = "exception"
"""The conventions' name for an exception of no particular operation."""

CONTEXT_ATTRIBUTES = 64
"""How much of an error's context goes along; the SDK drops attributes beyond 128 in all."""

_OTHERS = "opentelemetry"


class _Logger(Protocol):
    def enabled(self, *, severity_number: object, event_name: str | None) -> bool: ...

    def emit(
        self,
        *,
        timestamp: int,
        context: Context | None,
        severity_number: object,
        severity_text: str,
        body: str,
        attributes: Mapping[str, AttributeValue],
        event_name: str | None,
    ) -> None: ...


class LogErrors:
    """Hands each error to the LoggerProvider that the application has set; without one nothing is done.

    A record has the severity ERROR, the time of the error and the span that it happened in.
    An exception makes it an event of the name ``exception``.
    """

    def __init__(self) -> None:
        self._logger: _Logger | None = None
        self._severity: object = None

    def __call__(self, record: ErrorRecord, /) -> None:
        """Emit one error."""
        logger = self._logger or self._find_logger()
        if logger is None:
            return
        event_name = EVENT if record.exception is not None else None
        if logger.enabled(severity_number=self._severity, event_name=event_name) and not _is_theirs(record):
            logger.emit(
                timestamp=_nanoseconds(record),
                context=_context_of(record),
                severity_number=self._severity,
                severity_text="ERROR",
                body=record.message,
                attributes={**attributes_of(record), "log.record.uid": record.id},
                event_name=event_name,
            )

    def _find_logger(self) -> _Logger | None:
        """Return the application's logger once the logs API is loaded; it may be set up later still."""
        # The API of logs has no public name without the underscore yet.  Where nobody has
        # imported it, nobody has set a provider; and another thread may be in the middle of it.
        api = sys.modules.get("opentelemetry._logs")
        get_provider = getattr(api, "get_logger_provider", None)
        severities = getattr(api, "SeverityNumber", None)
        if get_provider is None or severities is None:
            return None
        self._severity = severities.ERROR
        # Without a provider this logger is a proxy, which says that it is disabled until there is one.
        logger: _Logger = get_provider().get_logger(SCOPE)
        self._logger = logger
        return logger


class SpanEvents:
    """Adds each error as an event ``exception`` to the span that it happened in, while that is the current one."""

    def __call__(self, record: ErrorRecord, /) -> None:
        """Add one error."""
        get_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
        if get_span is None:
            return
        span = get_span()
        if span.is_recording() and _is_of_this_moment(record):
            attributes = attributes_of(record)
            if attributes.setdefault("exception.message", record.message) != record.message:
                attributes[f"{SCOPE}.message"] = record.message
            span.add_event(EVENT, attributes, timestamp=_nanoseconds(record))


def attributes_of(record: ErrorRecord) -> dict[str, AttributeValue]:
    """Return what is said of an error beside its message and its time."""
    # The context comes first: where the SDK's limit is lower, it is the oldest attribute that is dropped.
    context = _flattened(record.context, f"{SCOPE}.context")
    attributes = dict(islice(context, CONTEXT_ATTRIBUTES))
    if next(context, None) is not None:
        attributes[f"{SCOPE}.context_cut"] = True
    if record.chain:
        chain = [payload_of(link) for link in record.chain]
        attributes["exception.stacktrace"] = format_chain(chain)
        attributes["exception.message"] = chain[0]["message"]
        attributes["exception.type"] = chain[0]["type"]
    attributes[f"{SCOPE}.fingerprint"] = record.fingerprint
    attributes[f"{SCOPE}.component"] = _encodable(record.component)
    attributes["error.type"] = _encodable(record.error_type)
    return attributes


def _flattened(data: Mapping[str, Plain], prefix: str) -> Iterator[tuple[str, AttributeValue]]:
    """Go through nested data by dotted names; what is None is left out, as attributes have values."""
    for key, value in data.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict):
            yield from _flattened(value, name)
        elif isinstance(value, list):
            yield name, _sequence(value)
        elif value is not None:
            yield name, value


def _sequence(values: list[Plain]) -> AttributeValue:
    """Return a list as an attribute has it, of scalars of one type; any other as JSON."""
    scalars = [value for value in values if isinstance(value, bool | int | float | str)]
    if len(scalars) == len(values) and len({type(scalar) for scalar in scalars}) <= 1:
        return scalars
    return json.dumps(values, ensure_ascii=False)


def _encodable(text: str) -> str:
    """Return a text that has a form in UTF-8, as scrubbed ones have; OTLP exporters fail at others."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _nanoseconds(record: ErrorRecord) -> int:
    return round(record.time * 1e9)


def _is_theirs(record: ErrorRecord) -> bool:
    """Tell whether OpenTelemetry itself logged it: a failure to export must not be the next thing to export."""
    logger = record.context.get("logger")
    return isinstance(logger, str) and (logger == _OTHERS or logger.startswith(f"{_OTHERS}."))


def _is_of_this_moment(record: ErrorRecord) -> bool:
    return current_span() == (record.trace_id, record.span_id)


def _context_of(record: ErrorRecord) -> Context | None:
    """Return the context that an error happened in; None is the current one."""
    if _is_of_this_moment(record):
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

    trace_id, span_id = int(record.trace_id or "0", 16), int(record.span_id or "0", 16)
    # Also where there was no span: an empty context would be taken for the current one.
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False)), Context())
