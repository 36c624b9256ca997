"""The link from an alert to the dashboard that shows it, filtered to what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import UID
from otel_monitoring.grafana.result_labels import result_labels

if TYPE_CHECKING:
    from otel_monitoring.grafana.alert import Alert

VARIABLES = ("job", "instance", "component", "platform")
"""The labels that dashboards have variables for."""


def dashboard_link(alert: Alert, grafana_url: str) -> str:
    """Return the template of the link, empty where the alert names no dashboard.

    Args:
        alert: the alert; its dashboard may be a uid, or a path or URL that stays as it is.
        grafana_url: where Grafana is; empty gives a path.
    """
    if not UID.fullmatch(alert.dashboard):
        return f"{grafana_url}{alert.dashboard}" if alert.dashboard.startswith("/") else alert.dashboard
    there = result_labels(alert.expr) or frozenset()
    chosen = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in VARIABLES if name in there)
    return f"{grafana_url.rstrip('/')}/d/{alert.dashboard}{'?' if chosen else ''}{chosen}"
