"""Request ids and trace ids in what is logged during a request."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars, merge_contextvars
from werkzeug.test import Client

from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.identity import LONGEST_ID, fit_id, trace_id_of
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.logs.requests import RequestContext
from otel_monitoring.metrics import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    Ask = Callable[[Mapping[str, str]], dict[str, Any]]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """Each test begins without anything bound, and leaves nothing."""
    clear_contextvars()
    yield
    clear_contextvars()


def asking(protocol: str, registry: Registry, **settings: Any) -> Ask:
    """Return what asks an application of a protocol and gives what was bound while it answered."""
    seen: list[dict[str, Any]] = []
    watch = Watch(registry=registry, logs=RequestContext(), **settings)

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(get_contextvars())
        start_response("200 OK", [])
        return [b"yes"]

    async def answer(request: Request) -> PlainTextResponse:
        seen.append(get_contextvars())
        return PlainTextResponse("yes")

    watched = watch_application(wsgi, watch)
    app = watch_application(Starlette(routes=[Route("/", answer)]), watch)

    def ask(headers: Mapping[str, str]) -> dict[str, Any]:
        (Client(watched) if protocol == "wsgi" else TestClient(app)).get("/", headers=dict(headers))
        return seen.pop()

    return ask


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, registry: Registry) -> Ask:
    return asking(request.param, registry)


def test_request_id_comes_from_its_header(ask: Ask) -> None:
    """It is bound while the request is answered."""
    assert ask({"X-Request-ID": "f81d4fae-7dec"}) == {"request_id": "f81d4fae-7dec"}


@pytest.mark.parametrize(
    "given",
    [None, "", "two words", "x" * (LONGEST_ID + 1), 'x"', "{x}"],
    ids=["none", "empty", "space", "long", "quote", "braces"],
)
def test_without_a_fit_one_an_id_is_made(ask: Ask, given: str | None) -> None:
    """What would not do in a log line is not let in."""
    headers = {} if given is None else {"X-Request-ID": given}
    made = ask(headers)["request_id"]
    assert len(made) == 32
    assert int(made, 16)
    assert ask(headers)["request_id"] != made


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_header_is_a_setting(registry: Registry, protocol: str) -> None:
    """Whatever the case of its letters."""
    ask = asking(protocol, registry, request_id_header="X-Correlation-Id")
    assert ask({"x-correlation-ID": "abc", "X-Request-ID": "other"}) == {"request_id": "abc"}


def test_trace_id_of_the_caller_is_bound_where_there_is_no_tracing(ask: Ask) -> None:
    """So that the lines of services without spans are found by their trace too."""
    assert ask({"X-Request-ID": "a", "traceparent": PARENT}) == {"request_id": "a", "trace_id": TRACE}
    assert "trace_id" not in ask({"traceparent": "00-nonsense"})


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (PARENT, TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes", TRACE),
        (f" {PARENT} ", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}", None),
        ("", None),
    ],
    ids=["plain", "later_version", "spaces", "no_version", "no_trace", "no_span", "capitals", "short", "empty"],
)
def test_traceparent_is_read_as_its_specification_says(header: str, found: str | None) -> None:
    assert trace_id_of(header) == found


def test_what_was_bound_before_is_there_again(registry: Registry) -> None:
    """Nothing of a request is left behind, whatever the application has bound or cleared itself."""
    bind_contextvars(request_id="mine", job="nightly")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        clear_contextvars()
        bind_contextvars(request_id="the application's", user=3)
        raise KeyError("broken")

    watched = watch_application(app, Watch(registry=registry, logs=RequestContext()))
    with pytest.raises(KeyError):
        Client(watched).get("/")
    assert get_contextvars()["request_id"] == "mine"


def test_log_lines_of_a_stream_have_the_id_too(registry: Registry) -> None:
    """To its end, by either protocol."""
    seen: list[object] = []

    def note() -> None:
        seen.append(merge_contextvars(None, "info", {})["request_id"])

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        for _ in range(2):
            note()
            yield b"x"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2):
            note()
            yield b"x"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces())

    watch = Watch(registry=registry, logs=RequestContext())
    Client(watch_application(wsgi, watch)).get("/", headers={"X-Request-ID": "a"}, buffered=True)
    TestClient(watch_application(Starlette(routes=[Route("/", stream)]), watch)).get("/", headers={"X-Request-ID": "b"})
    assert seen == ["a", "a", "b", "b"]
    assert get_contextvars() == {}


def test_response_that_is_never_closed_leaves_no_id_with_the_next(registry: Registry) -> None:
    """Whoever drops a response does not name the lines of other requests."""

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return iter([str(get_contextvars()["request_id"]).encode()])

    watched = watch_application(wsgi, Watch(registry=registry, logs=RequestContext()))
    Client(watched).get("/", headers={"X-Request-ID": "dropped"})
    assert Client(watched).get("/", headers={"X-Request-ID": "next"}, buffered=True).text == "next"


def test_requests_at_once_keep_their_own_ids(registry: Registry) -> None:
    """Fifty in one event loop, each waiting for all."""
    barrier = asyncio.Event()

    async def answer(request: Request) -> PlainTextResponse:
        await barrier.wait()
        return PlainTextResponse(get_contextvars()["request_id"])

    app = watch_application(Starlette(routes=[Route("/", answer)]), Watch(registry=registry, logs=RequestContext()))

    async def ask(name: str) -> str:
        bodies: list[bytes] = []
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b""}

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            bodies.append(message.get("body", b""))

        await app({**scope, "headers": [(b"x-request-id", name.encode())]}, receive, send)
        return b"".join(bodies).decode()

    async def ask_all() -> list[str]:
        asked = [asyncio.ensure_future(ask(str(number))) for number in range(50)]
        await asyncio.sleep(0)
        barrier.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(ask_all()) == [str(number) for number in range(50)]


def test_websockets_have_an_id_too(registry: Registry) -> None:
    """From their handshake to their end."""

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(get_contextvars()["request_id"])
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", socket)])
    watch_application(app, Watch(registry=registry, logs=RequestContext()))
    with TestClient(app).websocket_connect("/", headers={"X-Request-ID": "abc"}) as connection:
        assert connection.receive_text() == "abc"


def test_structlog_and_our_context_are_the_same(registry: Registry) -> None:
    """What we bind is what bind_contextvars binds, to the same variable."""
    context = RequestContext()
    bound = context.bind("ours", None)
    assert get_contextvars() == context.current() == {"request_id": "ours"}
    structlog.contextvars.bind_contextvars(request_id="theirs")
    assert context.current() == {"request_id": "theirs"}
    context.unbind(bound)
    assert get_contextvars() == context.current() == {}


def test_unbinding_in_another_context_changes_nothing_there() -> None:
    """A server may close a response elsewhere than it was begun."""
    context = RequestContext()
    elsewhere = contextvars.copy_context()
    bound = elsewhere.run(context.bind, "there", TRACE)
    bind_contextvars(request_id="here")
    context.unbind(bound)
    assert context.current() == {"request_id": "here"}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_fault_of_ours_does_not_reach_the_application(protocol: str) -> None:
    """Where binding fails the request is answered and counted without."""

    class Faulty(RequestContext):
        def bind(self, request_id: str, trace_id: str | None) -> Any:
            """Fail."""
            raise RuntimeError("a fault of ours")

    registry = Registry()
    watch = Watch(registry=registry, logs=Faulty())

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"yes"]

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("yes")

    if protocol == "wsgi":
        assert Client(watch_application(wsgi, watch)).get("/").text == "yes"
    else:
        assert TestClient(watch_application(Starlette(routes=[Route("/", answer)]), watch)).get("/").text == "yes"


def test_ids_differ_in_forked_children() -> None:
    """A child goes on with numbers of its own."""
    script = (
        "import os\n"
        "from otel_monitoring.instrument.identity import made_id\n"
        "os.fork()\n"
        "os.write(1, f'{made_id()}\\n'.encode())\n"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    # Both write to the pipe, which ends when both are gone.
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert len(set(done.stdout.split())) == 2


@pytest.mark.parametrize("given", ["x" * LONGEST_ID, "a.b_c~d:e/f+g=h@i-9"], ids=["longest", "every_sign"])
def test_what_is_fit_stays_as_it_is(given: str) -> None:
    assert fit_id(given) == given


@pytest.mark.parametrize("given", ["é", "a\n", "a\r\nb", "\x1b[31m", "٣"])
def test_what_could_forge_a_log_line_is_not_let_in(given: str) -> None:
    assert fit_id(given) != given
