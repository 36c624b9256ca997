"""The thresholds that the dashboards draw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Those of the alerts."""

    error_ratio: float = 0.05
    latency_seconds: float = 2.5
    latency_bounds: str = "2.5"
    operation_budget: float = 0.01
    slow_budget: float = 0.05
    cpu_percent: float = 85
    memory_ratio: float = 0.9
    stale_seconds: float = 1800
    api_latency_seconds: float = 5
    api_error_ratio: float = 0.1
    low_score: float = 0.4
    engagement_ratio: float = 0.6
    score: float = 0.4
