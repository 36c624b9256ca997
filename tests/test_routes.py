"""Which template a request is shown under, found by real routers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from otel_monitoring.instrument.routes import NOWHERE, REBUILD_SECONDS, RouteTemplates, path_below

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path
    from typing import Any

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("yes")


async def socket(websocket: WebSocket) -> None:
    await websocket.close()


class Asking:
    """ASGI middleware that notes the template of each request once the application has answered."""

    def __init__(self, app: ASGIApp, *, hides_scope: bool = False) -> None:
        self.app = app
        self.templates = RouteTemplates(app)
        self.seen: list[str] = []
        self._hides_scope = hides_scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and note its template."""
        root_path = scope.get("root_path", "")
        await self.app(dict(scope) if self._hides_scope else scope, receive, send)
        if scope["type"] == "http":
            leaf = self.templates.only(scope.get("endpoint")) or self.templates.search(scope, root_path)
            self.seen.append(leaf.template)


def templates_of(app: ASGIApp, *paths: str, method: str = "GET", host: str = "testserver") -> list[str]:
    """Return each path's template, the same whether or not a middleware hides what the router says."""
    seen: list[list[str]] = []
    for hides_scope in (False, True):
        asking = Asking(app, hides_scope=hides_scope)
        client = TestClient(asking, base_url=f"http://{host}", follow_redirects=False)
        for path in paths:
            client.request(method, path)
        seen.append(asking.seen)
    assert seen[0] == seen[1]
    return seen[0]


def nested_application() -> FastAPI:
    items = APIRouter(prefix="/items")

    @items.get("/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @items.get("/special/{name:path}")
    async def special(name: str) -> str:
        return name

    version = APIRouter(prefix="/v1")
    version.include_router(items)
    app = FastAPI()
    app.include_router(version, prefix="/api")
    return app


def test_prefixes_of_nested_routers_are_in_the_template() -> None:
    """What include_router puts before a path is in the template."""
    app = nested_application()
    assert templates_of(app, "/api/v1/items/3", "/api/v1/items/special/a/b") == [
        "/api/v1/items/{item_id}",
        "/api/v1/items/special/{name}",
    ]


def test_router_included_twice_keeps_its_paths_apart() -> None:
    """One endpoint under two prefixes has two templates."""
    router = APIRouter()

    @router.get("/users/{user}")
    async def user(user: str) -> str:
        return user

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/{tenant}")
    assert templates_of(app, "/v1/users/a", "/acme/users/a") == ["/v1/users/{user}", "/{tenant}/users/{user}"]


def test_one_function_for_two_paths_keeps_them_apart() -> None:
    """An endpoint function that several routes share is told apart by the path."""
    app = Starlette(routes=[Route("/a/{x:int}", answer), Route("/b", answer)])
    assert templates_of(app, "/a/1", "/b") == ["/a/{x}", "/b"]


def test_mounted_applications_keep_their_place() -> None:
    """A mount's path, parameters in it included, comes before the template of what is mounted."""
    inner = FastAPI()

    @inner.get("/users/{user}")
    async def user(user: str) -> str:
        return user

    app = FastAPI()
    app.mount("/sub/{tenant}", inner)
    app.mount("/wrapped", CORSMiddleware(inner, allow_origins=["*"]))
    app.mount("/deep", Starlette(routes=[Mount("/{id}", routes=[Route("/{id}", answer)])]))
    assert templates_of(app, "/sub/acme/users/3", "/wrapped/users/4", "/deep/1/2") == [
        "/sub/{tenant}/users/{user}",
        "/wrapped/users/{user}",
        "/deep/{id}/{id}",
    ]


def test_mount_and_starlette_route_in_an_included_router_have_its_prefix() -> None:
    """Not only FastAPI's own routes take the prefix of the router that they are in."""
    router = APIRouter(routes=[Route("/plain", answer)])
    router.mount("/below", Starlette(routes=[Route("/leaf", answer)]))
    app = FastAPI()
    app.include_router(router, prefix="/api")
    assert templates_of(app, "/api/plain") == ["/api/plain"]
    found = templates_of(app, "/api/below/leaf")
    # Mounts in included routers are there since FastAPI 0.137; before they were left out.
    assert found in (["/api/below/leaf"], ["unmatched"])


def test_unmatched_paths_share_one_template() -> None:
    """Whatever is asked for that is not there, also in a mounted application: one series."""
    app = nested_application()
    app.mount("/sub", Starlette(routes=[Route("/here", answer)]))
    paths = ("/nothing", "/api/v1", "/sub/nothing", "/api/v1/items/1/2/3", "/%00", "/sub/")
    assert set(templates_of(app, *paths)) == {"unmatched"}


def test_application_without_readable_routes_is_one_template(tmp_path: Path) -> None:
    """A mounted plain ASGI application is shown by where it is mounted, whatever was asked."""
    (tmp_path / "app.js").write_text("1")
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path))
    assert templates_of(app, "/static/app.js", "/static/none", "/static/a/b") == ["/static/*"] * 3


