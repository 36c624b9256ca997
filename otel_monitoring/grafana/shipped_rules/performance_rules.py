"""Response time and resources: of requests, operations and components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.shipped_rules.error_rules import EVERY_COMPONENT
from otel_monitoring.grafana.shipped_rules.terms import number, shown_seconds, shown_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

PROCESSING_THRESHOLD = "job_component:processing_time_seconds:threshold"

_REQUEST_P95 = """
histogram_quantile(0.95, sum by (job, endpoint, method, le) (rate(request_duration_seconds_bucket{$job}[10m])))
"""
_PROCESSING_P95 = """
histogram_quantile(0.95, sum by (job, component, operation, le) (rate(processing_time_seconds_bucket{$job}[10m])))
"""
_INDICATOR_MISSING = """
sum by (job) (rate(request_duration_seconds_count{$job}[5m])) > 0
unless on (job)
job:slow_requests:ratio_rate5m
"""
_REQUEST_SLOW = """
job_endpoint_method:request_duration_seconds:p95_10m > $request_latency_seconds
and on (job, endpoint, method)
(sum by (job, endpoint, method) (increase(request_duration_seconds_count{$job}[10m])) >= $requests_minimum)
"""
_PROCESSING_SLOW = """
(
  job_component_operation:processing_time_seconds:p95_10m
  > on (job, component) group_left ()
  job_component:processing_time_seconds:threshold
)
and on (job, component, operation)
(sum by (job, component, operation) (increase(processing_time_seconds_count{$job}[10m])) >= $processing_minimum)
"""
_MEMORY_HIGH = """
max by (job, instance, component) (memory_usage_bytes{$job})
/
(max by (job, instance, component) (memory_limit_bytes{$job}) > 0)
> $memory_ratio
"""
_MEMORY_FORECAST = """
(
  max by (job, instance, component) (predict_linear(memory_usage_bytes{$job}[1h], $memory_forecast_seconds))
  / (max by (job, instance, component) (memory_limit_bytes{$job}) > 0)
  > 1
)
and on (job, instance, component)
(
  max by (job, instance, component) (memory_usage_bytes{$job})
  / (max by (job, instance, component) (memory_limit_bytes{$job}) > 0)
  > $memory_forecast_ratio
)
and on (job, instance, component)
(group by (job, instance, component) (memory_usage_bytes{$job} offset 30m))
"""
_CPU_HIGH = """
avg by (job, instance, component) (avg_over_time(cpu_usage_percent{$job}[15m])) > $cpu_percent
"""


def performance_records(terms: Terms) -> Iterator[RuleGroup]:
    """Give what the alerts read: the thresholds and the quantiles."""
    thresholds = terms.threshold_records(
        "processing_time_seconds", every=terms.promql(EVERY_COMPONENT), record=PROCESSING_THRESHOLD
    )
    quantiles = (
        Record("job_endpoint_method:request_duration_seconds:p95_10m", terms.promql(_REQUEST_P95)),
        Record("job_component_operation:processing_time_seconds:p95_10m", terms.promql(_PROCESSING_P95)),
    )
    yield RuleGroup("otel_monitoring.thresholds.performance", 60, tuple(thresholds))
    yield RuleGroup("otel_monitoring.sli.performance", 30, quantiles)


def latency_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on response times."""
    limits = terms.thresholds
    yield terms.alert(
        "SloIndicatorMissing",
        terms.promql(_INDICATOR_MISSING),
        hold="15m",
        category="performance",
        summary="{{ $labels.job }} serves requests, but whether they are fast enough cannot be told.",
        description="request_duration_seconds of {{ $labels.job }} has no bucket of "
        f"{shown_seconds(limits.latency_objective_seconds)}, which the latency objective reads, while "
        "{{ $value | humanize }} requests/s are served. Give the histogram that bound, or the objective another.",
    )
    limit = shown_seconds(limits.request_latency_seconds)
    yield terms.alert(
        "RequestLatencyHigh",
        terms.promql(_REQUEST_SLOW),
        hold="10m",
        category="performance",
        keep_firing_for="5m",
        summary=f"{{{{ $labels.method }}}} {{{{ $labels.endpoint }}}} takes longer than {limit} at p95.",
        description="95% of the requests {{ $labels.method }} {{ $labels.endpoint }} ({{ $labels.job }}) end within "
        f"{{{{ $value | humanizeDuration }}}}; the limit is {limit}.",
    )
    yield terms.alert(
        "OperationProcessingSlow",
        terms.promql(_PROCESSING_SLOW),
        hold="15m",
        category="performance",
        keep_firing_for="5m",
        reference=Reference(PROCESSING_THRESHOLD, ("job", "component")),
        summary="{{ $labels.component }}/{{ $labels.operation }} takes longer than its limit at p95.",
        description="95% of the calls of {{ $labels.operation }} in {{ $labels.component }} ({{ $labels.job }}) end "
        "within {{ $value | humanizeDuration }}; the limit is {{ $reference | humanizeDuration }}.",
    )


def resource_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on memory and CPU."""
    limits = terms.thresholds
    whose = "{{ $labels.component }} on {{ $labels.instance }} ({{ $labels.job }})"
    ahead = shown_seconds(limits.memory_forecast_seconds)
    yield terms.alert(
        "ComponentMemoryHigh",
        terms.promql(_MEMORY_HIGH),
        hold="10m",
        category="performance",
        summary=f"{{{{ $labels.component }}}} uses more than {shown_share(limits.memory_ratio)} of its memory limit.",
        description=f"{whose} uses {{{{ $value | humanizePercentage }}}} of the memory that it may use.",
    )
    yield terms.alert(
        "ComponentMemoryExhaustionForecast",
        terms.promql(_MEMORY_FORECAST),
        hold="30m",
        category="performance",
        summary=f"{{{{ $labels.component }}}} will reach its memory limit within {ahead}.",
        description=f"{whose} grows: by the trend of an hour it uses {{{{ $value | humanizePercentage }}}} of its "
        f"limit in {ahead}.",
    )
    yield terms.alert(
        "ComponentCpuHigh",
        terms.promql(_CPU_HIGH),
        hold="5m",
        category="performance",
        keep_firing_for="5m",
        summary=f"{{{{ $labels.component }}}} has used more than {number(limits.cpu_percent)}% of its CPU for 15m.",
        description=f"{whose} uses {{{{ $value | humanize }}}}% of the CPU that it may use.",
    )
