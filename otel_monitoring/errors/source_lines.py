"""The lines of code that a traceback names."""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_monitoring.errors.secrecy.scrub import Scrubber
    from otel_monitoring.errors.stored import FramePayload, Payload


class SourceLines:
    """Adds to an error the lines of the application's own code that its frames stand at.

    It reads files, so it is not for the thread that reports.  A file that was changed after
    the error shows other lines than ran: it is left out.

    Args:
        scrubber: hides what a line may hold, such as a password that was written into it.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, error: Payload) -> None:
        """Complete an error."""
        for link in error.get("chain", ()):
            for frame in link["frames"]:
                if frame["in_app"] and "source" not in frame and _is_unchanged(frame["file"], error["time"]):
                    self._add(frame)

    def _add(self, frame: FramePayload) -> None:
        line = linecache.getline(frame["file"], frame["line"]).strip()
        if line:
            frame["source"] = self._scrubber.text(line)


def _is_unchanged(file: str, since: float) -> bool:
    try:
        changed = Path(file).stat().st_mtime
    except (OSError, ValueError):
        return False
    linecache.checkcache(file)
    return changed <= since
