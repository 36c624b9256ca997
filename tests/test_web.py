"""What the middleware counts, measures and reports, by real applications."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from otel_monitoring.catalogue.shipped import MONITORING_OVERFLOW
from otel_monitoring.instrument.requests import KNOWN_METHODS, Watch
from otel_monitoring.instrument.routes import RouteTemplates
from otel_monitoring.instrument.web import RequestMetrics, Uncounted
from otel_monitoring.metrics import Registry
from tests.asgi_server import served
from tests.requests_seen import Reported, counted, counts, spreads, values
from tests.servers import PATIENCE_SECONDS, ask, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def scope_of(path: str, method: str = "GET") -> dict[str, Any]:
    """Return the scope of a plain request, as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [],
    }


async def receive_nothing() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def send_nowhere(message: Message) -> None:
    pass


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("yes")


async def broken(request: Request) -> PlainTextResponse:
    raise KeyError("broken")


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @app.post("/items/{item_id}")
    async def refuse(item_id: int) -> int:
        raise HTTPException(status_code=409)

    @app.get("/broken")
    async def fail() -> int:
        raise KeyError("broken")

    return app


def test_requests_are_counted_by_template_method_and_class(registry: Registry) -> None:
    """Values in the path, query strings and exact status codes make no series."""
    app = application()
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    client = TestClient(app)
    for number in range(3):
        client.get(f"/items/{number}?x={number}")
    client.get("/items/word")
    client.post("/items/1")
    client.delete("/items/1")
    assert counts(registry) == {
        ("/items/{item_id}", "GET", "2xx"): 3,
        ("/items/{item_id}", "GET", "4xx"): 1,
        ("/items/{item_id}", "POST", "4xx"): 1,
        ("/items/{item_id}", "DELETE", "4xx"): 1,
    }


def test_handled_exceptions_are_not_reported(registry: Registry) -> None:
    """404, 422 and what the application has a handler for are answers, not errors."""
    reported = Reported()
    app = application()

    @app.exception_handler(KeyError)
    async def handle(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, status_code=503)

    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    client = TestClient(app)
    for path in ("/none", "/items/word", "/broken"):
        client.get(path)
    assert reported.reports == []
    assert counts(registry)["/broken", "GET", "5xx"] == 1


def test_attackers_paths_and_methods_make_one_series_each(registry: Registry) -> None:
    """Invented paths are "unmatched", invented methods are _OTHER."""
    app = application()
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    client = TestClient(app)
    for number in range(20):
        client.get(f"/wp-login-{number}.php")
        client.request(f"HACK{number}", "/items/1", headers={"host": f"h{number}"})
    assert counts(registry) == {("unmatched", "GET", "4xx"): 20, ("/items/{item_id}", "_OTHER", "4xx"): 20}


@pytest.mark.parametrize("method", sorted(KNOWN_METHODS))
def test_the_nine_methods_keep_their_name(registry: Registry, method: str) -> None:
    """Each method of HTTP is shown as it is."""
    app = RequestMetrics(Starlette(routes=[Route("/", Uncaring())]), watch=Watch(registry=registry))
    asyncio.run(app(scope_of("/", method), receive_nothing, send_nowhere))
    assert counts(registry) == {("/", method, "2xx"): 1}


class Uncaring:
    """An endpoint that takes every method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await PlainTextResponse("yes")(scope, receive, send)


@pytest.mark.parametrize("path", ["/broken", "/late"])
def test_unhandled_exception_is_5xx_reported_once_and_goes_on(registry: Registry, path: str) -> None:
    """The exception arrives outside as the very object that was raised, also from the middle of a stream."""
    error = KeyError("broken")
    reported = Reported()

    async def fail(request: Request) -> PlainTextResponse:
        raise error

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise error

    async def late(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/broken", fail), Route("/late", late)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    with pytest.raises(KeyError) as raised:
        asyncio.run(app(scope_of(path), receive_nothing, send_nowhere))
    assert raised.value is error
    assert reported.reports == [(error, path, "GET")]
    assert counts(registry) == {(path, "GET", "5xx"): 1}


def test_outside_of_the_error_handler_it_counts_the_same(registry: Registry) -> None:
    """Wrapped around the whole application it sees the 500 and the exception, and counts once."""
    reported = Reported()
    app = RequestMetrics(Starlette(routes=[Route("/broken", broken)]), watch=Watch(registry=registry, report=reported))
    response = TestClient(app, raise_server_exceptions=False).get("/broken")
    assert response.status_code == 500
    assert len(reported.reports) == 1
    assert counts(registry) == {("/broken", "GET", "5xx"): 1}


def test_failing_background_task_leaves_the_count(registry: Registry) -> None:
    """An exception after a complete response is reported; the client got its 2xx."""
    reported = Reported()

    def fail() -> None:
        raise KeyError("background")

    async def accept(request: Request) -> PlainTextResponse:
        return PlainTextResponse("accepted", status_code=202, background=BackgroundTask(fail))

    app = Starlette(routes=[Route("/", accept)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    with pytest.raises(KeyError):
        TestClient(app).get("/")
    assert [endpoint for _, endpoint, _ in reported.reports] == ["/"]
    assert counts(registry) == {("/", "GET", "2xx"): 1}


class Clock:
    """Stands for time.perf_counter in the middleware."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds it stands at."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("otel_monitoring.instrument.web.perf_counter", made)
    return made


