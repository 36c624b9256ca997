"""Web applications, instrumented by their classes as soon as their frameworks are imported.

An application is instrumented when it is served, not when it is made: what it does by
itself, as with a service of its own, comes first, and is not done twice.  So:

- Starlette's, and with it FastAPI's: when it builds its middleware, before its first request.
- Flask's and Django's: at the first call of the application or the handler.
- Any other: where uvicorn and gunicorn load what they serve.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial, wraps
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from otel_monitoring.instrument.hooks import replace_method
from otel_monitoring.instrument.web import RequestMetrics
from otel_monitoring.instrument.wsgi import WSGIRequestMetrics
from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, MutableMapping
    from types import ModuleType

    from otel_monitoring.instrument.sending import Around
    from otel_monitoring.metrics.incidents import Contained
    from otel_monitoring.zero_code.imports import Imported
    from otel_monitoring.zero_code.process import InstrumentedProcess

INSIDE = "otel_monitoring.zero_code"
"""Marks a request, in its environ or its scope, that an application has been entered with."""

_OURS = (RequestMetrics, WSGIRequestMetrics)
_WITHIN = ("app", "application", "wsgi_app")
"""What middleware calls the application inside of it."""

_LAYERS_AT_MOST = 50
_LOOKED_AT_MOST = 500


class _Framework(NamedTuple):
    """Where an application of a framework can be told that it is served."""

    module: str
    owner: str
    method: str
    around: Around


class Applications:
    """Instruments the applications that a process serves.

    Args:
        process: whose service measures them.
    """

    def __init__(self, process: InstrumentedProcess) -> None:
        self._process = process
        self._known: tuple[type, ...] = ()
        self._mounted: WeakSet[object] = WeakSet()
        self._served: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._lock = threading.Lock()
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Let go of the lock that a thread of the parent may hold."""
        self._lock = threading.Lock()

    def hooks(self, disabled: Collection[str]) -> dict[str, Imported]:
        """Return what is done when frameworks and servers are imported.

        Args:
            disabled: names of frameworks whose applications are left alone; ``asgi`` and
                ``wsgi`` are those of none.
        """
        servers = {
            "asgi": ("uvicorn.config", partial(self._hook_server, "Config", "load", self._around_uvicorn)),
            "wsgi": ("gunicorn.app.base", partial(self._hook_server, "BaseApplication", "wsgi", self._around_gunicorn)),
        }
        hooks: dict[str, Imported] = dict(hook for name, hook in servers.items() if name not in disabled)
        for name, framework in self._frameworks():
            hooks[framework.module] = partial(self._hook_framework, framework, name not in disabled)
        return hooks

    def _frameworks(self) -> Iterator[tuple[str, _Framework]]:
        build, wsgi, asgi = self._around_build, self._around_wsgi, self._around_asgi
        yield "fastapi", _Framework("fastapi.applications", "FastAPI", "build_middleware_stack", build)
        yield "starlette", _Framework("starlette.applications", "Starlette", "build_middleware_stack", build)
        yield "flask", _Framework("flask.app", "Flask", "__call__", wsgi)
        yield "django", _Framework("django.core.handlers.wsgi", "WSGIHandler", "__call__", wsgi)
        yield "django", _Framework("django.core.handlers.asgi", "ASGIHandler", "__call__", asgi)

    def _hook_framework(self, framework: _Framework, wanted: bool, module: ModuleType) -> None:  # noqa: FBT001 (bound)
        owner = getattr(module, framework.owner)
        self._known += (owner,)
        # A class that only inherits the method has it from one that is hooked, too.
        if wanted and framework.method in vars(owner):
            replace_method(owner, framework.method, framework.around)

    def _hook_server(self, owner: str, method: str, around: Around, module: ModuleType) -> None:
        replace_method(getattr(module, owner), method, around)

    # Frameworks

    def _around_build(self, build: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(build)
        def build_instrumented(app: Any, *arguments: object, **options: object) -> object:  # noqa: ANN401
            instrumented = False
            with self._contained():
                if self._is_to_be_built(app):
                    self._process.application_is_served()
                    self._process.service.instrument(app)
                    instrumented = True
            # The instrumentation has put a method of its own before this one.
            return (app.build_middleware_stack if instrumented else partial(build, app))(*arguments, **options)

        return build_instrumented

    def _is_to_be_built(self, app: Any) -> bool:  # noqa: ANN401 (a Starlette, which is not to be imported here)
        """Tell whether an application is to be instrumented: it is not yet, and stands in no other one."""
        self._mounted.update(layer for layer in _mounted_in(app) if isinstance(layer, self._known) and layer is not app)
        instrumented = any(entry.cls is RequestMetrics for entry in app.user_middleware)
        return app.middleware_stack is None and not instrumented and app not in self._mounted

    def _around_wsgi(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(answer)
        def answer_instrumented(app: Any, environ: MutableMapping[str, Any], start_response: object) -> object:  # noqa: ANN401
            if INSIDE in environ:
                return answer(app, environ, start_response)
            environ[INSIDE] = app
            served = self._served_for(app, environ)
            return answer(app, environ, start_response) if served is app else served(environ, start_response)

        return answer_instrumented

    def _around_asgi(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(answer)
        async def answer_instrumented(app: Any, scope: MutableMapping[str, Any], *channels: object) -> None:  # noqa: ANN401
            if INSIDE in scope:
                await answer(app, scope, *channels)
                return
            scope[INSIDE] = app
            served = self._served_for(app, scope)
            await (answer(app, scope, *channels) if served is app else served(scope, *channels))

        return answer_instrumented

    def _served_for(self, app: Any, request: MutableMapping[str, Any]) -> Any:  # noqa: ANN401 (any application)
        """Return what takes requests in an application's place: made at the first one."""
        with self._contained():
            if app in self._served:
                return self._served[app] or app
            # It is counted already where the application has instrumented itself, or stands in another one.
            counted = any(key.startswith("otel_monitoring.") and key != INSIDE for key in request)
            return self._instrument(app, wanted=not (counted or app in self._mounted or _passes(app, _OURS)))
        return app

    # Servers

    def _around_uvicorn(self, load: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(load)
        def load_instrumented(config: Any) -> None:  # noqa: ANN401 (uvicorn's)
            load(config)
            config.loaded_app = self._instrumented(config.loaded_app)

        return load_instrumented

    def _around_gunicorn(self, load: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(load)
        def load_instrumented(application: Any) -> object:  # noqa: ANN401 (gunicorn's)
            return self._instrumented(load(application))

        return load_instrumented

    def _instrumented(self, app: Any) -> Any:  # noqa: ANN401 (any application)
        """Return what a server is to serve: frameworks instrument their applications when those are called."""
        with self._contained():
            return app if _passes(app, (*self._known, *_OURS)) else self._instrument(app, wanted=True)
        return app

    def _instrument(self, app: Any, *, wanted: bool) -> Any:  # noqa: ANN401 (any application)
        with self._lock:
            if app not in self._served:
                self._served[app] = None
                self._process.application_is_served()
                served = self._process.service.instrument(app) if wanted else app
                # What is instrumented in its place keeps it alive; the application by itself must not.
                self._served[app] = None if served is app else served
            return self._served[app] or app

    def _contained(self) -> Contained:
        return self._process.service.registry.incidents.contained("instrumenting a web application")


def _passes(app: object, classes: tuple[type, ...]) -> bool:
    """Tell whether an application is of one of these classes, or holds one that it hands requests to.

    Middleware calls the application inside of it by any name, so all is looked at that can be called.
    """
    waiting, seen = deque([app]), set[int]()
    while waiting and len(seen) < _LOOKED_AT_MOST:
        part = waiting.popleft()
        if issubclass(type(part), classes):  # what a proxy says of its class may be an error
            return True
        if id(part) not in seen:
            seen.add(id(part))
            waiting.extend(held for held in _held_by(part) if callable(held) and not issubclass(type(held), type))
    return False


def _held_by(part: object) -> Iterator[object]:
    if isinstance(part, MethodType):
        yield part.__self__
    elif isinstance(part, FunctionType):
        for cell in part.__closure__ or ():
            with suppress(ValueError):  # nothing is in it yet
                yield cell.cell_contents
    with suppress(TypeError, RuntimeError):  # what has none, and proxies of werkzeug's outside of a request
        yield from vars(part).values()


def _layers(app: object) -> Iterator[object]:
    """Go through an application and what is inside of its middleware."""
    for _ in range(_LAYERS_AT_MOST):
        if app is None:
            return
        yield app
        app = next((found for name in _WITHIN if (found := getattr(app, name, None)) is not None), None)


def _mounted_in(app: Any) -> Iterator[object]:  # noqa: ANN401 (a Starlette)
    """Go through what is mounted in an application, of whatever framework: it takes no requests of its own."""
    for route in app.routes:
        yield from _layers(getattr(route, "app", None))
