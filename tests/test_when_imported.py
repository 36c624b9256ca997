"""``WhenImported``: tells of imports, and changes nothing in them."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import threading
import zipfile
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.metrics import Registry
from otel_monitoring.zero_code.imports import WhenImported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    Watch = Callable[..., list[str]]

INCIDENTS = Registry().incidents


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from, and that nothing remembers afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch for imports of these modules; gives what was told, in order."""
    installed: list[WhenImported] = []

    def start(*names: str) -> list[str]:
        told: list[str] = []
        hooks = dict.fromkeys(names, lambda module: told.append(module.__name__))
        installed.append(WhenImported(hooks, INCIDENTS))
        installed[-1].install()
        return told

    yield start
    for finder in installed:
        finder.remove()


def test_an_import_is_told_once_when_the_module_is_there(folder: Path, watch: Watch) -> None:
    """The hook sees the module complete, its importer comes after, and other imports are not told."""
    (folder / "invented_web.py").write_text("class Application: pass")
    (folder / "invented_other.py").write_text("")
    told = watch("invented_web", "invented_absent")
    importlib.import_module("invented_other")
    assert told == []
    importlib.import_module("invented_web")
    importlib.import_module("invented_web")
    assert told == ["invented_web"]
    with pytest.raises(ModuleNotFoundError, match="invented_absent"):
        importlib.import_module("invented_absent")


def test_what_was_imported_before_is_told_at_once(folder: Path, watch: Watch) -> None:
    """It does not matter who comes first."""
    (folder / "invented_early.py").write_text("")
    importlib.import_module("invented_early")
    assert watch("invented_early") == ["invented_early"]


def test_a_reloaded_module_is_told_again(folder: Path, watch: Watch) -> None:
    """Its classes are new ones."""
    (folder / "invented_web.py").write_text("class Application: pass")
    told = watch("invented_web")
    importlib.reload(importlib.import_module("invented_web"))
    assert told == ["invented_web", "invented_web"]


def test_a_module_keeps_its_loader_its_source_and_its_data(folder: Path, watch: Watch) -> None:
    """Whoever asks the module's loader gets what it would get without us."""
    package = folder / "invented_package"
    package.mkdir()
    (package / "__init__.py").write_text("def work(): return 1\n")
    (package / "data.txt").write_text("data")
    watch("invented_package")
    module = importlib.import_module("invented_package")
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert "exec_module" not in vars(module.__loader__)
    assert inspect.getsource(module.work) == "def work(): return 1\n"
    assert pkgutil.get_data("invented_package", "data.txt") == b"data"


def test_a_spec_that_is_only_looked_at_tells_nothing(folder: Path, watch: Watch) -> None:
    """``find_spec`` imports nothing."""
    (folder / "invented_web.py").write_text("")
    told = watch("invented_web")
    assert importlib.util.find_spec("invented_web") is not None
    assert told == []


def test_modules_of_one_zip_file_are_told_apart(
    tmp_path: Path, folder: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share a loader."""
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("invented_one.py", "import invented_two")
        archive.writestr("invented_two.py", "")
        archive.writestr("invented_three.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "code.zip"))
    told = watch("invented_one", "invented_two")
    importlib.import_module("invented_three")
    importlib.import_module("invented_one")
    assert sorted(told) == ["invented_one", "invented_two"]


def test_a_module_that_fails_fails_as_before(folder: Path, watch: Watch) -> None:
    """Its exception is its own, it is not told, and the next try is a fresh one."""
    (folder / "invented_web.py").write_text("raise LookupError('broken')")
    told = watch("invented_web")
    for _ in range(2):
        with pytest.raises(LookupError, match="broken"):
            importlib.import_module("invented_web")
    assert told == []


def test_a_hook_that_fails_does_not_fail_the_import(folder: Path) -> None:
    """The fault is counted, and goes no further."""
    (folder / "invented_web.py").write_text("")

    def fail(module: ModuleType) -> None:
        raise LookupError(module.__name__)

    registry = Registry()
    finder = WhenImported({"invented_web": fail}, registry.incidents)
    finder.install()
    try:
        assert importlib.import_module("invented_web").__name__ == "invented_web"
    finally:
        finder.remove()
    dropped = {point.labels.get("reason"): point.value for point in registry.snapshot().points()}
    assert dropped["internal"] == 1


class AsksTheOthers(MetaPathFinder):
    """A finder that does what ours does, as those of other instrumentations do."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ask all others."""
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        return next((spec for spec in found if spec is not None), None)


def test_two_finders_that_ask_each_other_come_to_an_end(
    folder: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is found, and told."""
    (folder / "invented_web.py").write_text("")
    told = watch("invented_web")
    monkeypatch.setattr(sys, "meta_path", [AsksTheOthers(), *sys.meta_path])
    importlib.import_module("invented_web")
    assert told == ["invented_web"]


def test_imports_of_several_threads_are_told_each(folder: Path, watch: Watch) -> None:
    """Threads import different modules at the same time."""
    names = [f"invented_{number}" for number in range(20)]
    for name in names:
        (folder / f"{name}.py").write_text("")
    PathFinder.invalidate_caches()
    told = watch(*names)
    threads = [threading.Thread(target=importlib.import_module, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(names)
