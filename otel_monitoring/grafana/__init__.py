"""Dashboards and alerts as code: Python over the catalogue, PromQL as the query language."""

from __future__ import annotations

from otel_monitoring.grafana.alert import Alert, Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference
from otel_monitoring.grafana.dashboard import Dashboard, Row, Variable, link_to
from otel_monitoring.grafana.panel import Link, Panel, PanelKind, Target, ValueText

__all__ = [
    "Alert",
    "Dashboard",
    "Link",
    "Panel",
    "PanelKind",
    "Record",
    "Reference",
    "Row",
    "RuleGroup",
    "Target",
    "ValueText",
    "Variable",
    "link_to",
]
