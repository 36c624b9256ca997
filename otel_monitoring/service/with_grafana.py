"""What a service does with Grafana: dashboards and alert rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.exceptions import ExtraMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.metrics import Registry
    from otel_monitoring.settings import Settings

GRAFANA_EXTRA = "{} comes with the extra otel-monitoring[grafana], which this version does not hold yet"


class WithGrafana:
    """The part of a service that manages Grafana; needs the extra ``otel-monitoring[grafana]``.

    Attributes:
        settings: as they are in force.
        registry: the metrics that queries are checked against.
    """

    settings: Settings
    registry: Registry

    async def create_grafana_dashboard(self, dashboard_data: Mapping[str, object]) -> str:
        """Create a dashboard and return its uid."""
        raise ExtraMissingError(GRAFANA_EXTRA.format("create_grafana_dashboard"))

    async def update_grafana_dashboard(self, dashboard_uid: str, dashboard_data: Mapping[str, object]) -> None:
        """Update a dashboard."""
        raise ExtraMissingError(GRAFANA_EXTRA.format("update_grafana_dashboard"))

    async def get_grafana_dashboard(self, dashboard_uid: str) -> dict[str, object]:
        """Return a dashboard."""
        raise ExtraMissingError(GRAFANA_EXTRA.format("get_grafana_dashboard"))

    async def create_grafana_alert(self, alert_data: Mapping[str, object]) -> str:
        """Create an alert rule and return its uid."""
        raise ExtraMissingError(GRAFANA_EXTRA.format("create_grafana_alert"))

    async def get_grafana_alerts(self) -> list[dict[str, object]]:
        """Return all alert rules."""
        raise ExtraMissingError(GRAFANA_EXTRA.format("get_grafana_alerts"))
