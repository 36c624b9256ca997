"""Spans of operations, where the application has set up tracing.

Tracing is configured when the application has set a TracerProvider, which may be at any
time.  Nothing tells of it, and asking costs as much as all the rest of a short call: so it
is asked for once a millisecond at most, until it is there.  Nothing of tracing is imported
before the application has done so.
"""

from __future__ import annotations

import sys
from enum import Enum
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import context

from otel_monitoring.catalogue import gen_ai
from otel_monitoring.metrics.series import INFINITY

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

    from otel_monitoring.instrument.frame import Frame
    from otel_monitoring.metrics.incidents import Incidents

LOOK_SECONDS = 0.001
SCOPE = "otel_monitoring"
"""The instrumentation scope, and the namespace of what the conventions have no name for."""

FRAME = context.create_key("otel_monitoring-frame")
"""Where a context holds the innermost frame of ours."""


class Role(Enum):
    """What an operation is to OpenTelemetry; the value is the attribute that holds its name."""

    OPERATION = None
    AGENT = gen_ai.AGENT_NAME
    TOOL = gen_ai.TOOL_NAME


_OPERATION_NAMES = {Role.AGENT: gen_ai.INVOKE_AGENT, Role.TOOL: gen_ai.EXECUTE_TOOL}


class SpanStart(NamedTuple):
    """What is known of the spans of an operation before they start.

    Attributes:
        name: of the span.
        attributes: what each begins with.
        takes_tokens: whether it is an agent's or a tool's, to which tokens are attributed.
    """

    name: str
    attributes: dict[str, str]
    takes_tokens: bool


def span_start(role: Role, operation: str, component: str) -> SpanStart:
    """Return how the spans of an operation start."""
    attributes = {f"{SCOPE}.component": component}
    if role.value is None:
        return SpanStart(operation, attributes, takes_tokens=False)
    convention = _OPERATION_NAMES[role]
    attributes |= {gen_ai.OPERATION_NAME: convention, role.value: operation}
    return SpanStart(f"{convention} {operation}", attributes, takes_tokens=True)


def current_frame() -> Frame | None:
    """Return the innermost frame of ours that the calling code runs in."""
    found: Frame | None = context.get_value(FRAME)  # type: ignore[assignment]
    return found


class Spans:
    """Starts the spans of one service.

    Args:
        incidents: hears of tracers that fail.
        provider: who gives the tracer; None is the one that the application sets, whenever it does.
        enabled: whether spans are started at all.

    Attributes:
        incidents: the same.
        look_at: before this time, as ``time.perf_counter`` tells it, ``open`` gives nothing.
    """

    def __init__(self, incidents: Incidents, provider: TracerProvider | None = None, *, enabled: bool = True) -> None:
        self.look_at = -INFINITY if enabled else INFINITY
        self.incidents = incidents
        self._provider = provider
        self._tracer: Tracer | None = None
        if enabled and "opentelemetry.trace" in sys.modules:
            # Not with the first span: a child that is forked meanwhile would wait for it for ever.
            import_module("otel_monitoring.instrument.frame")

    def open(self, start: SpanStart) -> Frame | None:
        """Start a span below the current one; None where tracing is not configured."""
        tracer = self.tracer()
        if tracer is None:
            return None
        from otel_monitoring.instrument.frame import Frame

        with self.incidents.contained("starting a span"):
            return Frame(tracer.start_span(start.name, attributes=start.attributes), takes_tokens=start.takes_tokens)
        return None

    def tracer(self) -> Tracer | None:
        """Return the application's tracer; None where tracing is not configured."""
        return self._tracer or self._look()

    def _look(self) -> Tracer | None:
        """Return the application's tracer, if there is one by now."""
        now = perf_counter()
        if now < self.look_at:
            return None
        self.look_at = now + LOOK_SECONDS
        if "opentelemetry.trace" in sys.modules:
            with self.incidents.contained("finding the tracer"):
                from opentelemetry import trace

                provider = self._provider or trace.get_tracer_provider()
                if not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
                    self._tracer = provider.get_tracer(SCOPE, schema_url=gen_ai.SCHEMA_URL)
                    self.look_at = -INFINITY
        return self._tracer
