"""Business: the scores of prospects, and how they engage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.shipped_dashboards.uids import BUSINESS
from otel_monitoring.grafana.shipped_rules.terms import bucket, number, shown_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

SCORE_THRESHOLD = "job_platform_score_type:prospect_score:threshold"

_RATE = """
sum by (job, platform, metric_type) (increase(engagement_total{$job}[6h]$offset))
/ on (job, platform) group_left ()
(sum by (job, platform) (increase(outreach_attempts_total{$job, outcome="sent"}[6h]$offset)) > 0)
"""
_SCORE_LOW = """
(
  avg by (job, platform, score_type) (avg_over_time(prospect_score{$job}[1h]))
  < on (job, platform, score_type)
  job_platform_score_type:prospect_score:threshold
)
and on (job, platform, score_type) (sum by (job, platform, score_type) (changes(prospect_score{$job}[1h])) > 0)
"""
_LOW_SHARE = """
(
  sum by (job, platform, score_type) (increase(prospect_score_distribution_bucket{$job, $bucket}[6h]))
  / (job_platform_score_type:prospect_score_distribution_count:increase6h > 0)
  > $low_score_share
)
and on (job, platform, score_type)
(job_platform_score_type:prospect_score_distribution_count:increase6h >= $scores_minimum)
"""
_RATE_DROP = """
(
  (
    job_platform_metric_type:engagement_per_sent:ratio6h
    or
    0 * job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago
  )
  / (job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago > 0)
  < $engagement_rate_ratio
)
and on (job, platform, metric_type)
(
  job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago
  * on (job, platform) group_left () job_platform:outreach_sent:increase6h
  >= $engagement_expected_minimum
)
"""
_VOLUME_DROP = """
(
  (
    sum by (job, platform) (increase(engagement_total{$job}[1d]))
    or
    0 * sum by (job, platform) (increase(engagement_total{$job}[1d] offset 1w))
  )
  / (sum by (job, platform) (increase(engagement_total{$job}[1d] offset 1w)) >= $engagement_minimum)
  < $engagement_volume_ratio
)
unless on (job, platform) (job_platform:outreach_sent:increase6h >= 0)
"""
_STALLED = """
sum by (job, platform) (increase(outreach_attempts_total{$job, outcome="sent"}[1d])) >= $outreach_minimum
unless on (job, platform) (sum by (job, platform) (increase(engagement_total{$job}[1d])) > 0)
"""


def business_records(terms: Terms) -> Iterator[RuleGroup]:
    """Give what the alerts read; last week's rate from what was measured, since rules may be new."""
    every = terms.promql("group by (job, platform, score_type) (prospect_score{$job})")
    named = {
        "job_platform:outreach_sent:increase6h": terms.promql(
            'sum by (job, platform) (increase(outreach_attempts_total{$job, outcome="sent"}[6h]))'
        ),
        "job_platform_metric_type:engagement_per_sent:ratio6h": terms.promql(_RATE, offset=""),
        "job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago": terms.promql(_RATE, offset=" offset 1w"),
        "job_platform_score_type:prospect_score_distribution_count:increase6h": terms.promql(
            "sum by (job, platform, score_type) (increase(prospect_score_distribution_count{$job}[6h]))"
        ),
    }
    records = (Record(name, expr) for name, expr in named.items())
    thresholds = terms.threshold_records("prospect_score", every=every, record=SCORE_THRESHOLD)
    yield RuleGroup("otel_monitoring.business", 60, (*thresholds, *records))


def score_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on scores."""
    limits = terms.thresholds
    low = number(limits.low_score)
    yield terms.alert(
        "ProspectScoreBelowThreshold",
        terms.promql(_SCORE_LOW),
        hold="5m",
        category="business",
        dashboard=BUSINESS,
        reference=Reference(SCORE_THRESHOLD, ("job", "platform", "score_type")),
        summary="{{ $labels.platform }} {{ $labels.score_type }} scores are below their threshold.",
        description="The mean {{ $labels.score_type }} score of an hour on {{ $labels.platform }} ({{ $labels.job }}) "
        'is {{ $value | printf "%.2f" }}; its threshold is {{ $reference | humanize }}.',
    )
    yield terms.alert(
        "ProspectLowScoreShareHigh",
        terms.promql(_LOW_SHARE, bucket=bucket(limits.low_score)),
        hold="30m",
        category="business",
        dashboard=BUSINESS,
        summary=f"Most new {{{{ $labels.platform }}}} prospects have a {{{{ $labels.score_type }}}} score up to {low}.",
        description="{{ $value | humanizePercentage }} of the prospects scored in 6h on {{ $labels.platform }} "
        f"({{{{ $labels.job }}}}) have at most {low}. Where they come from has changed, or the scorer.",
    )


def engagement_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on engagement, against the same hours last week, as weekdays differ."""
    limits = terms.thresholds
    fell = shown_share(1 - limits.engagement_rate_ratio)
    volume = shown_share(1 - limits.engagement_volume_ratio)
    yield terms.alert(
        "EngagementRateDrop",
        terms.promql(_RATE_DROP),
        hold="1h",
        category="business",
        keep_firing_for="1h",
        dashboard=BUSINESS,
        summary=f"{{{{ $labels.platform }}}} {{{{ $labels.metric_type }}}} fell by more than {fell} within a week.",
        description="{{ $labels.metric_type }} for each message sent on {{ $labels.platform }} ({{ $labels.job }}) is "
        "at {{ $value | humanizePercentage }} of the same hours last week.",
    )
    yield terms.alert(
        "EngagementVolumeDrop",
        terms.promql(_VOLUME_DROP),
        hold="1h",
        severity="info",
        category="business",
        keep_firing_for="1h",
        dashboard=BUSINESS,
        summary=f"{{{{ $labels.platform }}}} engagement fell by more than {volume} within a week.",
        description="Engagement of a day on {{ $labels.platform }} ({{ $labels.job }}) is at "
        "{{ $value | humanizePercentage }} of the same day last week. What is sent is not recorded, so that it may "
        "only mean less was sent.",
    )
    yield terms.alert(
        "EngagementStalled",
        terms.promql(_STALLED),
        hold="1h",
        category="business",
        dashboard=BUSINESS,
        summary="{{ $labels.platform }} has had no engagement at all for a day.",
        description="{{ $value | humanize }} messages went out on {{ $labels.platform }} ({{ $labels.job }}) in a day "
        "and nothing came back. Suspect delivery, tracking, or an account that is blocked.",
    )
