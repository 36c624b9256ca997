"""What is added to a request to a FastAPI application, metrics only, called as a server calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import our_service, sdk_provider
from benchmarks.timing import awaited

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from fastapi import FastAPI

    from benchmarks.case import Sample

    Message = MutableMapping[str, Any]

PATH = "/api/v1/items/42"


def _app() -> FastAPI:
    from fastapi import APIRouter, FastAPI, Response

    router = APIRouter(prefix="/v1")

    async def item(item_id: int) -> Response:
        return Response(str(item_id))

    router.add_api_route("/items/{item_id}", item, response_class=Response)
    app = FastAPI(openapi_url=None)
    app.include_router(router, prefix="/api")
    return app


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost:8000"), (b"user-agent", b"benchmarks"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Message) -> None:
    pass


def _requests_to(app: FastAPI) -> Sample:
    """Time requests, one after the other."""
    return awaited(lambda: app(_scope(), _receive, _send))


def _instrumented(instrument: Callable[[FastAPI], None]) -> Callable[[], Sample]:
    def prepare() -> Sample:
        app = _app()
        instrument(app)
        return _requests_to(app)

    return prepare


def _bare(_app: FastAPI) -> None:
    pass


def _ours(app: FastAPI) -> None:
    our_service().instrument(app)


def _instrumentator(app: FastAPI) -> None:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator(registry=CollectorRegistry()).instrument(app)


def _otel_instrumentor(app: FastAPI) -> None:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.trace import NoOpTracerProvider

    FastAPIInstrumentor.instrument_app(app, tracer_provider=NoOpTracerProvider(), meter_provider=sdk_provider())


CASES = (
    Case(
        name="request",
        title="Added to a FastAPI request",
        ours=Subject(OURS, _instrumented(_ours)),
        peers=(
            Subject("prometheus-fastapi-instrumentator", _instrumented(_instrumentator), at_most=0.3),
            Subject("OpenTelemetry's FastAPI instrumentor", _instrumented(_otel_instrumentor), at_most=1 / 10),
        ),
        bare=Subject("no instrumentation", _instrumented(_bare)),
        # What is added is small beside the request: many turns, close to each other.
        rounds=151,
        seconds=0.02,
    ),
)
