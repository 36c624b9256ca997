"""Business Metrics: prospects, messages, engagement, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Dashboard, Row, link_to
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.expressions import bound, per_range, rise
from otel_monitoring.grafana.shipped_dashboards.uids import BUSINESS

if TYPE_CHECKING:
    from otel_monitoring.grafana.shipped_dashboards.thresholds import Thresholds

SCORES = 'prospect_score_distribution_sum{platform=~"$platform"}'
SCORED = 'prospect_score_distribution_count{platform=~"$platform"}'
SCORE_BUCKETS = 'prospect_score_distribution_bucket{platform=~"$platform"}'
ENGAGED = 'engagement_total{platform=~"$platform"}'
ATTEMPTS = 'outreach_attempts_total{platform=~"$platform"}'
SENT = 'outreach_attempts_total{platform=~"$platform", outcome="sent"}'
CONVERTED = 'conversions_total{platform=~"$platform"}'

BARS = "[$__interval]"
"""From one bar to the next: each event is in one. Two scrapes fit into it, since bars are an hour wide at least."""

DAY = "[1d]"

OUTCOME_COLORS = {"sent": "green", "failed": "red", "bounced": "orange", "skipped": "#808080"}
ONLY_PLATFORM = {"platform": link_to(BUSINESS, "platform")}


def business(thresholds: Thresholds) -> Dashboard:
    """Return the dashboard on what the application is for.

    Args:
        thresholds: those of the alerts, which it draws.
    """
    return Dashboard(
        "Business Metrics",
        [_selected_period(thresholds), _scores(thresholds), _engagement(thresholds), _funnel()],
        uid=BUSINESS,
        description="Prospects and their scores, messages, engagement and conversions.",
        start="now-7d",
        refresh="5m",
        step_at_least="1h",
        variables=["platform"],
    )


def _selected_period(thresholds: Thresholds) -> Row:
    before = "[$__range] offset $__range"
    earlier = f"({rise(ENGAGED, window=before)} / ({rise(SENT, window=before)} > 0) > 0)"
    return Row(
        "Selected period",
        Panel(
            "Mean prospect score",
            Target(f"{per_range(SCORES)} / ({per_range(SCORED)} > 0)", "score"),
            kind="stat",
            thresholds={thresholds.prospect_score: "yellow", 1.5 * thresholds.prospect_score: "green"},
            base_color="red",
            description="Mean of every prospect scored in the period, not of the last ones.",
        ),
        Panel(
            "Prospects scored",
            Target(per_range(SCORED), "prospects"),
            kind="stat",
            description="Scores given in the period.",
        ),
        Panel(
            "Engagement per message",
            Target(f"{per_range(ENGAGED)} / ({per_range(SENT)} > 0)", "rate"),
            kind="stat",
            unit="percentunit",
            description="Engagement events per message sent, in the period.",
        ),
        Panel(
            "Conversions",
            Target(per_range(CONVERTED), "conversions"),
            kind="stat",
            description="Conversions in the period.",
        ),
        Panel(
            "Conversion rate",
            Target(f"{per_range(CONVERTED)} / ({per_range(SENT)} > 0)", "rate"),
            kind="stat",
            unit="percentunit",
            description="Conversions per message sent, in the period.",
        ),
        Panel(
            "Engagement against the period before",
            Target(f"({per_range(ENGAGED)} / ({per_range(SENT)} > 0)) / {earlier} - 1", "change"),
            kind="stat",
            unit="percentunit",
            thresholds={thresholds.engagement_rate_ratio - 1: "yellow", 0: "green"},
            base_color="red",
            empty="Nothing to compare with",
            description="Engagement per message against the period of the same length before, where that is stored.",
        ),
    )


def _scores(thresholds: Thresholds) -> Row:
    by = "platform, score_type"
    each = "{{platform}} {{score_type}}"
    low = f'prospect_score_distribution_bucket{{platform=~"$platform", {bound(thresholds.low_score)}}}'
    return Row(
        "Prospect scores",
        Panel(
            "Mean score by platform",
            [
                Target(f"{rise(SCORES, by)} / ({rise(SCORED, by)} > 0)", each),
                Target(
                    f'max by ({by}) (job_platform_score_type:prospect_score:threshold{{platform=~"$platform"}})',
                    f"{each} threshold",
                    dashed=True,
                ),
            ],
            minimum=0,
            maximum=1,
            links=ONLY_PLATFORM,
            description="Mean of the prospects scored in each interval. Dashed: where the alert fires.",
        ),
        Panel(
            "Score distribution",
            Target(rise(SCORE_BUCKETS, "le"), "{{le}}"),
            kind="heatmap",
            description="Prospects by score. Two humps are two kinds of prospects.",
        ),
        Panel(
            f"Share of prospects above {thresholds.low_score:g}",
            Target(f"1 - {rise(low, 'platform')} / ({rise(SCORED, 'platform')} > 0)", "{{platform}}"),
            unit="percentunit",
            minimum=0,
            maximum=1,
            links=ONLY_PLATFORM,
            description="Of what is found, how much is worth a message.",
        ),
        Panel(
            "Last score seen",
            Target('avg by (platform, score_type) (prospect_score{platform=~"$platform"})', each),
            kind="bargauge",
            minimum=0,
            maximum=1,
            thresholds={thresholds.prospect_score: "yellow", 1.5 * thresholds.prospect_score: "green"},
            base_color="red",
            links=ONLY_PLATFORM,
            description="The latest score only, kept until the next: no measure of how prospects are.",
        ),
    )


def _engagement(thresholds: Thresholds) -> Row:
    per_sent = 'job_platform_metric_type:engagement_per_sent:ratio6h{platform=~"$platform"}'
    by = "platform, metric_type"
    last_week = f"max by ({by}) ({per_sent} offset 1w)"
    return Row(
        "Engagement",
        Panel(
            "Engagement by type",
            Target(rise(ENGAGED, "metric_type", window=BARS), "{{metric_type}}"),
            stacked=True,
            description="Events in each interval.",
        ),
        Panel(
            "Engagement per message",
            [
                Target(f"sum by (platform) ({per_sent})", "{{platform}}"),
                Target(f"sum by (platform) ({per_sent} offset 1w)", "{{platform}} last week", dashed=True),
            ],
            unit="percentunit",
            minimum=0,
            links=ONLY_PLATFORM,
            description="Engagement per message sent, over 6 hours. Dashed: the same hours last week.",
        ),
        Panel(
            "Engagement week on week",
            Target(f"max by ({by}) ({per_sent}) / ({last_week} > 0)", "{{platform}} {{metric_type}}"),
            unit="percentunit",
            minimum=0,
            thresholds={thresholds.engagement_rate_ratio: "transparent"},
            base_color="red",
            links=ONLY_PLATFORM,
            empty="Last week is not stored",
            description="100 % is as last week. In the red area the alert fires, where enough was to be expected.",
        ),
        Panel(
            "Messages by outcome",
            Target(rise(ATTEMPTS, "outcome", window=BARS), "{{outcome}}"),
            stacked=True,
            colors=OUTCOME_COLORS,
            description="Messages in each interval, by what became of them.",
        ),
    )


def _funnel() -> Row:
    day_sent = rise(SENT, "platform", window=DAY)
    return Row(
        "Funnel and conversion",
        Panel(
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
        ),
        Panel(
            "Conversion rate by platform",
            Target(f"{rise(CONVERTED, 'platform', window=DAY)} / ({day_sent} > 0)", "{{platform}}"),
            unit="percentunit",
            minimum=0,
            links=ONLY_PLATFORM,
            description="Conversions per message sent, over the day before each point.",
        ),
        Panel(
            "Conversions by type",
            Target(rise(CONVERTED, "conversion_type", window=BARS), "{{conversion_type}}"),
            stacked=True,
            description="Conversions in each interval.",
        ),
        Panel(
            "Platforms compared",
            [
                Target(per_range(SENT, "platform"), "Sent"),
                Target(per_range(ENGAGED, "platform"), "Engaged"),
                Target(per_range(CONVERTED, "platform"), "Converted"),
            ],
            kind="table",
            links=ONLY_PLATFORM,
            description="One row for each platform, for the period.",
        ),
    )
