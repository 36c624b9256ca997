"""Any WSGI application, measured: by the standard library's server and validator, and by hand."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.instrument.wsgi import WSGIRequestMetrics
from otel_monitoring.metrics import Registry
from tests.requests_seen import Reported, counted, counts, spreads
from tests.servers import ask, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PLAIN = (("Content-Type", "text/plain"),)


def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN, ("Content-Length", "3")])
    return [b"yes"]


def environ_of(path: str, method: str = "GET", **more: str) -> WSGIEnvironment:
    """Return the environment of a request, as a server makes it."""
    environ: WSGIEnvironment = {"PATH_INFO": path, "REQUEST_METHOD": method, **more}
    setup_testing_defaults(environ)
    return environ


def call(app: WSGIApplication, environ: WSGIEnvironment, *, pieces: int | None = None) -> tuple[str, bytes]:
    """Call an application as a server does; return status and body.

    Args:
        app: the application.
        environ: the request.
        pieces: after how many the client has gone.
    """
    started: list[str] = []
    body = io.BytesIO()

    def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], object]:
        started.append(status)
        return body.write

    result = app(environ, start_response)
    try:
        for number, piece in enumerate(result):
            if number == pieces:
                break
            body.write(piece)
    finally:
        getattr(result, "close", lambda: None)()
    return started[-1], body.getvalue()


class Silent(WSGIRequestHandler):
    """Writes no access log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
        """Write nothing."""


@contextmanager
def served(app: WSGIApplication) -> Generator[str]:
    """Serve an application on a free port."""
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Clock:
    """Stands for time.perf_counter."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds it stands at."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("otel_monitoring.instrument.exchange.perf_counter", made)
    return made


def test_requests_to_a_real_server_are_counted_and_stay_as_they_are(registry: Registry) -> None:
    """The standard library's validator finds nothing wrong on either side, and the answer is the same to the byte."""
    bare = validator(answer)
    with served(validator(WSGIRequestMetrics(bare, Watch(registry=registry)))) as url:
        reply = ask(f"{url}/some/where?x=1")
        assert (reply.status, reply.body) == (200, b"yes")
        assert reply.headers["content-length"] == "3"
        assert ask(url, method="HEAD").status == 200
    assert counts(registry) == {("/*", "GET", "2xx"): 1, ("/*", "HEAD", "2xx"): 1}


def test_a_list_reaches_the_server_as_a_list(registry: Registry) -> None:
    """So a server can announce the length of a body that is one piece, as it does without us."""

    def unannounced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        return [b"yes"]

    with served(WSGIRequestMetrics(unannounced, Watch(registry=registry))) as url:
        assert ask(url).headers["content-length"] == "3"


def test_a_file_reaches_the_server_as_its_own_wrapper(registry: Registry) -> None:
    """So a server can send it by its fastest way."""

    def send_file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"content"))
        return wrapped

    app = WSGIRequestMetrics(send_file, Watch(registry=registry))
    environ = environ_of("/") | {"wsgi.file_wrapper": FileWrapper}
    result = app(environ, lambda status, headers, exc_info=None: io.BytesIO().write)
    assert isinstance(result, FileWrapper)
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def test_stream_counts_to_its_end_and_what_closing_does_not(registry: Registry, clock: Clock) -> None:
    """The duration ends with the last piece; work that is left for the closing of the response comes after."""

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(3):
                clock.now += 1
                yield b"x"

        def close(self) -> None:
            assert counts(registry) == {("/*", "GET", "2xx"): 1}
            clock.now += 100

    def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        clock.now += 10
        start_response("200 OK", [*PLAIN])
        return Stream()

    assert call(WSGIRequestMetrics(stream, Watch(registry=registry)), environ_of("/")) == ("200 OK", b"xxx")
    assert spreads(registry)["/*", "GET"].sum == 13


def test_response_is_complete_with_the_last_byte_that_was_announced(registry: Registry) -> None:
    """A client of tests that asks for no more than that, and never closes, is counted too."""

    def announced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("content-LENGTH", "2")])
        return iter([b"a", b"b"])

    body = iter(WSGIRequestMetrics(announced, Watch(registry=registry))(environ_of("/"), lambda *_: io.BytesIO().write))
    assert next(body) == b"a"
    assert counts(registry) == {}
    assert next(body) == b"b"
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


@pytest.mark.parametrize("length", ["x", "", "3.5"])
def test_length_that_is_none_is_left_to_the_server(registry: Registry, length: str) -> None:
    """The response ends with its last piece then."""

    def odd(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", length)])
        return iter([b"a"])

    call(WSGIRequestMetrics(odd, Watch(registry=registry)), environ_of("/"))
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def raising_at_once(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise KeyError("broken")


def raising_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN])
    yield b"x"
    raise KeyError("broken")


