"""Platform Metrics: the services of others that the application calls, and their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Dashboard, Row
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.expressions import per_range, per_second, quantile, rise, share
from otel_monitoring.grafana.shipped_dashboards.platform_limits import rate_limits_row
from otel_monitoring.grafana.shipped_dashboards.platform_series import (
    EMPTY_IN,
    LEFT,
    ONLY_PLATFORM,
    QUOTA_COLORS,
    RESETS_IN,
    SHARE_LEFT,
)
from otel_monitoring.grafana.shipped_rules.terms import PLATFORM

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds

CALLS = 'api_requests_total{platform=~"$platform"}'
SUCCESSFUL = 'api_requests_total{platform=~"$platform", outcome="success"}'
THROTTLED = 'api_requests_total{platform=~"$platform", outcome="rate_limited"}'
FAILED = 'api_requests_total{platform=~"$platform", outcome=~"server_error|timeout|auth_error"}'
CALL_BUCKETS = 'api_request_duration_seconds_bucket{platform=~"$platform"}'
OUTCOME_COLORS = {
    "success": "green",
    "client_error": "yellow",
    "rate_limited": "orange",
    "auth_error": "dark-red",
    "server_error": "red",
    "timeout": "purple",
    "cancelled": "#808080",
}


def platform(thresholds: Thresholds) -> Dashboard:
    """Return the dashboard on the platforms that are called.

    Args:
        thresholds: those of the alerts, which it draws.
    """
    return Dashboard(
        "Platform Metrics",
        [_right_now(thresholds), rate_limits_row(), _usage(thresholds), _response_times(thresholds)],
        uid=PLATFORM,
        description="The platforms that are called: their limits, how they answer and how fast.",
        start="now-24h",
        refresh="1m",
        variables=["platform"],
    )


def _right_now(thresholds: Thresholds) -> Row:
    return Row(
        "Right now",
        _api_calls(),
        _api_success_ratio(thresholds),
        _throttled_calls(),
        _lowest_quota_left(),
        _limits_that_will_run_out(),
        _api_p95(thresholds),
    )


def _api_calls() -> Panel:
    return Panel(
        "API calls",
        Target(per_second(CALLS), "calls"),
        kind="stat",
        unit="reqps",
        description="Calls per second to all selected platforms.",
    )


def _api_success_ratio(thresholds: Thresholds) -> Panel:
    return Panel(
        "API success ratio",
        Target(share(per_second(SUCCESSFUL), of=per_second(CALLS)), "success"),
        kind="stat",
        unit="percentunit",
        thresholds={1 - thresholds.api_error_ratio: "orange", 1 - thresholds.api_error_ratio / 10: "green"},
        base_color="red",
        description="Successful calls of all calls, those that met a rate limit too.",
    )


def _throttled_calls() -> Panel:
    return Panel(
        "Throttled calls",
        Target(share(per_second(THROTTLED), of=per_second(CALLS)), "throttled"),
        kind="stat",
        unit="percentunit",
        thresholds={0.01: "yellow", 0.05: "red"},
        description="Share of calls that were answered with a rate limit.",
    )


def _lowest_quota_left() -> Panel:
    return Panel(
        "Lowest quota left",
        Target(f"min({SHARE_LEFT})", "left"),
        kind="stat",
        unit="percentunit",
        thresholds=QUOTA_COLORS,
        base_color="red",
        empty="All windows have reset",
        description="The tightest of all limits whose window has not ended.",
    )


def _limits_that_will_run_out() -> Panel:
    return Panel(
        "Limits that will run out",
        Target(f"count({EMPTY_IN} < {RESETS_IN}) or 0 * count({LEFT})", "limits"),
        kind="stat",
        thresholds={1: "red"},
        empty="All windows have reset",
        description="Limits that are empty before they reset, at the pace of the last 5 minutes.",
    )


def _api_p95(thresholds: Thresholds) -> Panel:
    return Panel(
        "API p95",
        Target(quantile(0.95, CALL_BUCKETS), "p95"),
        kind="stat",
        unit="s",
        thresholds={0.4 * thresholds.api_latency_seconds: "yellow", thresholds.api_latency_seconds: "red"},
        description="95 % of calls to platforms finish within this time.",
    )


def _usage(thresholds: Thresholds) -> Row:
    return Row(
        "API usage",
        _calls_by_platform(),
        _calls_by_outcome(),
        _api_error_ratio_by_platform(thresholds),
        _calls_in_the_selected_range(),
    )


def _calls_by_platform() -> Panel:
    return Panel(
        "Calls by platform",
        Target(per_second(CALLS, "platform"), "{{platform}}"),
        unit="reqps",
        stacked=True,
        links=ONLY_PLATFORM,
        description="Calls per second.",
    )


def _calls_by_outcome() -> Panel:
    return Panel(
        "Calls by outcome",
        Target(per_second(CALLS, "outcome"), "{{outcome}}"),
        unit="reqps",
        stacked=True,
        colors=OUTCOME_COLORS,
        description="Calls per second by how they ended.",
    )


def _api_error_ratio_by_platform(thresholds: Thresholds) -> Panel:
    return Panel(
        "API error ratio by platform",
        Target(share(per_second(FAILED, "platform"), of=per_second(CALLS, "platform")), "{{platform}}"),
        unit="percentunit",
        minimum=0,
        thresholds={thresholds.api_error_ratio: "red"},
        links=ONLY_PLATFORM,
        description="Server errors, timeouts and refused credentials of all calls; rate limits are shown above.",
    )


def _calls_in_the_selected_range() -> Panel:
    return Panel(
        "Calls in the selected range",
        Target(f"sort_desc({per_range(CALLS, 'platform')})", "{{platform}}"),
        kind="bargauge",
        minimum=0,
        links=ONLY_PLATFORM,
        description="Calls to each platform.",
    )


def _response_times(thresholds: Thresholds) -> Row:
    return Row(
        "Response times",
        _response_time_p95_by_platform(thresholds),
        _response_time_percentiles(),
        _response_time_distribution(),
    )


def _response_time_p95_by_platform(thresholds: Thresholds) -> Panel:
    return Panel(
        "Response time p95 by platform",
        Target(quantile(0.95, CALL_BUCKETS, "platform"), "{{platform}}"),
        unit="s",
        minimum=0,
        thresholds={thresholds.api_latency_seconds: "red"},
        links=ONLY_PLATFORM,
        description="95 % of the calls to a platform finish within this time. A diamond leads to a call's trace.",
        width=24,
    )


def _response_time_percentiles() -> Panel:
    return Panel(
        "Response time percentiles",
        [Target(quantile(0.5, CALL_BUCKETS), "p50"), Target(quantile(0.99, CALL_BUCKETS), "p99")],
        unit="s",
        minimum=0,
        description="All selected platforms together.",
    )


def _response_time_distribution() -> Panel:
    return Panel(
        "Response time distribution",
        Target(rise(CALL_BUCKETS, "le"), "{{le}}"),
        kind="heatmap",
        unit="s",
        description="How many calls took how long.",
    )
