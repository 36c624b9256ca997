"""Which route template a request belongs to, for applications made with Starlette or FastAPI.

The template is the whole path as it was declared, with the prefixes of included routers
and of mounts: ``/api/v1/items/{item_id}``.  What has no template is shown as few series:

- ``unmatched``: no route has this path.  Also what ``app.frontend()`` serves.
- ``/static/*``: everything below a mounted application whose routes cannot be read, such as
  ``StaticFiles``; ``/*`` where that is the whole application.

A host is not part of a template, and neither is the ``root_path`` that a server or proxy sets.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

UNMATCHED = "unmatched"
"""The endpoint of a path that no route has; a template always begins with a slash."""

REBUILD_SECONDS = 10.0
"""How long the table of routes is kept at least, when requests reach endpoints that are not in it."""

_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?\}")
_MOUNTS = 8
_MIDDLEWARE = 50
"""How many mounts within mounts, and how many layers around a router, are looked through: more is a circle."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A route that ends in an endpoint.

    Attributes:
        template: the whole path, parameters in braces without their type.
        endpoint: what the router puts into ``scope["endpoint"]``.
        path: matches the paths of this route.
        methods: those that it takes; none says all.
        hosts: the host routes that it is below of.
        protocol: ``http`` or ``websocket``; none says both.
    """

    template: str
    endpoint: object
    path: re.Pattern[str]
    methods: frozenset[str] = frozenset()
    hosts: tuple[Any, ...] = ()
    protocol: str = ""

    @property
    def is_vague(self) -> bool:
        """Whether requests of any path come together here."""
        return is_vague(self.template)

    def is_at(self, path: str, scope: Mapping[str, Any]) -> bool:
        """Tell whether the path, the protocol and the host are this route's, whatever the method."""
        return (
            self.path.fullmatch(path) is not None
            and self.protocol in ("", scope["type"])
            and all(host.matches(scope)[0].value for host in self.hosts)
        )

    def takes(self, method: str) -> bool:
        """Tell whether this route answers requests of that method."""
        return not self.methods or method in self.methods


NOWHERE = Leaf(UNMATCHED, None, re.compile(r"(?!)"))


class RouteTemplates:
    """Finds the route of a request.

    A router says in ``scope["endpoint"]`` where it sent the request, so that mostly one look
    into a table is enough.  Paths are matched only where several routes share an endpoint and
    where no endpoint was reached: not found, redirected, or answered by a middleware.

    Args:
        app: the ASGI application; its routes are read with the first request, and again when
            an endpoint turns up that was not there.
        clock: tells seconds, never goes back.
    """

    def __init__(self, app: object, *, clock: Callable[[], float] = perf_counter) -> None:
        self._app = app
        self._clock = clock
        self._built: float | None = None
        self._leaves: tuple[Leaf, ...] = ()
        self._by_endpoint: dict[int, tuple[Leaf, ...]] = {}

    def only(self, endpoint: object) -> Leaf | None:
        """Return the route of an endpoint; None where it has none, or several that differ."""
        leaves = self._reached(endpoint)
        if leaves and all(leaf.template == leaves[0].template for leaf in leaves):
            return leaves[0]
        return None

    def search(self, scope: Mapping[str, Any], root_path: str) -> Leaf:
        """Return the route that a request belongs to, ``NOWHERE`` where there is none.

        Args:
            scope: as the router left it.
            root_path: as it was when the request came to the application, before a mount added to it.
        """
        reached = self._reached(scope.get("endpoint"))
        path = path_below(scope["path"], root_path)
        found = _first(reached or self._leaves, path, scope)
        if found is None and reached:
            return reached[0]
        if found is None and path != "/":
            # What redirects to a route, for a slash too many or too few, belongs to it.
            other = path.rstrip("/") if path.endswith("/") else path + "/"
            found = _first(self._leaves, other, scope)
        return found or NOWHERE

    def _reached(self, endpoint: object) -> tuple[Leaf, ...]:
        known = self._by_endpoint.get(id(endpoint))
        if known is None and (self._built is None or endpoint is not None):
            self._rebuild()
            known = self._by_endpoint.get(id(endpoint))
        return known or ()

    def _rebuild(self) -> None:
        now = self._clock()
        if self._built is not None and now - self._built < REBUILD_SECONDS:
            return
        self._built = now
        self._leaves = tuple(_leaves_of(self._app, "", ()))
        table: dict[int, tuple[Leaf, ...]] = {}
        for leaf in self._leaves:
            table[id(leaf.endpoint)] = (*table.get(id(leaf.endpoint), ()), leaf)
        self._by_endpoint = table


