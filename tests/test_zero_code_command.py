"""Which commands cannot be instrumented from outside, by what their Python is told."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.zero_code.command import CommandError, find, refusal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ([], None),
        (["script.py", "-I"], None),
        (["-m", "module", "-E"], None),
        (["-c", "pass", "-S"], None),
        (["-mmodule", "-E"], None),
        (["-I", "script.py"], "-I"),
        (["-uE", "script.py"], "-E"),
        (["-u", "-S"], "-S"),
        (["-W", "-I", "script.py"], None),
        (["-Werror", "-I", "script.py"], "-I"),
        (["-X", "dev", "-I"], "-I"),
        (["-Xdev", "script.py", "-I"], None),
        (["-uX", "Isolated", "script.py"], None),
        (["--help-all", "-I"], None),
        (["-"], None),
    ],
    ids=str,
)
def test_pythons_own_options_are_read_as_python_does(arguments: list[str], option: str | None) -> None:
    """Only what stands before the program counts, alone or among other letters."""
    assert refusal("/usr/bin/python3.11", arguments) == option


@pytest.mark.parametrize(
    ("first_line", "option"),
    [
        ("#!/usr/bin/python3 -Es\n", "-E"),
        ("#!/usr/bin/env -S python3 -I\n", "-I"),
        ("#!/usr/bin/env python3\n", None),
        ("#!/opt/app/bin/python3\n", None),
        ("#!/bin/sh -E\n", None),
        ("#!\n", None),
        ("", None),
        ("\x7fELF", None),
    ],
    ids=repr,
)
def test_the_first_line_of_a_script_is_read(tmp_path: Path, first_line: str, option: str | None) -> None:
    """A script names its Python and the options there; its own arguments are none of Python's."""
    script = tmp_path / "program"
    script.write_text(first_line + "import sys")
    assert refusal(str(script), ["-I"]) == option


def test_a_script_that_cannot_be_read_is_left_to_the_system(tmp_path: Path) -> None:
    """There may be programs that one can run and not read."""
    assert refusal(str(tmp_path / "nowhere"), ["-I"]) is None


def test_programs_beside_our_python_are_found_without_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that is not activated has its programs there; those in the PATH come first."""
    python = tmp_path / "bin" / "python"
    for program in (python, tmp_path / "bin" / "serve", tmp_path / "path" / "serve"):
        program.parent.mkdir(exist_ok=True)
        program.write_text("")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert find("serve") == str(tmp_path / "bin" / "serve")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find("serve") == str(tmp_path / "path" / "serve")


@pytest.mark.parametrize("command", ["", "nowhere", "./nowhere", "/nowhere/at/all"])
def test_what_is_nowhere_is_said(command: str) -> None:
    """The message quotes it."""
    with pytest.raises(CommandError, match="is not found") as raised:
        find(command)
    assert raised.value.exit_code == 127


@pytest.mark.parametrize(("there", "exit_code"), [(True, 126), (False, 127)], ids=["there", "missing"])
def test_who_gives_a_script_is_told_how_to_run_it(tmp_path: Path, there: bool, exit_code: int) -> None:
    """The program is the Python."""
    script = tmp_path / "script.py"
    if there:
        script.write_text("print()")
    with pytest.raises(CommandError, match=re.escape(f"; a script is run by: python {script}")) as raised:
        find(str(script))
    assert raised.value.exit_code == exit_code