@pytest.mark.parametrize("app", [raising_at_once, raising_late], ids=["at_once", "in_a_stream"])
def test_unhandled_exception_is_5xx_reported_once_and_goes_on(registry: Registry, app: WSGIApplication) -> None:
    """Also from the middle of a stream whose status was 200."""
    reported = Reported()
    with pytest.raises(KeyError):
        call(WSGIRequestMetrics(app, Watch(registry=registry, report=reported)), environ_of("/", "POST"))
    assert reported.shown == [("KeyError", "/*", "POST")]
    assert counts(registry) == {("/*", "POST", "5xx"): 1}


def test_exception_while_closing_leaves_the_count(registry: Registry) -> None:
    """It is reported; the client has got its answer."""
    reported = Reported()

    class Closing:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"

        def close(self) -> None:
            raise KeyError("too late")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("202 Accepted", [*PLAIN])
        return Closing()

    with pytest.raises(KeyError):
        call(WSGIRequestMetrics(app, Watch(registry=registry, report=reported)), environ_of("/"))
    assert reported.shown == [("KeyError", "/*", "GET")]
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def test_end_of_the_process_is_5xx_and_no_report(registry: Registry) -> None:
    """A server that gives a worker up raises SystemExit in its middle: whoever waited got nothing."""
    reported = Reported()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        call(WSGIRequestMetrics(app, Watch(registry=registry, report=reported)), environ_of("/"))
    assert reported.shown == []
    assert counts(registry) == {("/*", "GET", "5xx"): 1}


def test_client_that_leaves_in_the_middle_is_no_error(registry: Registry) -> None:
    """The server closes the response early; the status that was sent counts."""
    reported = Reported()
    closed: list[bool] = []

    def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    call(WSGIRequestMetrics(stream, Watch(registry=registry, report=reported)), environ_of("/"), pieces=2)
    assert (closed, reported.shown) == ([True], [])
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


@pytest.mark.programs
def test_client_of_a_real_server_that_hangs_up_is_no_error(registry: Registry) -> None:
    """Its socket is closed while the answer has no end: the server meets a broken pipe."""
    reported = Reported()

    def endless(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        while True:
            yield b"x" * 65536

    with served(WSGIRequestMetrics(endless, Watch(registry=registry, report=reported))) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(10)
        wait_until(lambda: counted(registry))
    assert reported.shown == []
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def test_exception_of_the_servers_write_is_no_error(registry: Registry) -> None:
    """What the old way of writing raises says that nobody is there, even wrapped in one of the application's own."""
    reported = Reported()

    def writing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            start_response("200 OK", [*PLAIN])(b"x")
        except BrokenPipeError as error:
            raise RuntimeError("cannot write") from error
        return []

    def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], object]:
        def write(data: bytes, /) -> object:
            raise BrokenPipeError

        return write

    with pytest.raises(RuntimeError):
        WSGIRequestMetrics(writing, Watch(registry=registry, report=reported))(environ_of("/"), start_response)
    assert reported.shown == []
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def test_client_that_leaves_while_sending_is_no_error(registry: Registry) -> None:
    """Frameworks have exceptions that say so; without a status it is as nginx's 499."""
    reported = Reported()

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise ClientDisconnected

    with pytest.raises(ClientDisconnected):
        call(WSGIRequestMetrics(reading, Watch(registry=registry, report=reported)), environ_of("/", "POST"))
    assert reported.shown == []
    assert counts(registry) == {("/*", "POST", "4xx"): 1}


def test_handled_exceptions_replace_the_status(registry: Registry) -> None:
    """An application may start its response again with what went wrong; that status counts, and nothing is reported."""
    reported = Reported()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        start_response("503 Service Unavailable", [*PLAIN], (KeyError, KeyError(), None))  # type: ignore[arg-type]
        return [b"later"]

    assert call(WSGIRequestMetrics(app, Watch(registry=registry, report=reported)), environ_of("/"))[0][:3] == "503"
    assert reported.shown == []
    assert counts(registry) == {("/*", "GET", "5xx"): 1}


def test_invented_methods_and_paths_make_one_series_each(registry: Registry) -> None:
    """Whatever an attacker invents is one endpoint and one method."""
    app = WSGIRequestMetrics(answer, Watch(registry=registry))
    for number in range(20):
        call(app, environ_of(f"/wp-{number}.php", f"HACK{number}", SCRIPT_NAME=f"/{number}", HTTP_HOST=f"h{number}"))
    assert counts(registry) == {("/*", "_OTHER", "2xx"): 20}


