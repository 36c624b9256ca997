"""One error as it was reported."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from otel_monitoring.errors.trace import current_span

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNPRINTABLE = (TypeError, ValueError, AttributeError, NameError, LookupError, RuntimeError, ArithmeticError)
"""What a faulty ``__str__`` raises; the error that it belongs to counts all the same."""

_FIELDS = frozenset({"component", "error_type"})


def exception_type(exception: BaseException) -> str:
    """Return the class name of an exception as OpenTelemetry's Python SDK writes ``exception.type``.

    That is ``module.Qualname``, and the bare name of what is built in: ``ValueError``,
    ``asyncio.exceptions.CancelledError``.  The semantic conventions ask for the same of
    ``error.type`` (the canonical class name), so that errors here and in traces have one name.
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/#error-type
    """
    kind = type(exception)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """What is known of one error.

    Args:
        time: when, in seconds since 1970.
        error_type: its kind, one of few: an exception class or a word of the application's.
        component: the part of the service in which it happened.
        message: one line for people.
        context: whatever else was said; kept as a read-only copy.
        exception: the exception, where there was one.
        trace_id: the active trace in hex, as OpenTelemetry writes it, or None.
        span_id: the active span in hex, or None.
    """

    time: float
    error_type: str
    component: str
    message: str
    context: Mapping[str, object] = field(hash=False)
    exception: BaseException | None = None
    trace_id: str | None = None
    span_id: str | None = None

    def __post_init__(self) -> None:
        """Take a copy of the context, so that nobody changes it afterwards."""
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

    @classmethod
    def now(
        cls,
        message: str,
        *,
        error_type: str,
        component: str,
        context: Mapping[str, object],
        exception: BaseException | None = None,
    ) -> ErrorRecord:
        """Return the record of an error that happens at this moment, in the active span."""
        trace_id, span_id = current_span()
        return cls(
            time=time.time(),
            error_type=error_type,
            component=component,
            message=message,
            context=context,
            exception=exception,
            trace_id=trace_id,
            span_id=span_id,
        )

    @classmethod
    def from_exception(
        cls, exception: BaseException, *, component: str, context: Mapping[str, object] | None = None
    ) -> ErrorRecord:
        """Return the record of an exception that was caught; its type is the class's name."""
        return cls.now(
            _text_of(exception),
            error_type=exception_type(exception),
            component=component,
            context=context or {},
            exception=exception,
        )

    @classmethod
    def from_log(
        cls,
        message: str,
        *,
        fields: Mapping[str, object],
        exception: BaseException | None,
        default_type: str,
        default_component: str,
    ) -> ErrorRecord:
        """Return the record of an error that was logged.

        Args:
            message: the text of the event.
            fields: what came with it; ``error_type`` and ``component`` are taken from here
                where they are not empty, and the rest is the context.
            exception: the exception that was logged with it.
            default_type: the type of an event that gives none and has no exception.
            default_component: the component of an event that gives none.
        """
        given_type = fields.get("error_type")
        if not given_type:
            given_type = default_type if exception is None else exception_type(exception)
        return cls.now(
            message,
            error_type=str(given_type),
            component=str(fields.get("component") or default_component),
            context={name: value for name, value in fields.items() if name not in _FIELDS},
            exception=exception,
        )


def _text_of(exception: BaseException) -> str:
    try:
        return str(exception)
    except _UNPRINTABLE:
        return f"<no text: {exception_type(exception)}.__str__ failed>"
