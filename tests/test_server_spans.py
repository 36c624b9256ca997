"""Spans of WSGI requests, in an interpreter of their own: a tracer provider is set once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

SCRIPT = """
import json
import sys

import structlog
from flask import Flask, Response
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_monitoring.instrument.applications import watch_application
from otel_monitoring.instrument.requests import Watch
from otel_monitoring.logs.requests import RequestContext
from otel_monitoring.metrics import Registry

given = json.loads(sys.argv[1])
exporter, seen, reported = InMemorySpanExporter(), [], []


def set_provider():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def report(error, *, endpoint, method):
    reported.append(trace.get_current_span().get_span_context().span_id)


app = Flask(__name__)


@app.get("/users/<int:user_id>")
def user(user_id):
    seen.append(structlog.contextvars.get_contextvars()["trace_id"])
    return "yes"


@app.get("/broken")
def broken():
    raise KeyError("broken")


@app.get("/stream")
def stream():
    def pieces():
        for _ in range(2):
            seen.append(trace.get_current_span().name)
            yield "x"
    return Response(pieces())


if given["when"] == "before":
    set_provider()
registry = Registry(strict=True)
settings = {"tracing": {"auto": None, "off": False}[given["tracing"]], "untraced": given["untraced"]}
if given["instrumented"]:
    app._is_instrumented_by_opentelemetry = True
watch_application(app, Watch(registry=registry, report=report, logs=RequestContext(), **settings))
if given["when"] == "later":
    set_provider()
client = app.test_client()
around = trace.get_tracer("tests").start_as_current_span("around") if given["around"] else None
if around:
    around.__enter__()
for method, path in given["requests"]:
    client.open(path, method=method, headers=given["headers"], buffered=True)
    trace_left = trace.get_current_span().get_span_context().is_valid
print(json.dumps({
    "spans": [
        {
            "name": span.name,
            "kind": span.kind.name,
            "attributes": dict(span.attributes),
            "status": span.status.status_code.name,
            "trace": f"{span.context.trace_id:032x}",
            "parent": span.parent and f"{span.parent.span_id:016x}",
            "scope": span.instrumentation_scope.name,
        }
        for span in exporter.get_finished_spans()
    ],
    "seen": seen,
    "within": [span.name for span in exporter.get_finished_spans() if span.context.span_id in reported],
    "left": trace_left,
    "counted": sum(p.value for p in registry.snapshot().points() if p.metric.name == "http_requests"),
}))
"""


def traced(*requests: tuple[str, str], **given: Any) -> dict[str, Any]:
    """Return what became of requests."""
    settings = {
        "when": "before",
        "tracing": "auto",
        "untraced": "",
        "instrumented": False,
        "around": False,
        "headers": {},
        "requests": requests,
    }
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-c", SCRIPT, json.dumps(settings | given)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_request_becomes_a_span_of_its_callers_trace() -> None:
    """A server's span, named by method and rule, with the attributes of the conventions; its trace is bound to logs."""
    found = traced(("GET", "/users/1"), headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "User-Agent": "me"})
    (span,) = found["spans"]
    assert (span["name"], span["kind"], span["status"]) == ("GET /users/<int:user_id>", "SERVER", "UNSET")
    assert (span["trace"], span["parent"], span["scope"]) == (TRACE, "00f067aa0ba902b7", "otel_monitoring")
    assert span["attributes"] == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/<int:user_id>",
        "url.path": "/users/1",
        "url.scheme": "http",
        "server.address": "localhost",
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "me",
    }
    assert (found["seen"], found["left"]) == ([TRACE], False)


def test_error_is_on_the_span_and_reported_within_it() -> None:
    """Though Flask has made a 500 of it; a 404 is no error of the server's."""
    found = traced(("GET", "/broken"), ("GET", "/nothing/ü"), ("HACK", "/users/1"))
    broken, nothing, hack = found["spans"]
    assert (broken["status"], broken["attributes"]["error.type"]) == ("ERROR", "KeyError")
    assert found["within"] == ["GET /broken"]
    assert (nothing["name"], nothing["status"], nothing["attributes"]["url.path"]) == ("GET", "UNSET", "/nothing/ü")
    assert "http.route" not in nothing["attributes"]
    assert hack["name"] == "HTTP /users/<int:user_id>"
    assert hack["attributes"]["http.request.method"] == "_OTHER"
    assert hack["attributes"]["http.request.method_original"] == "HACK"


def test_span_is_current_to_the_end_of_a_stream() -> None:
    """What is logged or called while the body is made belongs to it."""
    found = traced(("GET", "/stream"))
    assert found["seen"] == ["GET", "GET"]
    assert [span["name"] for span in found["spans"]] == ["GET /stream"]
    assert found["left"] is False


def test_tracer_provider_may_be_set_later() -> None:
    """It is looked for with the requests."""
    assert [span["name"] for span in traced(("GET", "/broken"), when="later")["spans"]] == ["GET /broken"]


@pytest.mark.parametrize(
    "given",
    [
        {"tracing": "off"},
        {"when": "never"},
        {"untraced": "^http://[^/]*/broken,other"},
        {"instrumented": True},
        {"around": True},
    ],
    ids=["switched_off", "no_provider", "untraced_url", "other_instrumentation", "span_around"],
)
def test_where_there_shall_be_no_span_of_ours_requests_are_counted_all_the_same(given: dict[str, Any]) -> None:
    found = traced(("GET", "/broken"), **given)
    assert found["spans"] == []
    assert found["counted"] == 1
