"""Business Metrics: prospects, messages, engagement, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Dashboard, Row
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.business_engagement import engagement_row, funnel_row
from otel_monitoring.grafana.shipped_dashboards.business_series import CONVERTED, ENGAGED, ONLY_PLATFORM, SCORED, SENT
from otel_monitoring.grafana.shipped_dashboards.expressions import per_range, rise
from otel_monitoring.grafana.shipped_rules.terms import BUSINESS, bucket

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds

SCORES = 'prospect_score_distribution_sum{platform=~"$platform"}'
SCORE_BUCKETS = 'prospect_score_distribution_bucket{platform=~"$platform"}'


def business(thresholds: Thresholds) -> Dashboard:
    """Return the dashboard on what the application is for.

    Args:
        thresholds: those of the alerts, which it draws.
    """
    return Dashboard(
        "Business Metrics",
        [_selected_period(thresholds), _scores(thresholds), engagement_row(thresholds), funnel_row()],
        uid=BUSINESS,
        description="Prospects and their scores, messages, engagement and conversions.",
        start="now-7d",
        refresh="5m",
        step_at_least="1h",
        variables=["platform"],
    )


def _selected_period(thresholds: Thresholds) -> Row:
    return Row(
        "Selected period",
        _mean_prospect_score(thresholds),
        _prospects_scored(),
        _engagement_per_message(),
        _conversions(),
        _conversion_rate(),
        _engagement_against_the_period_before(thresholds),
    )


def _mean_prospect_score(thresholds: Thresholds) -> Panel:
    return Panel(
        "Mean prospect score",
        Target(f"{per_range(SCORES)} / ({per_range(SCORED)} > 0)", "score"),
        kind="stat",
        thresholds={thresholds.prospect_score: "yellow", 1.5 * thresholds.prospect_score: "green"},
        base_color="red",
        description="Mean of every prospect scored in the period, not of the last ones.",
    )


def _prospects_scored() -> Panel:
    return Panel(
        "Prospects scored",
        Target(per_range(SCORED), "prospects"),
        kind="stat",
        description="Scores given in the period.",
    )


def _engagement_per_message() -> Panel:
    return Panel(
        "Engagement per message",
        Target(f"{per_range(ENGAGED)} / ({per_range(SENT)} > 0)", "rate"),
        kind="stat",
        unit="percentunit",
        description="Engagement events per message sent, in the period.",
    )


def _conversions() -> Panel:
    return Panel(
        "Conversions",
        Target(per_range(CONVERTED), "conversions"),
        kind="stat",
        description="Conversions in the period.",
    )


def _conversion_rate() -> Panel:
    return Panel(
        "Conversion rate",
        Target(f"{per_range(CONVERTED)} / ({per_range(SENT)} > 0)", "rate"),
        kind="stat",
        unit="percentunit",
        description="Conversions per message sent, in the period.",
    )


def _engagement_against_the_period_before(thresholds: Thresholds) -> Panel:
    before = "[$__range] offset $__range"
    earlier = f"({rise(ENGAGED, window=before)} / ({rise(SENT, window=before)} > 0) > 0)"
    return Panel(
        "Engagement against the period before",
        Target(f"({per_range(ENGAGED)} / ({per_range(SENT)} > 0)) / {earlier} - 1", "change"),
        kind="stat",
        unit="percentunit",
        thresholds={thresholds.engagement_rate_ratio - 1: "yellow", 0: "green"},
        base_color="red",
        empty="Nothing to compare with",
        description="Engagement per message against the period of the same length before, where that is stored.",
    )


def _scores(thresholds: Thresholds) -> Row:
    return Row(
        "Prospect scores",
        _mean_score_by_platform(),
        _score_distribution(),
        _share_of_prospects_above_low(thresholds),
        _last_score_seen(thresholds),
    )


def _mean_score_by_platform() -> Panel:
    by = "platform, score_type"
    each = "{{platform}} {{score_type}}"
    return Panel(
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
    )


def _score_distribution() -> Panel:
    return Panel(
        "Score distribution",
        Target(rise(SCORE_BUCKETS, "le"), "{{le}}"),
        kind="heatmap",
        description="Prospects by score. Two humps are two kinds of prospects.",
    )


def _share_of_prospects_above_low(thresholds: Thresholds) -> Panel:
    low = f'prospect_score_distribution_bucket{{platform=~"$platform", {bucket(thresholds.low_score)}}}'
    return Panel(
        f"Share of prospects above {thresholds.low_score:g}",
        Target(f"1 - {rise(low, 'platform')} / ({rise(SCORED, 'platform')} > 0)", "{{platform}}"),
        unit="percentunit",
        minimum=0,
        maximum=1,
        links=ONLY_PLATFORM,
        description="Of what is found, how much is worth a message.",
    )


def _last_score_seen(thresholds: Thresholds) -> Panel:
    each = "{{platform}} {{score_type}}"
    return Panel(
        "Last score seen",
        Target('avg by (platform, score_type) (prospect_score{platform=~"$platform"})', each),
        kind="bargauge",
        minimum=0,
        maximum=1,
        thresholds={thresholds.prospect_score: "yellow", 1.5 * thresholds.prospect_score: "green"},
        base_color="red",
        links=ONLY_PLATFORM,
        description="The latest score only, kept until the next: no measure of how prospects are.",
    )
