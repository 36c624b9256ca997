"""Web applications, instrumented by their classes as soon as their frameworks are imported.

An application is instrumented when it is built to be served, not when it is made: what it
does by itself, as with a service of its own, comes first, and is not done twice.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from otel_monitoring.instrument.hooks import replace_method
from otel_monitoring.instrument.web import RequestMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from otel_monitoring.zero_code.process import InstrumentedProcess


class Applications:
    """Instruments the applications that a process builds.

    Args:
        process: whose service measures them.
    """

    def __init__(self, process: InstrumentedProcess) -> None:
        self._process = process
        self._mounted: WeakSet[object] = WeakSet()

    def hook_starlette(self, module: ModuleType) -> None:
        """Instrument applications of Starlette's class, and of those that build on it."""
        replace_method(module.Starlette, "build_middleware_stack", self._around_build)

    def hook_fastapi(self, module: ModuleType) -> None:
        """Instrument applications of FastAPI's class, which builds them in a way of its own."""
        if "build_middleware_stack" in vars(module.FastAPI):
            replace_method(module.FastAPI, "build_middleware_stack", self._around_build)

    def _around_build(self, build: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(build)
        def build_instrumented(app: Any, *arguments: object, **options: object) -> object:  # noqa: ANN401
            with self._process.service.registry.incidents.contained("instrumenting a web application"):
                if self._takes(app):
                    self._process.service.instrument(app)
                    # The instrumentation has put a method of its own before this one.
                    return app.build_middleware_stack(*arguments, **options)
            return build(app, *arguments, **options)

        return build_instrumented

    def _takes(self, app: Any) -> bool:  # noqa: ANN401 (a Starlette, which is not to be imported here)
        """Tell whether an application is to be instrumented: it is not yet, and stands in no other one."""
        self._mounted.update(_applications_in(app))
        instrumented = any(entry.cls is RequestMetrics for entry in app.user_middleware)
        return app.middleware_stack is None and not instrumented and app not in self._mounted


def _applications_in(app: Any) -> Iterator[object]:  # noqa: ANN401 (as above)
    """Go through what is mounted in an application: it takes no requests of its own."""
    for route in app.routes:
        mounted = getattr(route, "app", None)
        while mounted is not None:
            if hasattr(mounted, "build_middleware_stack"):
                yield mounted
            mounted = getattr(mounted, "app", None)
