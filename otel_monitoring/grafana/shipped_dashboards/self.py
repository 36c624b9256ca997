"""Monitoring: what the monitoring holds, drops and costs."""

from __future__ import annotations

from otel_monitoring.grafana.dashboard import Dashboard, Row, link_to
from otel_monitoring.grafana.panel import Panel, Target, ValueText
from otel_monitoring.grafana.shipped_dashboards.expressions import per_range, per_second, ten_largest
from otel_monitoring.grafana.shipped_dashboards.uids import SELF

SERIES = 'monitoring_series{metric=~"$metric"}'
OVERFLOW = 'monitoring_overflow_total{metric=~"$metric"}'

ONLY_METRIC = {"metric": link_to(SELF, "metric")}


def monitoring() -> Dashboard:
    """Return the dashboard on the monitoring itself."""
    return Dashboard(
        "Monitoring",
        [_right_now(), _cardinality(), _losses(), _cost(), _scrapes()],
        uid=SELF,
        description="What the monitoring itself holds, drops and costs.",
        variables=["metric"],
    )


def _right_now() -> Row:
    return Row(
        "Right now",
        Panel(
            "Targets down",
            Target("count(up == 0) or 0 * count(up)", "down"),
            kind="stat",
            thresholds={1: "red"},
            description="Instances that Prometheus does not reach: all about them is blind.",
        ),
        Panel(
            "Series",
            Target(f"sum({SERIES})", "series"),
            kind="stat",
            description="Series that the selected instances hold, added up.",
        ),
        Panel(
            "Folded into overflow",
            Target(per_range(OVERFLOW), "measurements"),
            kind="stat",
            thresholds={1: "red"},
            description="Measurements of the selected range whose label set no longer fitted a metric's budget.",
        ),
        Panel(
            "Dropped measurements",
            Target(per_range("monitoring_dropped_total"), "measurements"),
            kind="stat",
            thresholds={1: "yellow"},
            description="Measurements of the selected range that did not fit their metric, and are not counted.",
        ),
        Panel(
            "Failed exports",
            Target(per_range("monitoring_export_failures_total"), "exports"),
            kind="stat",
            thresholds={1: "yellow"},
            description="Pushes and exports of the selected range that failed, each attempt.",
        ),
        Panel(
            "Overhead",
            Target(per_second("monitoring_overhead_seconds_total"), "overhead"),
            kind="stat",
            unit="percentunit",
            thresholds={0.01: "yellow", 0.05: "red"},
            description="Share of one CPU's time that the monitoring spends outside of recording.",
        ),
    )


def _cardinality() -> Row:
    return Row(
        "Series",
        Panel(
            "Series by metric",
            Target(
                ten_largest(
                    f"sum by (metric) ({SERIES})",
                    "metric",
                    of='sum by (metric) (monitoring_series{metric=~"$metric"} @ end())',
                ),
                "{{metric}}",
            ),
            minimum=0,
            links=ONLY_METRIC,
            description="The ten metrics with the most series. One that only climbs has a label without bounds.",
        ),
        Panel(
            "Overflow by metric",
            Target(per_second(OVERFLOW, "metric"), "{{metric}}"),
            unit="cps",
            stacked=True,
            links=ONLY_METRIC,
            description="Measurements per second that went to overflow: raise max_series, or drop a label.",
        ),
        Panel(
            "Metrics",
            [Target(f"sum by (metric) ({SERIES})", "Series"), Target(per_range(OVERFLOW, "metric"), "Overflow")],
            kind="table",
            links=ONLY_METRIC,
            description="Series now and measurements folded into overflow in the selected range.",
            width=24,
        ),
    )


def _losses() -> Row:
    return Row(
        "Losses",
        Panel(
            "Dropped measurements by reason",
            Target(per_second("monitoring_dropped_total", "reason"), "{{reason}}"),
            unit="cps",
            stacked=True,
            description="Measurements per second that did not fit their metric. The log says which, once each.",
        ),
        Panel(
            "Failed exports by exporter",
            Target(per_second("monitoring_export_failures_total", "exporter"), "{{exporter}}"),
            unit="cps",
            stacked=True,
            description="Attempts per second that failed.",
        ),
        Panel(
            "Errors stored",
            Target(per_second("monitoring_errors_stored_total"), "stored"),
            unit="cps",
            minimum=0,
            description="Errors per second that reach the error store.",
        ),
        Panel(
            "Errors not stored, by reason",
            Target(per_second("monitoring_errors_dropped_total", "reason"), "{{reason}}"),
            unit="cps",
            stacked=True,
            description="Errors per second that were not stored, or not with all their details. All are counted.",
        ),
    )


def _cost() -> Row:
    return Row(
        "Cost",
        Panel(
            "Overhead by activity",
            Target(per_second("monitoring_overhead_seconds_total", "activity"), "{{activity}}"),
            unit="percentunit",
            stacked=True,
            description="Share of one CPU's time that answering scrapes and exporting take.",
            width=24,
        ),
    )


def _scrapes() -> Row:
    each = "{{job}} {{instance}}"
    return Row(
        "Scrapes",
        Panel(
            "Scrape targets",
            Target("up", each),
            kind="state-timeline",
            texts={0: ValueText("down", "red"), 1: ValueText("up", "green")},
            description="Whether Prometheus reaches each instance.",
        ),
        Panel(
            "Scrape duration",
            Target("scrape_duration_seconds", each),
            unit="s",
            minimum=0,
            description="How long a scrape takes, with the network.",
        ),
        Panel(
            "Samples per scrape",
            Target("scrape_samples_post_metric_relabeling", each),
            minimum=0,
            description="Lines of a scrape that are kept.",
        ),
    )
