"""Readings of rate limits become gauges and hits, a forecast, and waits."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from otel_monitoring.instrument.headroom import RateLimitStatus
from otel_monitoring.instrument.rate_limits import LIMITS_AT_MOST, RateLimits
from otel_monitoring.metrics import Registry
from otel_monitoring.metrics.snapshot import Distribution

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


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = RESET.timestamp() - 600

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock ten minutes before the reset."""
    return Clock()


@pytest.fixture
def limits(registry: Registry, clock: Clock) -> RateLimits:
    """Rate limits by that clock."""
    return RateLimits(registry, clock)


def spend(limits: RateLimits, clock: Clock, levels: list[float], *, reset: datetime | None = RESET) -> None:
    """Record one level every ten seconds."""
    for level in levels:
        clock.now += 10
        limits.record("linkedin", "api", level, reset_time=reset, limit=100)


def waits(registry: Registry) -> int:
    """Return how many waits were recorded for linkedin."""
    points = [point for point in registry.snapshot().points() if point.metric.name == "rate_limit_wait"]
    return sum(point.value.count for point in points if isinstance(point.value, Distribution))


def test_a_status_tells_what_was_read(limits: RateLimits, clock: Clock) -> None:
    """What was read last of each figure, the reset as a time with a zone, and the hits of this process."""
    limits.record("linkedin", "api", 95, reset_time=RESET.timestamp(), limit=100)
    limits.record("linkedin", "api", hit=True)
    assert limits.status("linkedin", "api") == RateLimitStatus(
        "linkedin", "api", remaining=95, limit=100, reset=RESET, hits=1
    )


def test_of_what_was_never_read_nothing_is_known(limits: RateLimits) -> None:
    """An unknown platform or limit is no error."""
    limits.record("linkedin", "api", 95)
    assert limits.status("x") == RateLimitStatus("x", "api")
    assert limits.status("linkedin", "messages") == RateLimitStatus("linkedin", "messages")


def test_the_forecast_is_level_by_pace(limits: RateLimits, clock: Clock) -> None:
    """Ten calls in ten seconds leave fifty for fifty seconds more; idle time makes the pace slower."""
    spend(limits, clock, [80, 70, 60, 50])
    assert limits.status("linkedin", "api").seconds_left == pytest.approx(50)
    clock.now += 20
    assert limits.status("linkedin", "api").seconds_left == pytest.approx(50 * 50 / 30)


def test_there_is_no_forecast_beyond_the_reset(limits: RateLimits, clock: Clock) -> None:
    """Who runs out after the window has ended does not run out; nor does who uses nothing."""
    spend(limits, clock, [100, 99.9, 99.8])
    assert limits.status("linkedin", "api").seconds_left is None
    spend(limits, clock, [99.8] * 7)
    assert limits.status("linkedin", "api").seconds_left is None


def test_old_readings_are_no_pace(limits: RateLimits, clock: Clock) -> None:
    """A minute without a reading, and the pace is not known any more."""
    spend(limits, clock, [80, 20])
    clock.now += 61
    status = limits.status("linkedin", "api")
    assert (status.remaining, status.seconds_left) == (20, None)


def test_a_burst_is_taken_over_a_second(limits: RateLimits, clock: Clock) -> None:
    """Ten calls within a millisecond do not mean that the rest is gone in some more."""
    limits.record("linkedin", "api", 100)
    clock.now += 0.001
    limits.record("linkedin", "api", 90)
    assert limits.status("linkedin", "api").seconds_left == pytest.approx(9)


def test_thousands_of_readings_in_a_second_still_span_the_minute(limits: RateLimits, clock: Clock) -> None:
    """However many there are, the pace is that of the whole window."""
    for call in range(30_000):
        clock.now += 0.001
        limits.record("linkedin", "api", 100_000 - call)
    assert limits.status("linkedin", "api").seconds_left == pytest.approx(70, rel=0.01)


def test_after_the_reset_all_of_the_limit_is_there(limits: RateLimits, clock: Clock) -> None:
    """Nothing of the window before is held against the new one."""
    spend(limits, clock, [80, 40, 0])
    assert limits.status("linkedin", "api").seconds_left == 0
    clock.now = RESET.timestamp()
    assert limits.status("linkedin", "api") == RateLimitStatus(
        "linkedin", "api", remaining=100, limit=100, reset=RESET, hits=1
    )
    spend(limits, clock, [99], reset=RESET + timedelta(minutes=15))
    assert limits.status("linkedin", "api").seconds_left is None


