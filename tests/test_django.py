"""Django's two handlers, measured in one call."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import django
import httpx2
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse, StreamingHttpResponse, UnreadablePostError
from django.urls import include, path, re_path
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.django import readable
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.metrics import Registry
from tests.requests_seen import Reported, counts, spreads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment


def user(request: Any, **_parameters: object) -> HttpResponse:
    return HttpResponse(b"the application")


async def async_user(request: Any, name: str) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse({"x": b"asynchronous"}[name])


def fail(request: Any, kind: str) -> HttpResponse:
    raise {"error": KeyError, "missing": Http404, "forbidden": PermissionDenied, "gone": UnreadablePostError}[kind]


def stream(request: Any) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        if request.GET:
            raise KeyError("broken")

    async def async_pieces() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    return StreamingHttpResponse(async_pieces() if hasattr(request, "scope") else pieces())


class Urls:
    """Stands for the module of the URLconf."""

    urlpatterns = (
        path("users/<int:id>/", user),
        path("async/<name>", async_user),
        path("fail/<kind>", fail),
        path("stream", stream),
        path("shop/", include([path("items/<slug:item>", user), re_path(r"^(?P<year>[0-9]{4})/$", user)])),
        re_path(r"^old/(\d+)/(?P<rest>.*)$", user),
    )


class Guard:
    """Middleware that turns away who says so, and breaks where asked to."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer one request."""
        if "guard" in request.GET:
            return HttpResponse({"deny": b"no"}[request.GET["guard"]], status=401)
        return self.get_response(request)


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[f"{__name__}.Guard", "django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=Urls,
        SECRET_KEY="tests",
        USE_I18N=False,
    )
    # Django imports its middleware by name, and pytest may know this module by another.
    sys.modules.setdefault(__name__, sys.modules[Guard.__module__])
    django.setup()


def metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Stand for the WSGI application that shows the metrics."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the metrics"]


async def metrics_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the ASGI application that does."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the metrics"})


class Answers:
    """Asks an application of either protocol.

    Args:
        protocol: ``wsgi`` or ``asgi``.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.app: Any = {"wsgi": get_wsgi_application, "asgi": get_asgi_application}[protocol]()

    def watch(self, watch: Watch) -> None:
        """Have the application watched."""
        self.app = watch_application(self.app, watch)

    def __call__(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return status and body."""
        if self.protocol == "wsgi":
            reply = Client(self.app).open(path, method=method, buffered=True)
            return reply.status_code, reply.text
        client = TestClient(self.app, follow_redirects=False)
        response = client.request(method, path)
        return response.status_code, response.text


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest) -> Answers:
    return Answers(request.param)


def test_application_is_measured_in_one_call(registry: Registry, ask: Answers) -> None:
    """Routes as they were declared are the endpoints; /metrics is there, and not counted."""
    ask.watch(Watch(registry=registry, metrics_path="/metrics", metrics_wsgi=metrics, metrics_app=metrics_asgi))
    assert ask("/users/1/") == (200, "the application")
    assert ask("/users/2/?x=1", "POST")[0] == 200
    assert ask("/async/x") == (200, "asynchronous")
    assert ask("/shop/items/a-b")[0] == ask("/shop/2026/")[0] == ask("/old/3/x/y")[0] == 200
    assert ask("/metrics") == ask("/metrics/") == (200, "the metrics")
    assert counts(registry) == {
        ("/users/<int:id>/", "GET", "2xx"): 1,
        ("/users/<int:id>/", "POST", "2xx"): 1,
        ("/async/<name>", "GET", "2xx"): 1,
        ("/shop/items/<slug:item>", "GET", "2xx"): 1,
        ("/shop/<year>/", "GET", "2xx"): 1,
        ("/old/<var>/<rest>", "GET", "2xx"): 1,
    }


def test_what_reaches_no_view_is_still_shown_by_its_route(registry: Registry, ask: Answers) -> None:
    """A slash too few, and what a middleware answers; invented paths are "unmatched"."""
    ask.watch(Watch(registry=registry))
    assert ask("/users/1")[0] == 301
    assert ask("/users/1/?guard=deny")[0] == ask("/nothing?guard=deny")[0] == 401
    for number in range(10):
        assert ask(f"/wp-{number}.php")[0] == 404
    assert ask("/fail/missing")[0] == 404
    assert counts(registry) == {
        ("/users/<int:id>/", "GET", "3xx"): 1,
        ("/users/<int:id>/", "GET", "4xx"): 1,
        ("unmatched", "GET", "4xx"): 11,
        ("/fail/<kind>", "GET", "4xx"): 1,
    }


