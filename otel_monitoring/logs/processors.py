"""Processors for structlog: each does one job and hands the event on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_monitoring.errors.trace import current_span
from otel_monitoring.logs.events import error_of_event
from otel_monitoring.logs.heard import note_call
from otel_monitoring.logs.scrubbing import scrub_event

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from otel_monitoring.errors import Corridor

    Event = MutableMapping[str, Any]

_ERROR_METHODS = frozenset({"error", "exception", "critical", "fatal"})


class AddTraceContext:
    """Adds ``trace_id`` and ``span_id`` in hex to events that are logged inside a span."""

    def __call__(self, logger: object, method_name: str, event_dict: Event) -> Event:  # noqa: ARG002 (structlog's signature)
        """Add the ids, unless the event has brought its own."""
        trace_id, span_id = current_span()
        # A web request's trace id may be bound to the context: then the span's is still missing.
        if trace_id is not None and event_dict.setdefault("trace_id", trace_id) == trace_id:
            event_dict.setdefault("span_id", span_id)
        return event_dict


class ReportErrors:
    """Reports events of the levels error and critical; they go on without their secrets, else unchanged.

    ``component`` and ``error_type`` are taken from the event, where they may have been
    bound to the logger or to structlog's context variables.  Without an ``error_type`` it
    is the exception's class, and ``log_error`` where there is no exception either.

    Args:
        corridor: whom to report to.
        default_component: the component of events that name none.
    """

    def __init__(self, corridor: Corridor, default_component: str) -> None:
        self.corridor = corridor
        self._default_component = default_component

    def __call__(self, logger: object, method_name: str, event_dict: Event) -> Event:
        """Report the event where it is an error."""
        # A ProcessorFormatter runs processors on what is logged already: its record is the handler's.
        if method_name in _ERROR_METHODS and "_record" not in event_dict:
            with self.corridor.incidents.contained("reporting an error event of structlog"):
                self._report(logger, method_name, event_dict)
                scrub_event(event_dict, self.corridor.recorder.scrubber)
        return event_dict

    def _report(self, logger: object, method_name: str, event_dict: Event) -> None:
        exc_info = event_dict.get("exc_info", method_name == "exception")
        corridor = self.corridor
        record = error_of_event(corridor.recorder, event_dict, exc_info, default_component=self._default_component)
        corridor.report(record)
        note_call(corridor, logger)