def test_without_a_type_the_scarcest_limit_is_told(limits: RateLimits, clock: Clock) -> None:
    """First the one that runs out first, then the one with the smallest share left."""
    limits.record("openai", "requests", 900, limit=1000)
    limits.record("openai", "tokens", 800, limit=1000)
    assert limits.status("openai").limit_type == "tokens"
    clock.now += 10
    limits.record("openai", "requests", 890, limit=1000)
    assert limits.status("openai").limit_type == "requests"
    limits.record("openai", "tokens", 0)
    assert limits.status("openai").limit_type == "tokens"


@pytest.mark.parametrize("reset", [float("inf"), float("nan"), 1e300, -1.0])
def test_an_impossible_reset_is_none(limits: RateLimits, reset: float) -> None:
    """It shows on the gauge, and breaks nothing."""
    limits.record("linkedin", "api", 5, reset_time=reset)
    assert limits.status("linkedin", "api").reset is None


def test_the_readings_of_a_thousand_limits_are_kept(clock: Clock) -> None:
    """The one read longest ago makes room."""
    limits = RateLimits(Registry(strict=True, max_series=5000), clock)
    limits.record("linkedin", "api", 5)
    for number in range(LIMITS_AT_MOST - 1):
        limits.record(f"platform {number}", "api", 5)
    limits.record("linkedin", "api", 4)
    limits.record("one more", "api", 5)
    assert limits.status("linkedin", "api").remaining == 4
    assert limits.status("platform 0", "api").remaining is None
    assert limits.status("platform 1", "api").remaining == 5


@pytest.mark.asyncio
async def test_a_wait_returns_at_once_while_there_is_headroom(limits: RateLimits, registry: Registry) -> None:
    """So it does where nothing is known, where nobody knows until when, and where the reset has passed."""
    limits.record("linkedin", "api", 1, reset_time=RESET)
    limits.record("linkedin", "messages", 0)
    limits.record("linkedin", "searches", 0, reset_time=RESET - timedelta(hours=1))
    assert await limits.wait("linkedin", "api") == 0
    assert await limits.wait("linkedin") == 0
    assert await limits.wait("x", "api") == 0
    assert limits.wait_sync("linkedin", "searches") == 0
    assert waits(registry) == 0


@pytest.mark.asyncio
async def test_a_wait_ends_at_the_reset(registry: Registry) -> None:
    """It sleeps until then, tells how long it was, and records it; its twin keeps the thread meanwhile."""
    limits = RateLimits(registry)
    reset = time.time() + 0.05
    limits.record("linkedin", "api", 0, reset_time=reset)
    took = await limits.wait("linkedin", "api")
    assert time.time() >= reset
    assert took > 0
    reset = time.time() + 0.05
    limits.record("linkedin", "api", 0, reset_time=reset)
    assert limits.wait_sync("linkedin", "api") > 0
    assert time.time() >= reset
    assert waits(registry) == 2


@pytest.mark.asyncio
async def test_what_holds_for_all_calls_is_waited_for_too(registry: Registry) -> None:
    """A refusal that names no limit is one of every limit."""
    limits = RateLimits(registry)
    limits.record("openai", "tokens", 50, limit=100)
    limits.record("openai", "images", 0, reset_time=time.time() + 3600)
    limits.record("openai", "api", 0, reset_time=time.time() + 0.05)
    assert await limits.wait("openai", "tokens") > 0


@pytest.mark.asyncio
async def test_a_wait_can_be_cancelled(limits: RateLimits, registry: Registry) -> None:
    """What it took until then is recorded."""
    limits.record("linkedin", "api", 0, reset_time=RESET)
    task = asyncio.create_task(limits.wait("linkedin", "api"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waits(registry) == 1


def test_a_wait_ends_with_a_newer_reading(limits: RateLimits) -> None:
    """Whoever learns in the meantime that there is headroom frees those who wait."""
    limits.record("linkedin", "api", 0, reset_time=RESET)
    waiting = threading.Thread(target=limits.wait_sync, args=("linkedin", "api"))
    waiting.start()
    limits.record("linkedin", "api", 10, reset_time=RESET)
    waiting.join(30)
    assert not waiting.is_alive()


def test_threads_lose_no_hit(limits: RateLimits, registry: Registry) -> None:
    """Eight threads that record and ask at the same time."""

    def work() -> None:
        for _ in range(500):
            limits.record("linkedin", "api", 0)
            limits.status("linkedin")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limits.status("linkedin").hits == 4000
    assert figures(registry)["rate_limit_hits_total"] == 4000
