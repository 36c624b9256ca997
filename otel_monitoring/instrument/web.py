"""ASGI middleware: how many requests, how long they take, how they end.

What counts as what is said in ``requests``; websockets are in ``websockets``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from otel_monitoring.instrument.identity import RequestLogs
from otel_monitoring.instrument.requests import (
    CLIENT_CLOSED_REQUEST,
    KEPT_AT_MOST,
    NOWHERE,
    SERVER_ERROR,
    Bound,
    Excluded,
    RequestSeries,
    comes_of,
    is_failure,
    known_method,
)
from otel_monitoring.instrument.routes import UNMATCHED, RouteTemplates, path_below
from otel_monitoring.instrument.spans import Spans
from otel_monitoring.instrument.websockets import Websockets
from otel_monitoring.metrics.series import MISFITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.instrument.requests import Watch
    from otel_monitoring.instrument.routes import Leaf
    from otel_monitoring.metrics import Registry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


def counted_key(registry: Registry) -> str:
    """Return where a scope says which middleware counts it for a registry, and its root path at that moment."""
    return f"otel_monitoring.counted.{id(registry)}"


class Templates(Protocol):
    """Finds the route of a request."""

    def only(self, endpoint: object) -> Leaf | None:
        """Return the route of an endpoint; None where it has none, or several that differ."""
        ...

    def search(self, scope: Mapping[str, Any], root_path: str) -> Leaf:
        """Return the route that a request belongs to."""
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


class RequestMetrics:
    """ASGI middleware that records every HTTP request and every websocket; lifespans pass untouched.

    A request that passes several of these, as in mounted applications, is counted by the
    outermost of each registry; what it cannot look into it asks those inside for.

    Args:
        app: the application, or the next middleware.
        watch: what is recorded where; an exception that leaves the application is reported
            before it goes on its way unchanged.
        templates: finds the endpoint of a request; left out, the routes of ``app`` are read.
    """

    def __init__(self, app: ASGIApp, *, watch: Watch, templates: Templates | None = None) -> None:
        self.app = app
        self._incidents = watch.registry.incidents
        self._counted = counted_key(watch.registry)
        self._inside = f"{self._counted}.inside"
        self._report = watch.report
        self._excluded = Excluded(watch.excluded)
        self._templates = RouteTemplates(app) if templates is None else templates
        self._series = RequestSeries(watch.registry)
        self._bound: dict[tuple[int, str, int], Bound] = {}
        websockets = Websockets(app, watch.registry, find=self._counted_as, tell=self.tell)
        self._answers = {"http": self._answer, "websocket": websockets.__call__}
        self._logs = None
        if watch.logs is not None:
            self._logs = RequestLogs(watch.logs, watch, Spans(watch.registry.incidents))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request, connection or lifespan on."""
        answer = self._answers.get(scope["type"])
        if answer is None or self._counted in scope:
            scope[self._inside] = self
            await self.app(scope, receive, send)
            return
        scope[self._counted] = self, scope.get("root_path", "")
        logs = self._logs
        if logs is None:
            await answer(scope, receive, send)
            return
        bound = logs.bind_asgi(scope)
        try:
            await answer(scope, receive, send)
        finally:
            if bound is not None:
                logs.unbind(bound)

    def tell(self, error: BaseException, scope: Scope, root_path: str) -> None:
        """Report an exception that the application did not handle."""
        with self._incidents.contained("reporting an unhandled exception"):
            if self._report is not None and isinstance(error, Exception):
                leaf, _ = self._leaf(scope, root_path)
                self._report(error, endpoint=leaf.template, method=known_method(scope.get("method", "GET")))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        root_path = scope.get("root_path", "")
        status = 0
        ended = left = False
        refused: BaseException | None = None

        async def watched_receive() -> Message:
            nonlocal left
            message = await receive()
            left = left or message["type"] == "http.disconnect"
            return message

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
            await self.app(scope, watched_receive, watched_send)
        except BaseException as error:
            # What send itself raises is the server's word that nobody listens any more.
            failed = is_failure(error) and not comes_of(error, refused)
            if not ended:
                status = SERVER_ERROR if failed else status or CLIENT_CLOSED_REQUEST
                self._finish(scope, root_path, status, seconds=perf_counter() - started)
            if failed:
                self.tell(error, scope, root_path)
            raise
        if not ended:
            status = status or (CLIENT_CLOSED_REQUEST if left else SERVER_ERROR)
            self._finish(scope, root_path, status, seconds=perf_counter() - started)

    def _finish(self, scope: Scope, root_path: str, status: int, *, seconds: float) -> None:
        try:
            record, add, _ = self._bound[id(scope["endpoint"]), scope["method"], status]
        except MISFITS:
            record, add, _ = self._bind(scope, root_path, status)
        record(seconds)
        add()

    def _bind(self, scope: Scope, root_path: str, status: int) -> Bound:
        with self._incidents.contained("finding the series of a request"):
            leaf, fixed = self._leaf(scope, root_path)
            if self._is_excluded(leaf, scope, root_path):
                return NOWHERE
            bound, keep = self._series.of(leaf.template, scope["method"], status, endpoint=leaf.endpoint)
            if fixed and keep and len(self._bound) < KEPT_AT_MOST:
                self._bound[id(leaf.endpoint), scope["method"], status] = bound
            return bound
        return NOWHERE

    def _leaf(self, scope: Scope, root_path: str) -> tuple[Leaf, bool]:
        """Return the route, and whether every request to this endpoint belongs to it and counts as this one."""
        leaf = self._templates.only(scope.get("endpoint"))
        fixed = leaf is not None and not (self._excluded and leaf.is_vague)
        if leaf is None:
            leaf = self._templates.search(scope, root_path)
        inside = scope.get(self._inside)
        if isinstance(inside, RequestMetrics) and leaf.template.endswith("/*"):
            return inside.leaf_below(leaf, scope), False
        return leaf, fixed

    def leaf_below(self, outer: Leaf, scope: Scope) -> Leaf:
        """Return the route of a request that came by a mount of an application around this one."""
        root_path = scope.get("root_path", "")
        leaf = self._templates.only(scope.get("endpoint")) or self._templates.search(scope, root_path)
        return outer if leaf.template == UNMATCHED else replace(leaf, template=outer.template[:-2] + leaf.template)

    def _is_excluded(self, leaf: Leaf, scope: Scope, root_path: str) -> bool:
        if isinstance(leaf.endpoint, Uncounted) or leaf.template in self._excluded:
            return True
        return bool(self._excluded) and leaf.is_vague and path_below(scope["path"], root_path) in self._excluded

    def _counted_as(self, scope: Scope, root_path: str) -> str | None:
        """Return the endpoint under which a connection is recorded, None where it is not."""
        leaf, _ = self._leaf(scope, root_path)
        return None if self._is_excluded(leaf, scope, root_path) else leaf.template
