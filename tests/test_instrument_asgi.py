"""Whole applications, instrumented in one call."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from otel_monitoring.catalogue.shipped import HTTP_REQUESTS
from otel_monitoring.exceptions import ConfigurationError, ExtraMissingError
from otel_monitoring.instrument.asgi import instrument_app, wrap_asgi
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.instrument.web import RequestMetrics
from otel_monitoring.metrics import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the application")


async def metrics(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the application that shows the metrics."""
    await PlainTextResponse("the metrics")(scope, receive, send)


def counts(registry: Registry) -> dict[tuple[str, ...], Any]:
    """Return the requests by endpoint, method and status."""
    points = registry.snapshot().points()
    return {tuple(point.labels.values()): point.value for point in points if point.metric is HTTP_REQUESTS}


class Refusing:
    """Middleware that lets nobody in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, pass anything else on."""
        if scope["type"] == "http":
            await PlainTextResponse("no", status_code=401)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_application_is_measured_in_one_call(registry: Registry, make: type[Starlette]) -> None:
    """Requests are counted, and /metrics is there with and without a slash behind it, not counted itself."""
    app = make()
    app.router.routes.append(Route("/x/{y}", answer))
    instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
    with TestClient(app, follow_redirects=False) as client:
        assert client.get("/x/1").text == "the application"
        for path in ("/metrics", "/metrics/"):
            response = client.get(path)
            assert (response.status_code, response.text) == (200, "the metrics")
    assert counts(registry) == {("/x/{y}", "GET", "2xx"): 1}


def test_doing_it_again_changes_nothing(registry: Registry) -> None:
    """Twice before the start and once after it: each request still counts once."""
    app = FastAPI(routes=[Route("/x", answer)])
    for _ in range(2):
        instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
    with TestClient(app) as client:
        instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
        client.get("/x")
        assert client.get("/metrics").text == "the metrics"
    assert counts(registry) == {("/x", "GET", "2xx"): 1}
    assert len(app.user_middleware) == 1


def test_metrics_path_may_come_with_a_later_call(registry: Registry) -> None:
    """Also when the application runs already: a route can still be added."""
    app = FastAPI()
    instrument_app(app, Watch(registry=registry))
    with TestClient(app) as client:
        instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
        assert client.get("/metrics").text == "the metrics"
    assert counts(registry) == {}


def test_application_that_has_started_is_refused_with_what_to_do(registry: Registry) -> None:
    """From a lifespan it is too late, and the message says where it is early enough."""
    problems: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        try:
            instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
        except ConfigurationError as error:
            problems.extend(error.problems)
        yield

    app = FastAPI(lifespan=lifespan)
    with TestClient(app) as client:
        assert client.get("/metrics").status_code == 404
    (problem,) = problems
    assert "instrument it where it is made" in problem


def test_two_services_measure_the_same_application(registry: Registry) -> None:
    """Each registry has its own middleware."""
    other = Registry(strict=True)
    app = FastAPI(routes=[Route("/x", answer)])
    instrument_app(app, Watch(registry=registry))
    instrument_app(app, Watch(registry=other))
    TestClient(app).get("/x")
    assert counts(registry) == counts(other) == {("/x", "GET", "2xx"): 1}


def test_middleware_added_later_is_inside(registry: Registry) -> None:
    """A request that a middleware refuses is counted, whenever that middleware was added."""
    app = FastAPI(routes=[Route("/x", answer)])
    instrument_app(app, Watch(registry=registry))
    app.add_middleware(Refusing)
    assert TestClient(app).get("/x").status_code == 401
    assert counts(registry) == {("/x", "GET", "4xx"): 1}


def test_metrics_come_before_catch_all_routes(registry: Registry) -> None:
    """A route or mount for everything does not hide the metrics."""
    app = Starlette(routes=[Route("/{path:path}", answer), Mount("/", app=metrics)])
    instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
    client = TestClient(app)
    assert client.get("/metrics").text == "the metrics"
    assert client.get("/metrics/more").text == "the application"


def _taken_by_route() -> Starlette:
    return FastAPI(routes=[Route("/metrics", answer, methods=["POST"])])


def _taken_by_slash() -> Starlette:
    return Starlette(routes=[Route("/metrics/", answer)])


def _taken_by_mount() -> Starlette:
    return Starlette(routes=[Mount("/metrics", app=metrics)])


def _taken_by_router() -> Starlette:
    router = APIRouter()
    router.add_api_route("/metrics", lambda: "mine")
    app = FastAPI()
    app.include_router(router)
    return app


@pytest.mark.parametrize("make", [_taken_by_route, _taken_by_slash, _taken_by_mount, _taken_by_router])
def test_path_of_the_application_is_not_taken(registry: Registry, make: Any) -> None:
    """Where the application has something of its own the metrics do not go."""
    app = make()
    with pytest.raises(ConfigurationError, match="choose another path"):
        instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))


