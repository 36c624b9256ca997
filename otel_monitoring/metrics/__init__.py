"""Recording: instruments, series, the pages they write to, and the snapshot that reads them."""

from __future__ import annotations

from otel_monitoring.metrics.instruments import Counter, Gauge, Histogram, UpDownCounter
from otel_monitoring.metrics.registry import Instrument, Registry
from otel_monitoring.metrics.snapshot import Distribution, Point, Snapshot

__all__ = [
    "Counter",
    "Distribution",
    "Gauge",
    "Histogram",
    "Instrument",
    "Point",
    "Registry",
    "Snapshot",
    "UpDownCounter",
]
