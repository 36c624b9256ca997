"""All that an application shows and tells: dashboards and rules, and the catalogue that they speak of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from otel_monitoring.exceptions import AlertError, DashboardError, MonitoringError
from otel_monitoring.grafana.desired import Desired, DesiredDashboard
from otel_monitoring.grafana.found import RuleGroup as ManagedGroup
from otel_monitoring.grafana.managed_rules import managed_groups
from otel_monitoring.grafana.own_metrics import own_metrics_dashboard
from otel_monitoring.grafana.rule_file import rule_file
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.grafana.shipped_rules import JOB, RUNBOOKS, recorded_series, shipped_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.catalogue.objective import Objectives
    from otel_monitoring.catalogue.thresholds import Thresholds
    from otel_monitoring.grafana.alert import RuleGroup
    from otel_monitoring.grafana.dashboard import Dashboard
    from otel_monitoring.grafana.found import Folder
    from otel_monitoring.grafana.pulled import Pulled

NOTE = "Made by `otel-monitoring grafana render`; what is changed here is lost when it is made again."

ITS_OWN_URL = "{{ externalURL }}"
"""What Grafana puts its own address for in an alert's texts, with a slash at its end: the rule is the same wherever
it was applied from."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the code says.

    Attributes:
        catalogue: the metrics that queries may name.
        dashboards: by uid each once.
        groups: the rules, what is recorded before what reads it.
        job: the Prometheus job that the rules watch.
    """

    catalogue: Catalogue
    dashboards: tuple[Dashboard, ...]
    groups: tuple[RuleGroup, ...]
    job: str = JOB

    def desired(self, folder: Folder, *, datasource_uid: str, pulled: Pulled | None = None) -> Desired:
        """Return what shall be in a Grafana.

        Args:
            folder: where it shall be.
            datasource_uid: the Prometheus that the rules ask.
            pulled: dashboards and groups that take the place of those of the same name, or come to them.

        Raises:
            QueryError: a query names what is not there.
            DashboardError: two dashboards have one uid.
            AlertError: two groups have one name, or two alerts the same name and labels.
        """
        recorded = recorded_series(self.groups)
        _refuse_twice("dashboard has the uid", (one.uid for one in self.dashboards), DashboardError)
        dashboards = {one.uid: one.build(self.catalogue, recorded=recorded) for one in self.dashboards}
        bodies = managed_groups(
            self.groups, folder_uid=folder.uid, datasource_uid=datasource_uid, grafana_url=ITS_OWN_URL
        )
        _refuse_twice("group of rules has the name", (group.name for group in self.groups), AlertError)
        groups = {str(body["title"]): _managed(body) for body in bodies}
        if pulled is not None:
            dashboards |= pulled.dashboards
            groups |= {name: replace(group, folder_uid=folder.uid) for name, group in pulled.groups.items()}
        _refuse_one_identity(groups.values())
        return Desired(
            folder,
            tuple(DesiredDashboard(uid, spec) for uid, spec in dashboards.items()),
            tuple(groups.values()),
            self.job,
        )

    def rule_file(self, *, grafana_url: str) -> str:
        """Return the rules for Prometheus, as YAML.

        Args:
            grafana_url: where the dashboards are that alerts link to.
        """
        return rule_file(self.groups, grafana_url=grafana_url, heading=NOTE)


def shipped_content(
    catalogue: Catalogue,
    *,
    job: str,
    thresholds: Thresholds | None = None,
    objectives: Objectives | None = None,
    runbooks: str | None = None,
    dashboards: Iterable[Dashboard] = (),
    groups: Iterable[RuleGroup] = (),
) -> Content:
    """Return what comes with the package and what an application adds to it.

    Args:
        catalogue: what the application has declared.
        job: the Prometheus job that is watched.
        thresholds: the limits of alerts; None takes the defaults.
        objectives: what operations promise; None is nothing.
        runbooks: where they are published; None leaves the path in the repository.
        dashboards: the application's own.
        groups: the application's own rules.
    """
    own = own_metrics_dashboard(catalogue, None if job == JOB else job)
    return Content(
        catalogue,
        (*shipped_dashboards(thresholds, objectives), *(() if own is None else (own,)), *dashboards),
        (*shipped_groups(thresholds, objectives, job=job, runbooks=runbooks or RUNBOOKS), *groups),
        job,
    )


def _managed(body: Mapping[str, object]) -> ManagedGroup:
    return ManagedGroup(
        folder_uid=str(body["folderUid"]),
        name=str(body["title"]),
        interval_seconds=cast("int", body["interval"]),
        rules=tuple(map(_linked, cast("list[Mapping[str, object]]", body["rules"]))),
    )


def _linked(rule: Mapping[str, object]) -> Mapping[str, object]:
    """Return a rule whose links have one slash behind Grafana's address."""
    annotations = cast("Mapping[str, str]", rule["annotations"])
    linked = {name: text.replace(f"{ITS_OWN_URL}/", ITS_OWN_URL) for name, text in annotations.items()}
    return {**rule, "annotations": linked}


def _refuse_twice(what: str, names: Iterable[str], refusal: type[MonitoringError]) -> None:
    """Refuse what Grafana would write one over the other, each time anew."""
    twice = sorted(name for name, number in Counter(names).items() if number > 1)
    if twice:
        raise refusal(f"more than one {what} {', '.join(twice)}: give each its own")


def _refuse_one_identity(groups: Iterable[ManagedGroup]) -> None:
    """Refuse two rules of one uid: Grafana would move the one from group to group."""
    rules = [rule for group in groups for rule in group.rules]
    counted = Counter(str(rule["uid"]) for rule in rules)
    twice = sorted({str(rule["title"]) for rule in rules if counted[str(rule["uid"])] > 1})
    if twice:
        raise AlertError(
            f"more than one alert is called {', '.join(twice)}, with the same labels: give yours another name, "
            "or a label of its own"
        )
