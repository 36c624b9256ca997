"""Rules as a file for Prometheus.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert import Alert
from otel_monitoring.grafana.alert_text import for_prometheus
from otel_monitoring.grafana.dashboard_link import dashboard_link
from otel_monitoring.grafana.yaml_text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_monitoring.grafana.alert import Record, RuleGroup

HEADING = "Made by otel-monitoring from its definitions; what is changed here is lost when it is made again."


def rule_file(
    groups: Iterable[RuleGroup], *, grafana_url: str = "", keep_firing_for: bool = True, heading: str = HEADING
) -> str:
    """Return groups of rules as YAML, the same bytes for the same groups.

    Args:
        groups: in the order in which they stand in the file.
        grafana_url: where the dashboards are that alerts link to; empty gives paths.
        keep_firing_for: whether that is written; servers older than 2.42 do not know it.
        heading: lines of comment to begin with.
    """
    written = [
        {
            "name": group.name,
            "interval": f"{group.interval_seconds}s",
            "rules": [
                _alert(rule, grafana_url, keep_firing_for=keep_firing_for) if isinstance(rule, Alert) else _record(rule)
                for rule in group.rules
            ],
        }
        for group in groups
    ]
    return yaml_text({"groups": written}, heading=heading)


def _alert(alert: Alert, grafana_url: str, *, keep_firing_for: bool) -> dict[str, object]:
    rule: dict[str, object] = {"alert": alert.name, "expr": alert.expr, "for": alert.hold}
    if keep_firing_for and alert.keep_firing_for is not None:
        rule["keep_firing_for"] = alert.keep_firing_for
    texts = {name: for_prometheus(text, alert.reference) for name, text in alert.texts.items()}
    links = {"runbook_url": alert.runbook_url, "dashboard_url": dashboard_link(alert, grafana_url)}
    rule["labels"] = alert.all_labels
    annotations = texts | {name: link for name, link in links.items() if link}
    return rule | ({"annotations": annotations} if annotations else {})


def _record(record: Record) -> dict[str, object]:
    rule: dict[str, object] = {"record": record.name, "expr": record.expr}
    return rule | ({"labels": dict(record.labels)} if record.labels else {})
