"""What is added to a request to a FastAPI or Flask application, metrics only, called as a server calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import our_service, sdk_provider
from benchmarks.timing import awaited, statement

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from fastapi import FastAPI
    from flask import Flask

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


def _item(item_id: int) -> str:
    return str(item_id)


def _flask_app() -> Flask:
    from flask import Blueprint, Flask

    blueprint = Blueprint("v1", __name__, url_prefix="/v1")
    blueprint.add_url_rule("/items/<int:item_id>", "item", _item)
    app = Flask(__name__)
    app.register_blueprint(blueprint, url_prefix="/api/v1")
    return app


def _answer(app: Flask, environ: dict[str, Any]) -> None:
    """Call the application as a server does, which reads the response and closes it."""
    response = app(environ, _start_response)
    for _ in response:
        pass
    response.close()  # type: ignore[attr-defined]


def _start_response(_status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
    return _drop


def _drop(_data: bytes) -> object:
    return None


def _flask_instrumented(instrument: Callable[[Flask], None]) -> Callable[[], Sample]:
    def prepare() -> Sample:
        from werkzeug.test import create_environ

        app = _flask_app()
        instrument(app)
        environ = create_environ(PATH, "http://localhost:8000")
        return statement("answer(app, {**environ})", answer=_answer, app=app, environ=environ)

    return prepare


def _flask_bare(_app: Flask) -> None:
    pass


def _flask_ours(app: Flask) -> None:
    our_service().instrument(app)


def _flask_exporter(app: Flask) -> None:
    from prometheus_client import CollectorRegistry
    from prometheus_flask_exporter import PrometheusMetrics

    PrometheusMetrics(app, registry=CollectorRegistry(), group_by="url_rule")


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
    Case(
        name="flask",
        title="Added to a Flask request",
        ours=Subject(OURS, _flask_instrumented(_flask_ours)),
        peers=(Subject("prometheus-flask-exporter", _flask_instrumented(_flask_exporter), at_most=0.5),),
        bare=Subject("no instrumentation", _flask_instrumented(_flask_bare)),
        rounds=151,
        seconds=0.02,
    ),
)
