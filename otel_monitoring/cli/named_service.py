"""The application's own service, by the name of its module."""

from __future__ import annotations

import importlib
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import MonitoringError
from otel_monitoring.service import MonitoringService
from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = Path(__file__).parents[1]
"""The folder of this package, in which nobody looks for a fault of theirs."""


def named_service(name: str) -> MonitoringService:
    """Import a module and return the service in it; what the service would send by itself it does not send.

    Args:
        name: as ``myapp.monitoring:monitoring``; after the colon there may be dots.

    Raises:
        MonitoringError: there is no such module or no service in it, or the module fails when it is
            imported; the message says which.
    """
    said = f"service {name!r}"
    module_name, colon, path = name.partition(":")
    if not module_name or not colon or not path:
        raise MonitoringError(f"{said}: write a module, a colon and a name in it, as myapp.monitoring:monitoring")
    found: object = _imported(module_name, said)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise MonitoringError(f"{said}: there is no {part!r} in {module_name}{_services_in(found)}") from None
    if not isinstance(found, MonitoringService):
        raise MonitoringError(f"{said} is a {type(found).__name__}, and not a MonitoringService")
    return found


def _services_in(module: object) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, MonitoringService)]
    return f"; the service there is {' or '.join(map(repr, names))}" if names else ""


def _imported(module_name: str, said: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    with _offline():
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
                raise MonitoringError(f"{said}: there is no module {error.name!r} here") from None
            raise MonitoringError(f"{said}: {_failure(module_name, error)}") from error
        except Exception as error:  # what the application's own module raises may be anything
            raise MonitoringError(f"{said}: {_failure(module_name, error)}") from error


def _failure(module_name: str, error: Exception) -> str:
    """Say what went wrong in a module, and in which of its own lines, without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_file() and OURS not in Path(frame.filename).parents]
    where = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"importing {module_name} fails with {type(error).__name__}: {' '.join(str(error).split())}{where}"


@contextmanager
def _offline() -> Iterator[None]:
    """Let services that are made meanwhile push nothing and keep no errors."""
    before = Settings.offline_by_default
    Settings.offline_by_default = True
    try:
        yield
    finally:
        Settings.offline_by_default = before