@pytest.mark.parametrize("path", ["metrics", "", "/", "/{metrics}", "/a b", "/metrics?x"])
def test_metrics_path_is_a_plain_path(registry: Registry, path: str) -> None:
    """A path that could not be asked for is refused."""
    with pytest.raises(ConfigurationError, match="a plain path"):
        instrument_app(FastAPI(), Watch(registry=registry, metrics_path=path, metrics_app=metrics))
    with pytest.raises(ConfigurationError, match="a plain path"):
        wrap_asgi(metrics, Watch(registry=registry, metrics_path=path, metrics_app=metrics))


def test_metrics_path_needs_something_that_answers(registry: Registry) -> None:
    """A path alone shows nothing."""
    with pytest.raises(ConfigurationError, match="no metrics_app"):
        instrument_app(FastAPI(), Watch(registry=registry, metrics_path="/metrics"))


def test_route_named_metrics_is_still_found(registry: Registry) -> None:
    """The names of the application's routes stay its own."""
    app = Starlette(routes=[Route("/figures", answer, name="metrics")])
    instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
    assert app.url_path_for("metrics") == "/figures"


def test_schema_does_not_show_the_metrics(registry: Registry) -> None:
    """/metrics is no part of the application's interface."""
    app = FastAPI()
    instrument_app(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))
    assert app.openapi()["paths"] == {}


def test_excluded_endpoints_are_handed_on(registry: Registry) -> None:
    """What is excluded is not recorded."""
    app = FastAPI(routes=[Route("/health", answer)])
    instrument_app(app, Watch(registry=registry, excluded=["/health"]))
    TestClient(app).get("/health")
    assert counts(registry) == {}


def test_reported_exception_comes_with_its_route(registry: Registry) -> None:
    """The service is told where it happened."""
    told: list[tuple[str, str, str]] = []

    def report(error: Exception, *, endpoint: str, method: str) -> None:
        told.append((type(error).__name__, endpoint, method))

    app = FastAPI()

    @app.post("/broken/{x}")
    async def broken(x: int) -> None:
        raise KeyError(x)

    instrument_app(app, Watch(registry=registry, report=report))
    assert TestClient(app, raise_server_exceptions=False).post("/broken/1").status_code == 500
    assert told == [("KeyError", "/broken/{x}", "POST")]
    assert counts(registry) == {("/broken/{x}", "POST", "5xx"): 1}


def test_any_asgi_application_can_be_wrapped(registry: Registry) -> None:
    """One series for what has no routes; the metrics beside it, not counted."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("bare")(scope, receive, send)

    client = TestClient(wrap_asgi(bare, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics)))
    assert client.get("/anything").text == "bare"
    assert client.get("/metrics").text == client.get("/metrics/").text == "the metrics"
    assert counts(registry) == {("/*", "GET", "2xx"): 1}


def test_wrapped_starlette_keeps_its_templates(registry: Registry) -> None:
    """From outside of an application its routes are read too, and nothing is counted twice."""
    app = FastAPI(routes=[Route("/x/{y}", answer)])
    instrument_app(app, Watch(registry=registry))
    TestClient(wrap_asgi(app, Watch(registry=registry))).get("/x/1")
    assert counts(registry) == {("/x/{y}", "GET", "2xx"): 1}


def test_spans_that_are_asked_for_need_their_extra(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for and not installed: the message names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.asgi", None)
    with pytest.raises(ExtraMissingError, match=r"otel-monitoring\[fastapi\]"):
        instrument_app(FastAPI(), Watch(registry=registry, tracing=True))
    with pytest.raises(ExtraMissingError, match=r"otel-monitoring\[fastapi\]"):
        wrap_asgi(metrics, Watch(registry=registry, tracing=True))


TRACED = """
import json
import sys

from fastapi import APIRouter, FastAPI
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from structlog.contextvars import get_contextvars

from otel_monitoring.instrument.asgi import instrument_app, wrap_asgi
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.logs.requests import RequestContext
from otel_monitoring.metrics import Registry

kind, when, tracing = sys.argv[1:]
spans, reader, reported, bound = InMemorySpanExporter(), InMemoryMetricReader(), [], []


def set_providers():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))


def report(error, *, endpoint, method):
    reported.append(trace.get_current_span().get_span_context().span_id)


async def item(request):
    bound.append(get_contextvars().get("trace_id"))
    return PlainTextResponse("yes")


async def broken(request):
    raise KeyError("broken")


async def api_item(item: int):
    bound.append(get_contextvars().get("trace_id"))
    return item


async def api_broken():
    raise KeyError("broken")


async def shown(scope, receive, send):
    await PlainTextResponse("the metrics")(scope, receive, send)


if when == "before":
    set_providers()
registry = Registry(strict=True)
routes = [Route("/items/{item}", item), Route("/broken", broken)]
settings = {
    "registry": registry,
    "report": report,
    "metrics_path": "/metrics",
    "metrics_app": shown,
    "tracing": {"auto": None, "on": True, "off": False}[tracing],
    "logs": RequestContext(),
}
if kind == "fastapi":
    app = FastAPI()
    router = APIRouter()
    router.get("/items/{item}")(api_item)
    router.get("/broken")(api_broken)
    app.include_router(router, prefix="/api")
    instrument_app(app, Watch(**settings))
    instrument_app(app, Watch(**settings))
