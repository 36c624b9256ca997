"""Flask applications, measured in one call."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, Response, abort, redirect, request, stream_with_context
from flask.signals import got_request_exception
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.flask import instrument_flask
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.metrics import Registry
from tests.requests_seen import Reported, counted, counts
from tests.servers import ask, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment


def metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Stand for the application that shows the metrics."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the metrics"]


def application() -> Flask:
    app = Flask(__name__)

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> str:
        return f"user {user_id}"

    @app.post("/users/<int:user_id>")
    def refuse(user_id: int) -> str:
        abort(409)

    @app.get("/slash/")
    def slash() -> str:
        return "slash"

    @app.get("/broken")
    def broken() -> str:
        raise KeyError("broken")

    return app


@pytest.fixture
def app() -> Flask:
    return application()


def test_application_is_measured_in_one_call(registry: Registry, app: Flask) -> None:
    """Rules as they were declared are the endpoints; /metrics is there, and not counted."""
    watch = Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics)
    assert watch_application(app, watch) is app
    client = app.test_client()
    assert client.get("/users/1").text == "user 1"
    assert client.get("/users/2?x=1").status_code == 200
    assert client.post("/users/1").status_code == 409
    assert client.head("/users/1").status_code == 200
    assert client.get("/metrics").text == client.get("/metrics/").text == "the metrics"
    assert counts(registry) == {
        ("/users/<int:user_id>", "GET", "2xx"): 2,
        ("/users/<int:user_id>", "POST", "4xx"): 1,
        ("/users/<int:user_id>", "HEAD", "2xx"): 1,
    }


def test_routes_may_come_after(registry: Registry) -> None:
    """The application is instrumented where it is made; blueprints and their prefixes come later."""
    app = Flask(__name__)
    instrument_flask(app, Watch(registry=registry))
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")
    blueprint.add_url_rule("/<path:item>", "item", lambda item: item)
    app.register_blueprint(blueprint, url_prefix="/v1/shop")
    app.test_client().get("/v1/shop/a/b")
    assert counts(registry) == {("/v1/shop/<path:item>", "GET", "2xx"): 1}


def test_what_reaches_no_rule_is_still_shown_by_it(registry: Registry, app: Flask) -> None:
    """Another method, a slash too few, and what a middleware answers belong to the rule of the path."""
    inner = app.wsgi_app

    def refusing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_AUTHORIZATION" in environ:
            return inner(environ, start_response)
        start_response("401 Unauthorized", [])
        return []

    app.wsgi_app = refusing  # type: ignore[method-assign]
    instrument_flask(app, Watch(registry=registry))
    client = app.test_client()
    allowed = {"Authorization": "x"}
    assert client.delete("/users/1", headers=allowed).status_code == 405
    assert client.get("/slash", headers=allowed).status_code == 308
    assert client.get("/users/1").status_code == client.get("/nothing").status_code == 401
    assert counts(registry) == {
        ("/users/<int:user_id>", "DELETE", "4xx"): 1,
        ("/slash/", "GET", "3xx"): 1,
        ("/users/<int:user_id>", "GET", "4xx"): 1,
        ("unmatched", "GET", "4xx"): 1,
    }


def test_attackers_paths_and_methods_make_one_series_each(registry: Registry, app: Flask) -> None:
    """Invented paths are "unmatched", invented methods are _OTHER."""
    instrument_flask(app, Watch(registry=registry))
    client = app.test_client()
    for number in range(20):
        client.get(f"/wp-login-{number}.php", headers={"Host": f"h{number}"})
        client.open("/users/1", method=f"HACK{number}")
    assert counts(registry) == {("unmatched", "GET", "4xx"): 20, ("/users/<int:user_id>", "_OTHER", "4xx"): 20}


def test_exception_that_becomes_a_500_is_reported_once(registry: Registry, app: Flask) -> None:
    """Flask answers for it, and nothing leaves the application: it is an error all the same."""
    reported = Reported()
    instrument_flask(app, Watch(registry=registry, report=reported))
    assert app.test_client().get("/broken").status_code == 500
    assert reported.shown == [("KeyError", "/broken", "GET")]
    assert counts(registry) == {("/broken", "GET", "5xx"): 1}


def test_signal_from_elsewhere_is_let_pass(registry: Registry, app: Flask) -> None:
    """Others may send it as they like, outside of a request too."""
    reported = Reported()
    instrument_flask(app, Watch(registry=registry, report=reported))
    got_request_exception.send(app, exception=KeyError())
    got_request_exception.send(app)
    with app.test_request_context("/"):
        got_request_exception.send(app, exception=KeyError())
    assert reported.shown == []


@pytest.mark.parametrize("setting", ["PROPAGATE_EXCEPTIONS", "TESTING"])
def test_exception_that_goes_on_is_reported_once(registry: Registry, app: Flask, setting: str) -> None:
    """Where Flask is told to raise it, it comes by both ways."""
    reported = Reported()
    app.config[setting] = True
    instrument_flask(app, Watch(registry=registry, report=reported))
    with pytest.raises(KeyError):
        app.test_client().get("/broken")
    assert reported.shown == [("KeyError", "/broken", "GET")]
    assert counts(registry) == {("/broken", "GET", "5xx"): 1}


def test_handlers_decide_what_is_an_error(registry: Registry, app: Flask) -> None:
    """What a handler takes is an answer; what is raised by the handler, or handled as a 500, is an error."""
    reported = Reported()

    class OneError(Exception):
        pass

    class OtherError(Exception):
        pass

    @app.get("/<which>")
    def fail(which: str) -> str:
        raise {"handled": OneError, "worse": OtherError}[which]

    @app.errorhandler(OneError)
    def answer(error: OneError) -> tuple[str, int]:
        return "busy", 503

    @app.errorhandler(OtherError)
    def fail_again(error: OtherError) -> str:
        raise ZeroDivisionError

    @app.errorhandler(500)
    def apologise(error: Any) -> tuple[str, int]:
        return "sorry", 500

    instrument_flask(app, Watch(registry=registry, report=reported))
    client = app.test_client()
    assert client.get("/handled").status_code == 503
    assert client.get("/worse").text == client.get("/unknown").text == "sorry"
    assert reported.shown == [("ZeroDivisionError", "/<which>", "GET"), ("KeyError", "/<which>", "GET")]
    assert counts(registry) == {("/<which>", "GET", "5xx"): 3}


def test_stream_that_breaks_is_an_error(registry: Registry, app: Flask) -> None:
    """Flask has done its part by then: the exception comes out of the body."""
    reported = Reported()

    @app.get("/stream")
    def stream() -> Response:
        def pieces() -> Iterator[str]:
            yield request.path
            raise KeyError("broken")

        return Response(stream_with_context(pieces()))

    instrument_flask(app, Watch(registry=registry, report=reported))
    with pytest.raises(KeyError):
        app.test_client().get("/stream", buffered=True)
    assert reported.shown == [("KeyError", "/stream", "GET")]
    assert counts(registry) == {("/stream", "GET", "5xx"): 1}


def test_work_after_the_response_is_no_part_of_it(registry: Registry, app: Flask) -> None:
    """What call_on_close is given runs when the request has been counted."""
    seen: list[dict[tuple[str, ...], float]] = []

    @app.get("/accepted")
    def accepted() -> Response:
        response = Response("accepted", 202)
        response.call_on_close(lambda: seen.append(counts(registry)))
        return response

    instrument_flask(app, Watch(registry=registry))
    app.test_client().get("/accepted", buffered=True)
    assert seen == [{("/accepted", "GET", "2xx"): 1}]


def test_async_views_are_measured_alike(registry: Registry, app: Flask) -> None:
    """Flask runs them in a loop of their own."""
    reported = Reported()

    @app.get("/async/<name>")
    async def view(name: str) -> str:
        await asyncio.sleep(0)
        return {"x": name}[name]

    instrument_flask(app, Watch(registry=registry, report=reported))
    assert app.test_client().get("/async/x").text == "x"
    assert app.test_client().get("/async/y").status_code == 500
    assert reported.shown == [("KeyError", "/async/<name>", "GET")]


def test_doing_it_again_changes_nothing(registry: Registry, app: Flask) -> None:
    """Also with a middleware put around meanwhile; the metrics path may come with a later call."""
    instrument_flask(app, Watch(registry=registry))
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    instrument_flask(app, Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics))
    assert isinstance(app.wsgi_app, ProxyFix)
    client = app.test_client()
    client.get("/users/1")
    assert client.get("/metrics").text == "the metrics"
    assert counts(registry) == {("/users/<int:user_id>", "GET", "2xx"): 1}


def test_two_services_measure_the_same_application(registry: Registry, app: Flask) -> None:
    """Each registry has its own middleware."""
    other, reported = Registry(strict=True), Reported()
    instrument_flask(app, Watch(registry=registry, report=reported))
    instrument_flask(app, Watch(registry=other, report=reported))
    app.test_client().get("/broken")
    assert len(reported.shown) == 2
    assert counts(registry) == counts(other) == {("/broken", "GET", "5xx"): 1}


def test_excluded_rules_are_not_recorded_and_their_errors_are(registry: Registry, app: Flask) -> None:
    """An exception in a health check is none the less an error."""
    reported = Reported()
    instrument_flask(app, Watch(registry=registry, report=reported, excluded=["/broken", "/users/<int:user_id>"]))
    client = app.test_client()
    for path in ("/broken", "/users/1", "/slash/"):
        client.get(path)
    assert counts(registry) == {("/slash/", "GET", "2xx"): 1}
    assert reported.shown == [("KeyError", "/broken", "GET")]


@pytest.mark.parametrize("rule", ["/metrics", "/metrics/"])
def test_path_of_the_application_is_not_taken(registry: Registry, app: Flask, rule: str) -> None:
    """Where the application has a rule of its own the metrics do not go, neither from outside of it."""
    app.add_url_rule(rule, view_func=lambda: "mine", methods=["POST"])
    watch = Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics)
    for served in (app, ProxyFix(app)):
        with pytest.raises(ConfigurationError, match="choose another path"):
            watch_application(served, watch)


def test_metrics_come_before_catch_all_rules(registry: Registry, app: Flask) -> None:
    """A rule for everything does not hide the metrics."""
    app.add_url_rule("/<path:path>", view_func=lambda path: path)
    instrument_flask(app, Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics))
    assert app.test_client().get("/metrics").text == "the metrics"
    assert app.test_client().get("/metrics/more").text == "metrics/more"


@pytest.mark.parametrize("wrap", [ProxyFix, lambda app: ProxyFix(app.wsgi_app)], ids=["the_application", "its_method"])
def test_flask_within_middleware_keeps_its_rules(registry: Registry, app: Flask, wrap: Any) -> None:
    """Its rules, its exceptions, and what it has not matched are known from outside."""
    reported = Reported()
    client = Client(watch_application(wrap(app), Watch(registry=registry, report=reported)))
    for path in ("/users/1", "/slash", "/nothing", "/broken"):
        client.get(path)
    assert reported.shown == [("KeyError", "/broken", "GET")]
    assert counts(registry) == {
        ("/users/<int:user_id>", "GET", "2xx"): 1,
        ("/slash/", "GET", "3xx"): 1,
        ("unmatched", "GET", "4xx"): 1,
        ("/broken", "GET", "5xx"): 1,
    }


def test_mounted_applications_are_shown_with_their_prefix(registry: Registry, app: Flask) -> None:
    """Two applications under a dispatcher: one instrumented itself, one not."""
    reported = Reported()
    watch = Watch(registry=registry, report=reported)
    instrument_flask(app, watch)
    served = watch_application(DispatcherMiddleware(application(), {"/a": app, "/b": application()}), watch)
    client = Client(served)
    for path in ("/users/1", "/a/users/1", "/b/users/1", "/b/broken", "/b/nothing", "/nothing"):
        client.get(path)
    assert reported.shown == [("KeyError", "/b/broken", "GET")]
    assert counts(registry) == {
        ("/users/<int:user_id>", "GET", "2xx"): 1,
        ("/a/users/<int:user_id>", "GET", "2xx"): 1,
        ("/b/users/<int:user_id>", "GET", "2xx"): 1,
        ("/b/broken", "GET", "5xx"): 1,
        ("/b/*", "GET", "4xx"): 1,
        ("unmatched", "GET", "4xx"): 1,
    }


def test_prefix_from_a_header_makes_no_series(registry: Registry, app: Flask) -> None:
    """A proxy's prefix is no part of the template, and an invented one neither."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    instrument_flask(app, Watch(registry=registry))
    for number in range(5):
        app.test_client().get("/users/1", headers={"X-Forwarded-Prefix": f"/{number}"})
    assert counts(registry) == {("/users/<int:user_id>", "GET", "2xx"): 5}


