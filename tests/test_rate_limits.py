"""Readings of rate limits become gauges and hits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.instrument.rate_limits import RateLimits

if TYPE_CHECKING:
    from otel_monitoring.metrics import Registry

RESET = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def figures(registry: Registry) -> dict[str, object]:
    """Return the values of linkedin's api limit by metric."""
    return {
        point.metric.prometheus_name: point.value
        for point in registry.snapshot().points()
        if point.labels == {"platform": "linkedin", "limit_type": "api"}
    }


@pytest.mark.parametrize(
    "reset_time",
    [
        RESET,
        RESET.replace(tzinfo=None),
        RESET.astimezone(timezone(timedelta(hours=9))),
        RESET.timestamp(),
    ],
    ids=["utc", "naive", "another zone", "seconds since 1970"],
)
def test_a_reading_sets_the_gauges_and_shows_no_hit(registry: Registry, reset_time: datetime | float) -> None:
    """Remaining, quota and reset are set, a naive time is UTC, and the hits begin at 0."""
    RateLimits(registry).record("linkedin", "api", 95, reset_time=reset_time, limit=100)
    assert figures(registry) == {
        "rate_limit_remaining": 95,
        "rate_limit_quota": 100,
        "rate_limit_reset_timestamp_seconds": RESET.timestamp(),
        "rate_limit_hits_total": 0,
    }


def test_nothing_remaining_is_a_hit(registry: Registry) -> None:
    """A reading of 0 or less counts a hit each time, once even where it says so itself."""
    limits = RateLimits(registry)
    limits.record("linkedin", "api", 0)
    limits.record("linkedin", "api", -1)
    limits.record("linkedin", "api", 0, hit=True)
    limits.record("linkedin", "api", 5, hit=True)
    limits.record("linkedin", "api", hit=True)
    limits.record("linkedin", "api", 1)
    assert figures(registry)["rate_limit_hits_total"] == 5


def test_what_is_not_known_stays_as_it_was(registry: Registry) -> None:
    """A reading without a limit or a reset leaves those gauges alone."""
    limits = RateLimits(registry)
    limits.record("linkedin", "api", 95, reset_time=RESET, limit=100)
    limits.record("linkedin", "api", 94)
    assert figures(registry)["rate_limit_remaining"] == 94
    assert figures(registry)["rate_limit_quota"] == 100
