"""The files from which a Grafana provisions itself: data sources, dashboards, alert rules.

The format is that of Grafana 12; see https://grafana.com/docs/grafana/latest/administration/provisioning/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.grafana.found import Folder, RuleGroup

ORGANISATION = 1
_RENAMED = {"keep_firing_for": "keepFiringFor", "notification_settings": "notificationSettings"}
_OF_THE_API = frozenset({"id", "orgID", "folderUID", "ruleGroup", "updated", "provenance"})
_NOT_NEGATIVE_SECONDS = ("for", "keepFiringFor")


def datasource_file(uid: str, *, prometheus_url: str, alertmanager_url: str) -> dict[str, object]:
    """Return the file of the data sources.

    Args:
        uid: of the Prometheus that the dashboards and the rules read.
        prometheus_url: where Grafana reaches it.
        alertmanager_url: where it reaches Alertmanager.
    """
    prometheus = {
        "name": "Prometheus",
        "uid": uid,
        "type": "prometheus",
        "access": "proxy",
        "url": prometheus_url,
        "isDefault": True,
        "jsonData": {"httpMethod": "POST", "timeInterval": "15s", "manageAlerts": True},
    }
    alertmanager = {
        "name": "Alertmanager",
        "uid": "alertmanager",
        "type": "alertmanager",
        "access": "proxy",
        "url": alertmanager_url,
        # Grafana's own alerts are not sent there: the same definitions come from Prometheus.
        "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
    }
    return {"apiVersion": 1, "datasources": [prometheus, alertmanager]}


def dashboard_provider(folder: Folder, path: str) -> dict[str, object]:
    """Return the file that names the folder of dashboards.

    Args:
        folder: in which they are shown.
        path: where Grafana finds them.
    """
    provider = {
        "name": "otel-monitoring",
        "orgId": ORGANISATION,
        "folder": _raw(folder.title),
        "folderUid": folder.uid,
        "type": "file",
        "allowUiUpdates": False,
        "disableDeletion": False,
        "options": {"path": path},
    }
    return {"apiVersion": 1, "providers": [provider]}


def alerting_file(groups: Iterable[RuleGroup], folder: Folder, *, removed: Iterable[str] = ()) -> dict[str, object]:
    """Return the file of the alert rules.

    Args:
        groups: the rules, as the provisioning API takes them.
        folder: a title: Grafana makes it with a uid of its own where there is none.
        removed: uids of rules that were in the file before; Grafana keeps them until they are named here.
    """
    made = [
        {
            "orgId": ORGANISATION,
            "name": _raw(group.name),
            "folder": _raw(folder.title),
            "interval": f"{group.interval_seconds}s",
            "rules": [_rule(rule) for rule in group.rules],
        }
        for group in groups
    ]
    gone = [{"orgId": ORGANISATION, "uid": uid} for uid in removed]
    return {"apiVersion": 1, "groups": made, **({"deleteRules": gone} if gone else {})}


def rule_uids(groups: Iterable[RuleGroup]) -> list[str]:
    """Return the uids of all rules."""
    return sorted(str(rule["uid"]) for group in groups for rule in group.rules)


def _rule(rule: Mapping[str, object]) -> dict[str, object]:
    kept = {_RENAMED.get(key, key): value for key, value in rule.items() if key not in _OF_THE_API}
    for key in _NOT_NEGATIVE_SECONDS:
        if isinstance(kept.get(key), int | float):
            kept[key] = f"{kept[key]:g}s"
    kept["title"] = _raw(str(kept["title"]))
    labels = cast("Mapping[str, object]", kept.get("labels") or {})
    kept["labels"] = {name: _raw(str(value)) for name, value in labels.items()}
    return kept


def _raw(text: str) -> str:
    """Write a dollar twice: Grafana puts variables of its environment into names and labels."""
    return text.replace("$", "$$")
