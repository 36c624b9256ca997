"""Dashboards and alerts as code: Python over the catalogue, PromQL as the query language."""

from __future__ import annotations

from otel_monitoring.grafana.dashboard import Dashboard, Row, Variable, link_to
from otel_monitoring.grafana.panel import Link, Panel, PanelKind, Target, ValueText

__all__ = ["Dashboard", "Link", "Panel", "PanelKind", "Row", "Target", "ValueText", "Variable", "link_to"]
