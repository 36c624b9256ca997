"""WSGI middleware: the like of ``web`` for the other protocol (PEP 3333).

What counts as what is said in ``requests``, and when a response ends in ``exchange``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.instrument.exchange import Exchange
from otel_monitoring.instrument.identity import RequestLogs
from otel_monitoring.instrument.metrics_path import checked_path, given_metrics
from otel_monitoring.instrument.requests import KEPT_AT_MOST, NOWHERE, Bound, Excluded, RequestSeries, known_method
from otel_monitoring.instrument.routes import UNMATCHED, is_vague
from otel_monitoring.instrument.server_spans import ServerSpans
from otel_monitoring.instrument.spans import Spans
from otel_monitoring.metrics.series import MISFITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from otel_monitoring.instrument.requests import Watch

    Template = Callable[[WSGIEnvironment], str]

ANYWHERE = "/*"
"""The endpoint of requests to an application whose routes cannot be read."""

NOTED = "otel_monitoring.template"
"""Where an environment holds the template that Django has found."""


def any_template(environ: WSGIEnvironment) -> str:
    """Return the template of a request to any application: Flask's or Django's, where one is inside."""
    noted: str | None = environ.get(NOTED)
    if noted is not None:
        return ANYWHERE if noted == UNMATCHED else noted
    # Where Werkzeug keeps the request, as it documents; Flask adds the rule to it.
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return ANYWHERE if rule is None else str(rule.rule)


class WSGIRequestMetrics:
    """WSGI middleware that records every request.

    A request that passes several of these, as in mounted applications, is counted by the
    outermost of each registry.

    Args:
        app: the application, or the next middleware.
        watch: what is recorded where; an exception that leaves the application is reported
            before it goes on its way unchanged.
        template: gives the template of a request that was answered by the application itself;
            what is mounted within it is shown with the prefix of its mount.

    Attributes:
        registry: the same as in ``watch``.
        incidents: hears of our own faults.
        key: where the environment of a request holds its ``Exchange``.
        hears: what listens for exceptions that never leave the application, to tell the exchange.
        tracing: tells whether there is any.
        spans: starts the spans of requests.
        logs: binds requests to the logs, where they are bound.
    """

    def __init__(self, app: WSGIApplication, watch: Watch, template: Template = any_template) -> None:
        self.app = app
        self.registry = watch.registry
        self.incidents = watch.registry.incidents
        self.key = f"otel_monitoring.exchange.{id(watch.registry)}"
        self.hears: object = None
        self.tracing = Spans(self.incidents, enabled=watch.tracing is not False)
        self.spans = ServerSpans(self.tracing, watch.untraced)
        self.logs = None if watch.logs is None else RequestLogs(watch.logs, watch, self.tracing)
        self._answers: dict[str, WSGIApplication] = {}
        self._report = watch.report
        self._template = template
        self._excluded = Excluded(watch.excluded)
        self._series = RequestSeries(watch.registry)
        self._bound: dict[tuple[str, str, str], Bound] = {}
        if watch.metrics_path is not None:
            self.show_metrics(watch.metrics_path, watch.metrics_wsgi)

    def show_metrics(self, metrics_path: str, metrics_wsgi: WSGIApplication | None) -> None:
        """Answer at a path with the metrics, with or without a slash behind it.

        Raises:
            ConfigurationError: the path cannot be used, or nothing is given that answers.
        """
        path = checked_path(metrics_path)
        answer = given_metrics(metrics_wsgi, path)
        self._answers |= {path: answer, f"{path}/": answer}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self._answers and environ.get("PATH_INFO") in self._answers:
            return self._answers[environ["PATH_INFO"]](environ, start_response)
        if self.key in environ:
            return self.app(environ, start_response)
        exchange = environ[self.key] = Exchange(self, environ, start_response)
        try:
            return exchange.follow(self.app(environ, exchange.start))
        except BaseException as error:
            exchange.fail(error)
            raise

    def record(self, exchange: Exchange, status: str, seconds: float) -> None:
        """Record a request that has ended."""
        try:
            record, add, _ = self._bound[exchange.template, exchange.environ["REQUEST_METHOD"], status]
        except MISFITS:
            record, add, _ = self._bind(exchange, status)
        record(seconds)
        add()

    def template_of(self, exchange: Exchange) -> str:
        """Return the whole template of a request."""
        try:
            environ = exchange.environ
            if environ.get("SCRIPT_NAME", "") != exchange.script and (prefix := _mounted_at(exchange)):
                return prefix + any_template(environ)
            return self._template(environ)
        except MISFITS as fault:
            if not self.incidents.contain(fault, "finding the route of a request"):
                raise
            return ANYWHERE

    def tell(self, exchange: Exchange, error: BaseException) -> None:
        """Report an exception that the application did not handle."""
        with self.incidents.contained("reporting an unhandled exception"):
            if self._report is not None and isinstance(error, Exception):
                method = known_method(exchange.environ["REQUEST_METHOD"])
                self._report(error, endpoint=exchange.template or self.template_of(exchange), method=method)

    def _bind(self, exchange: Exchange, status: str) -> Bound:
        with self.incidents.contained("finding the series of a request"):
            template, method = exchange.template, exchange.environ["REQUEST_METHOD"]
            by_path = bool(self._excluded) and is_vague(template)
            if template in self._excluded or (by_path and exchange.path in self._excluded):
                return NOWHERE
            bound, keep = self._series.of(template, method, int(status[:3]))
            if keep and not by_path and len(self._bound) < KEPT_AT_MOST:
                self._bound[template, method, status] = bound
            return bound
        return NOWHERE


def _mounted_at(exchange: Exchange) -> str:
    """Return the prefix that was taken off the path on the way to a mounted application.

    A middleware that sets ``SCRIPT_NAME`` from what a client says leaves the path as it is.
    """
    environ = exchange.environ
    prefix: str = environ["SCRIPT_NAME"].removeprefix(exchange.script)
    return prefix if prefix + environ.get("PATH_INFO", "") == exchange.path else ""
