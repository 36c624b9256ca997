"""Websockets: connections, messages, endings; in process and by a real server."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
import wsproto
from fastapi import APIRouter, FastAPI, WebSocket, WebSocketException
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from otel_monitoring.catalogue.shipped import WEBSOCKET_CONNECTIONS, WEBSOCKET_DURATION, WEBSOCKET_MESSAGES
from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.instrument.web import RequestMetrics
from otel_monitoring.metrics import Registry
from tests.asgi_server import served
from tests.requests_seen import Reported, counts, spreads, values
from tests.servers import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message

ROOM = "/api/rooms/{room}"


def application() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/rooms")

    @router.websocket("/{room}")
    async def talk(websocket: WebSocket, room: str) -> None:
        if room == "locked":
            raise WebSocketException(1008)
        if room == "broken":
            raise KeyError(room)
        await websocket.accept()
        async for text in websocket.iter_text():
            for answer in text.split("/"):
                await websocket.send_text(answer)
            if text == "bye":
                await websocket.close()
                return
            if text == "break":
                raise KeyError(text)

    app.include_router(router, prefix="/api")
    return app


def endings(registry: Registry) -> dict[tuple[str, ...], int]:
    """Return the connections that have ended, by endpoint and outcome."""
    return {labels: spread.count for labels, spread in spreads(registry, WEBSOCKET_DURATION).items()}


def opened(registry: Registry) -> dict[tuple[str, ...], Any]:
    return values(registry, WEBSOCKET_CONNECTIONS)


def test_connections_and_messages_are_counted(registry: Registry) -> None:
    """An open connection is seen while it is open; messages both ways, by route."""
    app = application()
    watch_application(app, Watch(registry=registry))
    client = TestClient(app)
    with client.websocket_connect("/api/rooms/1") as one, client.websocket_connect("/api/rooms/2") as two:
        one.send_text("a/b/c")
        assert [one.receive_text() for _ in range(3)] == ["a", "b", "c"]
        two.send_text("d")
        assert two.receive_text() == "d"
        assert opened(registry) == {(ROOM,): 2}
        assert endings(registry) == {}
    assert opened(registry) == {(ROOM,): 0}
    assert values(registry, WEBSOCKET_MESSAGES) == {(ROOM, "received"): 2, (ROOM, "sent"): 4}
    assert endings(registry) == {(ROOM, "closed"): 2}
    assert counts(registry) == {}


def test_application_that_closes_is_no_error(registry: Registry) -> None:
    """Its connection has ended with its word."""
    reported = Reported()
    app = application()
    watch_application(app, Watch(registry=registry, report=reported))
    with TestClient(app).websocket_connect("/api/rooms/1") as connection:
        connection.send_text("bye")
        assert connection.receive_text() == "bye"
        assert connection.receive()["type"] == "websocket.close"
    assert (endings(registry), reported.shown) == ({(ROOM, "closed"): 1}, [])


def test_refused_connections_never_were_open(registry: Registry) -> None:
    """By the application, by the router, and by an answer in place of a handshake."""
    reported = Reported()
    app = application()

    @app.websocket("/denied")
    async def deny(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("no", status_code=403))

    watch_application(app, Watch(registry=registry, report=reported))
    client = TestClient(app)
    for path in ("/api/rooms/locked", "/invented/1", "/invented/2"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/denied"):
        pass
    assert opened(registry) == {}
    assert endings(registry) == {(ROOM, "refused"): 1, ("unmatched", "refused"): 2, ("/denied", "refused"): 1}
    assert reported.shown == []


def be_broken_at_once(client: TestClient) -> None:
    client.websocket_connect("/api/rooms/broken").__enter__()


def be_broken_later(client: TestClient) -> None:
    with client.websocket_connect("/api/rooms/1") as connection:
        connection.send_text("break")
        assert connection.receive_text() == "break"
        connection.receive()


@pytest.mark.parametrize("use", [be_broken_at_once, be_broken_later])
def test_exception_is_reported_once_and_goes_on(registry: Registry, use: Callable[[TestClient], None]) -> None:
    """Before the handshake and in the middle of the talk."""
    reported = Reported()
    app = application()
    watch_application(app, Watch(registry=registry, report=reported))
    with pytest.raises(KeyError):
        use(TestClient(app))
    assert reported.shown == [("KeyError", ROOM, "GET")]
    assert endings(registry) == {(ROOM, "error"): 1}
    assert sum(opened(registry).values()) == 0


def test_client_that_leaves_is_no_error(registry: Registry) -> None:
    """The exception by which a framework says so goes on its way, and is not reported."""
    reported = Reported()

    async def read(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    app = Starlette(routes=[Mount("/in", routes=[WebSocketRoute("/ws/{x:int}", read)])])
    watch_application(app, Watch(registry=registry, report=reported))
    with pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/in/ws/1"):
        pass
    assert reported.shown == []
    assert endings(registry) == {("/in/ws/{x}", "closed"): 1}


def talk(app: ASGIApp, *received: Message, send_fails: bool = False) -> None:
    """Let an application talk as with a server that has these messages for it."""
    coming = iter(received)

    async def receive() -> Message:
        message = next(coming, None)
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError
        return message

    async def send(message: Message) -> None:
        if send_fails and message["type"] == "websocket.send":
            raise ConnectionResetError

    async def connect() -> None:
        await app({"type": "websocket", "path": "/", "headers": []}, receive, send)

    asyncio.run(connect())


def test_server_that_cannot_send_is_no_error(registry: Registry) -> None:
    """Not even as the cause of an exception in a group, as task groups raise it."""
    reported = Reported()

    async def push(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            await send({"type": "websocket.send", "text": "x"})
        except ConnectionResetError as error:
            raise RuntimeError("cannot push") from error

    with pytest.raises(RuntimeError):
        talk(RequestMetrics(push, watch=Watch(registry=registry, report=reported)), send_fails=True)
    assert reported.shown == []
    assert endings(registry) == {("/*", "closed"): 1}
    assert values(registry, WEBSOCKET_MESSAGES).get(("/*", "sent"), 0) == 0


@pytest.mark.parametrize(
    ("accepts", "outcome"), [(False, "error"), (True, "closed")], ids=["without_answer", "after_the_handshake"]
)
def test_application_that_returns_ends_its_connection(registry: Registry, accepts: bool, outcome: str) -> None:
    """One that has not answered at all has failed."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if accepts:
            await send({"type": "websocket.accept"})

    talk(RequestMetrics(silent, watch=Watch(registry=registry)))
    assert endings(registry) == {("/*", outcome): 1}
    assert sum(opened(registry).values()) == 0


