"""Who a request is: its own id and its trace's, bound to what is logged while it is answered.

The id of a request comes from a header, where that holds something fit for a log line; else
it is made, 32 hexadecimal digits.  The trace's is that of the current span; where the
application has set up no tracing, that which the ``traceparent`` header names
(https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

import os
import re
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import trace

from otel_monitoring.metrics.series import MISFITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.instrument.requests import Watch
    from otel_monitoring.instrument.spans import Spans

LONGEST_ID = 128

_FIT = re.compile(rf"[A-Za-z0-9._~:/+=@-]{{1,{LONGEST_ID}}}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")

# Of our own: an application that seeds random's generator must not make all its workers' ids alike.
_numbers = Random()  # noqa: S311 (ids are no secrets)
_random_bits = _numbers.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_numbers.seed)


class LogContext(Protocol):
    """Binds the ids of a request to what is logged, until they are unbound."""

    def bind(self, request_id: str, trace_id: str | None) -> object:
        """Bind them in the context that is running, and return what unbinds them."""
        ...

    def unbind(self, bound: Any) -> None:  # noqa: ANN401 (whatever bind has returned)
        """Put back what was bound before."""
        ...


class RequestLogs:
    """Binds requests to a log context.

    Args:
        logs: what is bound to.
        watch: names the header.
        spans: tells whether there is tracing.
    """

    def __init__(self, logs: LogContext, watch: Watch, spans: Spans) -> None:
        self.unbind = logs.unbind
        self._bind = logs.bind
        self._spans = spans
        self._incidents = watch.registry.incidents
        self._header = watch.request_id_header.lower().encode("latin-1")
        self._variable = f"HTTP_{watch.request_id_header.upper().replace('-', '_')}"

    def bind_asgi(self, scope: Mapping[str, Any]) -> object | None:
        """Bind the request of an ASGI scope; return what unbinds it, None where it could not be bound."""
        try:
            headers = dict(scope.get("headers", ()))
            given = headers.get(self._header)
            request_id = made_id() if given is None else fit_id(given.decode("latin-1"))
            parent = headers.get(b"traceparent")
            if parent is None and perf_counter() < self._spans.look_at:
                return self._bind(request_id, None)
            return self._bind(request_id, self._trace_id(parent and parent.decode("latin-1")))
        except MISFITS as fault:
            if not self._incidents.contain(fault, "binding a request to the logs"):
                raise
            return None

    def bind_wsgi(self, environ: Mapping[str, Any]) -> object | None:
        """Bind the request of a WSGI environ; return what unbinds it, None where it could not be bound."""
        try:
            given = environ.get(self._variable)
            request_id = made_id() if given is None else fit_id(given)
            parent = environ.get("HTTP_TRACEPARENT")
            if parent is None and perf_counter() < self._spans.look_at:
                return self._bind(request_id, None)
            return self._bind(request_id, self._trace_id(parent))
        except MISFITS as fault:
            if not self._incidents.contain(fault, "binding a request to the logs"):
                raise
            return None

    def _trace_id(self, parent: str | None) -> str | None:
        if self._spans.tracer() is not None:
            current = trace.get_current_span().get_span_context()
            if current.is_valid:
                return f"{current.trace_id:032x}"
        return None if parent is None else trace_id_of(parent)


def made_id() -> str:
    """Return an id that no other request has."""
    return f"{_random_bits(128):032x}"


def fit_id(given: str) -> str:
    """Return the id that a client gave, where it can stand in a log line; else one that is made."""
    return given if _FIT.fullmatch(given) else made_id()


def trace_id_of(traceparent: str) -> str | None:
    """Return the trace id of a ``traceparent`` header; None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    return None if found is None else found[1]
