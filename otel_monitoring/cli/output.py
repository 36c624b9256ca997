"""Standard output as it is: a terminal, a pipe that somebody may close, or a file on a disk that may be full."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from otel_monitoring.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNCUT_COLUMNS = 10_000
"""How wide it is taken to be where it is no terminal: what reads it wants whole lines."""


@contextmanager
def standard_output(encoding: str | None = None) -> Iterator[Console]:
    """Give a console for text that is shown as it is, without markup.

    A reader that leaves, as ``head`` does, ends the process as it ends other programs: by SIGPIPE.

    Args:
        encoding: to write in, for programs; None takes the terminal's, and spells out what it lacks.

    Raises:
        MonitoringError: what was printed cannot be written.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    columns = shutil.get_terminal_size((UNCUT_COLUMNS, 0)).columns
    console = Console(width=columns, markup=False, highlight=False, emoji=False)
    try:
        yield console
        sys.stdout.flush()
    except KeyboardInterrupt:
        _discard_output()
        raise
    except OSError as error:
        _discard_output()
        raise MonitoringError(f"standard output cannot be written ({error.strerror})") from error


def _discard_output() -> None:
    """Let the flush at the end of the process, which would fail or wait once more, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
