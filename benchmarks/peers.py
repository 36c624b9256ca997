"""The instruments that are compared, each made new and registered nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue import SECONDS

if TYPE_CHECKING:
    import prometheus_client
    from opentelemetry import metrics as otel
    from opentelemetry.sdk.metrics import MeterProvider

    from otel_monitoring import Counter, Histogram, MonitoringService

LABELS = ("queue", "outcome")
PROMETHEUS_CLIENT = "prometheus_client"
OTEL_SDK = "OpenTelemetry SDK"


def our_service(max_series: int = 2000) -> MonitoringService:
    """Return a service that records and shows, and has let go of all else."""
    from otel_monitoring import MonitoringService

    service = MonitoringService(third_party=False, resources=False, max_series=max_series)
    service.shutdown()
    return service


def our_counter(service: MonitoringService) -> Counter:
    """Return a counter of ours with two labels."""
    return service.counter("jobs", unit="{job}", labels=LABELS, description="Jobs finished.")


def our_histogram(service: MonitoringService) -> Histogram:
    """Return a histogram of ours with two labels and 14 buckets."""
    return service.histogram("job_wait", unit="s", labels=LABELS, description="Time in the queue.", buckets=SECONDS)


def client_counter(registry: prometheus_client.CollectorRegistry | None = None) -> prometheus_client.Counter:
    """Return prometheus_client's like of ``our_counter``."""
    import prometheus_client

    return prometheus_client.Counter("jobs", "Jobs finished.", LABELS, registry=registry)


def client_histogram(registry: prometheus_client.CollectorRegistry | None = None) -> prometheus_client.Histogram:
    """Return prometheus_client's like of ``our_histogram``."""
    import prometheus_client

    name = "job_wait_seconds"
    return prometheus_client.Histogram(name, "Time in the queue.", LABELS, registry=registry, buckets=SECONDS)


def sdk_provider(series: int = 2000, registry: prometheus_client.CollectorRegistry | None = None) -> MeterProvider:
    """Return an OpenTelemetry SDK that is read by its Prometheus exporter and holds so many series a metric."""
    import prometheus_client
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk import metrics as sdk

    reader = PrometheusMetricReader(
        disable_target_info=True,
        scope_info_enabled=False,
        registry=prometheus_client.CollectorRegistry() if registry is None else registry,
        cardinality_limits={sdk.Counter: series + 1, sdk.Histogram: series + 1},
    )
    return sdk.MeterProvider([reader], shutdown_on_exit=False)


def sdk_counter(provider: MeterProvider | None = None) -> otel.Counter:
    """Return the SDK's like of ``our_counter``."""
    meter = (provider or sdk_provider()).get_meter("benchmarks")
    return meter.create_counter("jobs", unit="{job}", description="Jobs finished.")


def sdk_histogram(provider: MeterProvider | None = None) -> otel.Histogram:
    """Return the SDK's like of ``our_histogram``."""
    meter = (provider or sdk_provider()).get_meter("benchmarks")
    return meter.create_histogram(
        "job_wait", unit="s", description="Time in the queue.", explicit_bucket_boundaries_advisory=SECONDS
    )
