"""aiohttp: followed by its own tracing, which the verbs of ``ClientSession`` switch on where it is not.

So sessions made before are followed too.  An answer is measured until its body has arrived,
or until it is closed or thrown away.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import ClientConnectionError, TraceConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import (
        ClientResponse,
        ClientSession,
        TraceRequestEndParams,
        TraceRequestExceptionParams,
        TraceRequestStartParams,
    )

    from otel_monitoring.instrument.calls import Call, Calls
    from otel_monitoring.instrument.sending import Around

VERBS = ("request", "get", "options", "head", "post", "put", "patch", "delete")
"""The methods of a session that send a request; ``ws_connect`` is built on them."""

SWITCHING_PROTOCOLS = 101


class _Context(Protocol):
    """What aiohttp keeps for one request."""

    call: Call | None


def tracing(calls: Calls) -> TraceConfig:
    """Return aiohttp's configuration of a tracing that records calls."""

    async def start(_session: ClientSession, context: _Context, params: TraceRequestStartParams) -> None:
        context.call = None
        with calls.incidents.contained("beginning to count a call"):
            context.call = calls.begin(params.url.host)

    async def end(_session: ClientSession, context: _Context, params: TraceRequestEndParams) -> None:
        if context.call is not None:
            context.call.leave()
            with calls.incidents.contained("following an answer"):
                _follow(params.response, context.call)

    async def fail(_session: ClientSession, context: _Context, params: TraceRequestExceptionParams) -> None:
        if context.call is not None:
            context.call.leave()
            context.call.fail(params.exception)

    config: Any = TraceConfig()
    config.on_request_start.append(start)
    config.on_request_end.append(end)
    config.on_request_exception.append(fail)
    config.freeze()
    traced: TraceConfig = config
    return traced


def trace_session(session: ClientSession, config: TraceConfig) -> None:
    """Switch a session's tracing on; nothing happens where it is."""
    if config not in session.trace_configs:
        session.trace_configs.append(config)


def around_verb(calls: Calls, config: TraceConfig) -> Around:
    """Return what makes a method of ``ClientSession`` that switches its session's tracing on."""

    def around(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def measured(session: ClientSession, *arguments: object, **options: object) -> object:
            if calls.active:
                with calls.incidents.contained("switching a session's tracing on"):
                    trace_session(session, config)
            return verb(session, *arguments, **options)

        return measured

    return around


def _follow(answer: ClientResponse, call: Call) -> None:
    call.answer(answer.status, answer.headers.items())
    if answer.status == SWITCHING_PROTOCOLS:
        call.end()
    else:
        answer.content.on_eof(_Body(answer, call).end)


class _Body:
    """An answer's body, known to aiohttp alone: whatever happens to the body, it lets go of this."""

    def __init__(self, answer: ClientResponse, call: Call) -> None:
        self._answer = weakref.ref(answer)
        self._call = call

    def end(self) -> None:
        """End the call: all of the body is there."""
        self._call.end()

    def __del__(self) -> None:
        answer = self._answer()
        error = None if answer is None else answer.content.exception()
        # Exactly this class is what aiohttp sets where the application closes an answer.
        if isinstance(error, BaseException) and type(error) is not ClientConnectionError:
            self._call.fail(error)
        self._call.end()
