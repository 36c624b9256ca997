"""What is the same for HTTP requests of every protocol and framework: how they are watched, named and recorded.

Each request gives one value of ``request_duration_seconds{endpoint, method}`` and one count of
``http_requests_total{endpoint, method, status}``:

- The duration runs from the arrival of the request to the moment at which the last piece of
  the body was handed to the server: a stream counts to its end, a background task does not.
- ``status`` is the class of the status sent.  An exception that leaves the application before
  the response is complete counts as 5xx, also where a status was sent already, and so does an
  application that sends nothing.  A client that leaves before a status was sent, and a request
  that is cancelled, count as 4xx (as nginx's 499): nothing was wrong with the service.
- ``method`` is one of the nine of HTTP, or ``_OTHER`` as OpenTelemetry names the rest.
- ``endpoint`` is the route's template: see ``routes``, ``flask`` and ``django``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from otel_monitoring.catalogue.shipped import HTTP_REQUESTS, REQUEST_DURATION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from wsgiref.types import WSGIApplication

    from otel_monitoring.instrument.identity import LogContext
    from otel_monitoring.instrument.web import ASGIApp
    from otel_monitoring.metrics import Registry

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
OTHER_METHOD = "_OTHER"

SERVER_ERROR = 500
CLIENT_CLOSED_REQUEST = 499

KEPT_AT_MOST = 10_000
"""Combinations of endpoint, method and status whose series are kept at hand."""

_STATUS_CLASSES = range(1, 6)
_CLIENT_LEFT = (
    ("starlette.requests", "ClientDisconnect"),
    ("starlette.websockets", "WebSocketDisconnect"),
    ("uvicorn.protocols.utils", "ClientDisconnected"),
    ("django.core.exceptions", "RequestAborted"),
    ("django.http", "UnreadablePostError"),
    ("werkzeug.exceptions", "ClientDisconnected"),
)
"""Where the exceptions are that say that nobody listens any more."""


class ReportError(Protocol):
    """Takes an exception that no one in the application handled."""

    def __call__(self, error: Exception, *, endpoint: str, method: str) -> None:
        """Report the exception of one request, given by its route's template and its method."""
        ...


class Excluded:
    """The endpoints that are not recorded.

    Args:
        entries: route templates, such as ``/health`` or ``/users/{id}``, or the paths of requests for
            which no route is known; ``/internal/*`` is all that is below.  A slash at the end changes nothing.

    Raises:
        TypeError: it is one text, or holds something else than texts.
    """

    def __init__(self, entries: Collection[str] = ()) -> None:
        given = cast("object", entries)
        if isinstance(given, str) or not all(isinstance(entry, str) for entry in entries):
            raise TypeError(f"excluded is {given!r}: give a list of route templates, such as ['/health']")
        self._whole = frozenset(_bare(entry) for entry in entries)
        self._beginnings = tuple(entry.removesuffix("*") for entry in entries if entry.endswith("/*"))

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._whole)

    def __contains__(self, name: str) -> bool:
        """Tell whether a template or a path is one of them."""
        return bool(self._whole) and (_bare(name) in self._whole or f"{name}/".startswith(self._beginnings))


def _bare(path: str) -> str:
    return path.rstrip("/") or path


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How the requests of an application are watched.

    Attributes:
        registry: where the metrics are recorded.
        report: told of each exception that the application does not handle, once; not of clients that left.
        excluded: endpoints that are not recorded, as ``Excluded`` takes them.
        metrics_path: where the application shall show its metrics, such as ``/metrics``.
        metrics_app: the ASGI application that answers there.
        metrics_wsgi: the WSGI application that does.
        tracing: whether requests become spans; None decides it by whether OpenTelemetry has a tracer
            provider when the application starts.
        untraced: OpenTelemetry's excluded URLs, regular expressions with commas between; empty, and
            without a metrics path, OpenTelemetry reads its environment variable.
        logs: binds each request's ids to what is logged meanwhile.
        request_id_header: where a request brings its id.
    """

    registry: Registry
    report: ReportError | None = None
    excluded: Collection[str] = ()
    metrics_path: str | None = None
    metrics_app: ASGIApp | None = None
    metrics_wsgi: WSGIApplication | None = None
    tracing: bool | None = None
    untraced: str = ""
    logs: LogContext | None = None
    request_id_header: str = "X-Request-ID"


class Bound(NamedTuple):
    """Where the requests of one endpoint, method and status go; it keeps the endpoint alive, and its id taken."""

    record: Callable[[float], None]
    add: Callable[[], None]
    endpoint: object


def _forget_duration(_seconds: float) -> None:
    pass


def _forget_count() -> None:
    pass


NOWHERE = Bound(_forget_duration, _forget_count, None)


class RequestSeries:
    """The series of requests.

    Args:
        registry: where the metrics are recorded.
    """

    def __init__(self, registry: Registry) -> None:
        self._duration = registry.histogram(REQUEST_DURATION)
        self._requests = registry.counter(HTTP_REQUESTS)

    def of(self, template: str, method: str, status: int, *, endpoint: object = None) -> tuple[Bound, bool]:
        """Return where a request goes, and whether that may be kept.

        Series beyond the budget are asked for each time, so that each measurement counts as overflow.
        """
        shown = known_method(method)
        duration = self._duration.labels(endpoint=template, method=shown)
        requests = self._requests.labels(endpoint=template, method=shown, status=status_class(status))
        within_budget = duration.labels is not None and requests.labels is not None
        return Bound(duration.record, requests.add, endpoint), within_budget and shown != OTHER_METHOD


def known_method(method: str) -> str:
    """Return the method as it is shown."""
    return method if method in KNOWN_METHODS else OTHER_METHOD


def status_class(status: int) -> str:
    """Return the class of a status; HTTP says to take any other number for a server error (RFC 9110, section 15)."""
    kind = status // 100
    return f"{kind}xx" if kind in _STATUS_CLASSES else "5xx"


def is_failure(error: BaseException) -> bool:
    """Tell whether an exception is the application's fault: not a cancellation, not a client that left."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_failure(part) for part in error.exceptions)
    return isinstance(error, Exception) and not isinstance(error, tuple(_client_left()))


def _client_left() -> Iterator[type]:
    for module, name in _CLIENT_LEFT:
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type):
            yield found


def comes_of(error: BaseException | None, cause: BaseException | None) -> bool:
    """Tell whether an exception is another, or was raised because of it or while it was handled."""
    seen: set[int] = set()
    while cause is not None and error is not None and id(error) not in seen:
        if error is cause:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
