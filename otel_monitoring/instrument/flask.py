"""Flask applications: their rules as templates, and the exceptions that they make a 500 of."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_monitoring.instrument.layers import layers
from otel_monitoring.instrument.metrics_path import checked_path, refuse_taken
from otel_monitoring.instrument.routes import UNMATCHED
from otel_monitoring.instrument.wsgi import WSGIRequestMetrics

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask import Flask
    from werkzeug.routing import Rule

    from otel_monitoring.instrument.requests import Watch


def instrument_flask(app: Flask, watch: Watch) -> None:
    """Instrument a Flask application; doing it again changes nothing.

    Args:
        app: the application; its routes may come later.
        watch: what is recorded where.

    Raises:
        ConfigurationError: the metrics path cannot be used.
    """
    refuse_own_path(app, watch)
    for layer in layers(app.wsgi_app):
        if isinstance(layer, WSGIRequestMetrics) and layer.registry is watch.registry:
            if watch.metrics_path is not None:
                layer.show_metrics(watch.metrics_path, watch.metrics_wsgi)
            return
    # The mark is that of OpenTelemetry's own instrumentation, which makes the spans then.
    traced = bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
    chosen = replace(watch, tracing=False) if traced else watch
    metrics = WSGIRequestMetrics(app.wsgi_app, chosen, FlaskTemplates(app))
    hear_flask(metrics)
    app.wsgi_app = metrics  # type: ignore[method-assign]


def refuse_own_path(app: Flask, watch: Watch) -> None:
    """Let the metrics not hide a rule that the application has by now.

    Raises:
        ConfigurationError: the metrics path is that of a rule, or cannot be used.
    """
    if watch.metrics_path is not None:
        path = checked_path(watch.metrics_path)
        for rule in app.url_map.iter_rules():
            refuse_taken(path, rule.rule)


def hear_flask(metrics: WSGIRequestMetrics) -> None:
    """Have the exceptions reported that Flask, wherever it is below, makes a 500 of."""
    signal = getattr(sys.modules.get("flask.signals"), "got_request_exception", None)
    if signal is None:
        return
    from flask import request

    def hear(_app: object, *, exception: BaseException, **_more: object) -> None:
        with metrics.incidents.contained("hearing of an exception in Flask"):
            exchange = request.environ.get(metrics.key)
            if exchange is not None:
                exchange.tell(exception)

    metrics.hears = hear
    signal.connect(hear)


class FlaskTemplates:
    """Finds the rule of a request, as it was declared: ``/users/<int:id>``.

    Flask says in its request which rule it has chosen.  The path is matched again only where
    it has chosen none, and not for want of a rule: with another method, redirected, or
    answered by a middleware.

    Args:
        app: the application.
    """

    def __init__(self, app: Flask) -> None:
        from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
        from werkzeug.routing import RequestRedirect

        self._app = app
        self._no_answer = HTTPException
        self._not_found = NotFound
        self._other_method = MethodNotAllowed
        self._other_path = RequestRedirect

    def __call__(self, environ: WSGIEnvironment) -> str:
        """Return the template."""
        request = environ.get("werkzeug.request")
        rule = getattr(request, "url_rule", None)
        if rule is None and not isinstance(getattr(request, "routing_exception", None), self._not_found):
            rule = self._search(environ)
        return UNMATCHED if rule is None else str(rule.rule)

    def _search(self, environ: WSGIEnvironment) -> Rule | None:
        path = environ.get("PATH_INFO", "")
        try:
            adapter = self._app.create_url_adapter(self._app.request_class(environ, populate_request=False))
            if adapter is None:
                return None
            try:
                return adapter.match(path, return_rule=True)[0]
            except self._other_method as refused:
                method = next(iter(refused.valid_methods or ()), None)
                return adapter.match(path, method, return_rule=True)[0]
            except self._other_path:
                return adapter.match(f"{path}/", return_rule=True)[0]
        except self._no_answer:
            return None