@pytest.mark.parametrize(
    ("asked", "endpoint"),
    [
        ("/fail/error", "/fail/<kind>"),
        ("/async/y", "/async/<name>"),
        ("/users/1/?guard=break", "/users/<int:id>/"),
        ("/nothing?guard=break", "unmatched"),
    ],
    ids=["view", "async_view", "middleware", "middleware_nowhere"],
)
def test_exception_that_becomes_a_500_is_reported_once(
    registry: Registry, ask: Answers, asked: str, endpoint: str
) -> None:
    """Django answers for it, and nothing leaves the handler: it is an error all the same."""
    reported = Reported()
    ask.watch(Watch(registry=registry, report=reported))
    assert ask(asked)[0] == 500
    assert reported.shown == [("KeyError", endpoint, "GET")]
    assert counts(registry) == {(endpoint, "GET", "5xx"): 1}


def test_refusals_are_no_errors(registry: Registry, ask: Answers) -> None:
    """What Django answers with a 4xx is not reported."""
    reported = Reported()
    ask.watch(Watch(registry=registry, report=reported))
    assert (ask("/fail/forbidden")[0], ask("/fail/missing")[0]) == (403, 404)
    assert reported.shown == []


def test_client_that_leaves_while_sending_is_no_error(registry: Registry) -> None:
    """Django makes a 500 of it, which nobody gets: it counts as nginx's 499."""
    ask, reported = Answers("wsgi"), Reported()
    ask.watch(Watch(registry=registry, report=reported))
    assert ask("/fail/gone", "POST")[0] == 500
    assert reported.shown == []
    assert counts(registry) == {("/fail/<kind>", "POST", "4xx"): 1}


def test_streams_count_to_their_end(registry: Registry, ask: Answers) -> None:
    """By either protocol."""
    ask.watch(Watch(registry=registry))
    assert ask("/stream") == (200, "x")
    assert counts(registry) == {("/stream", "GET", "2xx"): 1}


def test_stream_that_breaks_is_an_error(registry: Registry) -> None:
    """Though its status was 200."""
    # Not by ASGI, where Django leaves a temporary file open then, and Python warns of it.
    ask, reported = Answers("wsgi"), Reported()
    ask.watch(Watch(registry=registry, report=reported))
    with pytest.raises(KeyError):
        ask("/stream?break=1")
    assert reported.shown == [("KeyError", "/stream", "GET")]
    assert counts(registry) == {("/stream", "GET", "5xx"): 1}


def test_client_that_leaves_before_the_answer_is_no_error(registry: Registry) -> None:
    """Django gives the view up without an answer: 4xx, not the 5xx of an application that forgets to answer."""
    ask, reported = Answers("asgi"), Reported()
    ask.watch(Watch(registry=registry, report=reported))

    async def leave() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/users/1/", "query_string": b"", "headers": []}
    asyncio.run(ask.app(scope, leave, send))
    assert reported.shown == []
    assert counts(registry) == {("/users/<int:id>/", "GET", "4xx"): 1}


@pytest.mark.parametrize(
    ("excluded", "counted"),
    [(["/users/<int:id>/"], 2), (["/users/<int:id>"], 2), (["/nothing"], 2), (["unmatched"], 2), ([], 3)],
    ids=["route", "without_its_slash", "path_of_no_route", "all_of_no_route", "none"],
)
def test_excluded_routes_are_not_recorded(registry: Registry, ask: Answers, excluded: list[str], counted: int) -> None:
    ask.watch(Watch(registry=registry, excluded=excluded))
    for asked in ("/users/1/", "/stream", "/nothing"):
        ask(asked)
    assert sum(counts(registry).values()) == counted


def test_path_of_the_application_is_not_taken(registry: Registry, ask: Answers) -> None:
    """Where the URLconf has the very route the metrics do not go."""
    with pytest.raises(ConfigurationError, match="choose another path"):
        ask.watch(Watch(registry=registry, metrics_path="/stream", metrics_wsgi=metrics, metrics_app=metrics_asgi))