def test_stream_counts_to_its_end_and_a_background_task_does_not(registry: Registry, clock: Clock) -> None:
    """The duration ends with the last piece of the body."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            clock.now += 1
            yield b"x"

    def work() -> None:
        clock.now += 100

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces(), background=BackgroundTask(work))

    app = Starlette(routes=[Route("/", stream)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    assert TestClient(app).get("/").text == "xxx"
    assert spreads(registry)["/", "GET"].sum == 3


def test_response_is_counted_before_its_background_task_runs(registry: Registry) -> None:
    """A long task does not hold the count of its request back."""
    seen: list[dict[tuple[str, ...], float]] = []

    async def accept(request: Request) -> PlainTextResponse:
        return PlainTextResponse("accepted", background=BackgroundTask(lambda: seen.append(counts(registry))))

    app = Starlette(routes=[Route("/", accept)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    TestClient(app).get("/")
    assert seen == [{("/", "GET", "2xx"): 1}]


def test_cancelled_request_is_no_error(registry: Registry) -> None:
    """Cancelling is passed on, reports nothing and counts as a client that left."""
    reported = Reported()

    async def wait(request: Request) -> PlainTextResponse:
        await asyncio.Event().wait()
        raise AssertionError

    app = Starlette(routes=[Route("/", wait)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))

    async def cancel() -> None:
        request = asyncio.ensure_future(app(scope_of("/"), receive_nothing, send_nowhere))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        request.cancel()
        await request

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert reported.reports == []
    assert counts(registry) == {("/", "GET", "4xx"): 1}


def test_client_that_leaves_while_sending_is_no_error(registry: Registry) -> None:
    """A body that stops coming raises ClientDisconnect in Starlette."""
    reported = Reported()

    async def read(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("yes")

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    app = Starlette(routes=[Route("/", read, methods=["POST"])])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    with pytest.raises(ClientDisconnect):
        asyncio.run(app(scope_of("/", "POST"), leave, send_nowhere))
    assert reported.reports == []
    assert counts(registry) == {("/", "POST", "4xx"): 1}


@pytest.mark.parametrize("fails_at", ["http.response.start", "http.response.body"])
def test_client_that_leaves_while_being_answered_is_no_error(registry: Registry, fails_at: str) -> None:
    """A server may raise OSError from send when nobody listens; the status that was meant counts."""
    reported = Reported()

    async def gone(message: Message) -> None:
        if message["type"] == fails_at:
            raise ConnectionResetError

    app = Starlette(routes=[Route("/", answer)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    with pytest.raises(ConnectionResetError):
        asyncio.run(app(scope_of("/"), receive_nothing, gone))
    assert reported.reports == []
    assert counts(registry) == {("/", "GET", "2xx"): 1}


def test_application_that_answers_nothing_counts_as_5xx(registry: Registry) -> None:
    """A server answers 500 in its place."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    asyncio.run(RequestMetrics(silent, watch=Watch(registry=registry))(scope_of("/"), receive_nothing, send_nowhere))
    assert counts(registry) == {("/*", "GET", "5xx"): 1}


