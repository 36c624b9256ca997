"""Which errors of a burst are kept in detail."""

from __future__ import annotations

REMEMBERED = 4096
"""Fingerprints of one second that are told apart; those beyond are kept in detail."""


class Bursts:
    """Lets so many errors of one fingerprint through in each second.

    It needs no lock: threads that look at the same moment may let one more through, and
    nothing is lost by that.

    Args:
        per_second: errors of one fingerprint that are kept in detail in a second.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._seen: dict[str, int] = {}

    def lets_through(self, fingerprint: str, seconds: float) -> bool:
        """Note an error; tell whether it is one of the first of its kind in this second.

        Args:
            fingerprint: its kind.
            seconds: the time, by a clock that may go backwards.
        """
        second = int(seconds)
        if second != self._second:
            self._second, self._seen = second, {}
        seen = self._seen
        before = seen.get(fingerprint, 0)
        if before or len(seen) < REMEMBERED:
            seen[fingerprint] = before + 1
        return before < self._per_second
