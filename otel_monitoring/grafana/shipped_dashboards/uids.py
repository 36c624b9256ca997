"""By which uid Grafana knows each shipped dashboard; alerts and documents link to them."""

from __future__ import annotations

OVERVIEW = "otel-monitoring-overview"
PLATFORM = "otel-monitoring-platform"
BUSINESS = "otel-monitoring-business"
SELF = "otel-monitoring-self"
