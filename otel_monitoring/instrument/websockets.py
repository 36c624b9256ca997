"""Websockets of ASGI applications: how many are open, their messages, how long they last and how they end.

Each connection is one of ``websocket_connections{endpoint}`` from its acceptance to its end, and one value
of ``websocket_duration_seconds{endpoint, outcome}``.  Its end is the client's going, the application's
closing, or the application's return, whichever comes first.  The outcome is one of three:

- ``closed``: either side has closed it, or the network has; a client that leaves is no error.
- ``refused``: the application has answered the handshake with no.
- ``error``: an exception has left the application, or it has returned without an answer.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.shipped import WEBSOCKET_CONNECTIONS, WEBSOCKET_DURATION, WEBSOCKET_MESSAGES
from otel_monitoring.instrument.requests import comes_of, is_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.instrument.web import ASGIApp, Message, Receive, Scope, Send
    from otel_monitoring.metrics import Registry

CLOSED = "closed"
REFUSED = "refused"
ERROR = "error"


def _forget() -> None:
    pass


class Websockets:
    """Records the websockets of an application.

    Args:
        app: the application.
        registry: where the metrics are recorded.
        find: gives the endpoint of a scope and a root path, None where it is not recorded.
        tell: reports an exception that has left the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        registry: Registry,
        *,
        find: Callable[[Scope, str], str | None],
        tell: Callable[[BaseException, Scope, str], None],
    ) -> None:
        self._app = app
        self._find = find
        self._tell = tell
        self.incidents = registry.incidents
        self.connections = registry.up_down_counter(WEBSOCKET_CONNECTIONS)
        self.messages = registry.counter(WEBSOCKET_MESSAGES)
        self.duration = registry.histogram(WEBSOCKET_DURATION)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        root_path = scope.get("root_path", "")
        connection = _Connection(self, receive, send, lambda: self._find(scope, root_path))
        try:
            await self._app(scope, connection.receive, connection.send)
        except BaseException as error:
            failed = is_failure(error) and not comes_of(error, connection.broken)
            connection.end(ERROR if failed else CLOSED)
            if failed:
                self._tell(error, scope, root_path)
            raise
        connection.end(CLOSED if connection.answered else ERROR)


class _Connection:
    """One connection.

    Attributes:
        answered: whether the handshake has got an answer, or the client has left before.
        broken: what the server has raised, since nobody listens any more.
    """

    def __init__(self, sockets: Websockets, receive: Receive, send: Send, find: Callable[[], str | None]) -> None:
        self.answered = False
        self.broken: BaseException | None = None
        self._sockets = sockets
        self._receive = receive
        self._send = send
        self._find = find
        self._started = perf_counter()
        self._ended = False
        self._received = self._sent = self._close = _forget

    async def receive(self) -> Message:
        """Receive one message."""
        message = await self._receive()
        kind = message["type"]
        if kind == "websocket.receive":
            self._received()
        elif kind == "websocket.disconnect":
            self.answered = True
            self.end(CLOSED)
        return message

    async def send(self, message: Message) -> None:
        """Send one message."""
        try:
            await self._send(message)
        except BaseException as error:
            self.broken = error
            raise
        kind = message["type"]
        if kind == "websocket.send":
            self._sent()
        elif kind == "websocket.accept":
            self._open()
        elif kind == "websocket.close":
            self.end(CLOSED if self.answered else REFUSED)
        elif kind == "websocket.http.response.start":
            self.end(REFUSED)

    def end(self, outcome: str) -> None:
        """Record the end of the connection, the first time that it is told."""
        if self._ended:
            return
        self._ended = True
        seconds = perf_counter() - self._started
        self._close()
        with self._sockets.incidents.contained("recording the end of a websocket"):
            endpoint = self._find()
            if endpoint is not None:
                self._sockets.duration.record(seconds, {"endpoint": endpoint, "outcome": outcome})

    def _open(self) -> None:
        self.answered = True
        sockets = self._sockets
        with sockets.incidents.contained("recording the beginning of a websocket"):
            endpoint = self._find()
            if endpoint is not None and not self._ended:
                self._received = sockets.messages.labels(endpoint=endpoint, direction="received").add
                self._sent = sockets.messages.labels(endpoint=endpoint, direction="sent").add
                connections = sockets.connections.labels(endpoint=endpoint)
                connections.add(1)
                self._close = lambda: connections.add(-1)
