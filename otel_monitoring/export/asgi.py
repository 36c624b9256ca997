"""The metrics as an ASGI application, to be mounted in any other or served alone.

The protocol: https://asgi.readthedocs.io/en/latest/specs/main.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from otel_monitoring.export.answer import answer

if TYPE_CHECKING:
    from otel_monitoring.export.answer import Answer
    from otel_monitoring.export.render import Render

Event = MutableMapping[str, Any]
"""A scope or a message, as the protocol defines them."""

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class MetricsApp:
    """Answers GET and HEAD with the metrics, whatever the path.

    Args:
        render: makes the exposition; it runs in a worker thread, so that the event loop
            goes on meanwhile.
    """

    def __init__(self, render: Render) -> None:
        self._render = render

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Serve one connection as ASGI 3 asks for it."""
        if scope["type"] == "http":
            await self._serve(scope, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "lifespan":
            await _live(receive, send)

    async def _serve(self, scope: Event, send: Send) -> None:
        made = await _in_worker(
            partial(
                answer,
                self._render,
                scope["method"],
                accept=_header(scope, b"accept"),
                accept_encoding=_header(scope, b"accept-encoding"),
            )
        )
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in made.headers]
        await send({"type": "http.response.start", "status": int(made.status), "headers": headers})
        await send({"type": "http.response.body", "body": made.body})


async def _in_worker(make: Callable[[], Answer]) -> Answer:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # Another event loop, such as trio's: its threads are its own, and the scrape is short.
        return make()
    return await asyncio.to_thread(make)


def _header(scope: Event, name: bytes) -> str | None:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return ", ".join(values) if values else None


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the start and to the end of the server: there is nothing to prepare."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