def test_end_counts_once_and_work_after_it_does_not(registry: Registry) -> None:
    """What an application does when the client has left is no part of the connection."""

    async def working(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        assert endings(registry) == {("/*", "closed"): 1}
        await send({"type": "websocket.close"})

    talk(RequestMetrics(working, watch=Watch(registry=registry)), {"type": "websocket.disconnect", "code": 1001})
    assert endings(registry) == {("/*", "closed"): 1}
    assert opened(registry) == {("/*",): 0}


def test_excluded_endpoints_are_not_recorded(registry: Registry) -> None:
    """Neither their connections nor their messages."""
    app = application()
    watch_application(app, Watch(registry=registry, excluded=[ROOM]))
    with TestClient(app).websocket_connect("/api/rooms/1") as connection:
        connection.send_text("a")
        connection.receive_text()
    assert opened(registry) == endings(registry) == values(registry, WEBSOCKET_MESSAGES) == {}


@pytest.mark.usefixtures("quiet")
def test_fault_of_ours_does_not_reach_the_application() -> None:
    """What fails in finding the route costs the measurement, not the connection."""

    class Faulty:
        def only(self, endpoint: object) -> Any:
            raise RuntimeError("a fault of ours")

        def search(self, scope: Mapping[str, Any], root_path: str) -> Any:
            raise RuntimeError("a fault of ours")

    registry = Registry()
    app = application()
    watched = RequestMetrics(app, watch=Watch(registry=registry), templates=Faulty())
    with TestClient(watched).websocket_connect("/api/rooms/1") as connection:
        connection.send_text("a")
        assert connection.receive_text() == "a"
    assert opened(registry) == {}


class Client:
    """A client of websockets, over a socket of its own."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self._connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: list[Any] = []
        self.send(Request(host="127.0.0.1", target=path))
        assert isinstance(self.receive(), AcceptConnection)

    def send(self, event: Any) -> None:
        """Send what an event stands for."""
        self.socket.sendall(self._connection.send(event))

    def receive(self) -> Any:
        """Return the next event."""
        while not self._events:
            data = self.socket.recv(65536)
            self._connection.receive_data(data or None)
            self._events.extend(self._connection.events())
        return self._events.pop(0)


@pytest.mark.programs
def test_real_server_and_real_clients(registry: Registry) -> None:
    """One says goodbye, one hangs up without a word, one is said goodbye to: three connections, no error."""
    reported = Reported()
    app = application()
    watch_application(app, Watch(registry=registry, report=reported))
    with served(app) as port:
        polite, rude, sent_away = (Client(port, "/api/rooms/1") for _ in range(3))
        wait_until(lambda: opened(registry) == {(ROOM,): 3})
        polite.send(TextMessage(data="a/b"))
        assert [polite.receive().data, polite.receive().data] == ["a", "b"]
        polite.send(CloseConnection(code=1000))
        rude.socket.close()
        sent_away.send(TextMessage(data="bye"))
        assert sent_away.receive().data == "bye"
        assert isinstance(sent_away.receive(), CloseConnection)
        wait_until(lambda: opened(registry) == {(ROOM,): 0})
        for client in (polite, sent_away):
            client.socket.close()
    assert endings(registry) == {(ROOM, "closed"): 3}
    assert values(registry, WEBSOCKET_MESSAGES) == {(ROOM, "received"): 2, (ROOM, "sent"): 3}
    assert reported.shown == []
