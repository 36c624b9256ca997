"""High error rate: of each component, against its own threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.shipped_rules.terms import number, shown_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

EVERY_COMPONENT = "group by (job, component) (processing_time_seconds_count{$job})"
THRESHOLD = "job_component:error_ratio:threshold"

_COMPLETED = "sum by (job, component) (increase(processing_time_seconds_count{$job}[10m]))"
_RATIO = """
(
  sum by (job, component) (rate(system_errors_total{$job}[5m]))
  or
  0 * sum by (job, component) (rate(processing_time_seconds_count{$job}[5m]))
)
/
(sum by (job, component) (rate(processing_time_seconds_count{$job}[5m])) > 0)
"""
_CRITICAL = """
(
  job_component:system_errors:ratio_rate5m
  > on (job, component)
  clamp_max($error_ratio_critical_factor * job_component:error_ratio:threshold, $error_ratio_critical_most)
  > on (job, component)
  job_component:error_ratio:threshold
)
and on (job, component) (job_component:processing_time_seconds_count:increase10m >= $operations_minimum)
"""
_WARNING = """
(
  job_component:system_errors:ratio_rate5m
  > on (job, component)
  job_component:error_ratio:threshold
)
and on (job, component) (job_component:processing_time_seconds_count:increase10m >= $operations_minimum)
"""
_BURST = """
sum by (job, component) (increase(system_errors_total{$job}[10m])) >= $error_burst
unless on (job, component) (job_component:processing_time_seconds_count:increase10m >= $operations_minimum)
"""


def error_records(terms: Terms) -> Iterator[RuleGroup]:
    """Give what the alerts read: the thresholds and the ratios."""
    thresholds = terms.threshold_records("error_ratio", every=terms.promql(EVERY_COMPONENT), record=THRESHOLD)
    ratios = (
        Record("job_component:processing_time_seconds_count:increase10m", terms.promql(_COMPLETED)),
        Record("job_component:system_errors:ratio_rate5m", terms.promql(_RATIO)),
    )
    yield RuleGroup("otel_monitoring.thresholds.errors", 60, tuple(thresholds))
    yield RuleGroup("otel_monitoring.sli.errors", 30, ratios)


def error_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts."""
    limits = terms.thresholds
    reference = Reference(THRESHOLD, ("job", "component"))
    fails = "{{ $labels.component }} ({{ $labels.job }}) fails {{ $value | humanizePercentage }} of its operations"
    yield terms.alert(
        "ComponentErrorRatioHigh",
        terms.promql(_CRITICAL),
        hold="5m",
        severity="critical",
        category="error",
        keep_firing_for="5m",
        reference=reference,
        summary="{{ $labels.component }} is failing far above its error threshold.",
        description=f"{fails}. That is more than {number(limits.error_ratio_critical_factor)} times its threshold of "
        "{{ $reference | humanizePercentage }}, or more than "
        f"{shown_share(limits.error_ratio_critical_most)}.",
    )
    yield terms.alert(
        "ComponentErrorRatioHigh",
        terms.promql(_WARNING),
        hold="10m",
        category="error",
        keep_firing_for="5m",
        reference=reference,
        summary="The error ratio of {{ $labels.component }} is above its threshold.",
        description=f"{fails}; its threshold is {{{{ $reference | humanizePercentage }}}}.",
    )
    yield terms.alert(
        "ComponentErrorBurst",
        terms.promql(_BURST),
        hold="5m",
        category="error",
        summary="{{ $labels.component }} reports errors, but next to no completed operations.",
        description="{{ $labels.component }} ({{ $labels.job }}) reported {{ $value | humanize }} errors in 10m and "
        f"completed fewer than {number(limits.operations_minimum)} operations, so that there is no error ratio. "
        "Usually it fails before it does any work.",
    )