def test_two_services_and_two_calls_count_once_each(registry: Registry, ask: Answers) -> None:
    """The outermost of each registry counts, and knows the route."""
    other = Registry(strict=True)
    reports = {registry: Reported(), other: Reported()}
    for counting in (registry, other, registry):
        ask.watch(Watch(registry=counting, report=reports[counting]))
    ask("/fail/error")
    assert counts(registry) == counts(other) == {("/fail/<kind>", "GET", "5xx"): 1}
    assert reports[other].shown == [("KeyError", "/fail/<kind>", "GET")]
    # A corridor counts an exception once, however often it is told.
    assert len({id(report.error) for report in reports[registry].reports}) == 1


def test_handlers_within_middleware_keep_their_routes(registry: Registry) -> None:
    """Its routes and exceptions are known from outside of what was put around."""
    reported = Reported()
    handler: Any = get_wsgi_application()
    app = watch_application(ProxyFix(handler), Watch(registry=registry, report=reported))
    for asked in ("/users/1/", "/fail/error"):
        Client(app).open(asked)
    assert counts(registry) == {("/users/<int:id>/", "GET", "2xx"): 1, ("/fail/<kind>", "GET", "5xx"): 1}
    assert reported.shown == [("KeyError", "/fail/<kind>", "GET")]


def test_mounted_handler_is_shown_with_its_prefix(registry: Registry) -> None:
    """One that was instrumented itself, below a dispatcher that is instrumented too."""
    reported = Reported()
    watch = Watch(registry=registry, report=reported)

    def front(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return metrics(environ, start_response)

    inside: Any = watch_application(get_wsgi_application(), watch)
    client = Client(watch_application(DispatcherMiddleware(front, {"/site": inside}), watch))
    for asked in ("/x", "/site/users/1/", "/site/nothing", "/site/fail/error"):
        client.open(asked)
    assert reported.shown == [("KeyError", "/site/fail/<kind>", "GET")]
    assert counts(registry) == {
        ("/*", "GET", "2xx"): 1,
        ("/site/users/<int:id>/", "GET", "2xx"): 1,
        ("/site/*", "GET", "4xx"): 1,
        ("/site/fail/<kind>", "GET", "5xx"): 1,
    }


@pytest.mark.asyncio
async def test_django_behind_a_router_of_protocols_keeps_its_routes(registry: Registry) -> None:
    """As in Channels: the whole is instrumented for its websockets, Django inside for its routes; it counts once."""
    reported = Reported()
    watch = Watch(registry=registry, report=reported, excluded=["/stream"])
    inside = watch_application(get_asgi_application(), watch)

    async def route(scope: Any, receive: Any, send: Any) -> None:
        await {"http": inside}[scope["type"]](scope, receive, send)

    mounted = Starlette(routes=[Mount("/site", app=inside)])
    for app, prefix in ((route, ""), (mounted, "/site")):
        watched = watch_application(app, watch)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(watched), base_url="http://x") as client:
            for asked in ("/users/1/", "/fail/error", "/nothing", "/stream"):
                await client.get(prefix + asked)
    assert counts(registry) == {
        ("/users/<int:id>/", "GET", "2xx"): 1,
        ("/fail/<kind>", "GET", "5xx"): 1,
        ("/*", "GET", "4xx"): 1,
        ("/site/users/<int:id>/", "GET", "2xx"): 1,
        ("/site/fail/<kind>", "GET", "5xx"): 1,
        ("/site/*", "GET", "4xx"): 1,
        ("/site/stream", "GET", "2xx"): 1,
    }
    assert reported.shown == [("KeyError", "/fail/<kind>", "GET"), ("KeyError", "/site/fail/<kind>", "GET")]


def test_other_applications_of_django_are_left_alone(registry: Registry, ask: Answers) -> None:
    """An exception in a handler that is not watched is not reported."""
    reported = Reported()
    ask.watch(Watch(registry=registry, report=reported))
    assert Answers(ask.protocol)("/fail/error")[0] == 500
    assert reported.shown == []
    assert spreads(registry) == {}


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ("", "/"),
        ("users/<int:id>/", "/users/<int:id>/"),
        ("^$", "/"),
        (r"^articles/(?P<year>[0-9]{4})/$", "/articles/<year>/"),
        (r"^a/(?P<b>(x|y)+)/c$", "/a/<b>/c"),
        (r"^files/(.*)\.txt\Z", "/files/<var>.txt"),
        (r"api/^v1/(?:beta/)?(?P<rest>.*)", "/api/v1/<rest>"),
        (r"^half/(open", "/half/<var>"),
    ],
)
def test_regular_expressions_are_shown_as_paths(route: str, shown: str) -> None:
    assert readable(route) == shown
