"""MonitoringService: joins the rooms, and holds what they share."""

from __future__ import annotations

from otel_monitoring.service.from_settings import grafana_client_of, keeping_of, open_error_store
from otel_monitoring.service.service import MonitoringService

__all__ = ["MonitoringService", "grafana_client_of", "keeping_of", "open_error_store"]
