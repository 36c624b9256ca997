"""Starts the instrumentation of this process, once, whoever asks for it; what fails in it stops no application."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import traceback
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.service import MonitoringService
from otel_monitoring.settings import Settings
from otel_monitoring.zero_code import environment, supervisors
from otel_monitoring.zero_code.applications import Applications
from otel_monitoring.zero_code.checklist import checklist
from otel_monitoring.zero_code.environment import Place
from otel_monitoring.zero_code.imports import WhenImported
from otel_monitoring.zero_code.instrumentors import ALL, Enabled, enable_instrumentors
from otel_monitoring.zero_code.libraries import CLIENTS
from otel_monitoring.zero_code.process import InstrumentedProcess, say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from otel_monitoring.zero_code.imports import Imported

NEEDED_LATER = (
    "otel_monitoring.export.access",
    "otel_monitoring.export.asgi",
    "otel_monitoring.export.reader",
    "otel_monitoring.export.server",
    "otel_monitoring.export.wsgi",
    "otel_monitoring.instrument.applications",
    "otel_monitoring.instrument.asgi",
    "otel_monitoring.instrument.calls",
    "otel_monitoring.instrument.clients",
    "otel_monitoring.instrument.clients_httpx",
    "otel_monitoring.instrument.clients_urllib3",
    "otel_monitoring.instrument.django",
    "otel_monitoring.instrument.flask",
    "otel_monitoring.instrument.platforms",
    "otel_monitoring.logs.requests",
)
"""What the first request and the first scrape import: a child forked meanwhile would wait for it for ever."""

_started: list[InstrumentedProcess] = []
"""The one of this process, or none."""


def begin() -> None:
    """Instrument this process as its environment says, and say so where it is the first of its command."""
    if _started or _is_pythons_own():
        return
    with environment.no_children_meanwhile():
        begun = _contained(_begin_wholly)
    if not begun:
        environment.instrument_no_children()


def begin_for_opentelemetry() -> None:
    """Do the same but for OpenTelemetry's instrumentors, which its own command enables, and for the telling."""
    if not _started:
        _contained(_begin)


def enabled_so_far() -> Enabled:
    """Return what has become of OpenTelemetry's instrumentors in this process, to be added to."""
    return _started[0].enabled if _started else Enabled()


def tell_for_opentelemetry() -> None:
    """Say what is instrumented, when OpenTelemetry's own command has enabled the instrumentors."""
    for process in _started:
        _tell(process)


def _contained(start: Callable[[], bool]) -> bool:
    """Start, and tell whether this process and its children are instrumented."""
    try:
        return start()
    except ConfigurationError as error:
        say(f"not instrumented, the application runs all the same: {error}")
    except Exception:  # noqa: BLE001 (the application comes after this, whatever is wrong with us)
        say(f"not instrumented, the application runs all the same: a fault of ours\n{traceback.format_exc()}")
    return False


def _begin_wholly() -> bool:
    if not _begin():
        return False
    process = _started[0]
    enable_instrumentors(process.service.settings.disabled_instrumentations, process.enabled)
    _tell(process)
    return True


def _begin() -> bool:
    settings = Settings.load()
    if settings.disabled:
        return False
    environment.choose_stable_conventions()
    for name in NEEDED_LATER:
        import_module(name)
    place = environment.place()
    process = InstrumentedProcess(_service(settings, place), place)
    hooks = _hooks(process, settings.disabled_instrumentations)
    WhenImported(hooks, process.service.registry.incidents).install()
    process.begin()
    _started.append(process)
    return True


def _service(settings: Settings, place: Place) -> MonitoringService:
    """Make the service, so that no child pushes over what its parent has pushed."""
    if place in {Place.FIRST, Place.AGAIN}:
        return MonitoringService()
    service = MonitoringService(push_instance=f"{settings.push_instance or socket.gethostname()}-{os.getpid()}")
    if place is Place.CHILD:
        # As forked ones, children that end before their first push leave no group behind.
        atexit.unregister(service.shutdown)
    return service


def _hooks(process: InstrumentedProcess, disabled: Collection[str]) -> dict[str, Imported]:
    """Return what is done when modules are imported, but for libraries that are not to be instrumented."""
    hooks = supervisors.hooks(process.step_back)
    if ALL in disabled:
        return hooks
    clients = (name for name in CLIENTS if name not in disabled)
    hooks |= dict.fromkeys(clients, partial(_measure_clients, process))
    return hooks | Applications(process).hooks(disabled)


def _measure_clients(process: InstrumentedProcess, module: object) -> None:
    process.measure_clients(getattr(module, "__name__", ""))


def _tell(process: InstrumentedProcess) -> None:
    settings = process.service.settings
    if process.place is Place.FIRST and settings.zero_code_checklist:
        url = None if process.server is None else process.server.url
        say("\n".join(checklist(settings, process.enabled, url=url)))


def _is_pythons_own() -> bool:
    """Tell whether this is no process of an application but one that multiprocessing keeps for itself."""
    return any("multiprocessing.resource_tracker" in argument for argument in sys.orig_argv[:6])
