"""System Overview: is something wrong, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Dashboard, Row, link_to
from otel_monitoring.grafana.panel import Link, Panel, Target, ValueText
from otel_monitoring.grafana.shipped_dashboards.expressions import (
    WHOLE_RANGE,
    bound,
    per_range,
    per_second,
    quantile,
    rise,
    share,
    ten_largest,
)
from otel_monitoring.grafana.shipped_dashboards.thresholds import budget_of
from otel_monitoring.grafana.shipped_dashboards.uids import OVERVIEW, SELF

if TYPE_CHECKING:
    from otel_monitoring.grafana.shipped_dashboards.thresholds import Thresholds

ERRORS = 'system_errors_total{component=~"$component"}'
COMPLETED = 'processing_time_seconds_count{component=~"$component"}'
OPERATIONS = 'operations_total{component=~"$component"}'
FAILED_OPERATIONS = 'operations_total{component=~"$component", outcome!~"success|cancelled"}'
REQUESTS = 'request_duration_seconds_count{endpoint=~"$endpoint"}'
REQUEST_BUCKETS = 'request_duration_seconds_bucket{endpoint=~"$endpoint"}'
PROCESSING_BUCKETS = 'processing_time_seconds_bucket{component=~"$component"}'
RESPONSES = 'http_requests_total{endpoint=~"$endpoint"}'

OUTCOME_COLORS = {"success": "green", "error": "red", "cancelled": "#808080", "closed": "blue"}
STATUS_COLORS = {"1xx": "#808080", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}

BURN_WINDOWS = ("1h", "6h", "3d")
BURN_RATES = {1: "yellow", 6: "orange", 14.4: "red"}

ALERT = Link("Alert", "/alerting/list?search={value}")
ONLY_COMPONENT = {"component": link_to(OVERVIEW, "component")}
ONLY_ENDPOINT = {"endpoint": link_to(OVERVIEW, "endpoint")}


def overview(thresholds: Thresholds) -> Dashboard:
    """Return the dashboard on the whole service.

    Args:
        thresholds: those of the alerts, which it draws.
    """
    return Dashboard(
        "System Overview",
        [
            _right_now(thresholds),
            _errors(),
            _traffic(thresholds),
            _saturation(thresholds),
            _streams_and_models(),
            _objectives(thresholds),
            _telemetry_health(),
        ],
        uid=OVERVIEW,
        description="Is something wrong, and where: errors, traffic, latency, saturation and objectives.",
        variables=["component", "endpoint"],
    )


def _right_now(thresholds: Thresholds) -> Row:
    budget, slow_budget = budget_of(thresholds.success_objective), budget_of(thresholds.latency_objective)
    return Row(
        "Right now",
        Panel(
            "Error ratio",
            Target(share(per_second(ERRORS), of=per_second(COMPLETED)), "errors"),
            kind="stat",
            unit="percentunit",
            thresholds={thresholds.error_ratio / 5: "yellow", thresholds.error_ratio: "red"},
            description="Errors per completed operation. Empty means that nothing ran, not that nothing failed.",
        ),
        Panel(
            "Requests",
            Target(per_second(REQUESTS), "requests"),
            kind="stat",
            unit="reqps",
            description="Requests handled per second, now and over the selected range.",
        ),
        Panel(
            "Latency p95",
            Target(quantile(0.95, REQUEST_BUCKETS), "p95"),
            kind="stat",
            unit="s",
            thresholds={0.4 * thresholds.request_latency_seconds: "yellow", thresholds.request_latency_seconds: "red"},
            description="95 % of requests finish within this time.",
        ),
        Panel(
            "Operation budget left",
            Target(f"1 - ({share(per_range(FAILED_OPERATIONS), of=per_range(OPERATIONS))}) / {budget}", "left"),
            kind="stat",
            unit="percentunit",
            thresholds={0: "orange", 0.25: "green"},
            base_color="red",
            description="Share of the operations' error budget that the selected range has not spent.",
        ),
        Panel(
            "Latency budget left",
            Target(
                f"1 - (1 - {per_range(_in_time(thresholds))} / ({per_range(REQUESTS)} > 0)) / {slow_budget}", "left"
            ),
            kind="stat",
            unit="percentunit",
            thresholds={0: "orange", 0.25: "green"},
            base_color="red",
            description="Share of the slow requests' budget that the selected range has not spent.",
        ),
        Panel(
            "Components reporting",
            [
                Target('count(group by (job, component) (memory_usage_bytes{component=~"$component"}))', "now"),
                Target(
                    "count(group by (job, component) "
                    '(present_over_time(memory_usage_bytes{component=~"$component"}[$__range])))',
                    "seen",
                ),
            ],
            kind="stat",
            description="Components with figures of their process now, and all seen in the selected range.",
        ),
        Panel(
            "Firing alerts",
            Target(
                'sum by (alertname, severity, component, platform) (ALERTS{job=~"$job", alertstate="firing"})', "Series"
            ),
            kind="table",
            links={"alertname": ALERT, **ONLY_COMPONENT},
            empty="No alert is firing.",
            description="Alerts of Prometheus that fire now, and for how many series.",
        ),
    )


def _errors() -> Row:
    return Row(
        "Errors",
        Panel(
            "Error ratio by component",
            [
                Target(share(per_second(ERRORS, "component"), of=per_second(COMPLETED, "component")), "{{component}}"),
                Target(
                    'max by (component) (job_component:error_ratio:threshold{component=~"$component"})',
                    "{{component}} threshold",
                    dashed=True,
                ),
            ],
            unit="percentunit",
            minimum=0,
            links=ONLY_COMPONENT,
            description="Errors per completed operation. Dashed: where the component's alert fires.",
        ),
        Panel(
            "Errors by type",
            Target(f"{per_second(ERRORS, 'error_type')} > 0", "{{error_type}}"),
            unit="cps",
            stacked=True,
            empty="No errors.",
            description="Errors per second. A new colour is a new way to fail.",
        ),
        Panel(
            "Top error sources",
            Target(f"topk(10, {per_range(ERRORS, 'component, error_type')} > 0)", "Errors"),
            kind="table",
            links=ONLY_COMPONENT,
            empty="No errors.",
            description="Where the errors of the selected range came from.",
        ),
        Panel(
            "Alert history",
            Target(
                'max by (alertname, severity) (ALERTS{job=~"$job", alertstate="firing"})', "{{alertname}} {{severity}}"
            ),
            kind="state-timeline",
            texts={1: ValueText("firing", "red")},
            empty="No alert has fired.",
            description="When each alert fired in the selected range.",
            width=12,
        ),
    )


def _traffic(thresholds: Thresholds) -> Row:
    by = "method, endpoint"
    within = f"{per_range(_in_time(thresholds), by)} / ({per_range(REQUESTS, by)} > 0)"
    return Row(
        "Traffic and latency",
        Panel(
            "Requests by endpoint",
            Target(
                ten_largest(per_second(REQUESTS, by), by, of=per_second(REQUESTS, by, window=WHOLE_RANGE)),
                "{{method}} {{endpoint}}",
            ),
            unit="reqps",
            links=ONLY_ENDPOINT,
            description="The ten busiest endpoints of the whole range.",
        ),
        Panel(
            "Responses by status",
            Target(per_second(RESPONSES, "status"), "{{status}}"),
            unit="reqps",
            stacked=True,
            colors=STATUS_COLORS,
            description="Answers per second by class of status.",
        ),
        Panel(
            "Latency",
            [
                Target(quantile(0.5, REQUEST_BUCKETS), "p50"),
                Target(quantile(0.95, REQUEST_BUCKETS), "p95"),
                Target(quantile(0.99, REQUEST_BUCKETS), "p99"),
            ],
            unit="s",
            minimum=0,
            thresholds={thresholds.request_latency_seconds: "red"},
            description="Percentiles of the time of requests. A diamond is one request: it leads to its trace.",
        ),
        Panel(
            "Latency distribution",
            Target(rise(REQUEST_BUCKETS, "le"), "{{le}}"),
            kind="heatmap",
            unit="s",
            description="How many requests took how long. Two bands are two kinds of requests.",
        ),
        Panel(
            "Slowest endpoints",
            [
                Target(f"topk(10, {quantile(0.95, REQUEST_BUCKETS, by, window='[$__range]')})", "p95"),
                Target(per_range(REQUESTS, by), "Requests", unit="short"),
                Target(f"1 - {within}", "Too slow", unit="percentunit"),
            ],
            kind="table",
            unit="s",
            links=ONLY_ENDPOINT,
            description=f"By endpoint: p95, number, and share over {thresholds.latency_objective_seconds:g} s.",
        ),
        Panel(
            "Processing time p95 by operation",
            Target(
                ten_largest(
                    quantile(0.95, PROCESSING_BUCKETS, "component, operation"),
                    "component, operation",
                    of=quantile(0.95, PROCESSING_BUCKETS, "component, operation", window=WHOLE_RANGE),
                ),
                "{{component}}/{{operation}}",
            ),
            unit="s",
            minimum=0,
            links=ONLY_COMPONENT,
            description="The ten slowest operations of the whole range.",
        ),
        Panel(
            "Operations by outcome",
            Target(per_second(OPERATIONS, "outcome"), "{{outcome}}"),
            unit="ops",
            stacked=True,
            colors=OUTCOME_COLORS,
            description="Operations that ended per second, by how.",
            width=24,
        ),
    )


def _saturation(thresholds: Thresholds) -> Row:
    used = 'memory_usage_bytes{component=~"$component"} / (memory_limit_bytes{component=~"$component"} > 0)'
    return Row(
        "Saturation",
        Panel(
            "CPU by component",
            Target('max by (component) (cpu_usage_percent{component=~"$component"})', "{{component}}"),
            unit="percent",
            minimum=0,
            thresholds={thresholds.cpu_percent: "red"},
            links=ONLY_COMPONENT,
            description="CPU of the fullest instance, in percent of what its process may use.",
        ),
        Panel(
            "Memory by component",
            [
                Target('max by (component) (memory_usage_bytes{component=~"$component"})', "{{component}}"),
                Target(
                    'max by (component) (memory_limit_bytes{component=~"$component"})',
                    "{{component}} limit",
                    dashed=True,
                ),
            ],
            unit="bytes",
            minimum=0,
            links=ONLY_COMPONENT,
            description="Resident memory of the fullest instance. Dashed: what it may use.",
        ),
        Panel(
            "Memory share of limit",
            Target(f"max by (component) ({used})", "{{component}}"),
            kind="bargauge",
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds={0.8 * thresholds.memory_ratio: "yellow", thresholds.memory_ratio: "red"},
            links=ONLY_COMPONENT,
            description="Of the fullest instance of each component.",
            width=8,
        ),
        Panel(
            "Operations in flight",
            Target('sum by (component) (operations_in_progress{component=~"$component"})', "{{component}}"),
            minimum=0,
            links=ONLY_COMPONENT,
            description="Operations that have started and not ended. A steady climb is a leak or something stuck.",
            width=8,
        ),
        Panel(
            "Time since last success",
            Target(
                'time() - max by (component) (component_last_success_timestamp_seconds{component=~"$component"})',
                "{{component}}",
            ),
            kind="bargauge",
            unit="s",
            minimum=0,
            thresholds={thresholds.stale_seconds / 3: "yellow", thresholds.stale_seconds: "red"},
            links=ONLY_COMPONENT,
            description="How long ago an operation of each component last succeeded.",
            width=8,
        ),
    )


def _streams_and_models() -> Row:
    first = 'stream_first_item_seconds_bucket{component=~"$component"}'
    models = "gen_ai_request_model, gen_ai_token_type"
    return Row(
        "Streams and models",
        Panel(
            "Time to first item p95",
            Target(quantile(0.95, first, "component, operation"), "{{component}}/{{operation}}"),
            unit="s",
            minimum=0,
            links=ONLY_COMPONENT,
            description="How long a reader of a stream waits for its first item.",
        ),
        Panel(
            "Stream items",
            Target(
                per_second('stream_items_total{component=~"$component"}', "component, operation"),
                "{{component}}/{{operation}}",
            ),
            unit="cps",
            links=ONLY_COMPONENT,
            description="Items that streams give per second.",
        ),
        Panel(
            "Tokens by model",
            Target(
                per_second("gen_ai_client_token_usage_sum", models), "{{gen_ai_request_model}} {{gen_ai_token_type}}"
            ),
            unit="cps",
            stacked=True,
            description="Tokens per second that calls to models take in and give out: what is paid for.",
        ),
        Panel(
            "Model calls p95",
            Target(
                quantile(0.95, "gen_ai_client_operation_duration_seconds_bucket", "gen_ai_request_model"),
                "{{gen_ai_request_model}}",
            ),
            unit="s",
            minimum=0,
            description="95 % of the calls to a model finish within this time.",
        ),
        collapsed=True,
    )


def _objectives(thresholds: Thresholds) -> Row:
    return Row(
        "Objectives",
        Panel(
            "Operation error budget burn",
            [
                Target(
                    f'max(job_component:operation_errors:ratio_rate{window}{{component=~"$component"}})'
                    f" / {budget_of(thresholds.success_objective)}",
                    window,
                )
                for window in BURN_WINDOWS
            ],
            minimum=0,
            thresholds=BURN_RATES,
            description="1 spends the budget exactly in 30 days; 14.4 spends it in 50 hours, and alerts at once.",
        ),
        Panel(
            "Latency budget burn",
            [
                Target(f"max(job:slow_requests:ratio_rate{window}) / {budget_of(thresholds.latency_objective)}", window)
                for window in BURN_WINDOWS
            ],
            minimum=0,
            thresholds=BURN_RATES,
            description=f"The same for requests slower than {thresholds.latency_objective_seconds:g} s.",
        ),
    )


def _telemetry_health() -> Row:
    return Row(
        "Telemetry health",
        Panel(
            "Scrape targets",
            Target("up", "{{job}} {{instance}}"),
            kind="state-timeline",
            texts={0: ValueText("down", "red"), 1: ValueText("up", "green")},
            description="Whether Prometheus reaches each instance. While it does not, everything above is blind.",
        ),
        Panel(
            "Samples per scrape",
            Target("scrape_samples_post_metric_relabeling", "{{job}} {{instance}}"),
            description="A climb without new features is a label that takes ever new values.",
        ),
        Panel(
            "Label sets folded into overflow",
            Target(per_second("monitoring_overflow_total", "metric"), "{{metric}}"),
            unit="cps",
            stacked=True,
            links={"metric": link_to(SELF, "metric", title="Monitoring")},
            description="Measurements per second whose label set no longer fits a metric's budget of series.",
        ),
        collapsed=True,
    )


def _in_time(thresholds: Thresholds) -> str:
    return f'request_duration_seconds_bucket{{endpoint=~"$endpoint", {bound(thresholds.latency_objective_seconds)}}}'
