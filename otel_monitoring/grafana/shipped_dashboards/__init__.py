"""The dashboards that come with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue.objective import Objectives
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.grafana.shipped_dashboards.business import business
from otel_monitoring.grafana.shipped_dashboards.overview import overview
from otel_monitoring.grafana.shipped_dashboards.platform import platform
from otel_monitoring.grafana.shipped_dashboards.self import monitoring

if TYPE_CHECKING:
    from otel_monitoring.grafana.dashboard import Dashboard


def shipped_dashboards(
    thresholds: Thresholds | None = None, objectives: Objectives | None = None
) -> tuple[Dashboard, ...]:
    """Return the dashboards that come with the package.

    Args:
        thresholds: those of the alerts, which are drawn; None takes the default ones.
        objectives: what operations promise; None is nothing.
    """
    drawn = Thresholds() if thresholds is None else thresholds
    promised = Objectives() if objectives is None else objectives
    return (overview(drawn, promised), platform(drawn), business(drawn), monitoring())
