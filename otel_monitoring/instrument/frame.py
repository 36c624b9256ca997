"""A span and the context that its operation runs in; loaded where tracing is configured only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode, set_span_in_context

from otel_monitoring.catalogue import gen_ai
from otel_monitoring.errors.chain import exception_type
from otel_monitoring.instrument.spans import FRAME, SCOPE, current_frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from opentelemetry.trace import Span

NOWHERE = Context()


class Frame:
    """One span, which is the current one while its frame is entered.

    A stream enters and leaves it for each item, perhaps each time from another task: what the
    stream itself has made current in between is kept for its next item, and its reader sees
    nothing of either.  The context is therefore put back by value: OpenTelemetry's ``detach``
    takes a token only where it was given, and logs an error elsewhere.

    Args:
        span: just started.
        takes_tokens: whether tokens that are reported inside of it belong to it.

    Attributes:
        span: the span.
    """

    __slots__ = ("_inside", "_lock", "_outer_agent", "_outside", "_takes_tokens", "_tokens", "span")

    def __init__(self, span: Span, *, takes_tokens: bool) -> None:
        outer = current_frame()
        self.span = span
        self._takes_tokens = takes_tokens
        self._outer_agent: Frame | None = None if outer is None or takes_tokens else outer.agent
        self._inside: Context = context.set_value(FRAME, self, set_span_in_context(span))
        self._outside: Context = NOWHERE
        self._tokens: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Make the span the current one."""
        self._outside = context.get_current()
        context.attach(self._inside)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Make current what was so before."""
        # A coroutine that is thrown away is closed in whatever context the garbage collector meets.
        if current_frame() is self:
            self._inside = context.get_current()
            context.attach(self._outside)
        self._outside = NOWHERE

    @property
    def agent(self) -> Frame | None:
        """The innermost frame that takes tokens: this one or one around it."""
        return self if self._takes_tokens else self._outer_agent

    def add_tokens(self, counts: Mapping[str, int], said: Mapping[str, str]) -> None:
        """Add to the span's tokens, by attribute, and set what else was said; nothing once it has ended."""
        if not self.span.is_recording():
            return
        with self._lock:
            for name, count in counts.items():
                self._tokens[name] = self._tokens.get(name, 0) + count
            self.span.set_attributes({**self._tokens, **said})

    def end(self, outcome: str, error: BaseException | None) -> None:
        """End the span; of an error it says the class and never the text, which may hold secrets.

        The frame was left before, and is not entered again.
        """
        self._inside = NOWHERE  # it holds this frame: without a cycle both are gone at once
        self.span.set_attribute(f"{SCOPE}.outcome", outcome)
        if outcome == "error" and error is not None:
            self.span.set_attribute(gen_ai.ERROR_TYPE, exception_type(error))
            self.span.set_status(StatusCode.ERROR)
        self.span.end()