@pytest.mark.parametrize(
    ("status", "shown"), [(101, "1xx"), (204, "2xx"), (304, "3xx"), (499, "4xx"), (599, "5xx"), (799, "5xx")]
)
def test_status_is_shown_by_class(registry: Registry, status: int, shown: str) -> None:
    """A number that is no status counts as a server's error."""

    async def odd(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    asyncio.run(RequestMetrics(odd, watch=Watch(registry=registry))(scope_of("/"), receive_nothing, send_nowhere))
    assert counts(registry) == {("/*", "GET", shown): 1}


@pytest.mark.parametrize("kind", ["lifespan", "something.new"])
def test_lifespan_and_what_is_not_known_pass_untouched(registry: Registry, kind: str) -> None:
    """They are not counted, and get the server's own receive and send."""
    passed: list[tuple[object, object]] = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append((receive, send))

    app = RequestMetrics(note, watch=Watch(registry=registry))
    asyncio.run(app({"type": kind}, receive_nothing, send_nowhere))
    assert passed == [(receive_nothing, send_nowhere)]
    assert counts(registry) == {}


def test_mounted_applications_with_the_middleware_count_once(registry: Registry) -> None:
    """The outermost counts and reports, with the whole template."""
    reported = Reported()
    inner = Starlette(routes=[Route("/x", answer), Route("/broken", broken)])
    inner.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    app = Starlette(routes=[Mount("/inner", app=inner)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    client = TestClient(app, raise_server_exceptions=False)
    client.get("/inner/x")
    client.get("/inner/broken")
    assert counts(registry) == {("/inner/x", "GET", "2xx"): 1, ("/inner/broken", "GET", "5xx"): 1}
    assert len(reported.reports) == 1


def test_excluded_endpoints_are_not_recorded(registry: Registry) -> None:
    """Neither by their template, nor those that are marked as not to be counted."""
    app = Starlette(routes=[Route("/health", answer), Route("/shown", Uncounted(Uncaring())), Route("/x", answer)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, excluded=["/health"]))
    client = TestClient(app)
    for path in ("/health", "/shown", "/x"):
        assert client.get(path).text == "yes"
    assert counts(registry) == {("/x", "GET", "2xx"): 1}


def test_concurrent_requests_are_counted_exactly(registry: Registry) -> None:
    """200 requests at once are 200, each under its own template and status."""

    async def even(request: Request) -> PlainTextResponse:
        await asyncio.sleep(0)
        return PlainTextResponse("", status_code=200 + 204 * (request.path_params["number"] % 2))

    app = Starlette(routes=[Route("/{number:int}", even), Route("/other/{number:int}", even)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))

    async def ask() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
            paths = [f"/{number}" for number in range(100)] + [f"/other/{number}" for number in range(100)]
            await asyncio.gather(*map(client.get, paths))

    asyncio.run(ask())
    assert counts(registry) == {
        (path, "GET", status): 50 for path in ("/{number}", "/other/{number}") for status in ("2xx", "4xx")
    }


def test_response_is_the_same_to_the_byte(registry: Registry) -> None:
    """The middleware changes neither status, headers nor body."""

    async def messages(app: ASGIApp) -> list[Mapping[str, Any]]:
        sent: list[Mapping[str, Any]] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await app(scope_of("/"), receive_nothing, keep)
        return sent

    app = Starlette(routes=[Route("/", answer)], middleware=[Middleware(GZipMiddleware)])
    bare = asyncio.run(messages(app))
    assert asyncio.run(messages(RequestMetrics(app, watch=Watch(registry=registry)))) == bare


def test_series_beyond_the_budget_are_counted_as_overflow() -> None:
    """The budget of a metric holds; every request beyond it counts as overflow."""
    registry = Registry(max_series=10)
    app = Starlette(routes=[Route(f"/{number}", Uncaring()) for number in range(12)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    client = TestClient(app)
    for number in (*range(12), 11):
        client.get(f"/{number}")
    found = counts(registry)
    assert found["/9", "GET", "2xx"] == 1
    assert found[("true",)] == 3
    assert values(registry, MONITORING_OVERFLOW)[("http_requests_total",)] == 3


class Faulty(RouteTemplates):
    """Fails at what is asked of it."""

    def search(self, scope: Mapping[str, Any], root_path: str) -> Any:
        """Fail."""
        raise RuntimeError("a fault of ours")


@pytest.mark.usefixtures("quiet")
def test_fault_of_ours_does_not_reach_the_application() -> None:
    """What fails in finding a template or in reporting costs the measurement, not the request."""
    registry = Registry()

    def fail(error: Exception, *, endpoint: str, method: str) -> None:
        raise RuntimeError("a fault of ours")

    app = Starlette(routes=[Route("/", answer), Route("/broken", broken)])
    client = TestClient(RequestMetrics(app, watch=Watch(registry=registry), templates=Faulty(app)))
    assert client.get("/none").status_code == 404
    client = TestClient(RequestMetrics(app, watch=Watch(registry=registry, report=fail)))
    with pytest.raises(KeyError, match="broken"):
        client.get("/broken")
    assert counts(registry) == {("/broken", "GET", "5xx"): 1}


def test_exception_raised_outside_of_the_handlers_is_an_error(registry: Registry) -> None:
    """An HTTPException from a middleware has no handler there: the client gets 500."""
    reported = Reported()

    class Raising:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise StarletteHTTPException(401)

    app = Starlette(routes=[Route("/", answer)])
    app.add_middleware(Raising)
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    assert TestClient(app, raise_server_exceptions=False).get("/").status_code == 500
    assert len(reported.reports) == 1
    assert counts(registry) == {("/", "GET", "5xx"): 1}


def test_what_a_middleware_answers_is_shown_by_its_route(registry: Registry) -> None:
    """A request refused before it reached its route belongs to that route."""

    class Refusing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("no", status_code=401)(scope, receive, send)

    app = application()
    app.add_middleware(Refusing)
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry))
    TestClient(app).get("/items/3")
    TestClient(app).get("/nothing")
    assert counts(registry) == {("/items/{item_id}", "GET", "4xx"): 1, ("unmatched", "GET", "4xx"): 1}


@pytest.mark.programs
def test_real_server_streams_and_clients_that_hang_up(registry: Registry) -> None:
    """A stream of events whose client goes, one that is read to its end, and a request that is given up: no errors."""
    reported = Reported()
    steps: list[str] = []

    async def events(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(int(request.query_params["count"])):
                yield f"data: {number}\n\n".encode()
                await asyncio.sleep(0.01)

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def wait(request: Request) -> PlainTextResponse:
        steps.append("began")
        while (await request.receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnect

    app = Starlette(routes=[Route("/events", events), Route("/wait", wait)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, report=reported))
    with served(app) as port:
        address = f"http://127.0.0.1:{port}"
        assert ask(f"{address}/events?count=3").body.count(b"data") == 3
        # Not all versions of uvicorn tell a stream that its client has gone: such a one goes on to its end.
        with hanging_up(port, "/events?count=500") as connection:
            assert connection.recv(1000)
        with hanging_up(port, "/wait"):
            wait_until(lambda: steps)
        wait_until(lambda: counted(registry) == 3)
    assert counts(registry) == {("/events", "GET", "2xx"): 2, ("/wait", "GET", "4xx"): 1}
    assert reported.reports == []


def hanging_up(port: int, path: str) -> socket.socket:
    """Send a request; whoever leaves the context hangs up."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def test_application_that_gives_up_when_its_client_leaves_is_no_error(registry: Registry) -> None:
    """It sends nothing any more, and nobody is there to miss it: as nginx's 499."""

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(RequestMetrics(waiting, watch=Watch(registry=registry))(scope_of("/"), leave, send_nowhere))
    assert counts(registry) == {("/*", "GET", "4xx"): 1}


@pytest.mark.parametrize(
    ("raised", "is_error"),
    [
        (lambda: BaseExceptionGroup("tasks", [ClientDisconnect(), asyncio.CancelledError()]), False),
        (lambda: ExceptionGroup("tasks", [ClientDisconnect(), KeyError()]), True),
    ],
    ids=["only_the_client", "the_application_too"],
)
def test_groups_of_exceptions_are_looked_into(registry: Registry, raised: Any, is_error: bool) -> None:
    """Task groups wrap what their tasks raise."""
    reported = Reported()

    async def grouped(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised()

    app = RequestMetrics(grouped, watch=Watch(registry=registry, report=reported))
    with pytest.raises(BaseException, match="tasks"):
        asyncio.run(app(scope_of("/"), receive_nothing, send_nowhere))
    assert bool(reported.reports) == is_error
    assert counts(registry) == {("/*", "GET", "5xx" if is_error else "4xx"): 1}


def test_what_follows_from_a_failed_send_is_no_error(registry: Registry) -> None:
    """Also where the application makes an exception of its own of it; one that has nothing to do with it is."""
    reported = Reported()

    async def gone(message: Message) -> None:
        raise ConnectionResetError

    async def wrapping(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except OSError as error:
            raise RuntimeError("cannot answer") from error

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("cannot work")

    for app in (wrapping, failing):
        watched = RequestMetrics(app, watch=Watch(registry=registry, report=reported))
        with pytest.raises(RuntimeError):
            asyncio.run(watched(scope_of("/"), receive_nothing, gone))
    assert [str(report.error) for report in reported.reports] == ["cannot work"]


def test_mounted_application_without_routes_is_one_endpoint(registry: Registry) -> None:
    """What is below such a mount is shown by its prefix; paths below it can be excluded."""

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("yes")(scope, receive, send)

    app = Starlette(routes=[Mount("/plain", app=plain), Route("/x", answer)])
    app.add_middleware(RequestMetrics, watch=Watch(registry=registry, excluded=["/plain/health"]))
    client = TestClient(app)
    for path in ("/plain/health", "/plain/a", "/plain/b", "/x"):
        assert client.get(path).text == "yes"
    assert counts(registry) == {("/plain/*", "GET", "2xx"): 2, ("/x", "GET", "2xx"): 1}
