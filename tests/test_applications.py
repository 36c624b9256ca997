"""One call finds out what kind of application it is given."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient
from werkzeug.test import Client

from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.requests import Watch
from tests.requests_seen import counts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from otel_monitoring.metrics import Registry


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


def returning_a_coroutine(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi(scope, receive, send)


def decorated(app: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(app)
    def around(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return around


class ASGIObject:
    """An application that is an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        await asgi(scope, receive, send)

    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, too."""
        await asgi(scope, receive, send)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"yes"]


def configured(name: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return wsgi(environ, start_response)


class WSGIObject:
    """An application that is an object."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return wsgi(environ, start_response)

    def method(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, too."""
        return wsgi(environ, start_response)


@pytest.mark.parametrize(
    "app",
    [asgi, returning_a_coroutine, decorated(asgi), ASGIObject(), ASGIObject().method, CORSMiddleware(asgi)],
    ids=["function", "plain_function", "decorated", "object", "method", "middleware"],
)
def test_any_asgi_application_is_recognised(registry: Registry, app: Any) -> None:
    """Another application around it is to be served."""
    watched = watch_application(app, Watch(registry=registry))
    assert watched is not app
    assert TestClient(watched).get("/x").text == "yes"
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


@pytest.mark.parametrize(
    "app",
    [wsgi, decorated(wsgi), functools.partial(configured, "x"), WSGIObject(), WSGIObject().method],
    ids=["function", "decorated", "partial", "object", "method"],
)
def test_any_wsgi_application_is_recognised(registry: Registry, app: Any) -> None:
    """Another application around it is to be served."""
    watched = watch_application(app, Watch(registry=registry))
    assert watched is not app
    assert Client(watched).get("/x").text == "yes"
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


@pytest.mark.parametrize("make", [Starlette, lambda: Flask(__name__)], ids=["starlette", "flask"])
def test_applications_of_frameworks_stay_the_same_object(registry: Registry, make: Callable[[], object]) -> None:
    """What is imported elsewhere by its name is instrumented too."""
    app = make()
    assert watch_application(app, Watch(registry=registry)) is app


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (None, "any other ASGI or WSGI application"),
        ("app:app", "any other ASGI or WSGI application"),
        (object(), "any other ASGI or WSGI application"),
        (ASGIObject, "it is a class, and an object of it is served"),
        (WSGIObject, "it is a class"),
        (lambda environ: environ, "takes environ and start_response|takes scope, receive and send"),
        (lambda *arguments: arguments, "takes scope, receive and send"),
        (lambda a, b, c, d: None, "takes scope, receive and send"),
    ],
    ids=["nothing", "text", "object", "asgi_class", "wsgi_class", "one", "any_number", "four"],
)
def test_what_is_no_application_is_refused_with_what_is_taken(registry: Registry, thing: object, said: str) -> None:
    """The message lists what is taken, and says what is wrong with what looks like it."""
    with pytest.raises(TypeError, match=said) as raised:
        watch_application(thing, Watch(registry=registry))
    assert "Flask" in str(raised.value)
    assert "get_wsgi_application()" in str(raised.value)


def test_middleware_in_a_circle_is_looked_through_once(registry: Registry) -> None:
    """Looking for a framework inside comes to an end."""

    class Circle(WSGIObject):
        """An application that says it is inside of itself."""

        @property
        def app(self) -> object:
            """Itself."""
            return self

    assert Client(watch_application(Circle(), Watch(registry=registry))).get("/").text == "yes"


@pytest.mark.parametrize("excluded", ["/health", [b"/health"], [1]], ids=["text", "bytes", "number"])
def test_excluded_that_is_no_list_of_texts_is_refused(registry: Registry, excluded: Any) -> None:
    """One text would be taken for its letters."""
    with pytest.raises(TypeError, match="excluded is"):
        watch_application(wsgi, Watch(registry=registry, excluded=excluded))


def test_no_framework_is_imported_to_find_out() -> None:
    """Neither for a WSGI nor for an ASGI application that needs none."""
    script = (
        "import sys\n"
        "from otel_monitoring.instrument.applications import watch_application\n"
        "from otel_monitoring.instrument.requests import Watch\n"
        "from otel_monitoring.metrics import Registry\n"
        "async def asgi(scope, receive, send): pass\n"
        "def wsgi(environ, start_response): return []\n"
        "for app in (asgi, wsgi): watch_application(app, Watch(registry=Registry()))\n"
        "print([m for m in ('django', 'fastapi', 'flask', 'starlette', 'structlog', 'werkzeug') if m in sys.modules])\n"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
