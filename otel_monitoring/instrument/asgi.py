"""Instruments a whole ASGI application: metrics by ``RequestMetrics``, spans by OpenTelemetry, ``/metrics``.

``instrument_app`` is for FastAPI and Starlette, ``wrap_asgi`` for any other ASGI application.

Spans come from ``opentelemetry-instrumentation-fastapi``, with its metrics switched off, so
that no request is counted twice.  On an application that has it, FastAPI's own telemetry (new
releases have one) stands back.  What the spans' attributes are called is OpenTelemetry's own
setting, ``OTEL_SEMCONV_STABILITY_OPT_IN``.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider

from otel_monitoring.exceptions import ConfigurationError, ExtraMissingError
from otel_monitoring.instrument.metrics_path import checked_path, given_metrics, refuse_taken
from otel_monitoring.instrument.routes import RouteTemplates, path_below
from otel_monitoring.instrument.web import RequestMetrics, Uncounted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.types import ASGIApp as StarletteApp

    from otel_monitoring.instrument.requests import Watch
    from otel_monitoring.instrument.web import ASGIApp, Receive, Scope, Send, Templates
    from otel_monitoring.metrics import Registry

_STARTED = (
    "the application has started already, and takes no middleware any more: instrument it where it is made, "
    "before its first request and outside of its lifespan or startup handlers"
)


def instrument_app(app: Starlette, watch: Watch) -> None:
    """Instrument a FastAPI or Starlette application; doing it again changes nothing.

    The metrics see a request before every other middleware does, whenever that was added.
    The application's own middleware applies to its metrics too, its catch-all routes do not.

    Args:
        app: the application, before its first request and before its lifespan begins.
        watch: what is recorded where.

    Raises:
        ConfigurationError: the application has started, or the metrics path cannot be used.
        ExtraMissingError: ``tracing`` is True, and the instrumentation is not installed.
    """
    installed = any(kwargs["watch"].registry is watch.registry for kwargs in _settings_of(app, RequestMetrics))
    if not installed:
        _refuse_started(app)
    if watch.metrics_path is not None:
        _show_metrics(app, watch.metrics_path, watch.metrics_app)
    if not installed:
        if watch.tracing:
            _require_instrumentation()
        patterns = _untraced(watch.untraced, watch.metrics_path, getattr(app, "root_path", ""))
        spans = _Spans(watch.registry, tracing=watch.tracing, untraced=patterns)
        _install(app, {"watch": watch, "templates": RouteTemplates(app)}, spans)


def wrap_asgi(app: ASGIApp, watch: Watch, templates: Templates | None = None) -> ASGIApp:
    """Return any ASGI application with the same around it; serve that instead of ``app``.

    Args:
        app: the application.
        watch: what is recorded where; whether there is a tracer provider is looked at now.
        templates: finds the endpoint of a request; left out, the routes of ``app`` are read.

    Raises:
        ConfigurationError: the metrics path cannot be used.
        ExtraMissingError: ``tracing`` is True, and the instrumentation is not installed.
    """
    if watch.tracing:
        _require_instrumentation()
    found = RouteTemplates(app) if templates is None else templates
    wrapped: ASGIApp = RequestMetrics(app, watch=watch, templates=found)
    spans = _Spans(watch.registry, tracing=watch.tracing, untraced=watch.untraced or None)
    if spans.wanted():
        with watch.registry.incidents.contained("adding spans to an ASGI application"):
            wrapped = spans.around(wrapped, found)
    if watch.metrics_path is not None:
        path = checked_path(watch.metrics_path)
        wrapped = _MetricsAt(path, given_metrics(watch.metrics_app, path), wrapped)
    return wrapped


class _MetricsAt:
    """Answers at one path, with or without a slash behind it, and leaves the rest to the application."""

    def __init__(self, path: str, metrics_app: ASGIApp, app: ASGIApp) -> None:
        self.app = app
        self._metrics_app = metrics_app
        self._paths = (path, path + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and path_below(scope["path"], scope.get("root_path", "")) in self._paths:
            await self._metrics_app(scope, receive, send)
            return
        await self.app(scope, receive, send)


class _Spans:
    """Adds OpenTelemetry's spans to an application, without OpenTelemetry's metrics."""

    def __init__(self, registry: Registry, *, tracing: bool | None, untraced: str | None) -> None:
        self.incidents = registry.incidents
        self._tracing = tracing
        self._untraced = untraced

    def wanted(self) -> bool:
        """Tell whether there shall be spans, and what makes them is installed."""
        provider = trace.get_tracer_provider()
        unset = isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
        if self._tracing is False or (self._tracing is None and unset):
            return False
        try:
            _require_instrumentation()
        except ExtraMissingError as error:
            message = str(error)
            self.incidents.warn_once("extra", "spans", lambda: message)
            return False
        return True

    def around(self, app: ASGIApp, templates: Templates) -> ASGIApp:
        """Return the application with spans around it, named by method and route."""
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        wrapped: ASGIApp = OpenTelemetryMiddleware(app, **self.settings(templates))
        return wrapped

    def settings(self, templates: Templates) -> dict[str, Any]:
        """Return the settings of OpenTelemetry's middleware."""

        def details(scope: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
            return _span_details(scope, templates)

        return {
            "default_span_details": details,
            "meter_provider": NoOpMeterProvider(),
            "exclude_spans": ["receive", "send"],
            "excluded_urls": self._untraced,
        }

    def add_to_fastapi(self, app: FastAPI) -> None:
        """Have OpenTelemetry's instrumentation take part in building the application."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app,
            meter_provider=NoOpMeterProvider(),
            excluded_urls=self._untraced,
            exclude_spans=["receive", "send"],
        )


def _install(app: Starlette, settings: dict[str, Any], spans: _Spans) -> None:
    """Add the middleware, and put it before all others when the application is built."""
    from starlette.middleware import Middleware

    ours = [Middleware(RequestMetrics, **settings)]
    app.user_middleware[:0] = ours
    build = app.build_middleware_stack

    def build_with_ours_outermost() -> StarletteApp:
        chosen = build
        with spans.incidents.contained("adding spans to the application"):
            if spans.wanted() and not _has_spans(app):
                if _is_fastapi(app):
                    # The instrumentation wraps the method that builds: not this one, which calls it.
                    app.build_middleware_stack = build  # type: ignore[method-assign]
                    spans.add_to_fastapi(app)
                    chosen = app.build_middleware_stack
                else:
                    ours.insert(0, Middleware(_middleware_with_spans(), **spans.settings(settings["templates"])))
        app.user_middleware[:] = [*ours, *(entry for entry in app.user_middleware if entry not in ours)]
        return chosen()

    app.build_middleware_stack = build_with_ours_outermost  # type: ignore[method-assign]


def _is_fastapi(app: object) -> TypeGuard[FastAPI]:
    return isinstance(app, getattr(sys.modules.get("fastapi"), "FastAPI", ()))


def _middleware_with_spans() -> Any:  # noqa: ANN401 (OpenTelemetry's class is not annotated)
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware


def _has_spans(app: Starlette) -> bool:
    """Tell whether the application is under OpenTelemetry's instrumentation already.

    The mark is the instrumentation's own, and it warns when it is asked to do it twice.
    """
    marked = getattr(app, "_is_instrumented_by_opentelemetry", False)
    return bool(marked or _settings_of(app, _middleware_with_spans()))


def _settings_of(app: Starlette, middleware: object) -> list[dict[str, Any]]:
    return [kwargs for added, _, kwargs in app.user_middleware if added is middleware]


def _require_instrumentation() -> None:
    try:
        import_module("opentelemetry.instrumentation.asgi")
    except ImportError as error:
        raise ExtraMissingError(
            "spans of web requests need opentelemetry-instrumentation-fastapi, which comes with an extra: "
            "pip install 'otel-monitoring[fastapi]'"
        ) from error


def _span_details(scope: Mapping[str, Any], templates: Templates) -> tuple[str, dict[str, str]]:
    """Return a span's name and first attributes, as OpenTelemetry's HTTP conventions name them."""
    method = scope.get("method", "WS")
    leaf = templates.search({"method": method, **scope}, scope.get("root_path", ""))
    if not leaf.template.startswith("/"):
        return method, {}
    return f"{method} {leaf.template}", {"http.route": leaf.template}


def _refuse_started(app: Starlette) -> None:
    if app.middleware_stack is not None:
        raise ConfigurationError((_STARTED,))


def _show_metrics(app: Starlette, metrics_path: str, metrics_app: ASGIApp | None) -> None:
    """Put the metrics in front of the application's routes, unless a route has that very path."""
    from starlette.routing import Route

    path = checked_path(metrics_path)
    answer = given_metrics(metrics_app, path)
    there = RouteTemplates(app).search({"type": "http", "method": "GET", "path": path, "headers": []}, "")
    if isinstance(there.endpoint, Uncounted):
        return
    refuse_taken(path, there.template.removesuffix("/*"))
    # A name that no url_for() asks for, so that a route of the application named "metrics" is found.
    name = "otel_monitoring.metrics"
    app.router.routes[:0] = [
        Route(shown, Uncounted(answer), name=name, include_in_schema=False) for shown in (path, path + "/")
    ]


def _untraced(patterns: str, metrics_path: str | None, root_path: str) -> str | None:
    if metrics_path is None:
        return patterns or None
    # The pattern is searched in the whole URL, scheme and host included.
    scrape = f"://[^/]*(?:{re.escape(root_path)})?{re.escape(metrics_path.rstrip('/'))}/?$"
    return ",".join(filter(None, (patterns, scrape)))
