"""For tests of code that is monitored: the pytest fixture ``metrics``, and what it gives."""

from __future__ import annotations

from otel_monitoring.testing.metrics import Metrics

__all__ = ["Metrics"]