def test_static_files_are_one_endpoint(registry: Registry, tmp_path: Any) -> None:
    """A file goes to the server as a file, and is counted when it does."""
    (tmp_path / "a.txt").write_text("content")
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    instrument_flask(app, Watch(registry=registry))
    assert app.test_client().get("/static/a.txt", buffered=True).text == "content"
    app.test_client().get("/static/b.txt")
    assert counts(registry) == {
        ("/static/<path:filename>", "GET", "2xx"): 1,
        ("/static/<path:filename>", "GET", "4xx"): 1,
    }


class Silent(WSGIRequestHandler):
    """Writes no access log."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 (the base class's)
        """Write nothing."""


@contextmanager
def served(app: Flask) -> Generator[str]:
    """Serve an application by Werkzeug's threaded server on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.programs
def test_werkzeugs_server_sees_no_difference(registry: Registry, app: Flask) -> None:
    """Answers, redirects, files and streams arrive as they would without us, and each is counted."""

    @app.get("/stream")
    def stream() -> Response:
        return Response(str(number) for number in range(3))

    @app.get("/gone")
    def gone() -> Any:
        return redirect("/users/1")

    with served(app) as url:
        paths = ("/users/1", "/stream", "/gone", "/nothing", "/broken")
        bare = [ask(url + path) for path in paths]
    instrument_flask(app, Watch(registry=registry))
    with served(app) as url:
        watched = [ask(url + path) for path in paths]
        wait_until(lambda: counted(registry) == len(paths))
    assert [(reply.status, reply.body) for reply in watched] == [(reply.status, reply.body) for reply in bare]
    assert [sorted(reply.headers) for reply in watched] == [sorted(reply.headers) for reply in bare]
