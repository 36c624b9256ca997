"""Monitoring for services and agents: one catalogue, OpenTelemetry's instruments, Prometheus.

>>> from otel_monitoring import MonitoringService
>>> monitoring = MonitoringService()
>>> jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
>>> jobs.add(1, {"queue": "mail"})
"""

from __future__ import annotations

from otel_monitoring.catalogue.objective import Latency, Objective
from otel_monitoring.exceptions import (
    ConfigurationError,
    DeclarationError,
    ExtraMissingError,
    GrafanaError,
    MeasurementError,
    MonitoringError,
    QueryError,
    ServerError,
)
from otel_monitoring.metrics import Counter, Gauge, Histogram, UpDownCounter
from otel_monitoring.service import MonitoringService
from otel_monitoring.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "Counter",
    "DeclarationError",
    "ExtraMissingError",
    "Gauge",
    "GrafanaError",
    "Histogram",
    "Latency",
    "MeasurementError",
    "MonitoringError",
    "MonitoringService",
    "Objective",
    "QueryError",
    "ServerError",
    "Settings",
    "UpDownCounter",
]
