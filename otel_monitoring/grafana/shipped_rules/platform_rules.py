"""Platforms: their rate limits, and how their API answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.shipped_dashboards.uids import PLATFORM
from otel_monitoring.grafana.shipped_rules.terms import shown_seconds, shown_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

_RESET = "job_platform_limit_type:rate_limit_reset:seconds"

# Each reading expires at its own reset, before instances are put together: else an idle
# instance's old zero would be everybody's.
_REMAINING = """
min by (job, platform, limit_type)
(rate_limit_remaining{$job} and rate_limit_reset_timestamp_seconds{$job} > time())
"""
_RATIO = """
job_platform_limit_type:rate_limit_remaining:min
/
(max by (job, platform, limit_type) (rate_limit_quota{$job}) > 0)
"""
_TO_RESET = """
max by (job, platform, limit_type) (rate_limit_reset_timestamp_seconds{$job} > time()) - time()
"""
_TO_EXHAUSTION = """
job_platform_limit_type:rate_limit_remaining:min
/
(
  0 - (
    min by (job, platform, limit_type)
    (deriv(rate_limit_remaining{$job}[5m]) and rate_limit_reset_timestamp_seconds{$job} > time())
    < 0
  )
)
"""
_API_P95 = """
histogram_quantile(0.95, sum by (job, platform, le) (rate(api_request_duration_seconds_bucket{$job}[10m])))
"""
_FORECAST = """
(
  job_platform_limit_type:rate_limit_exhaustion:seconds
  < on (job, platform, limit_type)
  (job_platform_limit_type:rate_limit_reset:seconds > $rate_limit_reset_seconds)
)
and on (job, platform, limit_type) (job_platform_limit_type:rate_limit_remaining:ratio < $rate_limit_ratio)
"""
_HITS = """
sum by (job, platform, limit_type) (increase(rate_limit_hits_total{$job}[15m])) > $rate_limit_hits
"""
_API_FAILS = """
(
  sum by (job, platform) (rate(api_requests_total{$job, outcome=~"server_error|timeout|auth_error"}[10m]))
  / (sum by (job, platform) (rate(api_requests_total{$job}[10m])) > 0)
  > $api_error_ratio
)
and on (job, platform) (sum by (job, platform) (increase(api_requests_total{$job}[10m])) >= $api_requests_minimum)
"""
_API_SLOW = """
job_platform:api_request_duration_seconds:p95_10m > $api_latency_seconds
and on (job, platform)
(sum by (job, platform) (increase(api_request_duration_seconds_count{$job}[10m])) >= $api_requests_minimum)
"""


def platform_records(terms: Terms) -> Iterator[RuleGroup]:
    """Give what the alerts read."""
    named = {
        "job_platform_limit_type:rate_limit_remaining:min": _REMAINING,
        "job_platform_limit_type:rate_limit_remaining:ratio": _RATIO,
        _RESET: _TO_RESET,
        "job_platform_limit_type:rate_limit_exhaustion:seconds": _TO_EXHAUSTION,
        "job_platform:api_request_duration_seconds:p95_10m": _API_P95,
    }
    yield RuleGroup(
        "otel_monitoring.platform", 30, tuple(Record(name, terms.promql(expr)) for name, expr in named.items())
    )


def rate_limit_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on rate limits."""
    which = "{{ $labels.platform }} {{ $labels.limit_type }}"
    yield terms.alert(
        "RateLimitExhausted",
        terms.promql("job_platform_limit_type:rate_limit_remaining:min <= 0"),
        hold="2m",
        category="platform",
        dashboard=PLATFORM,
        reference=Reference(_RESET, ("job", "platform", "limit_type")),
        summary=f"The quota {which} is used up.",
        description=f"No calls are left of {which} ({{{{ $labels.job }}}}: {{{{ $value | humanize }}}} remain); it "
        "resets in {{ $reference | humanizeDuration }}.",
    )
    yield terms.alert(
        "RateLimitExhaustionForecast",
        terms.promql(_FORECAST),
        hold="5m",
        category="platform",
        keep_firing_for="5m",
        dashboard=PLATFORM,
        reference=Reference(_RESET, ("job", "platform", "limit_type")),
        summary=f"The quota {which} will be used up before it resets.",
        description=f"At the present pace {which} ({{{{ $labels.job }}}}) is empty in "
        "{{ $value | humanizeDuration }}, and resets in {{ $reference | humanizeDuration }} only. Slow down, or leave "
        "out what matters least.",
    )
    yield terms.alert(
        "RateLimitHitsHigh",
        terms.promql(_HITS),
        hold="5m",
        category="platform",
        keep_firing_for="10m",
        dashboard=PLATFORM,
        summary="{{ $labels.platform }} throttles {{ $labels.limit_type }} calls.",
        description="{{ $labels.platform }} refused {{ $value | humanize }} {{ $labels.limit_type }} calls in 15m "
        "({{ $labels.job }}).",
    )


def api_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on a platform's API."""
    limits = terms.thresholds
    ratio, seconds = shown_share(limits.api_error_ratio), shown_seconds(limits.api_latency_seconds)
    yield terms.alert(
        "PlatformApiErrorRatioHigh",
        terms.promql(_API_FAILS),
        hold="10m",
        category="platform",
        keep_firing_for="5m",
        dashboard=PLATFORM,
        summary=f"More than {ratio} of the calls to {{{{ $labels.platform }}}} fail.",
        description="{{ $value | humanizePercentage }} of the calls to {{ $labels.platform }} ({{ $labels.job }}) "
        "failed over 10m; what it throttled is not among them.",
    )
    yield terms.alert(
        "PlatformApiLatencyHigh",
        terms.promql(_API_SLOW),
        hold="15m",
        category="platform",
        keep_firing_for="5m",
        dashboard=PLATFORM,
        summary=f"Calls to {{{{ $labels.platform }}}} take longer than {seconds} at p95.",
        description="95% of the calls to {{ $labels.platform }} ({{ $labels.job }}) end within "
        f"{{{{ $value | humanizeDuration }}}}; the limit is {seconds}.",
    )
