"""The rows of Business Metrics on engagement, the funnel and conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Row
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.business_series import CONVERTED, ENGAGED, ONLY_PLATFORM, SCORED, SENT
from otel_monitoring.grafana.shipped_dashboards.expressions import per_range, rise

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds

PER_SENT = 'job_platform_metric_type:engagement_per_sent:ratio6h{platform=~"$platform"}'
LAST_WEEK = 'job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago{platform=~"$platform"}'
ATTEMPTS = 'outreach_attempts_total{platform=~"$platform"}'
BARS = "[$__interval]"
"""From one bar to the next: each event is in one. Two scrapes fit into it, since bars are an hour wide at least."""

DAY = "[1d]"
OUTCOME_COLORS = {"sent": "green", "failed": "red", "bounced": "orange", "skipped": "#808080"}


def engagement_row(thresholds: Thresholds) -> Row:
    """Return the row on how prospects engage."""
    return Row(
        "Engagement",
        _engagement_by_type(),
        _engagement_per_message_by_platform(),
        _engagement_week_on_week(thresholds),
        _messages_by_outcome(),
    )


def _engagement_by_type() -> Panel:
    return Panel(
        "Engagement by type",
        Target(rise(ENGAGED, "metric_type", window=BARS), "{{metric_type}}"),
        stacked=True,
        description="Events in each interval.",
    )


def _engagement_per_message_by_platform() -> Panel:
    return Panel(
        "Engagement per message by platform",
        [
            Target(f"sum by (platform) ({PER_SENT})", "{{platform}}"),
            Target(f"sum by (platform) ({LAST_WEEK})", "{{platform}} last week", dashed=True),
        ],
        unit="percentunit",
        minimum=0,
        links=ONLY_PLATFORM,
        description="Engagement per message sent, over 6 hours. Dashed: the same hours last week.",
    )


def _engagement_week_on_week(thresholds: Thresholds) -> Panel:
    by = "platform, metric_type"
    return Panel(
        "Engagement week on week",
        Target(f"max by ({by}) ({PER_SENT}) / (max by ({by}) ({LAST_WEEK}) > 0)", "{{platform}} {{metric_type}}"),
        unit="percentunit",
        minimum=0,
        thresholds={thresholds.engagement_rate_ratio: "transparent"},
        base_color="red",
        links=ONLY_PLATFORM,
        empty="Last week is not stored",
        description="100 % is as last week. In the red area the alert fires, where enough was to be expected.",
    )


def _messages_by_outcome() -> Panel:
    return Panel(
        "Messages by outcome",
        Target(rise(ATTEMPTS, "outcome", window=BARS), "{{outcome}}"),
        stacked=True,
        colors=OUTCOME_COLORS,
        description="Messages in each interval, by what became of them.",
    )


def funnel_row() -> Row:
    """Return the row on the way from prospects to conversions."""
    return Row(
        "Funnel and conversion",
        _funnel(),
        _conversion_rate_by_platform(),
        _conversions_by_type(),
        _platforms_compared(),
    )


def _funnel() -> Panel:
    return Panel(
        "Funnel",
        [
            Target(per_range(SCORED), "1 scored"),
            Target(per_range(SENT), "2 sent"),
            Target(per_range(ENGAGED), "3 engaged"),
            Target(per_range(CONVERTED), "4 converted"),
        ],
        kind="bargauge",
        minimum=0,
        description="From prospects to conversions, in the period.",
    )


def _conversion_rate_by_platform() -> Panel:
    day_sent = rise(SENT, "platform", window=DAY)
    return Panel(
        "Conversion rate by platform",
        Target(f"{rise(CONVERTED, 'platform', window=DAY)} / ({day_sent} > 0)", "{{platform}}"),
        unit="percentunit",
        minimum=0,
        links=ONLY_PLATFORM,
        description="Conversions per message sent, over the day before each point.",
    )


def _conversions_by_type() -> Panel:
    return Panel(
        "Conversions by type",
        Target(rise(CONVERTED, "conversion_type", window=BARS), "{{conversion_type}}"),
        stacked=True,
        description="Conversions in each interval.",
    )


def _platforms_compared() -> Panel:
    return Panel(
        "Platforms compared",
        [
            Target(per_range(SENT, "platform"), "Sent"),
            Target(per_range(ENGAGED, "platform"), "Engaged"),
            Target(per_range(CONVERTED, "platform"), "Converted"),
        ],
        kind="table",
        links=ONLY_PLATFORM,
        description="One row for each platform, for the period.",
    )
