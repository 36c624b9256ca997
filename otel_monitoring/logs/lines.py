"""The lines that we write ourselves, and structlog's events on their way to them through ``logging``."""

from __future__ import annotations

import json
import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from structlog.contextvars import get_contextvars
from structlog.processors import format_exc_info

from otel_monitoring.errors.trace import current_span
from otel_monitoring.logs.events import extra_of
from otel_monitoring.logs.heard import FIELDS, Fields
from otel_monitoring.logs.scrubbing import scrub_event

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from otel_monitoring.errors import Corridor
    from otel_monitoring.errors.secrecy.scrub import Scrubber


class HandOn:
    """Ends structlog's chain with a call to ``logging`` that every handler understands and that holds no secrets.

    ``ProcessorFormatter.wrap_for_formatter`` would hand the event dictionary on as the
    message, which the application's other handlers then write as it is.

    Args:
        scrubber: hides the secrets.
        heard_by: a corridor that has heard of all that passes here.
    """

    def __init__(self, scrubber: Scrubber, heard_by: Corridor | None = None) -> None:
        self.scrubber = scrubber
        self._heard_by = heard_by

    def __call__(self, _logger: object, _method: str, event_dict: EventDict) -> tuple[tuple[str], dict[str, Any]]:
        """Return what to call a method of a logger of the standard library with."""
        scrub_event(event_dict, self.scrubber)
        text = str(event_dict.pop("event", ""))
        arguments = {name: event_dict.pop(name) for name in ("exc_info", "stacklevel") if name in event_dict}
        return (text,), {"extra": {FIELDS: Fields(event_dict, self._heard_by)}, **arguments}


class LineFormatter(logging.Formatter):
    """Makes a line of a logging record, of structlog's events and of others alike.

    structlog's ``ProcessorFormatter`` does the same, and takes longer for it than all that
    it calls here.

    Args:
        scrubber: hides the secrets of what has not come through ``HandOn``.
        render: makes a text of an event.
    """

    def __init__(self, scrubber: Scrubber, render: Processor) -> None:
        super().__init__()
        self._scrubber = scrubber
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the record stays as it is, for other handlers."""
        attributes, message = vars(record), cast("object", record.msg)
        fields = attributes.get(FIELDS)
        if isinstance(fields, Fields):
            return self._rendered(_event_of(record, fields))
        if isinstance(message, dict) and "_name" in attributes:  # an application's chain has left it to a formatter
            event = _completed(record, message)
        else:
            event = _event_of(record, {**get_contextvars(), **_span(), **extra_of(record)})
        scrub_event(event, self._scrubber)
        return self._rendered(event)

    def _rendered(self, event: dict[str, Any]) -> str:
        return str(self._render(None, "", event))


def write_json(logger: object, method_name: str, event_dict: EventDict) -> str:  # noqa: ARG001 (structlog's signature)
    """Return an event as one JSON object; what JSON does not know is written as its ``repr``."""
    return _encode(format_exc_info(None, "", event_dict))


def _said(value: Any) -> object:  # noqa: ANN401 (whatever was logged)
    try:
        return value.__structlog__()  # as structlog asks it
    except AttributeError:
        return repr(value)


_encode = json.JSONEncoder(skipkeys=True, default=_said).encode


def _event_of(record: logging.LogRecord, fields: dict[str, Any]) -> dict[str, Any]:
    """Return an event with fields, none of which says otherwise what the line is."""
    own: dict[str, Any] = {"event": record.getMessage(), **_place_of(record)}
    if record.exc_info:
        own["exc_info"] = record.exc_info
    if record.stack_info:
        own["stack_info"] = record.stack_info
    return own | fields | own


def _completed(record: logging.LogRecord, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event with what it lacks."""
    return event | _place_of(record) | event


def _place_of(record: logging.LogRecord) -> dict[str, Any]:
    seconds, rest = divmod(record.created, 1)
    timestamp = f"{_second(seconds)}.{int(rest * 1e6):06d}Z"
    return {"timestamp": timestamp, "level": record.levelname.lower(), "logger": record.name}


@lru_cache(maxsize=8)
def _second(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _span() -> dict[str, Any]:
    trace_id, span_id = current_span()
    return {} if trace_id is None else {"trace_id": trace_id, "span_id": span_id}
