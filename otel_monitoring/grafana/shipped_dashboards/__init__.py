"""The dashboards that come with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.shipped_dashboards.business import business
from otel_monitoring.grafana.shipped_dashboards.overview import overview
from otel_monitoring.grafana.shipped_dashboards.platform import platform
from otel_monitoring.grafana.shipped_dashboards.self import monitoring
from otel_monitoring.grafana.shipped_dashboards.thresholds import Thresholds

if TYPE_CHECKING:
    from otel_monitoring.grafana.dashboard import Dashboard


def shipped_dashboards(thresholds: Thresholds | None = None) -> tuple[Dashboard, ...]:
    """Return the dashboards that come with the package.

    Args:
        thresholds: those of the alerts, which are drawn; None takes the default ones.
    """
    drawn = thresholds or Thresholds()
    return (overview(drawn), platform(drawn), business(drawn), monitoring())