def is_vague(template: str) -> bool:
    """Tell whether requests of any path come together under a template."""
    return template == UNMATCHED or template.endswith("/*")


def path_below(path: str, root_path: str) -> str:
    """Return a request's path as seen from where the application is mounted.

    By the ASGI specification ``path`` begins with ``root_path``; servers behind a proxy that
    strips the prefix leave it out, which Starlette allows too.
    """
    if not root_path or not path.startswith(root_path):
        return path
    below = path[len(root_path) :]
    return below if below[:1] in ("", "/") else path


def routes_of(app: object) -> Sequence[object] | None:
    """Return the Starlette routes of an application, also of one wrapped in middleware.

    None says that there is no router that can be read.
    """
    routing = sys.modules.get("starlette.routing")
    for _ in range(_MIDDLEWARE):
        routes = getattr(app, "routes", None)
        if routing is None or app is None:
            break
        if isinstance(routes, list) and all(isinstance(route, routing.BaseRoute) for route in routes):
            return routes
        app = getattr(app, "app", None)
    return None


def _first(leaves: Iterable[Leaf], path: str, scope: Mapping[str, Any]) -> Leaf | None:
    """Return the route that a router would choose: the first that fits, one with another method at need."""
    fitting = [leaf for leaf in leaves if leaf.is_at(path, scope)]
    method = scope.get("method", "")
    return next((leaf for leaf in fitting if leaf.takes(method)), fitting[0] if fitting else None)


def _leaves_of(app: object, prefix: str, hosts: tuple[Any, ...], depth: int = 0) -> Iterator[Leaf]:
    """Go through the routes of an application and of those mounted in it, in the order of matching."""
    routes = routes_of(app)
    if routes is None:
        template, path = _compiled(prefix)
        yield Leaf(f"{template}/*", app, re.compile(f"{path}(?:/.*)?", re.DOTALL), hosts=hosts)
        return
    from starlette.routing import Host, Mount, Route, WebSocketRoute

    for context in _included(routes):
        kind = getattr(context, "original_route", context)
        # Before 0.145 a context stands in for the path of FastAPI's own routes only.
        route = getattr(context, "starlette_route", None) or context
        if isinstance(kind, Route):
            template, path = _compiled(prefix + route.path)
            yield Leaf(template, route.endpoint, re.compile(path), frozenset(route.methods or ()), hosts, "http")
        elif isinstance(kind, WebSocketRoute):
            template, path = _compiled(prefix + route.path)
            yield Leaf(template, route.endpoint, re.compile(path), hosts=hosts, protocol="websocket")
        elif isinstance(kind, Mount) and depth < _MOUNTS:
            yield from _leaves_of(route.app, prefix + route.path, hosts, depth + 1)
        elif isinstance(kind, Host) and depth < _MOUNTS:
            yield from _leaves_of(route.app, prefix, (*hosts, route), depth + 1)


def _included(routes: Sequence[Any]) -> Iterable[Any]:
    """Return the routes with those of included routers in their place, their prefix on them.

    FastAPI copied the routes of an included router up to 0.136 and nests the router since
    0.137; it gives them by ``iter_route_contexts`` since 0.137.2.
    """
    contexts = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    flattened: Iterable[Any] = routes if contexts is None else contexts(routes)
    return flattened


def _compiled(path: str) -> tuple[str, str]:
    """Return the template of a declared path, and a regular expression for the paths it stands for.

    Starlette's own ``compile_path`` refuses the same parameter name in a mount and below it.
    """
    from starlette.convertors import CONVERTOR_TYPES

    text, *parameters = _PARAMETER.split(path)
    template, pattern = text, re.escape(text)
    for name, convertor, text in zip(parameters[::3], parameters[1::3], parameters[2::3], strict=True):
        template += f"{{{name}}}{text}"
        pattern += f"(?:{CONVERTOR_TYPES[convertor or 'str'].regex}){re.escape(text)}"
    return template, pattern
