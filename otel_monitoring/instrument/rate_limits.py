"""What platforms allow: remaining calls, limits, resets and hits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.shipped import (
    RATE_LIMIT_HITS,
    RATE_LIMIT_QUOTA,
    RATE_LIMIT_REMAINING,
    RATE_LIMIT_RESET,
)

if TYPE_CHECKING:
    from otel_monitoring.metrics import Registry


class RateLimits:
    """Records what a platform says of its rate limits."""

    def __init__(self, registry: Registry) -> None:
        self._incidents = registry.incidents
        self._hits = registry.counter(RATE_LIMIT_HITS)
        self._remaining = registry.gauge(RATE_LIMIT_REMAINING)
        self._quota = registry.gauge(RATE_LIMIT_QUOTA)
        self._reset = registry.gauge(RATE_LIMIT_RESET)

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
            if reset_time is not None:
                self._reset.set(_timestamp(reset_time), labels)
            if hit or (remaining is not None and remaining <= 0):
                hits.add(1)


def _timestamp(moment: datetime | float) -> float:
    if not isinstance(moment, datetime):
        return moment
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
