"""What is left of one rate limit, and when it runs out at the pace of the last minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

DEFAULT_TYPE = "api"
"""The limit type that has no other name: a platform's limit for all its calls."""

WINDOW_SECONDS = 60.0
"""How far back the pace is looked for."""

SHORTEST_SECONDS = 1.0
"""The least time that a pace is taken over: a burst of some milliseconds is none yet."""

_KEPT = 64
_STEP_SECONDS = WINDOW_SECONDS / (_KEPT - 1)
_LATEST = datetime.max.replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """What is known of one rate limit; None is what is not.

    Attributes:
        platform: who limits.
        limit_type: which of its limits.
        remaining: calls, tokens or whatever it limits, left in the current window; all of
            the limit once the window has ended.
        limit: what is granted for a whole window.
        reset: when the window ends, in UTC.
        hits: how often this process has found it exhausted.
        seconds_left: the time until nothing is left, at the pace of the last minute; 0 where
            nothing is, None where the window ends before, or nothing is used.
    """

    platform: str
    limit_type: str
    remaining: float | None = None
    limit: float | None = None
    reset: datetime | None = None
    hits: int = 0
    seconds_left: float | None = None


class _Level(NamedTuple):
    moment: float
    remaining: float


class Headroom:
    """The readings of one limit; the newest, and those of the last minute.

    All moments are in seconds since 1970.
    """

    def __init__(self) -> None:
        self.hits = 0
        self._limit: float | None = None
        self._reset: float | None = None
        self._levels: deque[_Level] = deque(maxlen=_KEPT)

    def read(self, now: float, *, remaining: float | None, limit: float | None, reset: float | None) -> None:
        """Take a reading; what is None in it is left as it was."""
        if self._has_ended(now):
            # What was left of the window before says nothing of this one.
            self._reset = None
            self._levels.clear()
        if limit is not None and isfinite(limit):
            self._limit = limit
        if reset is not None and isfinite(reset):
            self._reset = reset
        if remaining is not None and isfinite(remaining):
            self._keep(_Level(now, remaining))

    def seconds_closed(self, now: float) -> float:
        """Return the time until calls are taken again; 0 where they are, and where nobody knows when."""
        if self._reset is None or self._has_ended(now) or not self._is_exhausted():
            return 0.0
        return self._reset - now

    def status(self, platform: str, limit_type: str, now: float) -> RateLimitStatus:
        """Return what is known at this moment."""
        ended = self._has_ended(now)
        remaining = self._levels[-1].remaining if self._levels else None
        return RateLimitStatus(
            platform,
            limit_type,
            remaining=self._limit if ended else remaining,
            limit=self._limit,
            reset=_as_datetime(self._reset),
            hits=self.hits,
            seconds_left=None if ended else self._seconds_left(now),
        )

    def _keep(self, level: _Level) -> None:
        levels = self._levels
        # However many readings there are in a second, the kept ones span the window.
        if len(levels) > 1 and level.moment - levels[-2].moment < _STEP_SECONDS:
            levels[-1] = level
        else:
            levels.append(level)

    def _is_exhausted(self) -> bool:
        return bool(self._levels) and self._levels[-1].remaining <= 0

    def _has_ended(self, now: float) -> bool:
        return self._reset is not None and self._reset <= now

    def _seconds_left(self, now: float) -> float | None:
        if self._is_exhausted():
            return 0.0
        recent = [level for level in self._levels if now - level.moment <= WINDOW_SECONDS]
        if not recent:
            return None
        # Net of what came back meanwhile, as in limits that refill all the time.
        used = recent[0].remaining - recent[-1].remaining
        if used <= 0:
            return None
        seconds = recent[-1].remaining * max(now - recent[0].moment, SHORTEST_SECONDS) / used
        return None if self._reset is not None and seconds >= self._reset - now else seconds


def _as_datetime(moment: float | None) -> datetime | None:
    if moment is None or not 0 <= moment <= _LATEST:
        return None
    return datetime.fromtimestamp(moment, UTC)
