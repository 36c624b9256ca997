"""The rows of the System Overview on traffic, latency, websockets, streams and models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Row, link_to
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.expressions import (
    WHOLE_RANGE,
    per_range,
    per_second,
    quantile,
    rise,
    ten_largest,
)
from otel_monitoring.grafana.shipped_dashboards.overview_series import (
    ONLY_COMPONENT,
    REQUEST_BUCKETS,
    REQUESTS,
    requests_in_time,
)
from otel_monitoring.grafana.shipped_rules.terms import OVERVIEW

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds

OPERATIONS = 'operations_total{component=~"$component"}'
PROCESSING_BUCKETS = 'processing_time_seconds_bucket{component=~"$component"}'
RESPONSES = 'http_requests_total{endpoint=~"$endpoint"}'
OUTCOME_COLORS = {"success": "green", "error": "red", "cancelled": "#808080", "closed": "blue"}
STATUS_COLORS = {"1xx": "#808080", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red"}
ONLY_ENDPOINT = {"endpoint": link_to(OVERVIEW, "endpoint")}


def traffic_row(thresholds: Thresholds) -> Row:
    """Return the row on requests and operations."""
    return Row(
        "Traffic and latency",
        _requests_by_endpoint(),
        _responses_by_status(),
        _latency(thresholds),
        _latency_distribution(),
        _slowest_endpoints(thresholds),
        _processing_time_p95_by_operation(),
        _operations_by_outcome(),
    )


def _requests_by_endpoint() -> Panel:
    by = "method, endpoint"
    return Panel(
        "Requests by endpoint",
        Target(
            ten_largest(per_second(REQUESTS, by), by, of=per_second(REQUESTS, by, window=WHOLE_RANGE)),
            "{{method}} {{endpoint}}",
        ),
        unit="reqps",
        links=ONLY_ENDPOINT,
        description="The ten busiest endpoints of the whole range.",
    )


def _responses_by_status() -> Panel:
    return Panel(
        "Responses by status",
        Target(per_second(RESPONSES, "status"), "{{status}}"),
        unit="reqps",
        stacked=True,
        colors=STATUS_COLORS,
        description="Answers per second by class of status.",
    )


def _latency(thresholds: Thresholds) -> Panel:
    return Panel(
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
    )


def _latency_distribution() -> Panel:
    return Panel(
        "Latency distribution",
        Target(rise(REQUEST_BUCKETS, "le"), "{{le}}"),
        kind="heatmap",
        unit="s",
        description="How many requests took how long. Two bands are two kinds of requests.",
    )


def _slowest_endpoints(thresholds: Thresholds) -> Panel:
    by = "method, endpoint"
    p95 = quantile(0.95, REQUEST_BUCKETS, by, window="[$__range]")
    within = f"{per_range(requests_in_time(thresholds), by)} / ({per_range(REQUESTS, by)} > 0)"
    return Panel(
        "Slowest endpoints",
        [
            Target(f"topk(10, {p95})", "p95"),
            Target(ten_largest(per_range(REQUESTS, by), by, of=p95), "Requests", unit="short"),
            Target(ten_largest(f"1 - {within}", by, of=p95), "Too slow", unit="percentunit"),
        ],
        kind="table",
        unit="s",
        links=ONLY_ENDPOINT,
        description=f"The ten slowest: p95, number, and share over {thresholds.latency_objective_seconds:g} s.",
    )


def _processing_time_p95_by_operation() -> Panel:
    return Panel(
        "Processing time p95 by operation",
        [
            Target(
                ten_largest(
                    quantile(0.95, PROCESSING_BUCKETS, "component, operation"),
                    "component, operation",
                    of=quantile(0.95, PROCESSING_BUCKETS, "component, operation", window=WHOLE_RANGE),
                ),
                "{{component}}/{{operation}}",
            ),
            Target(
                'max by (component) (job_component:processing_time_seconds:threshold{component=~"$component"})',
                "{{component}} threshold",
                dashed=True,
            ),
        ],
        unit="s",
        minimum=0,
        links=ONLY_COMPONENT,
        description="The ten slowest operations of the range. Dashed: where their component's alert fires.",
    )


def _operations_by_outcome() -> Panel:
    return Panel(
        "Operations by outcome",
        Target(per_second(OPERATIONS, "outcome"), "{{outcome}}"),
        unit="ops",
        stacked=True,
        colors=OUTCOME_COLORS,
        description="Operations that ended per second, by how.",
        width=24,
    )


def websockets_row() -> Row:
    """Return the row on websockets."""
    return Row(
        "Websockets",
        _open_websockets(),
        _websocket_messages(),
        _websockets_by_outcome(),
        _websocket_time_p95(),
        collapsed=True,
    )


def _open_websockets() -> Panel:
    return Panel(
        "Open websockets",
        Target('sum by (endpoint) (websocket_connections{endpoint=~"$endpoint"})', "{{endpoint}}"),
        unit="short",
        minimum=0,
        stacked=True,
        links=ONLY_ENDPOINT,
        empty="No websockets.",
        description="Websocket connections that are open, of all workers together.",
    )


def _websocket_messages() -> Panel:
    return Panel(
        "Websocket messages",
        Target(
            per_second('websocket_messages_total{endpoint=~"$endpoint"}', "endpoint, direction"),
            "{{endpoint}} {{direction}}",
        ),
        unit="cps",
        links=ONLY_ENDPOINT,
        empty="No websockets.",
        description="Messages received and sent per second.",
    )


def _websockets_by_outcome() -> Panel:
    return Panel(
        "Websockets by outcome",
        Target(per_second('websocket_duration_seconds_count{endpoint=~"$endpoint"}', "outcome"), "{{outcome}}"),
        unit="cps",
        stacked=True,
        colors={"closed": "green", "refused": "yellow", "error": "red"},
        empty="No websockets.",
        description="Websockets that ended per second, by how.",
    )


def _websocket_time_p95() -> Panel:
    return Panel(
        "Websocket time p95",
        Target(quantile(0.95, 'websocket_duration_seconds_bucket{endpoint=~"$endpoint"}', "endpoint"), "{{endpoint}}"),
        unit="s",
        minimum=0,
        links=ONLY_ENDPOINT,
        empty="No websockets.",
        description="95 % of the websockets end within this time.",
    )


def streams_row() -> Row:
    """Return the row on streams, and calls to models."""
    return Row(
        "Streams and models",
        _time_to_first_item_p95(),
        _stream_items(),
        _tokens_by_model(),
        _model_calls_p95(),
        collapsed=True,
    )


def _time_to_first_item_p95() -> Panel:
    first = 'stream_first_item_seconds_bucket{component=~"$component"}'
    return Panel(
        "Time to first item p95",
        Target(quantile(0.95, first, "component, operation"), "{{component}}/{{operation}}"),
        unit="s",
        minimum=0,
        links=ONLY_COMPONENT,
        description="How long a reader of a stream waits for its first item.",
    )


def _stream_items() -> Panel:
    return Panel(
        "Stream items",
        Target(
            per_second('stream_items_total{component=~"$component"}', "component, operation"),
            "{{component}}/{{operation}}",
        ),
        unit="cps",
        links=ONLY_COMPONENT,
        description="Items that streams give per second.",
    )


def _tokens_by_model() -> Panel:
    models = "gen_ai_request_model, gen_ai_token_type"
    return Panel(
        "Tokens by model",
        Target(per_second("gen_ai_client_token_usage_sum", models), "{{gen_ai_request_model}} {{gen_ai_token_type}}"),
        unit="cps",
        stacked=True,
        description="Tokens per second that calls to models take in and give out: what is paid for.",
    )


def _model_calls_p95() -> Panel:
    return Panel(
        "Model calls p95",
        Target(
            quantile(0.95, "gen_ai_client_operation_duration_seconds_bucket", "gen_ai_request_model"),
            "{{gen_ai_request_model}}",
        ),
        unit="s",
        minimum=0,
        description="95 % of the calls to a model finish within this time.",
    )
