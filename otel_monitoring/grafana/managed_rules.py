"""Rules as Grafana manages them: the bodies of its provisioning API.

Query A is the alert's own, asked for now; it gives a series for each thing that is wrong, and
none where all is well, so that no data means well.  B takes the value as it is, and C tells
that there is one.  T, where there is one, is the series that the texts name as their reference.

https://grafana.com/docs/grafana/latest/developers/http_api/alerting_provisioning/
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.alert import LONGEST_TITLE, identity
from otel_monitoring.grafana.alert_text import for_grafana
from otel_monitoring.grafana.dashboard import UID_LENGTH
from otel_monitoring.grafana.dashboard_link import dashboard_link
from otel_monitoring.grafana.expansion import Definitions
from otel_monitoring.grafana.queries import expression, instant_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_monitoring.grafana.alert import Alert, RuleGroup
    from otel_monitoring.grafana.alert_text import Reference

LOWEST = -1e300
"""Below every value: query A filters by itself, and zero is a value too."""


def managed_groups(
    groups: Sequence[RuleGroup], *, folder_uid: str, datasource_uid: str, grafana_url: str = ""
) -> tuple[dict[str, object], ...]:
    """Return the bodies of all groups that have alerts; the records of all of them are known.

    Args:
        groups: the groups; those that only record give no rules.
        folder_uid: the folder that the rules are in.
        datasource_uid: the Prometheus that they ask.
        grafana_url: where the dashboards are that alerts link to; empty gives paths.

    Raises:
        QueryError: a rule cannot be one of Grafana's; the message says why.
    """
    return tuple(
        managed_group(
            group, folder_uid=folder_uid, datasource_uid=datasource_uid, known=groups, grafana_url=grafana_url
        )
        for group in groups
        if group.alerts
    )


def managed_group(
    group: RuleGroup,
    *,
    folder_uid: str,
    datasource_uid: str,
    known: Iterable[RuleGroup] = (),
    grafana_url: str = "",
) -> dict[str, object]:
    """Return the body of PUT ``/api/v1/provisioning/folder/{uid}/rule-groups/{group}``.

    Args:
        group: the group; what it records is put into the queries of the alerts that read it.
        folder_uid: the folder that the rules are in.
        datasource_uid: the Prometheus that they ask.
        known: further groups whose records the alerts read.
        grafana_url: where the dashboards are that alerts link to; empty gives paths.

    Raises:
        QueryError: a rule cannot be one of Grafana's, or none is an alert; the message says why.
    """
    if not group.alerts:
        raise QueryError(f"group {group.name!r} has no alerts: for Grafana, records are put into what reads them")
    definitions = Definitions({one.name: one for one in (*known, group)}.values())
    names = [alert.name for alert in group.alerts]
    rules = [
        {
            "uid": rule_uid(alert, folder_uid),
            "title": _title(alert, alone=names.count(alert.name) == 1),
            "folderUID": folder_uid,
            "ruleGroup": group.name,
            "condition": "C",
            "data": _queries(alert, definitions, datasource_uid),
            "for": alert.hold,
            "keep_firing_for": alert.keep_firing_for or "0s",
            "noDataState": "OK",
            "execErrState": _error_state(alert),
            "labels": alert.all_labels,
            "annotations": _annotations(alert, grafana_url),
            "isPaused": False,
        }
        for alert in group.alerts
    ]
    return {"title": group.name, "folderUid": folder_uid, "interval": group.interval_seconds, "rules": rules}


def rule_uid(alert: Alert, folder_uid: str) -> str:
    """Return the uid of a rule: the same as long as its name, its labels and its folder stay, whatever its limits."""
    told = hashlib.sha256(f"{folder_uid}\n{identity(alert)}".encode()).hexdigest()[:12]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", alert.name).lower()
    return f"{words[: UID_LENGTH - 13].rstrip('-')}-{told}"


def _title(alert: Alert, *, alone: bool) -> str:
    """Return a title that no other rule of the group has: older servers refuse two that are equal."""
    if alone:
        return alert.name
    told = ", ".join(value for _, value in sorted(alert.labels.items()))
    return f"{alert.name} ({alert.severity}{', ' if told else ''}{told})"[:LONGEST_TITLE]


def _queries(alert: Alert, definitions: Definitions, datasource_uid: str) -> list[dict[str, object]]:
    where = f"alert {alert.name!r}"
    asked = [instant_query("A", definitions.expanded(alert.expr, where=where), datasource_uid)]
    if alert.reference is not None:
        asked.append(instant_query("T", definitions.expanded(_reference(alert.reference), where=where), datasource_uid))
    value: dict[str, object] = {"type": "reduce", "expression": "A", "reducer": "last"}
    told: dict[str, object] = {
        "type": "threshold",
        "expression": "B",
        "conditions": [{"evaluator": {"type": "gt", "params": [LOWEST]}}],
    }
    return [*asked, expression("B", value), expression("C", told)]


def _reference(reference: Reference) -> str:
    """Return the query of a reference: one value for each set of its labels, so that Grafana finds the alert's."""
    return f"max by ({', '.join(reference.labels)}) ({reference.series})"


def _error_state(alert: Alert) -> str:
    """Return what an alert does where its query fails.

    An alert that always fires shows that alerts arrive, so that it must stop; that a
    target is down is to be told when nobody can see it; the others stay what they were.
    """
    states = {"Watchdog": "OK", "MonitoringTargetDown": "Error"}
    return states.get(alert.name, "KeepLast")


def _annotations(alert: Alert, grafana_url: str) -> dict[str, str]:
    try:
        texts = {name: for_grafana(text) for name, text in alert.texts.items()}
    except ValueError as error:
        raise QueryError(f"alert {alert.name!r}: {error}") from None
    # Grafana makes a link of what is called so: a path would lead to a page that it does not have.
    runbook = "runbook_url" if "://" in alert.runbook_url else "runbook"
    links = {runbook: alert.runbook_url, "dashboard_url": dashboard_link(alert, grafana_url)}
    return texts | {name: link for name, link in links.items() if link}