def test_metrics_are_shown_and_not_counted(registry: Registry) -> None:
    """With and without a slash behind the path; the rest is the application's."""

    def metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN])
        return [b"the metrics"]

    app = WSGIRequestMetrics(answer, Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics))
    for path in ("/metrics", "/metrics/"):
        assert call(app, environ_of(path))[1] == b"the metrics"
    assert counts(registry) == {}
    assert call(app, environ_of("/metrics/more"))[1] == b"yes"


@pytest.mark.parametrize(
    ("path", "complaint"), [("metrics", "a plain path"), ("/m<x>", "a plain path"), ("/metrics", "no metrics_app")]
)
def test_metrics_path_is_a_plain_path_at_which_something_answers(registry: Registry, path: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        WSGIRequestMetrics(answer, Watch(registry=registry, metrics_path=path))


@pytest.mark.parametrize(
    ("excluded", "counted"),
    [(["/health"], 3), (["/health/"], 3), (["/internal/*"], 2), (["/*"], 0), (["/health", "/internal/*"], 1)],
    ids=["one", "with_a_slash", "all_below", "everything", "several"],
)
def test_excluded_paths_are_not_recorded(registry: Registry, excluded: list[str], counted: int) -> None:
    """Where no route is known a path is what can be excluded."""
    app = WSGIRequestMetrics(answer, Watch(registry=registry, excluded=excluded))
    for path in ("/health", "/internal/a", "/internal", "/x"):
        call(app, environ_of(path))
    assert sum(counts(registry).values()) == counted


def test_patterns_of_urls_that_are_none_are_refused_at_once(registry: Registry) -> None:
    """Not with the first request."""
    with pytest.raises(ConfigurationError, match="untraced_urls is"):
        WSGIRequestMetrics(answer, Watch(registry=registry, untraced="/health,(("))


def test_nested_middleware_counts_once_for_each_registry(registry: Registry) -> None:
    """The outermost counts and reports; another service's counts for itself."""
    other, reported = Registry(strict=True), Reported()
    app: WSGIApplication = raising_at_once
    for counting in (registry, other, registry):
        app = WSGIRequestMetrics(app, Watch(registry=counting, report=reported))
    with pytest.raises(KeyError):
        call(app, environ_of("/"))
    assert len(reported.shown) == 2
    assert counts(registry) == counts(other) == {("/*", "GET", "5xx"): 1}


def test_mounted_application_shows_its_prefix(registry: Registry) -> None:
    """What a dispatcher takes off the path is known; what a header claims to be a prefix is not believed."""
    app = WSGIRequestMetrics(DispatcherMiddleware(answer, {"/api": answer}), Watch(registry=registry))
    call(app, environ_of("/api/x"))
    call(app, environ_of("/x"))

    def believing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = environ["HTTP_X_FORWARDED_PREFIX"]
        return answer(environ, start_response)

    for number in range(5):
        invented = environ_of("/x", HTTP_X_FORWARDED_PREFIX=f"/{number}")
        call(WSGIRequestMetrics(believing, Watch(registry=registry)), invented)
    assert counts(registry) == {("/api/*", "GET", "2xx"): 1, ("/*", "GET", "2xx"): 6}


def test_environment_is_left_without_a_trace(registry: Registry) -> None:
    """What held the request is gone with its end, so that nothing is left to the garbage collection."""
    environ = environ_of("/")
    before = set(environ)
    call(WSGIRequestMetrics(answer, Watch(registry=registry)), environ)
    assert set(environ) == before


def test_threads_are_counted_exactly(registry: Registry) -> None:
    """Eight threads of a server lose nothing."""
    app = WSGIRequestMetrics(answer, Watch(registry=registry))

    def work() -> None:
        for _ in range(250):
            call(app, environ_of("/"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(registry) == {("/*", "GET", "2xx"): 2000}


def test_fault_of_ours_does_not_reach_the_application(quiet: None) -> None:
    """What fails in finding a template costs the template, in reporting the report, and neither the request."""
    registry = Registry()

    def fail(*_arguments: object, **_more: object) -> Any:
        raise RuntimeError("a fault of ours")

    assert call(WSGIRequestMetrics(answer, Watch(registry=registry), fail), environ_of("/")) == ("200 OK", b"yes")
    with pytest.raises(KeyError, match="broken"):
        call(WSGIRequestMetrics(raising_at_once, Watch(registry=registry, report=fail)), environ_of("/"))
    assert counts(registry) == {("/*", "GET", "2xx"): 1, ("/*", "GET", "5xx"): 1}
