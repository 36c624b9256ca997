"""What platforms allow: remaining calls, limits, resets and hits, and waiting for more."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.shipped import (
    RATE_LIMIT_HITS,
    RATE_LIMIT_QUOTA,
    RATE_LIMIT_REMAINING,
    RATE_LIMIT_RESET,
    RATE_LIMIT_WAIT,
)
from otel_monitoring.instrument.headroom import DEFAULT_TYPE, Headroom, RateLimitStatus
from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_monitoring.metrics import Registry

LIMITS_AT_MOST = 1000
"""Limits whose readings are kept; the one read longest ago makes room for another."""

LONGEST_NAP_SECONDS = 1.0
"""A wait looks this often whether a newer reading has changed its end."""


class RateLimits:
    """Records what platforms say of their rate limits, tells it, and waits for them.

    Args:
        registry: where the metrics are recorded.
        clock: tells the seconds since 1970.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        self._incidents = registry.incidents
        self._clock = clock
        self._hits = registry.counter(RATE_LIMIT_HITS)
        self._remaining = registry.gauge(RATE_LIMIT_REMAINING)
        self._quota = registry.gauge(RATE_LIMIT_QUOTA)
        self._reset = registry.gauge(RATE_LIMIT_RESET)
        self._waited = registry.histogram(RATE_LIMIT_WAIT)
        self._limits: dict[tuple[str, str], Headroom] = {}
        self.after_fork_in_child()
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Take a lock of our own, which no thread of the parent holds, and count hits from zero as the metric does."""
        # A signal handler may record while its own thread records.
        self._lock = threading.RLock()
        for headroom in self._limits.values():
            headroom.hits = 0

    def record(
        self,
        platform: str,
        limit_type: str,
        remaining: float | None = None,
        *,
        reset_time: datetime | float | None = None,
        limit: float | None = None,
        hit: bool = False,
    ) -> None:
        """Record one reading of one limit; what is None is not known and left as it was.

        Args:
            platform: who limits, for instance ``linkedin``.
            limit_type: which of its limits, for instance ``api``.
            remaining: calls left in the current window; 0 or less counts a hit.
            reset_time: when the window ends: a datetime, in UTC where it names no zone, or
                seconds since 1970.
            limit: calls granted for a whole window.
            hit: the platform has just refused a call; counts a hit whatever remains.
        """
        with self._incidents.contained("recording a rate limit"):
            labels = {"platform": platform, "limit_type": limit_type}
            # The counter is there from the first reading on, at 0, so that rate() sees the first hit.
            hits = self._hits.labels(**labels)
            if remaining is not None:
                self._remaining.set(remaining, labels)
            if limit is not None:
                self._quota.set(limit, labels)
            reset = None if reset_time is None else _timestamp(reset_time)
            if reset is not None:
                self._reset.set(reset, labels)
            hit = hit or (remaining is not None and remaining <= 0)
            if hit:
                hits.add(1)
            with self._lock:
                headroom = self._headroom(platform, limit_type)
                headroom.hits += hit
                headroom.read(self._clock(), remaining=remaining, limit=limit, reset=reset)

    def status(self, platform: str, limit_type: str | None = None) -> RateLimitStatus:
        """Return what is known of a limit, and when it runs out at the present pace.

        Args:
            platform: who limits.
            limit_type: which of its limits; None takes the one that is closest to its end.

        Returns:
            What this process has read or recorded; all of it is None where that is nothing.
        """
        now = self._clock()
        with self._lock:
            found = [
                headroom.status(platform, known, now)
                for (of, known), headroom in self._limits.items()
                if of == platform and limit_type in {known, None}
            ]
        return min(found, key=_scarcity, default=RateLimitStatus(platform, limit_type or DEFAULT_TYPE))

    async def wait(self, platform: str, limit_type: str | None = None) -> float:
        """Wait until a platform takes calls again: at once while there is headroom, else at the reset.

        A limit that is exhausted without anybody knowing until when is not waited for.

        Args:
            platform: who limits.
            limit_type: which of its limits; the limit ``api``, which holds for all calls of a
                platform, is waited for too.  None waits for all of its limits.

        Returns:
            The seconds that it took.
        """
        import asyncio

        with self._waiting(platform) as waiting:
            while (pause := self._pause(platform, limit_type)) > 0:
                waiting.started = True
                await asyncio.sleep(pause)
        return waiting.seconds

    def wait_sync(self, platform: str, limit_type: str | None = None) -> float:
        """Wait as ``wait`` does, and keep the calling thread meanwhile."""
        with self._waiting(platform) as waiting:
            while (pause := self._pause(platform, limit_type)) > 0:
                waiting.started = True
                time.sleep(pause)
        return waiting.seconds

    @contextmanager
    def _waiting(self, platform: str) -> Iterator[_Waiting]:
        waiting = _Waiting()
        started = time.perf_counter()
        try:
            yield waiting
        finally:
            if waiting.started:
                waiting.seconds = time.perf_counter() - started
                self._waited.record(waiting.seconds, {"platform": platform})

    def _pause(self, platform: str, limit_type: str | None) -> float:
        now = self._clock()
        with self._lock:
            closed = [
                headroom.seconds_closed(now)
                for (of, known), headroom in self._limits.items()
                if of == platform and (limit_type is None or known in {limit_type, DEFAULT_TYPE})
            ]
        return min(max(closed, default=0.0), LONGEST_NAP_SECONDS)

    def _headroom(self, platform: str, limit_type: str) -> Headroom:
        # Put in anew, so that the first of the dict is always the one read longest ago.
        headroom = self._limits.pop((platform, limit_type), None)
        if headroom is None:
            headroom = Headroom()
            if len(self._limits) >= LIMITS_AT_MOST:
                del self._limits[next(iter(self._limits))]
        self._limits[platform, limit_type] = headroom
        return headroom


class _Waiting:
    """One wait: whether there was any, and how long it was."""

    def __init__(self) -> None:
        self.started = False
        self.seconds = 0.0


def _scarcity(status: RateLimitStatus) -> tuple[float, float]:
    """Order limits: first by the time that is left, then by the share that is."""
    left = float("inf") if status.seconds_left is None else status.seconds_left
    share = status.remaining / status.limit if status.remaining is not None and status.limit else 1.0
    return left, share


def _timestamp(moment: datetime | float) -> float:
    if not isinstance(moment, datetime):
        return moment
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
