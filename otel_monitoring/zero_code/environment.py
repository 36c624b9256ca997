"""The environment as it is handed on: what starts us in a child process, and what a child must know of its parent.

Settings are not read here: see ``settings``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_FOLDER = str(Path(__file__).parent / "start")
"""Holds the ``sitecustomize`` that Python runs first."""

PYTHON_PATH = "PYTHONPATH"
SEMANTIC_CONVENTIONS = "OTEL_SEMCONV_STABILITY_OPT_IN"
_LINEAGE = "_OTEL_MONITORING_LINEAGE"
"""Who serves the metrics: the number of the process, and whether its children do it in its place."""

_SERVES = "serves"
_SUPERVISES = "supervises"


class Place(Enum):
    """What this process is among those that one command has started."""

    FIRST = "no parent of it is instrumented"
    AGAIN = "it was instrumented before, and has become another program"
    CHILD = "a parent of it serves its own metrics"
    WORKER = "its parent is a supervisor, whose workers serve theirs"


def for_child(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment, so changed that Python starts instrumented in it.

    Args:
        settings: variables to add.
    """
    given = dict(os.environ)
    # A command that is started by hand inside of an instrumented one is no child of it.
    given.pop(_LINEAGE, None)
    return {**given, PYTHON_PATH: _with_start_folder(given.get(PYTHON_PATH, "")), **settings}


def place() -> Place:
    """Tell what this process is."""
    kind, _, number = os.environ.get(_LINEAGE, "").partition(":")
    if not number:
        return Place.FIRST
    if number == str(os.getpid()):
        return Place.AGAIN
    return Place.WORKER if kind == _SUPERVISES else Place.CHILD


def tell_children(*, they_serve: bool) -> None:
    """Let processes that are started from now on know their place.

    Args:
        they_serve: whether they are workers that serve their own metrics, since this process serves none.
    """
    os.environ[_LINEAGE] = f"{_SUPERVISES if they_serve else _SERVES}:{os.getpid()}"


def is_chosen(variable: str, name: str) -> bool:
    """Tell whether a variable of OpenTelemetry's chooses what has this name."""
    return os.environ.get(variable, "").strip() == name


def choose_stable_conventions() -> None:
    """Let OpenTelemetry's instrumentations use the stable HTTP names, unless something else is chosen.

    To be called before the first of them is imported.
    """
    os.environ.setdefault(SEMANTIC_CONVENTIONS, "http")


def instrument_no_children() -> None:
    """Let Python processes that are started from now on be without us."""
    kept = os.pathsep.join(_others(os.environ.get(PYTHON_PATH, "")))
    if kept:
        os.environ[PYTHON_PATH] = kept
    else:
        os.environ.pop(PYTHON_PATH, None)


@contextmanager
def no_children_meanwhile() -> Iterator[None]:
    """Keep Pythons that are started inside of it from being instrumented: what we start would start us again."""
    before = os.environ.get(PYTHON_PATH)
    instrument_no_children()
    try:
        yield
    finally:
        if before is not None:
            os.environ[PYTHON_PATH] = before


def _with_start_folder(python_path: str) -> str:
    return os.pathsep.join([START_FOLDER, *_others(python_path)])


def _others(python_path: str) -> list[str]:
    """Return what else is in the path; an empty entry among others is the working directory, and stays."""
    return [entry for entry in python_path.split(os.pathsep) if entry != START_FOLDER] if python_path else []
