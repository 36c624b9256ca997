"""The thresholds that the dashboards draw."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


def budget_of(share: float) -> float:
    """Return what is left to fail of a share that is to succeed."""
    return float(1 - Decimal(repr(float(share))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Those of the alerts."""

    error_ratio: float = 0.05
    request_latency_seconds: float = 2.5
    latency_objective_seconds: float = 2.5
    latency_objective: float = 0.95
    success_objective: float = 0.99
    cpu_percent: float = 85
    memory_ratio: float = 0.9
    stale_seconds: float = 1800
    api_latency_seconds: float = 5
    api_error_ratio: float = 0.1
    low_score: float = 0.4
    engagement_rate_ratio: float = 0.6
    prospect_score: float = 0.4
