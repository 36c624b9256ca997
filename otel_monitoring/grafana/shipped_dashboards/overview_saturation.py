"""The rows of the System Overview on what processes use, and on the telemetry itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import Row, link_to
from otel_monitoring.grafana.panel import Panel, Target, ValueText
from otel_monitoring.grafana.shipped_dashboards.expressions import per_second
from otel_monitoring.grafana.shipped_dashboards.overview_series import ONLY_COMPONENT
from otel_monitoring.grafana.shipped_rules.terms import ITSELF

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds


def saturation_row(thresholds: Thresholds) -> Row:
    """Return the row on what processes use."""
    return Row(
        "Saturation",
        _cpu_by_component(thresholds),
        _memory_by_component(),
        _memory_share_of_limit(thresholds),
        _operations_in_flight(),
        _time_since_last_success(thresholds),
    )


def _cpu_by_component(thresholds: Thresholds) -> Panel:
    return Panel(
        "CPU by component",
        Target('max by (component) (cpu_usage_percent{component=~"$component"})', "{{component}}"),
        unit="percent",
        minimum=0,
        thresholds={thresholds.cpu_percent: "red"},
        links=ONLY_COMPONENT,
        description="CPU of the fullest instance, in percent of what its process may use.",
    )


def _memory_by_component() -> Panel:
    return Panel(
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
    )


def _memory_share_of_limit(thresholds: Thresholds) -> Panel:
    used = 'memory_usage_bytes{component=~"$component"} / (memory_limit_bytes{component=~"$component"} > 0)'
    return Panel(
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
    )


def _operations_in_flight() -> Panel:
    return Panel(
        "Operations in flight",
        Target('sum by (component) (operations_in_progress{component=~"$component"})', "{{component}}"),
        minimum=0,
        links=ONLY_COMPONENT,
        description="Operations that have started and not ended. A steady climb is a leak or something stuck.",
        width=8,
    )


def _time_since_last_success(thresholds: Thresholds) -> Panel:
    return Panel(
        "Time since last success",
        Target(
            'time() - max by (component) (component_last_success_timestamp_seconds{component=~"$component"} > 0)',
            "{{component}}",
        ),
        kind="bargauge",
        unit="s",
        minimum=0,
        thresholds={thresholds.stale_seconds / 3: "yellow", thresholds.stale_seconds: "red"},
        links=ONLY_COMPONENT,
        description="How long ago an operation of each component last succeeded.",
        width=8,
    )


def telemetry_row() -> Row:
    """Return the row on whether all is seen."""
    return Row(
        "Telemetry health",
        _scrape_targets(),
        _samples_per_scrape(),
        _label_sets_folded_into_overflow(),
        collapsed=True,
    )


def _scrape_targets() -> Panel:
    return Panel(
        "Scrape targets",
        Target("up", "{{job}} {{instance}}"),
        kind="state-timeline",
        texts={0: ValueText("down", "red"), 1: ValueText("up", "green")},
        description="Whether Prometheus reaches each instance. While it does not, everything above is blind.",
    )


def _samples_per_scrape() -> Panel:
    return Panel(
        "Samples per scrape",
        Target("scrape_samples_post_metric_relabeling", "{{job}} {{instance}}"),
        description="A climb without new features is a label that takes ever new values.",
    )


def _label_sets_folded_into_overflow() -> Panel:
    return Panel(
        "Label sets folded into overflow",
        Target(per_second("monitoring_overflow_total", "metric"), "{{metric}}"),
        unit="cps",
        stacked=True,
        links={"metric": link_to(ITSELF, "metric", title="Monitoring")},
        description="Measurements per second whose label set no longer fits a metric's budget of series.",
    )
