"""Which slots belong to which series: numbers given out, and given out again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

QUARANTINE_SECONDS = 60.0
"""How long the slots of a removed series rest before another series may have them.

A thread that looked a slot up just before the removal writes to it just after; that write
must not land in a series which it was not meant for.
"""


class Space:
    """Numbers runs of slots, the same in every page.

    Callers hold the registry's lock.  No step here calls Python code between reading and
    writing ``end``, so that a signal handler that makes a series cannot be given the same run.

    Args:
        clock: tells the seconds that the quarantine is measured by; never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.end = 0
        self._clock = clock
        self._resting: dict[int, deque[tuple[float, int]]] = {}

    def take(self, width: int) -> tuple[int, bool]:
        """Return the first of ``width`` free slots, and whether they were used before."""
        resting, now = self._resting.get(width), self._clock()
        if resting and resting[0][0] <= now:
            return resting.popleft()[1], True
        start = self.end
        self.end = start + width
        return start, False

    def give_back(self, start: int, width: int) -> None:
        """Let a run of slots be taken again once its quarantine is over."""
        self._resting.setdefault(width, deque()).append((self._clock() + QUARANTINE_SECONDS, start))
