"""System Overview: is something wrong, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue.objective import budget_of
from otel_monitoring.grafana.dashboard import FIRING, Dashboard, Row
from otel_monitoring.grafana.panel import Link, Panel, Target, ValueText
from otel_monitoring.grafana.shipped_dashboards.expressions import per_range, per_second, quantile, share
from otel_monitoring.grafana.shipped_dashboards.overview_objectives import objectives_row
from otel_monitoring.grafana.shipped_dashboards.overview_saturation import saturation_row, telemetry_row
from otel_monitoring.grafana.shipped_dashboards.overview_series import (
    ONLY_COMPONENT,
    REQUEST_BUCKETS,
    REQUESTS,
    requests_in_time,
)
from otel_monitoring.grafana.shipped_dashboards.overview_traffic import streams_row, traffic_row, websockets_row
from otel_monitoring.grafana.shipped_rules.terms import OVERVIEW, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.catalogue.objective import Objectives
    from otel_monitoring.catalogue.thresholds import Thresholds

ERRORS = 'system_errors_total{component=~"$component"}'
COMPLETED = 'processing_time_seconds_count{component=~"$component"}'
JUDGED_OPERATIONS = 'operations_total{component=~"$component", outcome!="cancelled"}'
FAILED_OPERATIONS = 'operations_total{component=~"$component", outcome="error"}'
SEVERITIES: Mapping[float | str, ValueText] = {
    "critical": ValueText("critical", "red"),
    "warning": ValueText("warning", "orange"),
    "info": ValueText("info", "blue"),
}

ALERT = Link("Alert", "/alerting/list?search={value}")


def overview(thresholds: Thresholds, objectives: Objectives) -> Dashboard:
    """Return the dashboard on the whole service.

    Args:
        thresholds: those of the alerts, which it draws.
        objectives: what operations promise, each with a budget of its own.
    """
    return Dashboard(
        "System Overview",
        [
            _right_now(thresholds),
            _errors(),
            traffic_row(thresholds),
            saturation_row(thresholds),
            streams_row(),
            websockets_row(),
            objectives_row(thresholds, objectives),
            telemetry_row(),
        ],
        uid=OVERVIEW,
        description="Is something wrong, and where: errors, traffic, latency, saturation and objectives.",
        variables=["component", "endpoint"],
        links=[Link("Alert rules", "/alerting/list")],
    )


def _right_now(thresholds: Thresholds) -> Row:
    return Row(
        "Right now",
        _error_ratio(thresholds),
        _requests(),
        _latency_p95(thresholds),
        _operation_budget_left(thresholds),
        _latency_budget_left(thresholds),
        _components_reporting(),
        _firing_alerts(),
    )


def _error_ratio(thresholds: Thresholds) -> Panel:
    return Panel(
        "Error ratio",
        Target(share(per_second(ERRORS), of=per_second(COMPLETED)), "errors"),
        kind="stat",
        unit="percentunit",
        thresholds={thresholds.error_ratio / 5: "yellow", thresholds.error_ratio: "red"},
        description="Errors per completed operation. Empty means that nothing ran, not that nothing failed.",
    )


def _requests() -> Panel:
    return Panel(
        "Requests",
        Target(per_second(REQUESTS), "requests"),
        kind="stat",
        unit="reqps",
        description="Requests handled per second, now and over the selected range.",
    )


def _latency_p95(thresholds: Thresholds) -> Panel:
    return Panel(
        "Latency p95",
        Target(quantile(0.95, REQUEST_BUCKETS), "p95"),
        kind="stat",
        unit="s",
        thresholds={0.4 * thresholds.request_latency_seconds: "yellow", thresholds.request_latency_seconds: "red"},
        description="95 % of requests finish within this time.",
    )


def _operation_budget_left(thresholds: Thresholds) -> Panel:
    budget = number(budget_of(thresholds.success_objective))
    return Panel(
        "Operation budget left",
        Target(f"1 - ({share(per_range(FAILED_OPERATIONS), of=per_range(JUDGED_OPERATIONS))}) / {budget}", "left"),
        kind="stat",
        unit="percentunit",
        thresholds={0: "orange", 0.25: "green"},
        base_color="red",
        description="Share of the operations' error budget that the selected range has not spent.",
    )


def _latency_budget_left(thresholds: Thresholds) -> Panel:
    budget = number(budget_of(thresholds.latency_objective))
    return Panel(
        "Latency budget left",
        Target(f"1 - (1 - {per_range(requests_in_time(thresholds))} / ({per_range(REQUESTS)} > 0)) / {budget}", "left"),
        kind="stat",
        unit="percentunit",
        thresholds={0: "orange", 0.25: "green"},
        base_color="red",
        description="Share of the slow requests' budget that the selected range has not spent.",
    )


def _components_reporting() -> Panel:
    return Panel(
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
    )


def _firing_alerts() -> Panel:
    return Panel(
        "Firing alerts",
        Target(f"sum by (alertname, severity, component, platform) ({FIRING})", "Series"),
        kind="table",
        texts=SEVERITIES,
        links={"alertname": ALERT, **ONLY_COMPONENT},
        empty="No alert of Prometheus is firing.",
        description="What Prometheus alerts of, by series. What Grafana alerts of is behind 'Alert rules', above.",
    )


def _errors() -> Row:
    return Row(
        "Errors",
        _error_ratio_by_component(),
        _errors_by_type(),
        _top_error_sources(),
        _alert_history(),
    )


def _error_ratio_by_component() -> Panel:
    return Panel(
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
    )


def _errors_by_type() -> Panel:
    return Panel(
        "Errors by type",
        Target(f"{per_second(ERRORS, 'error_type')} > 0", "{{error_type}}"),
        unit="cps",
        stacked=True,
        empty="No errors.",
        description="Errors per second. A new colour is a new way to fail.",
    )


def _top_error_sources() -> Panel:
    return Panel(
        "Top error sources",
        Target(f"topk(10, {per_range(ERRORS, 'component, error_type')} > 0)", "Errors"),
        kind="table",
        links=ONLY_COMPONENT,
        empty="No errors.",
        description="Where the errors of the selected range came from.",
    )


def _alert_history() -> Panel:
    return Panel(
        "Alert history",
        Target(f"max by (alertname, severity) ({FIRING})", "{{alertname}} {{severity}}"),
        kind="state-timeline",
        texts={1: ValueText("firing", "red")},
        empty="No alert of Prometheus has fired.",
        description="When each alert of Prometheus fired in the selected range.",
        width=12,
    )
