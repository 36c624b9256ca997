"""Rules of the whole project that no other tool checks."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "otel_monitoring"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 70
VAGUE = {"common", "helper", "helpers", "misc", "util", "utils"}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> Iterator[str]:
    """Go through the full names that a module imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ENVIRONMENT = (
    PACKAGE / "settings.py",
    PACKAGE / "zero_code" / "environment.py",  # hands it on to child processes, and reads no settings
    PACKAGE / "zero_code" / "start" / "sitecustomize.py",  # may find itself in a Python without the package
)


@each_module
def test_only_the_settings_read_the_environment(path: Path) -> None:
    """``os.environ`` and ``os.getenv`` stand where the environment is read for all."""
    if path in ENVIRONMENT:
        return
    # What WSGI calls a request's environment is another.
    names = {ast.unparse(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    forbidden = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    assert not (names | set(imports_of(path))) & forbidden


@each_module
def test_of_opentelemetry_only_what_is_public_is_used(path: Path) -> None:
    """Its modules with a leading underscore change with each release."""
    private = [name for name in imports_of(path) if re.match(r"opentelemetry\..*\b_", name)]
    assert not private


@each_module
def test_the_sdk_stays_out_of_the_recording_core(path: Path) -> None:
    """What records needs OpenTelemetry's API alone."""
    room = path.relative_to(PACKAGE).parts[0]
    if room not in {"metrics", "catalogue", "settings.py", "exceptions.py"}:
        return
    assert not [name for name in imports_of(path) if re.match(r"opentelemetry\.(sdk|exporter)\b", name)]


@each_module
def test_a_function_fits_on_a_screen(path: Path) -> None:
    """No function is longer than 70 lines."""
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@each_module
def test_a_module_is_named_for_what_it_holds(path: Path) -> None:
    """No module is called utils or the like."""
    assert path.stem not in VAGUE


@each_module
def test_every_package_has_an_init(path: Path) -> None:
    """A folder without one would be left out of what tools check."""
    assert (path.parent / "__init__.py").exists()


def test_the_readme_gives_the_command_that_ci_runs() -> None:
    """What a reader is told to run is what CI runs, to the letter."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = script.rstrip().splitlines()[-1]
    assert command.endswith(".venv/bin/nox")
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_package_says_that_it_is_typed() -> None:
    """Type checkers of users read our annotations only where ``py.typed`` says so."""
    assert (PACKAGE / "py.typed").exists()
