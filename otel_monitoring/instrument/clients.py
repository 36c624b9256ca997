"""HTTP clients: all that are installed, or one object."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from otel_monitoring.instrument.hooks import replace_method

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import ModuleType

    from aiohttp import ClientSession

    from otel_monitoring.instrument.calls import Calls
    from otel_monitoring.instrument.sending import Around

    Undo = Callable[[], None]

LIBRARIES = ("httpx2", "httpx", "requests", "aiohttp", "urllib3", "niquests")


class Clients:
    """Hooks HTTP clients, so that their calls are recorded.

    Args:
        calls: records them.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._classes: dict[type, list[Undo]] = {}
        self._objects: WeakKeyDictionary[object, list[Undo]] = WeakKeyDictionary()

    def hook_all(self, libraries: Collection[str] = LIBRARIES) -> None:
        """Hook every one of these libraries that is installed, with the clients that it has made already.

        Raises:
            ValueError: one is not known.
        """
        unknown = sorted(set(libraries).difference(LIBRARIES))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: clients are those of {', '.join(LIBRARIES)}")
        for name in libraries:
            if name in sys.modules or find_spec(name) is not None:
                with self._calls.incidents.contained(f"hooking {name}"):
                    self._hook_library(name, import_module(name))

    def hook(self, client: object) -> bool:
        """Hook one client object; return whether it is one of a library that is known."""
        for name in LIBRARIES:
            module = sys.modules.get(name)
            if module is not None and isinstance(client, _classes_of(name, module)):
                if client not in self._objects:
                    with self._calls.incidents.contained(f"hooking a client of {name}"):
                        self._objects[client] = self._hook_object(name, module, client)
                return True
        return False

    def unhook(self) -> None:
        """Put everything back; what cannot be, since others have hooked in on top, records nothing any more."""
        self._calls.active = False
        for undo in [*self._classes.values(), *self._objects.values()]:
            while undo:
                undo.pop()()

    def _hook_library(self, name: str, module: ModuleType) -> None:
        for owner in _classes_of(name, module):
            # httpx2 can stand in for httpx: then there is one class under two names.
            if owner not in self._classes:
                self._classes[owner] = self._hook_methods(name, module, owner)
        self._hook_ends(name)

    def _hook_object(self, name: str, module: ModuleType, client: object) -> list[Undo]:
        if name == "aiohttp":
            from otel_monitoring.instrument.clients_aiohttp import trace_session, tracing

            trace_session(cast("ClientSession", client), tracing(self._calls))
            return []
        self._hook_ends(name)
        return self._hook_methods(name, module, client)

    def _hook_methods(self, name: str, module: ModuleType, owner: object) -> list[Undo]:
        return [replace_method(owner, method, around) for method, around in self._methods(name, module)]

    def _methods(self, name: str, module: ModuleType) -> Iterator[tuple[str, Around]]:
        if name in {"httpx", "httpx2"}:
            from otel_monitoring.instrument.clients_httpx import around_send

            yield "send", around_send(self._calls, module)
        elif name == "aiohttp":
            from otel_monitoring.instrument.clients_aiohttp import VERBS, around_verb, tracing

            around = around_verb(self._calls, tracing(self._calls))
            yield from ((verb, around) for verb in VERBS)
        elif name == "urllib3":
            from otel_monitoring.instrument.clients_urllib3 import around_urlopen

            yield "urlopen", around_urlopen(self._calls)
        else:
            from otel_monitoring.instrument.clients_urllib3 import around_session_send

            yield "send", around_session_send(self._calls)

    def _hook_ends(self, name: str) -> None:
        if name not in {"requests", "urllib3", "niquests"}:
            return
        from otel_monitoring.instrument.clients_urllib3 import methods_of_answers

        # niquests stands on a successor of urllib3, which may or may not be in its place.
        module = import_module("niquests.packages").urllib3 if name == "niquests" else import_module("urllib3")
        for owner, methods in methods_of_answers(module):
            if owner not in self._classes:
                self._classes[owner] = [replace_method(owner, method, around) for method, around in methods.items()]


def _classes_of(name: str, module: ModuleType) -> tuple[type, ...]:
    """Return the classes of a library whose objects are clients."""
    names = {
        "aiohttp": ("ClientSession",),
        "httpx": ("Client", "AsyncClient"),
        "httpx2": ("Client", "AsyncClient"),
        "niquests": ("Session", "AsyncSession"),
        "requests": ("Session",),
        "urllib3": ("PoolManager", "HTTPConnectionPool"),
    }[name]
    return tuple(getattr(module, one) for one in names)
