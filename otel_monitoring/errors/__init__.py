"""Errors: one frozen record of each, and the corridor that hands it to all who want to hear."""

from __future__ import annotations

from otel_monitoring.errors.chain import exception_type
from otel_monitoring.errors.corridor import Corridor, Sink
from otel_monitoring.errors.count import CountErrors
from otel_monitoring.errors.record import ErrorRecord, Origin, Recorder

__all__ = ["Corridor", "CountErrors", "ErrorRecord", "Origin", "Recorder", "Sink", "exception_type"]