elif kind == "starlette":
    app = Starlette(routes=[Route("/api" + route.path, route.endpoint) for route in routes])
    instrument_app(app, Watch(**settings))
else:
    bare = Starlette(routes=[Route("/api" + route.path, route.endpoint) for route in routes])
    app = wrap_asgi(bare, Watch(**settings))
if when == "later":
    set_providers()
client = TestClient(app, raise_server_exceptions=False)
client.get("/api/items/1")
client.get("/api/broken")
client.get("/metrics")
client.get("/nothing/at/all")
finished = spans.get_finished_spans()
found = reader.get_metrics_data()
print(json.dumps({
    "names": [span.name for span in finished],
    "attributes": sorted(finished[0].attributes) if finished else [],
    "errors": [span.name for span in finished if span.status.status_code is trace.StatusCode.ERROR],
    "exceptions": [event.name for span in finished for event in span.events],
    "current": [span.name for span in finished for span_id in reported if span.context.span_id == span_id],
    "metrics": found.to_json() if found else "",
    "bound": bound,
    "traces": [f"{span.context.trace_id:032x}" for span in finished],
    "counted": sum(p.value for p in registry.snapshot().points() if p.metric.name == "http_requests"),
}))
"""


def traced(*arguments: str, opt_in: str = "http") -> dict[str, Any]:
    """Return what an instrumented application saw in an interpreter of its own: providers are set once."""
    script = textwrap.dedent(TRACED)
    environment = {"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in, "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    seen["logged"] = done.stderr
    return seen


@pytest.mark.parametrize("kind", ["fastapi", "starlette", "bare"])
def test_requests_become_spans_when_there_is_a_tracer_provider(kind: str) -> None:
    """Named by method and template, the exception on it; neither scrapes nor OpenTelemetry's metrics are there."""
    seen = traced(kind, "before", "auto")
    assert seen["names"][:2] == ["GET /api/items/{item}", "GET /api/broken"]
    assert seen["names"][2:] == ["GET"]
    assert seen["errors"] == ["GET /api/broken"]
    # Seen from outside of the error handler the span ends with the answer 500, before the exception comes.
    assert ("exception" in seen["exceptions"]) == (kind != "bare")
    assert seen["current"] == ["GET /api/broken"], "an error is reported within the span of its request"
    assert seen["bound"] == seen["traces"][:1], "what is logged names the trace"
    assert seen["metrics"] == ""
    assert seen["counted"] == 3
    assert {"http.request.method", "http.response.status_code", "http.route"} <= set(seen["attributes"])
    assert "already instrumented" not in seen["logged"]


def test_names_of_attributes_follow_opentelemetrys_setting() -> None:
    """Without the opt-in the attributes have the old names."""
    seen = traced("fastapi", "before", "auto", opt_in="")
    assert {"http.method", "http.status_code"} <= set(seen["attributes"])


@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
def test_tracer_provider_may_be_set_until_the_application_starts(kind: str) -> None:
    """The application is instrumented where it is made, the provider often later."""
    assert traced(kind, "later", "auto")["names"][:2] == ["GET /api/items/{item}", "GET /api/broken"]


@pytest.mark.parametrize(("when", "tracing"), [("never", "auto"), ("never", "on"), ("before", "off")])
def test_without_tracing_the_application_is_only_measured(when: str, tracing: str) -> None:
    """No provider, or switched off: requests are counted all the same."""
    seen = traced("starlette", when, tracing)
    assert seen["names"] == []
    assert seen["bound"] == [None]
    assert seen["counted"] == 3


def test_importing_brings_no_framework() -> None:
    """Neither FastAPI nor Starlette is loaded until there is an application."""
    modules = "otel_monitoring.instrument.asgi"
    script = f"import sys, {modules}; print([m for m in ('fastapi', 'starlette') if m in sys.modules])"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_middleware_by_hand_is_recognised(registry: Registry) -> None:
    """An application that was given the middleware itself is not given another."""
    app = Starlette(
        routes=[Route("/x", answer)], middleware=[Middleware(RequestMetrics, watch=Watch(registry=registry))]
    )
    instrument_app(app, Watch(registry=registry))
    TestClient(app).get("/x")
    assert len(app.user_middleware) == 1
    assert counts(registry) == {("/x", "GET", "2xx"): 1}


def test_lifespan_is_passed_on(registry: Registry) -> None:
    """A wrapped application starts and stops as before."""
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        happened.append("start")
        yield
        happened.append("stop")

    app = Starlette(lifespan=lifespan)
    with TestClient(wrap_asgi(app, Watch(registry=registry, metrics_path="/metrics", metrics_app=metrics))):
        assert happened == ["start"]
    assert happened == ["start", "stop"]
