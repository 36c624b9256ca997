"""The example system: an outreach service with a finder, a scorer, a writer and a sender."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, HTTPException

if TYPE_CHECKING:
    import random

    from otel_monitoring.service import MonitoringService

NO_PROFILE, NOT_ACCEPTED, REPLIES = 0.01, 0.02, 0.3
"""How often a prospect has no profile, a platform refuses a message, a message is answered."""

PLATFORMS = ("linkedin", "twitter", "email")
CALLS_PER_WINDOW = 500
WINDOW = timedelta(minutes=1)


class Quota:
    """A platform's rate limit: so many calls in each window."""

    def __init__(self) -> None:
        self.remaining = CALLS_PER_WINDOW
        self.resets = datetime.now(UTC) + WINDOW

    def take(self) -> bool:
        """Take one call; tell whether there was one."""
        now = datetime.now(UTC)
        if now >= self.resets:
            self.remaining, self.resets = CALLS_PER_WINDOW, now + WINDOW
        if self.remaining == 0:
            return False
        self.remaining -= 1
        return True


class Outreach:
    """What the example does; chance decides how long it takes and whether it goes well."""

    def __init__(self, monitoring: MonitoringService, chance: random.Random) -> None:
        self._monitoring = monitoring
        self._chance = chance
        self._quotas = {platform: Quota() for platform in PLATFORMS}
        self.find = monitoring.operation("find", component="finder")(self._find)
        self.score = monitoring.operation("score", component="scorer")(self._score)
        self.send = monitoring.operation("send", component="sender")(self._send)

    async def _find(self, query: str) -> list[str]:
        await asyncio.sleep(self._chance.expovariate(20))
        return [f"{query}-{number}" for number in range(self._chance.randint(1, 5))]

    async def _score(self, prospect: str, platform: str) -> float:
        await asyncio.sleep(self._chance.expovariate(50))
        score = self._chance.betavariate(5, 3)
        labels = {"platform": platform, "score_type": "engagement"}
        self._monitoring.record_metric("prospect_score", score, labels)
        if self._chance.random() < NO_PROFILE:
            raise ValueError(f"no profile for {prospect}")
        return score

    async def _send(self, prospect: str, platform: str) -> bool:
        quota = self._quotas[platform]
        sent = quota.take()
        self._monitoring.record_rate_limit(
            platform=platform,
            limit_type="api",
            remaining=quota.remaining,
            reset_time=quota.resets,
            limit=CALLS_PER_WINDOW,
        )
        await asyncio.sleep(self._chance.expovariate(30))
        if self._chance.random() < NOT_ACCEPTED:
            self._monitoring.log_error(
                error_message=f"{platform} did not accept the message",
                error_type="delivery_error",
                component="sender",
                context={"prospect": prospect},
            )
            sent = False
        outcome = "sent" if sent else "failed"
        self._monitoring.record_metric("outreach_attempts_total", 1, {"platform": platform, "outcome": outcome})
        if sent and self._chance.random() < REPLIES:
            self._monitoring.record_metric("engagement_total", 1, {"platform": platform, "metric_type": "reply"})
        return sent


def example_application(monitoring: MonitoringService, chance: random.Random) -> FastAPI:
    """Return the example as a web application, not yet instrumented."""
    outreach = Outreach(monitoring, chance)
    prospects = APIRouter(prefix="/prospects")

    @prospects.get("/{query}")
    async def find(query: str) -> list[str]:
        return await outreach.find(query)

    @prospects.post("/{prospect}/score")
    async def score(prospect: str, platform: str) -> float:
        if platform not in PLATFORMS:
            raise HTTPException(404, f"platform {platform!r} is not one of {PLATFORMS}")
        return await outreach.score(prospect, platform)

    @prospects.post("/{prospect}/messages")
    async def send(prospect: str, platform: str) -> bool:
        if platform not in PLATFORMS:
            raise HTTPException(404, f"platform {platform!r} is not one of {PLATFORMS}")
        return await outreach.send(prospect, platform)

    application = FastAPI(title="Outreach")
    application.include_router(prospects, prefix="/api")
    return application
