"""Tells when a module has been imported, whoever imports it and whenever."""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from otel_monitoring.metrics.incidents import Incidents

    Imported = Callable[[ModuleType], None]


class WhenImported(MetaPathFinder):
    """Calls a function with a module right after it was executed, before its importer goes on.

    The module is found and loaded by whoever does that anyway.  A module that is reloaded is
    told of again.

    Args:
        hooks: what to call, by the full names of modules.
        incidents: hears of hooks that fail; the import does not.
    """

    def __init__(self, hooks: Mapping[str, Imported], incidents: Incidents) -> None:
        self._hooks = dict(hooks)
        self._incidents = incidents
        self._asking: set[tuple[int, str]] = set()

    def install(self) -> None:
        """Be told from now on, and at once of what has been imported before."""
        sys.meta_path.insert(0, self)
        for name in self._hooks:
            module = sys.modules.get(name)
            if module is not None:
                self._tell(module)

    def remove(self) -> None:
        """Be told no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that tells us when it has executed the module."""
        # A finder of this kind that stands beside this one asks it in turn.
        asking = threading.get_ident(), fullname
        if fullname not in self._hooks or asking in self._asking:
            return None
        self._asking.add(asking)
        try:
            spec = self._found_by_others(fullname, path, target)
        finally:
            self._asking.discard(asking)
        if spec is not None and spec.loader is not None:
            with self._incidents.contained(f"watching for the import of {fullname}"):
                self._hear_of(fullname, spec.loader)
        return spec

    def _found_by_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _hear_of(self, name: str, loader: Any) -> None:  # noqa: ANN401 (loaders share no class)
        """Have one loader tell us; the loader itself stays, for others ask it for sources and data."""
        execute = loader.exec_module

        def execute_and_tell(module: ModuleType) -> None:
            mine = module.__name__ == name  # a loader may be shared, as that of a zip file
            if mine:
                vars(loader).pop("exec_module", None)
            execute(module)
            if mine:
                self._tell(module)

        loader.exec_module = execute_and_tell

    def _tell(self, module: ModuleType) -> None:
        with self._incidents.contained(f"instrumenting {module.__name__}"):
            self._hooks[module.__name__](module)