def test_bare_application_is_one_template() -> None:
    """An ASGI application that has no router at all is ``/*``."""

    async def bare(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await PlainTextResponse("yes")(scope, receive, send)

    assert templates_of(bare, "/", "/a/b") == ["/*", "/*"]


def test_wrong_method_belongs_to_the_route() -> None:
    """405 is the answer of a route that was found."""
    assert templates_of(nested_application(), "/api/v1/items/3", method="DELETE") == ["/api/v1/items/{item_id}"]


def test_route_that_takes_the_method_comes_first() -> None:
    """Of two routes for a path the one that takes the method is meant, as in the router."""
    app = Starlette(routes=[Route("/{name}", answer, methods=["POST"]), Route("/special", answer, methods=["GET"])])
    assert templates_of(app, "/special") == ["/special"]
    assert templates_of(app, "/special", method="POST") == ["/{name}"]


def test_redirected_slash_belongs_to_the_route_it_leads_to() -> None:
    """A request that is redirected for its last slash is shown with the route."""
    app = Starlette(routes=[Route("/a", answer), Route("/b/", answer)])
    assert templates_of(app, "/a/", "/b") == ["/a", "/b/"]


def test_websocket_route_is_no_http_route() -> None:
    """A plain request to the path of a websocket finds nothing."""
    app = Starlette(routes=[WebSocketRoute("/ws", socket)])
    assert templates_of(app, "/ws") == ["unmatched"]


def test_host_route_counts_for_its_host_only() -> None:
    """A route below a host is found there, under its path, and nowhere else."""
    app = Starlette(routes=[Host("{sub}.example.org", app=Router([Route("/x/{y}", answer)]))])
    assert templates_of(app, "/x/1", host="a.example.org") == ["/x/{y}"]
    assert templates_of(app, "/x/1", host="example.com") == ["unmatched"]


@pytest.mark.parametrize("path", ["/proxy/api/v1/items/3", "/api/v1/items/3"])
def test_root_path_of_a_proxy_is_not_in_the_template(path: str) -> None:
    """The prefix that a proxy puts before or strips is no part of the application's routes."""
    app = nested_application()
    asking = Asking(app)
    TestClient(asking, root_path="/proxy").get(path)
    assert asking.seen == ["/api/v1/items/{item_id}"]


def test_route_added_later_is_found() -> None:
    """The routes are read again when an endpoint turns up that was not there."""
    now = 100.0
    app = Starlette(routes=[Route("/a", answer)])
    templates = RouteTemplates(app, clock=lambda: now)
    assert templates.only(answer) is not None

    async def later(request: Request) -> PlainTextResponse:
        return PlainTextResponse("later")

    app.router.routes.append(Route("/later", later))
    assert templates.only(later) is None, "not yet: the table was built just now"
    now += REBUILD_SECONDS
    leaf = templates.only(later)
    assert leaf is not None
    assert leaf.template == "/later"


def test_application_mounted_in_itself_ends() -> None:
    """A circle of mounts is followed only so far."""
    app = Starlette(routes=[Route("/a", answer)])
    app.router.routes.append(Mount("/again", app=app))
    assert templates_of(app, "/again/again/a") == ["/again/again/a"]


def test_nowhere_matches_nothing() -> None:
    """The template of what was not found is no path."""
    assert not NOWHERE.template.startswith("/")
    assert not NOWHERE.is_at("", {})


@pytest.mark.parametrize(
    ("path", "root_path", "below"),
    [("/a/b", "", "/a/b"), ("/a/b", "/a", "/b"), ("/ab", "/a", "/ab"), ("/a", "/a", ""), ("/b", "/a", "/b")],
)
def test_path_is_seen_from_the_application(path: str, root_path: str, below: str) -> None:
    """What stands before the application is taken off, where it is there, at a slash."""
    assert path_below(path, root_path) == below


def test_pattern_escapes_what_is_special_in_a_path() -> None:
    """Dots and other signs of a declared path stand for themselves."""
    app = Starlette(routes=[Route("/a.b/{x:float}+", answer)])
    assert templates_of(app, "/a.b/1.5+", "/aXb/1.5+") == ["/a.b/{x}+", "unmatched"]
