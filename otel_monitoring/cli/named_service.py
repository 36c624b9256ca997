"""The application's own service, by the name of its module."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import MonitoringError
from otel_monitoring.service import MonitoringService
from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def named_service(name: str) -> MonitoringService:
    """Import a module and return the service in it; what the service would send by itself it does not send.

    Args:
        name: as ``myapp.monitoring:monitoring``; after the colon there may be dots.

    Raises:
        MonitoringError: there is no such module or no service in it; the message says which.
    """
    module_name, colon, path = name.partition(":")
    if not module_name or not colon or not path:
        raise MonitoringError(
            f"--service {name!r}: write a module, a colon and a name in it, as myapp.monitoring:monitoring"
        )
    found: object = _imported(module_name, name)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise MonitoringError(f"--service {name!r}: there is no {part!r} in {module_name}") from None
    if not isinstance(found, MonitoringService):
        raise MonitoringError(f"--service {name!r} is a {type(found).__name__}, and not a MonitoringService")
    return found


def _imported(module_name: str, name: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    with _offline():
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
                raise MonitoringError(f"--service {name!r}: there is no module {error.name!r} here") from None
            raise


@contextmanager
def _offline() -> Iterator[None]:
    """Let services that are made meanwhile push nothing and keep no errors."""
    before = Settings.offline_by_default
    Settings.offline_by_default = True
    try:
        yield
    finally:
        Settings.offline_by_default = before
