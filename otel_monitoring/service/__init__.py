"""MonitoringService: joins the rooms, and holds what they share."""

from __future__ import annotations

from otel_monitoring.service.from_settings import keeping_of, open_error_store
from otel_monitoring.service.service import MonitoringService

__all__ = ["MonitoringService", "keeping_of", "open_error_store"]
