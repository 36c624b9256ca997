"""The lines of code that a traceback names."""

from __future__ import annotations

import linecache
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.errors.secrecy.scrub import Scrubber
    from otel_monitoring.errors.stored import Payload

LOOKED_AT_SECONDS = 1.0
"""How long a file is not looked at again."""

MOST_FILES = 256
"""Files that are kept in mind."""


@dataclass(slots=True)
class _File:
    """A file as it was when it was looked at.

    Attributes:
        changed: when its content was, in seconds since 1970; infinity where there is no file.
        content: its lines.
        shown: of these, the ones that were wanted, scrubbed.
        until: when to look again.
    """

    changed: float
    content: list[str] = field(default_factory=list)
    shown: dict[int, str] = field(default_factory=dict)
    until: float = 0.0


class SourceLines:
    """Adds to an error the lines of the application's own code that its frames stand at.

    It reads files, so it is not for the thread that reports, and only one thread may use
    it.  A file that was changed after the error shows other lines than ran: it is left out.

    Args:
        scrubber: hides what a line may hold, such as a password that was written into it.
        clock: seconds that only rise.
    """

    def __init__(self, scrubber: Scrubber, clock: Callable[[], float] = time.monotonic) -> None:
        self._scrubber = scrubber
        self._clock = clock
        self._files: dict[str, _File] = {}

    def __call__(self, error: Payload) -> None:
        """Complete an error."""
        for link in error.get("chain", ()):
            for frame in link["frames"]:
                if frame.get("in_app") and "source" not in frame:
                    line = self._line(frame.get("file", ""), frame.get("line", 0), error.get("time", 0.0))
                    if line:
                        frame["source"] = line

    def _line(self, path: str, number: int, seconds: float) -> str:
        """Return a line of a file as it was at that time; nothing where that cannot be known."""
        file = self._look(path)
        if file.changed > seconds:
            return ""
        line = file.shown.get(number)
        if line is None:
            text = file.content[number - 1] if 0 < number <= len(file.content) else ""
            line = file.shown[number] = self._scrubber.text(text.strip())
        return line

    def _look(self, path: str) -> _File:
        now = self._clock()
        file = self._files.get(path)
        if file is None or now >= file.until:
            changed = _changed(path)
            if file is None or changed != file.changed:
                file = _File(changed, [] if changed == math.inf else _content(path))
            file.until = now + LOOKED_AT_SECONDS
            if path not in self._files and len(self._files) >= MOST_FILES:
                self._files.clear()
            self._files[path] = file
        return file


def _changed(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except (OSError, ValueError):
        return math.inf


def _content(path: str) -> list[str]:
    linecache.checkcache(path)
    return linecache.getlines(path)
