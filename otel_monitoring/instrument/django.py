"""Django's handlers: the routes of the URLconf as templates, and the exceptions that Django makes a 500 of.

Both handlers, that for WSGI and that for ASGI, say nothing outside of which route a request
took.  So their ``get_response`` notes it, where the middleware around them finds it.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from otel_monitoring.instrument.asgi import wrap_asgi
from otel_monitoring.instrument.metrics_path import checked_path, refuse_taken
from otel_monitoring.instrument.requests import is_failure
from otel_monitoring.instrument.routes import NOWHERE, UNMATCHED, Leaf, path_below
from otel_monitoring.instrument.web import counted_key
from otel_monitoring.instrument.wsgi import NOTED, WSGIRequestMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    from otel_monitoring.instrument.requests import Watch
    from otel_monitoring.instrument.web import ASGIApp, Receive, Scope, Send

_NOT_FOUND = 404
_SIGNS_OF_REGEX = re.compile(r"[\^$]|\(\?P<|\\[AZ]")
_GROUP_NAME = re.compile(r"\(\?P<(\w+)>")


def instrument_wsgi_handler(app: WSGIApplication, handler: WSGIHandler, watch: Watch) -> WSGIRequestMetrics:
    """Return what to serve instead of an application.

    Args:
        app: the handler, or what is around it.
        handler: what ``get_wsgi_application()`` has given.
        watch: what is recorded where.

    Raises:
        ConfigurationError: the metrics path cannot be used.
    """
    routes = DjangoRoutes()
    _refuse_own_path(watch, routes)
    metrics = WSGIRequestMetrics(app, watch, routes.template)
    get_response = cast("Callable[[Any], Any]", handler.get_response)

    def noting(request: Any) -> Any:  # noqa: ANN401 (Django is not annotated)
        response = get_response(request)
        with metrics.incidents.contained("noting the route of a request to Django"):
            request.environ[NOTED] = routes.leaf(request, response.status_code).template
        return response

    def hear(*, request: Any, **_more: object) -> None:  # noqa: ANN401 (Django is not annotated)
        with metrics.incidents.contained("hearing of an exception in Django"):
            exchange = getattr(request, "environ", {}).get(metrics.key)
            error = sys.exc_info()[1]
            if exchange is not None and error is not None:
                request.environ[NOTED] = routes.leaf(request).template
                exchange.tell(error)

    metrics.hears = hear
    _connect(hear)
    handler.get_response = noting
    return metrics


def instrument_asgi_handler(app: ASGIApp, handler: ASGIHandler, watch: Watch) -> ASGIApp:
    """Return what to serve instead of an application.

    Args:
        app: the handler, or what is around it.
        handler: what ``get_asgi_application()`` has given.
        watch: what is recorded where.

    Raises:
        ConfigurationError: the metrics path cannot be used.
    """
    routes = DjangoRoutes()
    _refuse_own_path(watch, routes)
    get_response = handler.get_response_async
    incidents = watch.registry.incidents

    async def noting(request: Any) -> Any:  # noqa: ANN401 (Django is not annotated)
        response = await get_response(request)
        with incidents.contained("noting the route of a request to Django"):
            request.scope["endpoint"] = routes.leaf(request, response.status_code).endpoint
        return response

    def hear(*, request: Any, **_more: object) -> None:  # noqa: ANN401 (Django is not annotated)
        with incidents.contained("hearing of an exception in Django"):
            scope, error = getattr(request, "scope", {}), sys.exc_info()[1]
            counting = scope.get(counted_key(watch.registry))
            if counting is not None and error is not None and is_failure(error):
                metrics, root_path = counting
                scope["endpoint"] = routes.leaf(request).endpoint
                metrics.tell(error, scope, root_path)

    wrapped = wrap_asgi(_Heard(app, hear), watch, routes)
    _connect(hear)
    handler.get_response_async = noting
    return wrapped


class _Heard:
    """An application, and what listens to Django's signals as long as it lives."""

    def __init__(self, app: ASGIApp, hear: object) -> None:
        self.app = app
        self._hear = hear

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        await self.app(scope, receive, send)


class DjangoRoutes:
    """The routes of the URLconf, as they were declared: ``/users/<int:id>/``.

    A path that was resolved is not resolved again.  Where a middleware has answered before,
    or another ending of the path is redirected to, it is resolved here.
    """

    def __init__(self) -> None:
        from django.urls import resolve

        self._resolve = resolve
        self._leaves: dict[str, Leaf] = {}
        self._by_endpoint: dict[int, Leaf] = {}
        self._unmatched = self._added(UNMATCHED)

    def leaf(self, request: Any, status: int = 0) -> Leaf:  # noqa: ANN401 (Django is not annotated)
        """Return the route of a request, in Django's terms, that was answered with that status."""
        match = request.resolver_match
        if match is not None:
            return self._of_route(match.route)
        if status == _NOT_FOUND:
            return self._unmatched
        return self._of_path(request.path_info, getattr(request, "urlconf", None))

    def template(self, environ: WSGIEnvironment) -> str:
        """Return the template of a WSGI request."""
        noted: str | None = environ.get(NOTED)
        return self._of_path(environ.get("PATH_INFO", "")).template if noted is None else noted

    def only(self, endpoint: object) -> Leaf | None:
        """Return the route that was noted in the scope of an ASGI request."""
        return self._by_endpoint.get(id(endpoint))

    def search(self, scope: Mapping[str, Any], root_path: str) -> Leaf:
        """Return the route that an ASGI request belongs to, or the one that stands for none."""
        return self.only(scope.get("endpoint")) or self._of_path(path_below(scope["path"], root_path))

    def _of_path(self, path: str, urlconf: object = None) -> Leaf:
        for tried in (path, f"{path}/"):
            # No route has the path; or the URLconf cannot be imported, which is for Django to say.
            with suppress(Exception):
                return self._of_route(self._resolve(tried, urlconf).route or "")
        return self._unmatched

    def _of_route(self, route: str) -> Leaf:
        known = self._leaves.get(route)
        if known is None:
            known = self._leaves[route] = self._added(readable(route))
        return known

    def _added(self, template: str) -> Leaf:
        leaf = Leaf(template, object(), NOWHERE.path)
        self._by_endpoint[id(leaf.endpoint)] = leaf
        return leaf


def readable(route: str) -> str:
    """Return a route as a path; of a regular expression what it says to people.

    ``^articles/(?P<year>[0-9]{4})/$`` is ``/articles/<year>/``, as Django's own documentation
    of an application's views writes it.
    """
    if not _SIGNS_OF_REGEX.search(route):
        return f"/{route}"
    shown, depth, at = "", 0, 0
    while at < len(route):
        letter = route[at]
        width = 2 if letter == "\\" else 1
        if letter == "(":
            name = _GROUP_NAME.match(route, at)
            shown += "" if depth else f"<{name[1]}>" if name else "" if route.startswith("(?", at) else "<var>"
            depth += 1
        elif letter == ")":
            depth -= 1
        elif not depth and letter not in "^$?":
            escaped = route[at + 1 : at + 2]
            shown += letter if width == 1 else "" if escaped in "AZ" else escaped
        at += width
    return f"/{shown}"


def _connect(hear: Callable[..., None]) -> None:
    from django.core.signals import got_request_exception

    got_request_exception.connect(hear)


def _refuse_own_path(watch: Watch, routes: DjangoRoutes) -> None:
    if watch.metrics_path is not None:
        path = checked_path(watch.metrics_path)
        refuse_taken(path, routes.search({"path": path}, "").template)
