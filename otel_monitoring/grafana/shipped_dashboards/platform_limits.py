"""The row of Platform Metrics on rate limits."""

from __future__ import annotations

from otel_monitoring.grafana.dashboard import Row
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.expressions import mean, rise
from otel_monitoring.grafana.shipped_dashboards.platform_series import (
    EMPTY_IN,
    LEFT,
    ONLY_PLATFORM,
    QUOTA,
    QUOTA_COLORS,
    RESETS_IN,
    SHARE_LEFT,
)

HITS = 'rate_limit_hits_total{platform=~"$platform"}'


def rate_limits_row() -> Row:
    """Return the row on rate limits."""
    return Row(
        "Rate limits",
        _quota_left(),
        _limits(),
        _quota_left_over_time(),
        _time_to_exhaustion_against_reset(),
        _rate_limit_hits(),
        _wait_for_quota(),
    )


def _quota_left() -> Panel:
    each = "{{platform}} {{limit_type}}"
    return Panel(
        "Quota left",
        Target(SHARE_LEFT, each),
        kind="bargauge",
        unit="percentunit",
        minimum=0,
        maximum=1,
        thresholds=QUOTA_COLORS,
        base_color="red",
        links=ONLY_PLATFORM,
        empty="All windows have reset",
        description="Calls left of those granted, in windows that have not ended.",
    )


def _limits() -> Panel:
    return Panel(
        "Limits",
        [
            Target(LEFT, "Remaining"),
            Target(QUOTA, "Quota"),
            Target(RESETS_IN, "Resets in", unit="dtdurations"),
            Target(EMPTY_IN, "Empty in", unit="dtdurations"),
        ],
        kind="table",
        links=ONLY_PLATFORM,
        description="A limit runs out where it is empty, at the pace of the last 5 minutes, before it resets.",
    )


def _quota_left_over_time() -> Panel:
    each = "{{platform}} {{limit_type}}"
    return Panel(
        "Quota left over time",
        Target(SHARE_LEFT, each),
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=True,
        links=ONLY_PLATFORM,
        description="A saw-tooth is healthy. Where it lies at zero, calls wait for the reset.",
    )


def _time_to_exhaustion_against_reset() -> Panel:
    each = "{{platform}} {{limit_type}}"
    return Panel(
        "Time to exhaustion against reset",
        [Target(EMPTY_IN, f"{each} empty in"), Target(RESETS_IN, f"{each} resets in", dashed=True)],
        unit="dtdurations",
        logarithmic=True,
        links=ONLY_PLATFORM,
        description="Solid below dashed: the quota runs out first.",
    )


def _rate_limit_hits() -> Panel:
    each = "{{platform}} {{limit_type}}"
    return Panel(
        "Rate limit hits",
        Target(rise(HITS, "platform, limit_type"), each),
        stacked=True,
        links=ONLY_PLATFORM,
        description="Times a limit was found exhausted, in each interval.",
    )


def _wait_for_quota() -> Panel:
    return Panel(
        "Wait for quota",
        Target(mean("rate_limit_wait_seconds", 'platform=~"$platform"', "platform"), "{{platform}}"),
        unit="s",
        minimum=0,
        links=ONLY_PLATFORM,
        description="How long a call waited for a limit to open, on average: what throttling costs.",
    )
