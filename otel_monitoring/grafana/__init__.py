"""Dashboards and alerts as code: Python over the catalogue, PromQL as the query language."""

from __future__ import annotations

from otel_monitoring.grafana.alert import Alert, Record, RuleGroup
from otel_monitoring.grafana.alert_text import Reference

__all__ = ["Alert", "Record", "Reference", "RuleGroup"]
