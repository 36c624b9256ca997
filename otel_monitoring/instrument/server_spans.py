"""Spans of the requests to WSGI applications, where the application has set up tracing.

They carry the attributes of OpenTelemetry's HTTP conventions (semconv 1.37), and continue the
trace that the request brings by whatever propagators are set.  A request that has a span
already, by another instrumentation or by an application around this one, gets no second.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from wsgiref.util import request_uri

from opentelemetry import context, propagate, trace
from opentelemetry.propagators.textmap import Getter

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.instrument.requests import KNOWN_METHODS, OTHER_METHOD, SERVER_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from wsgiref.types import WSGIEnvironment

    from otel_monitoring.instrument.spans import Spans

_PREFIX = "HTTP_"


class _Headers(Getter["Mapping[str, Any]"]):
    """Reads a request's headers from its environment."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        value = carrier.get(_PREFIX + key.upper().replace("-", "_"))
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        return [name.removeprefix(_PREFIX).lower().replace("_", "-") for name in carrier if name.startswith(_PREFIX)]


_HEADERS = _Headers()


class ServerSpans:
    """Starts the spans of requests.

    Args:
        spans: tells whether there is tracing.
        untraced: regular expressions with commas between; a request whose URL one of them is
            found in gets no span.

    Raises:
        ConfigurationError: something among them is no regular expression.
    """

    def __init__(self, spans: Spans, untraced: str = "") -> None:
        self._spans = spans
        patterns = [pattern.strip() for pattern in untraced.split(",") if pattern.strip()]
        try:
            self._untraced = re.compile("|".join(patterns)) if patterns else None
        except re.error as error:
            problem = f"untraced_urls is {untraced!r}: {error}; give regular expressions with commas between"
            raise ConfigurationError((problem,)) from error

    def open(self, environ: WSGIEnvironment) -> ServerSpan | None:
        """Start the span of a request and make it the current one; None where there shall be none."""
        tracer = self._spans.tracer()
        if tracer is None or trace.get_current_span().get_span_context().is_valid:
            return None
        with self._spans.incidents.contained("starting the span of a request"):
            if self._untraced is not None and self._untraced.search(request_uri(environ)):
                return None
            method = environ["REQUEST_METHOD"]
            shown = method if method in KNOWN_METHODS else "HTTP"
            parent = propagate.extract(environ, getter=_HEADERS)
            span = tracer.start_span(shown, parent, trace.SpanKind.SERVER, attributes=_attributes(environ))
            return ServerSpan(span, shown, trace.set_span_in_context(span, parent))
        return None


class ServerSpan:
    """The span of one request, current from its start to its end.

    Args:
        span: the span.
        method: how its name begins.
        within: the context that it is current in.
    """

    __slots__ = ("_method", "_span", "_token", "_within")

    def __init__(self, span: trace.Span, method: str, within: context.Context) -> None:
        self._span = span
        self._method = method
        self._within = within
        self._token: Token[context.Context] = context.attach(within)

    def end(self, template: str, status: str, error: BaseException | None) -> None:
        """End it.

        Args:
            template: of the route; what does not begin with a slash is none.
            status: that was sent, its number first.
            error: what has left the application, or what it has made a 500 of.
        """
        span, number = self._span, int(status[:3])
        if span.is_recording():
            span.set_attribute("http.response.status_code", number)
            if template.startswith("/"):
                span.update_name(f"{self._method} {template}")
                span.set_attribute("http.route", template)
            if number >= SERVER_ERROR:
                span.set_attribute("error.type", str(number) if error is None else type(error).__qualname__)
                span.set_status(trace.StatusCode.ERROR)
        # In another context, or below what others have attached, there is nothing of ours to take away.
        if context.get_current() is self._within:
            context.detach(self._token)
        span.end()


def _attributes(environ: WSGIEnvironment) -> dict[str, str]:
    """Return what is known of a request when it arrives."""
    method = environ["REQUEST_METHOD"]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    found = {
        "http.request.method": method if method in KNOWN_METHODS else OTHER_METHOD,
        # PEP 3333 gives bytes as Latin-1.
        "url.path": path.encode("latin-1", "replace").decode("utf-8", "replace") or "/",
        "url.scheme": environ.get("wsgi.url_scheme", "http"),
        "server.address": environ.get("SERVER_NAME"),
        "client.address": environ.get("REMOTE_ADDR"),
        "user_agent.original": environ.get("HTTP_USER_AGENT"),
        "network.protocol.version": environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
    }
    if method not in KNOWN_METHODS:
        found["http.request.method_original"] = method
    return {name: value for name, value in found.items() if value}
