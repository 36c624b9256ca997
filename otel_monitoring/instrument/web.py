"""ASGI middleware: how many requests, how long they take, how they end.

Each HTTP request gives one value of ``request_duration_seconds{endpoint, method}`` and one
count of ``http_requests_total{endpoint, method, status}``:

- The duration runs from the arrival of the request to the moment at which the last piece of
  the body was handed to the server: a stream counts to its end, a background task does not.
- ``status`` is the class of the status sent.  An exception that leaves the application before
  the response is complete counts as 5xx, also where a status was sent already, and so does an
  application that sends nothing.  A client that leaves before a status was sent, and a request
  that is cancelled, count as 4xx (as nginx's 499): nothing was wrong with the service.
- ``method`` is one of the nine of HTTP, or ``_OTHER`` as OpenTelemetry names the rest.
- ``endpoint`` is the route's template: see ``routes``.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from otel_monitoring.catalogue.shipped import HTTP_REQUESTS, REQUEST_DURATION
from otel_monitoring.instrument.routes import RouteTemplates
from otel_monitoring.metrics.series import MISFITS

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_monitoring.instrument.routes import Leaf
    from otel_monitoring.metrics import Registry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
OTHER_METHOD = "_OTHER"

SERVER_ERROR = 500
CLIENT_CLOSED_REQUEST = 499

_BODY = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
_COUNTED = "otel_monitoring.counted"
_STATUS_CLASSES = range(1, 6)
_KEPT_AT_MOST = 10_000


class ReportError(Protocol):
    """Takes an exception that no one in the application handled."""

    def __call__(self, error: Exception, *, endpoint: str, method: str) -> None:
        """Report the exception of one request, given by its route's template and its method."""
        ...


class Uncounted:
    """An ASGI application whose requests are not counted, as that of ``/metrics``.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.app(scope, receive, send)


class _Bound(NamedTuple):
    """Where the requests of one endpoint, method and status go; it keeps the endpoint alive, and its id taken."""

    record: Callable[[float], None]
    add: Callable[[], None]
    endpoint: object


def _forget_duration(_seconds: float) -> None:
    pass


def _forget_count() -> None:
    pass


_NOWHERE = _Bound(_forget_duration, _forget_count, None)


class RequestMetrics:
    """ASGI middleware that records every HTTP request; others pass untouched.

    A request that passes several of these, as in mounted applications, is counted by the
    outermost of each registry.

    Args:
        app: the application, or the next middleware.
        registry: where the metrics are recorded.
        report: told of each exception that leaves the application, once, before it goes on
            its way unchanged; not of clients that left.
        excluded: templates of endpoints that are not recorded, such as ``/health``.
        templates: finds the endpoint of a request; left out, the routes of ``app`` are read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        registry: Registry,
        report: ReportError | None = None,
        excluded: Collection[str] = (),
        templates: RouteTemplates | None = None,
    ) -> None:
        self.app = app
        self._registry = registry
        self._report = report
        self._excluded = frozenset(excluded)
        self._templates = RouteTemplates(app) if templates is None else templates
        self._duration = registry.histogram(REQUEST_DURATION)
        self._requests = registry.counter(HTTP_REQUESTS)
        self._bound: dict[tuple[int, str, int], _Bound] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request, connection or lifespan on."""
        if scope["type"] != "http" or scope.get(_COUNTED) is self._registry:
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        scope[_COUNTED] = self._registry
        root_path = scope.get("root_path", "")
        status = 0
        ended = False
        refused: BaseException | None = None

        async def watched_send(message: Message) -> None:
            nonlocal status, ended, refused
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
            try:
                await send(message)
            except BaseException as error:
                refused = error
                raise
            if kind in _BODY and not message.get("more_body") and not ended:
                ended = True
                self._finish(scope, root_path, status, seconds=perf_counter() - started)

        try:
            await self.app(scope, receive, watched_send)
        except BaseException as error:
            # What send itself raises is the server's word that nobody listens any more.
            failed = error is not refused and _is_failure(error)  # pyright: ignore[reportUnnecessaryComparison]
            if not ended:
                status = SERVER_ERROR if failed else status or CLIENT_CLOSED_REQUEST
                self._finish(scope, root_path, status, seconds=perf_counter() - started)
            if failed and self._report is not None:
                self._tell(error, scope, root_path)
            raise
        if not ended:
            self._finish(scope, root_path, status or SERVER_ERROR, seconds=perf_counter() - started)

    def _finish(self, scope: Scope, root_path: str, status: int, *, seconds: float) -> None:
        try:
            record, add, _ = self._bound[id(scope["endpoint"]), scope["method"], status]
        except MISFITS:
            record, add, _ = self._bind(scope, root_path, status)
        record(seconds)
        add()

    def _bind(self, scope: Scope, root_path: str, status: int) -> _Bound:
        with self._registry.incidents.contained("finding the series of a request"):
            leaf, fixed = self._leaf(scope, root_path)
            if leaf.template in self._excluded or isinstance(leaf.endpoint, Uncounted):
                return _NOWHERE
            method = _known_method(scope)
            duration = self._duration.labels(endpoint=leaf.template, method=method)
            requests = self._requests.labels(endpoint=leaf.template, method=method, status=_status_class(status))
            bound = _Bound(duration.record, requests.add, leaf.endpoint)
            # Series beyond the budget are asked for each time, so that each measurement counts as overflow.
            within_budget = duration.labels is not None and requests.labels is not None
            if fixed and within_budget and method != OTHER_METHOD and len(self._bound) < _KEPT_AT_MOST:
                self._bound[id(leaf.endpoint), method, status] = bound
            return bound
        return _NOWHERE

    def _leaf(self, scope: Scope, root_path: str) -> tuple[Leaf, bool]:
        """Return the route, and whether every request to this endpoint belongs to it."""
        leaf = self._templates.only(scope.get("endpoint"))
        return (self._templates.search(scope, root_path), False) if leaf is None else (leaf, True)

    def _tell(self, error: BaseException, scope: Scope, root_path: str) -> None:
        with self._registry.incidents.contained("reporting an unhandled exception"):
            if self._report is not None and isinstance(error, Exception):
                leaf, _ = self._leaf(scope, root_path)
                self._report(error, endpoint=leaf.template, method=_known_method(scope))


def _known_method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in KNOWN_METHODS else OTHER_METHOD


def _status_class(status: int) -> str:
    kind = status // 100
    # HTTP says to take any other number for a server error (RFC 9110, section 15).
    return f"{kind}xx" if kind in _STATUS_CLASSES else "5xx"


def _is_failure(error: BaseException) -> bool:
    """Tell whether an exception is the application's fault: not a cancellation, not a client that left."""
    disconnect = getattr(sys.modules.get("starlette.requests"), "ClientDisconnect", ())
    return isinstance(error, Exception) and not isinstance(error, disconnect)
