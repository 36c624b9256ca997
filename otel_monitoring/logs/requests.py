"""The ids of web requests in structlog's context variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from contextvars import Token

    Tokens = tuple[Token[Any], Token[Any] | None]


class RequestContext:
    """Binds ``request_id`` and ``trace_id``, which ``merge_contextvars`` puts into every event.

    structlog keeps each key in a context variable of its own for the life of the process:
    setting that is several times as fast as ``bind_contextvars``, and the same.
    """

    def __init__(self) -> None:
        tokens = structlog.contextvars.bind_contextvars(request_id="", trace_id="")
        self._request_id = tokens["request_id"].var
        self._trace_id = tokens["trace_id"].var
        structlog.contextvars.reset_contextvars(**tokens)

    def bind(self, request_id: str, trace_id: str | None) -> Tokens:
        """Bind the ids in the context that is running; None leaves the trace's as it is."""
        return self._request_id.set(request_id), None if trace_id is None else self._trace_id.set(trace_id)

    def unbind(self, bound: Tokens) -> None:
        """Put back what was bound before; in another context there is nothing to put back."""
        request_id, trace_id = bound
        try:
            self._request_id.reset(request_id)
            if trace_id is not None:
                self._trace_id.reset(trace_id)
        except ValueError:
            pass

    def current(self) -> dict[str, str]:
        """Return the ids that are bound now."""
        bound = structlog.contextvars.get_contextvars()
        return {name: bound[name] for name in ("request_id", "trace_id") if name in bound}
