"""Platform Metrics: the services of others that the application calls, and their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Dashboard, Row, link_to
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.expressions import mean, per_range, per_second, quantile, rise, share
from otel_monitoring.grafana.shipped_dashboards.uids import PLATFORM

if TYPE_CHECKING:
    from otel_monitoring.grafana.shipped_dashboards.thresholds import Thresholds

CALLS = 'api_requests_total{platform=~"$platform"}'
SUCCESSFUL = 'api_requests_total{platform=~"$platform", outcome="success"}'
THROTTLED = 'api_requests_total{platform=~"$platform", outcome="rate_limited"}'
FAILED = 'api_requests_total{platform=~"$platform", outcome=~"server_error|timeout|auth_error"}'
CALL_BUCKETS = 'api_request_duration_seconds_bucket{platform=~"$platform"}'
HITS = 'rate_limit_hits_total{platform=~"$platform"}'

# A reading holds until its window ends; the highest of those that hold is no answer, the lowest is.
HOLDS = 'rate_limit_reset_timestamp_seconds{platform=~"$platform"} > time()'
LEFT = f'min by (platform, limit_type) (rate_limit_remaining{{platform=~"$platform"}} and {HOLDS})'
QUOTA = 'max by (platform, limit_type) (rate_limit_quota{platform=~"$platform"})'
SHARE_LEFT = f"{LEFT} / ({QUOTA} > 0)"
RESETS_IN = f"max by (platform, limit_type) ({HOLDS}) - time()"
FALLING = f'min by (platform, limit_type) (deriv(rate_limit_remaining{{platform=~"$platform"}}[5m]) and {HOLDS}) < 0'
EMPTY_IN = f"{LEFT} / (0 - ({FALLING}))"

OUTCOME_COLORS = {
    "success": "green",
    "client_error": "yellow",
    "rate_limited": "orange",
    "auth_error": "dark-red",
    "server_error": "red",
    "timeout": "purple",
    "cancelled": "#808080",
}
QUOTA_COLORS = {0.1: "orange", 0.25: "green"}
ONLY_PLATFORM = {"platform": link_to(PLATFORM, "platform")}


def platform(thresholds: Thresholds) -> Dashboard:
    """Return the dashboard on the platforms that are called.

    Args:
        thresholds: those of the alerts, which it draws.
    """
    return Dashboard(
        "Platform Metrics",
        [_right_now(thresholds), _rate_limits(), _usage(thresholds), _response_times(thresholds)],
        uid=PLATFORM,
        description="The platforms that are called: their limits, how they answer and how fast.",
        start="now-24h",
        refresh="1m",
        variables=["platform"],
    )


def _right_now(thresholds: Thresholds) -> Row:
    return Row(
        "Right now",
        Panel(
            "API calls",
            Target(per_second(CALLS), "calls"),
            kind="stat",
            unit="reqps",
            description="Calls per second to all selected platforms.",
        ),
        Panel(
            "API success ratio",
            Target(share(per_second(SUCCESSFUL), of=per_second(CALLS)), "success"),
            kind="stat",
            unit="percentunit",
            thresholds={1 - thresholds.api_error_ratio: "orange", 1 - thresholds.api_error_ratio / 10: "green"},
            base_color="red",
            description="Successful calls of all calls, those that met a rate limit too.",
        ),
        Panel(
            "Throttled calls",
            Target(share(per_second(THROTTLED), of=per_second(CALLS)), "throttled"),
            kind="stat",
            unit="percentunit",
            thresholds={0.01: "yellow", 0.05: "red"},
            description="Share of calls that were answered with a rate limit.",
        ),
        Panel(
            "Lowest quota left",
            Target(f"min({SHARE_LEFT})", "left"),
            kind="stat",
            unit="percentunit",
            thresholds=QUOTA_COLORS,
            base_color="red",
            empty="All windows have reset",
            description="The tightest of all limits whose window has not ended.",
        ),
        Panel(
            "Limits that will run out",
            Target(f"count({EMPTY_IN} < {RESETS_IN}) or 0 * count({LEFT})", "limits"),
            kind="stat",
            thresholds={1: "red"},
            empty="All windows have reset",
            description="Limits that are empty before they reset, at the pace of the last 5 minutes.",
        ),
        Panel(
            "API p95",
            Target(quantile(0.95, CALL_BUCKETS), "p95"),
            kind="stat",
            unit="s",
            thresholds={0.4 * thresholds.api_latency_seconds: "yellow", thresholds.api_latency_seconds: "red"},
            description="95 % of calls to platforms finish within this time.",
        ),
    )


def _rate_limits() -> Row:
    each = "{{platform}} {{limit_type}}"
    return Row(
        "Rate limits",
        Panel(
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
        ),
        Panel(
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
        ),
        Panel(
            "Quota left over time",
            Target(SHARE_LEFT, each),
            unit="percentunit",
            minimum=0,
            maximum=1,
            steps=True,
            links=ONLY_PLATFORM,
            description="A saw-tooth is healthy. Where it lies at zero, calls wait for the reset.",
        ),
        Panel(
            "Time to exhaustion against reset",
            [Target(EMPTY_IN, f"{each} empty in"), Target(RESETS_IN, f"{each} resets in", dashed=True)],
            unit="dtdurations",
            logarithmic=True,
            links=ONLY_PLATFORM,
            description="Solid below dashed: the quota runs out first.",
        ),
        Panel(
            "Rate limit hits",
            Target(rise(HITS, "platform, limit_type"), each),
            stacked=True,
            links=ONLY_PLATFORM,
            description="Times a limit was found exhausted, in each interval.",
        ),
        Panel(
            "Wait for quota",
            Target(mean("rate_limit_wait_seconds", 'platform=~"$platform"', "platform"), "{{platform}}"),
            unit="s",
            minimum=0,
            links=ONLY_PLATFORM,
            description="How long a call waited for a limit to open, on average: what throttling costs.",
        ),
    )


def _usage(thresholds: Thresholds) -> Row:
    return Row(
        "API usage",
        Panel(
            "Calls by platform",
            Target(per_second(CALLS, "platform"), "{{platform}}"),
            unit="reqps",
            stacked=True,
            links=ONLY_PLATFORM,
            description="Calls per second.",
        ),
        Panel(
            "Calls by outcome",
            Target(per_second(CALLS, "outcome"), "{{outcome}}"),
            unit="reqps",
            stacked=True,
            colors=OUTCOME_COLORS,
            description="Calls per second by how they ended.",
        ),
        Panel(
            "API error ratio by platform",
            Target(share(per_second(FAILED, "platform"), of=per_second(CALLS, "platform")), "{{platform}}"),
            unit="percentunit",
            minimum=0,
            thresholds={thresholds.api_error_ratio: "red"},
            links=ONLY_PLATFORM,
            description="Server errors, timeouts and refused credentials of all calls; rate limits are shown above.",
        ),
        Panel(
            "Calls in the selected range",
            Target(f"sort_desc({per_range(CALLS, 'platform')})", "{{platform}}"),
            kind="bargauge",
            minimum=0,
            links=ONLY_PLATFORM,
            description="Calls to each platform.",
        ),
    )


def _response_times(thresholds: Thresholds) -> Row:
    return Row(
        "Response times",
        Panel(
            "Response time p95 by platform",
            Target(quantile(0.95, CALL_BUCKETS, "platform"), "{{platform}}"),
            unit="s",
            minimum=0,
            thresholds={thresholds.api_latency_seconds: "red"},
            links=ONLY_PLATFORM,
            description="95 % of the calls to a platform finish within this time. A diamond leads to a call's trace.",
            width=24,
        ),
        Panel(
            "Response time percentiles",
            [Target(quantile(0.5, CALL_BUCKETS), "p50"), Target(quantile(0.99, CALL_BUCKETS), "p99")],
            unit="s",
            minimum=0,
            description="All selected platforms together.",
        ),
        Panel(
            "Response time distribution",
            Target(rise(CALL_BUCKETS, "le"), "{{le}}"),
            kind="heatmap",
            unit="s",
            description="How many calls took how long.",
        ),
    )
