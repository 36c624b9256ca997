"""Error records made of log events."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.errors import ErrorRecord, Recorder

UNTYPED = "log_error"
"""The error type of an event that names none and has no exception."""

_MISFITS = (TypeError, ValueError, LookupError)
"""What ``%`` raises where the arguments do not fit the text."""

_NOT_CONTEXT = frozenset(
    {
        *("event", "positional_args", "exc_info", "stack_info"),
        *("level", "level_number", "timestamp", "trace_id", "span_id"),
    }
)
"""Keys of a structlog event that ErrorRecord has fields of its own for, or that say nothing."""

_ATTRIBUTES = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""What every logging record has; the others came with ``extra``."""


def exception_of(exc_info: object) -> BaseException | None:
    """Return the exception that any form of ``exc_info`` means: an exception, a tuple or a flag."""
    if isinstance(exc_info, tuple) and len(exc_info) == 3:  # noqa: PLR2004 (type, value, traceback)
        exc_info = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        return sys.exc_info()[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def error_of_event(
    recorder: Recorder, event: Mapping[str, object], exc_info: object, *, default_component: str
) -> ErrorRecord:
    """Return the record of a structlog event, made in the call that logs it.

    Args:
        recorder: makes it.
        event: the event dictionary.
        exc_info: in any form.
        default_component: for an event that names no component.
    """
    return recorder.of_log(
        interpolated(event.get("event", ""), event.get("positional_args")),
        fields={name: value for name, value in event.items() if name not in _NOT_CONTEXT},
        exception=exception_of(exc_info),
        default_type=UNTYPED,
        default_component=default_component,
    )


def error_of_record(recorder: Recorder, record: logging.LogRecord, *, default_component: str) -> ErrorRecord:
    """Return the error record of a logging record; what came with ``extra`` is its context."""
    if (
        isinstance(record.msg, dict) and "event" in record.msg
    ):  # an event that structlog left to its ProcessorFormatter to render
        event = {"logger": record.name, **record.msg}
        exc_info = record.exc_info or event.get("exc_info")
        return error_of_event(recorder, event, exc_info, default_component=default_component)
    return recorder.of_log(
        interpolated(record.msg, record.args),
        fields={"logger": record.name, **extra_of(record)},
        exception=exception_of(record.exc_info),
        default_type=UNTYPED,
        default_component=default_component,
    )


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what came to a logging record with ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _ATTRIBUTES}


def interpolated(text: object, arguments: object) -> str:
    """Return what ``logging`` would show, or the bare text where the arguments do not fit."""
    shown = str(text)
    if not arguments:
        return shown
    try:
        return shown % arguments
    except _MISFITS:
        return shown
