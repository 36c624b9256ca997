"""Becomes the application's own process: found as a shell finds it, with the environment that instruments it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from otel_monitoring.zero_code.environment import for_child

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""The exit codes of shells, env and nohup."""

_REFUSING = frozenset("EIS")
_ENDING = frozenset("cm")
_WITH_VALUE = frozenset("WX")
_SHEBANG_BYTES = 256


class CommandError(Exception):
    """The command cannot be started.

    Attributes:
        exit_code: what a shell would end with.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def find(command: str) -> str:
    """Return where a command is: in the PATH, else beside the Python that runs this.

    Raises:
        CommandError: it is nowhere, or is no program.
    """
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 (as text)
    found = shutil.which(command) or shutil.which(command, path=beside)
    if found is not None:
        return found
    if os.sep in command and Path(command).exists():
        refused = f"{command!r} cannot be run: it is no program, or you may not execute it{_as_script(command)}"
        raise CommandError(refused, NOT_EXECUTABLE)
    missing = f"{command!r} is not found: no program of this name is in the PATH{_as_script(command)}"
    raise CommandError(missing, NOT_FOUND)


def refusal(program: str, arguments: Sequence[str]) -> str | None:
    """Return the option by which a Python refuses to be instrumented from its environment; None where it does not.

    Args:
        program: its path; the Python of a script is the one that its first line names.
        arguments: of the command, without its name.
    """
    if _is_python(program):
        return _refusing_option(arguments)
    words = _shebang(program)
    return _refusing_option(words[1:]) if words and _is_python(words[0]) else None


def become(program: str, command: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Replace this process by the command, instrumented: signals and the exit code are its own from then on.

    Args:
        program: where it is.
        command: its name and arguments.
        settings: variables to add to its environment.

    Raises:
        CommandError: the system does not run it.
    """
    # Python ignores it, and what is ignored stays so: a program in a pipe would not end with its reader.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execve(program, list(command), for_child(settings))  # noqa: S606 (that is what was asked for)
    except OSError as error:
        raise CommandError(f"{program!r} cannot be run: {error.strerror}", NOT_EXECUTABLE) from error


def _as_script(command: str) -> str:
    """Return how a script is run, where a command looks like one."""
    return f"; a script is run by: python {command}" if command.endswith(".py") else ""


def _is_python(program: str) -> bool:
    return os.path.basename(program).startswith(("python", "pypy"))  # noqa: PTH119 (as text)


def _refusing_option(arguments: Iterable[str]) -> str | None:
    left = iter(arguments)
    for argument in left:
        if not argument.startswith("-") or argument.startswith("--"):
            return None
        for at, letter in enumerate(argument[1:], 2):
            if letter in _REFUSING:
                return f"-{letter}"
            if letter in _ENDING:
                return None
            if letter in _WITH_VALUE:
                if not argument[at:]:
                    next(left, None)
                break
    return None


def _shebang(program: str) -> list[str]:
    """Return the interpreter of a script and its options, as its first line names them."""
    try:
        with Path(program).open("rb") as script:
            start = script.read(_SHEBANG_BYTES)
    except OSError:
        return []
    if not start.startswith(b"#!"):
        return []
    words = start[2:].split(b"\n", 1)[0].decode(errors="replace").split()
    if words and os.path.basename(words[0]) == "env":  # noqa: PTH119 (as text)
        words = [word for word in words[1:] if word != "-S"]
    return words
