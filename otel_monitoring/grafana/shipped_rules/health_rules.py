"""Health: what no longer reports, and the monitoring itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.shipped_rules.terms import ITSELF, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

STALE_THRESHOLD = "job_component:stale_seconds:threshold"

_STOPPED = """
(
  group by (job, component) (present_over_time(memory_usage_bytes{$job}[1h]))
  unless
  group by (job, component) (memory_usage_bytes{$job})
)
and on (job) (sum by (job) (up{$job}) > 0)
"""
_STALE = """
time() - max by (job, component) (component_last_success_timestamp_seconds{$job} > 0)
> on (job, component)
job_component:stale_seconds:threshold
"""
_ABSENT = """
absent(up{$job})
unless on (job) group by (job) (monitoring_series{$job})
"""
"""A job that pushes, through a Pushgateway or a Collector, has metrics and no ``up``."""

# A series that is new counts from nothing: rate() and increase() do not see its first jump.
_OVERFLOW = """
sum by (job, metric) (increase(monitoring_overflow_total{$job}[15m])) > 0
or
(
  group by (job, metric) (monitoring_overflow_total{$job})
  unless on (job, metric)
  group by (job, metric) (monitoring_overflow_total{$job} offset 15m)
)
"""
_EXPORT = """
sum by (job, exporter) (increase(monitoring_export_failures_total{$job}[15m])) >= $export_failures
"""


def health_records(terms: Terms) -> Iterator[RuleGroup]:
    """Give what the alerts read."""
    every = terms.promql("group by (job, component) (component_last_success_timestamp_seconds{$job})")
    records = terms.threshold_records("stale_seconds", every=every, record=STALE_THRESHOLD)
    yield RuleGroup("otel_monitoring.thresholds.health", 60, tuple(records))


def component_health_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on components that no longer report, or no longer succeed."""
    yield terms.alert(
        "ComponentStoppedReporting",
        terms.promql(_STOPPED),
        hold="5m",
        category="performance",
        summary="{{ $labels.component }} no longer reports, while its job is still scraped.",
        description="{{ $labels.component }} ({{ $labels.job }}) reported what it uses within the last hour, and no "
        "longer does. Where it was taken out on purpose, this ends by itself after an hour.",
    )
    yield terms.alert(
        "ComponentStale",
        terms.promql(_STALE),
        hold="5m",
        category="performance",
        reference=Reference(STALE_THRESHOLD, ("job", "component")),
        summary="No operation of {{ $labels.component }} has succeeded for long.",
        description="{{ $labels.component }} ({{ $labels.job }}) last succeeded {{ $value | humanizeDuration }} ago; "
        "the limit is {{ $reference | humanizeDuration }}.",
    )


def monitoring_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on the monitoring itself."""
    yield terms.alert(
        "MonitoringTargetDown",
        terms.promql("up{$job} == 0"),
        hold="5m",
        severity="critical",
        category="performance",
        summary="{{ $labels.instance }} cannot be scraped.",
        description="Prometheus has not been able to scrape {{ $labels.instance }} ({{ $labels.job }}) for 5m: up is "
        "{{ $value | humanize }}. No other alert can tell anything about it.",
    )
    yield terms.alert(
        "MonitoringTargetAbsent",
        terms.promql(_ABSENT),
        hold="15m",
        severity="critical",
        category="performance",
        summary="Prometheus knows no target of {{ $labels.job }}.",
        description="The job {{ $labels.job }} is gone from Prometheus's targets, and nobody pushes metrics for it. "
        "No other alert can tell anything about it.",
    )
    yield terms.alert(
        "MonitoringSeriesOverflow",
        terms.promql(_OVERFLOW),
        hold="0s",
        category="performance",
        keep_firing_for="15m",
        dashboard=ITSELF,
        summary="{{ $labels.metric }} has more label sets than its budget of series.",
        description="{{ $value | humanize }} or more measurements of {{ $labels.metric }} ({{ $labels.job }}) went to "
        "its overflow series in 15m: queries that select by label miss them. Find the label that has too many values.",
    )
    yield terms.alert(
        "MonitoringExportFailing",
        terms.promql(_EXPORT),
        hold="5m",
        category="performance",
        keep_firing_for="5m",
        dashboard=ITSELF,
        summary="The exporter {{ $labels.exporter }} of {{ $labels.job }} fails.",
        description="{{ $value | humanize }} exports through {{ $labels.exporter }} ({{ $labels.job }}) failed in 15m.",
    )
    yield terms.alert(
        "Watchdog",
        terms.promql("vector(1)"),
        hold="0s",
        severity="none",
        category="meta",
        dashboard=ITSELF,
        labels={"job": literal(terms.job)},
        summary="This always fires, and shows that alerts arrive.",
        description="Send it to a dead man's switch: that it is missing is the alert.",
    )
