"""Programs whose first process only keeps workers: the classes that tell, as soon as they are made."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from otel_monitoring.instrument.hooks import replace_method

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from otel_monitoring.zero_code.imports import Imported

SUPERVISORS = {
    "celery.concurrency.prefork": ("TaskPool",),
    "gunicorn.arbiter": ("Arbiter",),
    "uvicorn.supervisors": ("ChangeReload", "Multiprocess"),
}
"""Their public classes, by the modules that hold them."""


def hooks(step_back: Callable[[], None]) -> dict[str, Imported]:
    """Return what to call when one of their modules is imported.

    Args:
        step_back: called before a supervisor is made.
    """

    def around(make: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(make)
        def make_supervisor(supervisor: object, *arguments: object, **options: object) -> None:
            step_back()
            make(supervisor, *arguments, **options)

        return make_supervisor

    def hook(module: ModuleType) -> None:
        for name in SUPERVISORS[module.__name__]:
            replace_method(getattr(module, name), "__init__", around)

    return dict.fromkeys(SUPERVISORS, hook)
