"""The instruments that are compared, each made new and registered nowhere."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import TextIO

    import logfire
    import prometheus_client
    from opentelemetry import metrics as otel
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics import MeterProvider

    from otel_monitoring import Counter, Histogram, MonitoringService

LABELS = ("queue", "outcome")
PROMETHEUS_CLIENT = "prometheus_client"
OTEL_SDK = "OpenTelemetry SDK"
LOGFIRE = "logfire"


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


@cache
def nowhere() -> TextIO:
    """Return a stream that drops what is written to it."""
    return Path(os.devnull).open("w", encoding="utf-8")


@cache
def local_logfire(*, written: bool = False) -> logfire.Logfire:
    """Return a logfire that traces and sends nothing; its lines, where it writes any, are dropped."""
    import logfire

    console = logfire.ConsoleOptions(output=nowhere(), colors="never")
    return logfire.configure(local=True, send_to_logfire=False, console=console if written else False)


@contextmanager
def sdk_logger(file: Path | None) -> Generator[logging.Logger]:
    """Give a logger whose records the OpenTelemetry SDK takes.

    Args:
        file: where each record is written to, as JSON, before the call returns; None collects them
            in memory and drops each batch.
    """
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import (
        BatchLogRecordProcessor,
        ConsoleLogRecordExporter,
        LogRecordExporter,
        LogRecordExportResult,
        SimpleLogRecordProcessor,
    )

    class Drop(LogRecordExporter):
        def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:  # noqa: ARG002 (the base's)
            return LogRecordExportResult.SUCCESS

        def force_flush(self, timeout_millis: int = 10_000) -> bool:  # noqa: ARG002 (the base's)
            return True

        def shutdown(self) -> None:
            pass

    provider = LoggerProvider(shutdown_on_exit=False)
    with ExitStack() as closed:
        closed.callback(provider.shutdown)
        if file is None:
            # A longer queue than by default: a warning for each record that it drops is no figure of the handler's.
            provider.add_log_record_processor(BatchLogRecordProcessor(Drop(), max_queue_size=2**16))
        else:
            out = closed.enter_context(file.open("w", encoding="utf-8"))
            provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=out)))
        logger = logging.getLogger("benchmarks.sdk")
        logger.propagate = False
        logger.addHandler(LoggingHandler(logger_provider=provider))
        closed.callback(logger.handlers.clear)
        yield logger
