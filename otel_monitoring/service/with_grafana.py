"""What a service does with Grafana: dashboards and alert rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from otel_monitoring.exceptions import AlertError, DashboardError
from otel_monitoring.service.collected import check_asked
from otel_monitoring.service.from_settings import grafana_client_of
from otel_monitoring.service.synchronous import run

if TYPE_CHECKING:
    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.client import GrafanaClient
    from otel_monitoring.grafana.dashboard import Dashboard
    from otel_monitoring.grafana.found import Folder
    from otel_monitoring.metrics import Registry
    from otel_monitoring.service.collected import Collected
    from otel_monitoring.settings import Settings

    DashboardData = Mapping[str, object] | Dashboard
    AlertData = Mapping[str, object] | Alert

MESSAGE = "Saved by otel-monitoring"


class WithGrafana:
    """The part of a service that manages Grafana; needs the extra ``otel-monitoring[grafana]``.

    Attributes:
        settings: as they are in force.
        registry: the metrics that queries are checked against.
        dashboards: those of the application; ``dashboards.add(Dashboard(…))``.
        alerts: those of the application; ``alerts.add(Alert(…))``.
    """

    settings: Settings
    registry: Registry
    dashboards: Collected[Dashboard]
    alerts: Collected[Alert]

    async def create_grafana_dashboard(self, dashboard_data: DashboardData) -> str:
        """Create a dashboard and return its uid.

        It goes into the folder of the setting ``grafana_folder``, which is made where it is missing.

        Args:
            dashboard_data: a ``Dashboard``, or Grafana's JSON model as a dictionary. In that, panels
                may leave out their place, number, kind and datasource; without ``uid`` it gets one.

        Raises:
            DashboardError: it is no dashboard.
            QueryError: a query of a ``Dashboard`` names what is not there.
            VersionConflictError: there is one of this uid.
            GrafanaError: Grafana did not do it; the message says what to do.
            ConfigurationError: there is no ``grafana_url``.
            ExtraMissingError: otel-monitoring[grafana] is not installed.
        """
        async with grafana_client_of(self.settings) as client:
            spec = await self._spec(client, dashboard_data)
            folder = await self._folder(client)
            saved = await client.save_dashboard(spec, folder_uid=folder.uid, message=MESSAGE)
        return saved.uid

    async def update_grafana_dashboard(self, dashboard_uid: str, dashboard_data: DashboardData) -> None:
        """Save a dashboard over the one of this uid, which stays in its folder.

        Nobody's change is lost: one that somebody makes meanwhile is a conflict, and so is one
        made since ``dashboard_data`` was read with ``get_grafana_dashboard``, where its
        ``version`` is still in it.

        Args:
            dashboard_uid: of the dashboard.
            dashboard_data: all of it as it shall be; see ``create_grafana_dashboard``.

        Raises:
            NotFoundError: there is none of this uid.
            VersionConflictError: it has changed.
            ProvisionedError: it comes from a file.
            NewerSchemaError: it is stored in schema v2.
            GrafanaError: and the others that ``create_grafana_dashboard`` raises.
        """
        async with grafana_client_of(self.settings) as client:
            found = await client.read_dashboard(dashboard_uid)
            spec = await self._spec(client, dashboard_data)
            found.refuse_since(spec.get("version"))
            await client.save_dashboard(spec, folder_uid=found.folder_uid, message=MESSAGE, expected=found)

    async def get_grafana_dashboard(self, dashboard_uid: str) -> dict[str, object]:
        """Return a dashboard as Grafana's JSON model, with its ``uid`` and ``version``.

        Raises:
            NotFoundError: there is none of this uid.
            GrafanaError: and the others that ``create_grafana_dashboard`` raises.
        """
        async with grafana_client_of(self.settings) as client:
            found = await client.read_dashboard(dashboard_uid)
        return {**found.spec, "uid": found.uid, "version": found.version}

    async def create_grafana_alert(self, alert_data: AlertData) -> str:
        """Create an alert rule and return its uid.

        Its queries are run before it is written, since Grafana accepts rules that can never work.
        What the rule does not say comes from the settings ``grafana_folder``,
        ``grafana_alert_group``, ``grafana_alert_interval_seconds`` and ``grafana_datasource``.

        Args:
            alert_data: an ``Alert``, the short form ``{"name": …, "conditions": […]}``, or a rule
                as Grafana's provisioning API has it.

        Raises:
            AlertError: it is no alert.
            QueryError: a query is no PromQL, or one of an ``Alert`` names what is not there.
            QueryFailedError: a query does not run.
            VersionConflictError: there is one of this uid.
            GrafanaError: and the others that ``create_grafana_dashboard`` raises.
        """
        async with grafana_client_of(self.settings) as client:
            rule = await self._rule(client, alert_data)
            await client.try_rule(rule)
            editable = self.settings.grafana_editable
            uid = await client.create_rule(rule, editable=editable)
            if rule["ruleGroup"] == self.settings.grafana_alert_group:
                await self._pace(client, str(rule["folderUID"]))
        return uid

    async def get_grafana_alerts(self) -> list[dict[str, object]]:
        """Return all alert rules that can be seen, as Grafana's provisioning API has them.

        Raises:
            GrafanaError: those that ``create_grafana_dashboard`` raises.
        """
        async with grafana_client_of(self.settings) as client:
            return await client.rules()

    @property
    def grafana(self) -> GrafanaWithoutAsync:
        """The same without async: ``monitoring.grafana.create_dashboard(data)``."""
        return GrafanaWithoutAsync(self)

    async def _spec(self, client: GrafanaClient, data: DashboardData) -> dict[str, object]:
        from otel_monitoring.grafana.dashboard import Dashboard
        from otel_monitoring.grafana.plain_dashboard import completed
        from otel_monitoring.grafana.shipped_rules import shipped_series

        if isinstance(data, Dashboard):
            return data.build(self.registry.catalogue, recorded=shipped_series())
        if not isinstance(data, Mapping):
            raise DashboardError(f"a {type(data).__name__} is no dashboard: give a Dashboard, or a dictionary")
        datasource = await client.datasource(self.settings.grafana_datasource)
        return completed(data, datasource_uid=datasource.uid)

    async def _rule(self, client: GrafanaClient, data: AlertData) -> dict[str, object]:
        from otel_monitoring.grafana.alert import Alert
        from otel_monitoring.grafana.short_form import is_full_rule, rule_from_short_form

        if isinstance(data, Alert):
            return await self._managed(client, data)
        if not isinstance(data, Mapping):
            raise AlertError(f"a {type(data).__name__} is no alert: give an Alert, or a dictionary")
        if is_full_rule(data):
            rule = dict(data)
        else:
            datasource = await client.datasource(self.settings.grafana_datasource)
            rule = rule_from_short_form(data, self.registry.catalogue, datasource_uid=datasource.uid)
        rule.setdefault("ruleGroup", self.settings.grafana_alert_group)
        if not rule.get("folderUID"):
            rule["folderUID"] = (await self._folder(client)).uid
        return rule

    async def _managed(self, client: GrafanaClient, alert: Alert) -> dict[str, object]:
        from otel_monitoring.grafana.alert import RuleGroup
        from otel_monitoring.grafana.managed_rules import managed_group
        from otel_monitoring.grafana.shipped_rules import shipped_groups

        settings = self.settings
        check_asked(alert.expr, self.registry.catalogue, where=f"alert {alert.name!r}")
        group = RuleGroup(settings.grafana_alert_group, settings.grafana_alert_interval_seconds, (alert,))
        body = managed_group(
            group,
            folder_uid=(await self._folder(client)).uid,
            datasource_uid=(await client.datasource(settings.grafana_datasource)).uid,
            known=shipped_groups(),
            grafana_url=client.address,
        )
        return cast("list[dict[str, object]]", body["rules"])[0]

    async def _folder(self, client: GrafanaClient) -> Folder:
        from otel_monitoring.grafana.dashboard import uid_of

        title = self.settings.grafana_folder
        return await client.find_folder(title) or await client.ensure_folder(title, uid=uid_of(title))

    async def _pace(self, client: GrafanaClient, folder_uid: str) -> None:
        """Have our group of rules evaluated as often as the settings want it."""
        name, seconds = self.settings.grafana_alert_group, self.settings.grafana_alert_interval_seconds
        group = await client.read_rule_group(folder_uid, name)
        if group.interval_seconds != seconds:
            await client.set_interval(folder_uid, name, seconds, editable=self.settings.grafana_editable)


class GrafanaWithoutAsync:
    """The methods of a service for Grafana, for code that is not asynchronous.

    Each waits for its asynchronous twin, which runs in a thread of its own: they may be called
    where an event loop runs too, which then stands still meanwhile.  They raise the same.
    """

    def __init__(self, service: WithGrafana) -> None:
        self._service = service

    def create_dashboard(self, dashboard_data: DashboardData) -> str:
        """Do what ``create_grafana_dashboard`` does."""
        return run(self._service.create_grafana_dashboard(dashboard_data))

    def update_dashboard(self, dashboard_uid: str, dashboard_data: DashboardData) -> None:
        """Do what ``update_grafana_dashboard`` does."""
        run(self._service.update_grafana_dashboard(dashboard_uid, dashboard_data))

    def get_dashboard(self, dashboard_uid: str) -> dict[str, object]:
        """Do what ``get_grafana_dashboard`` does."""
        return run(self._service.get_grafana_dashboard(dashboard_uid))

    def create_alert(self, alert_data: AlertData) -> str:
        """Do what ``create_grafana_alert`` does."""
        return run(self._service.create_grafana_alert(alert_data))

    def get_alerts(self) -> list[dict[str, object]]:
        """Do what ``get_grafana_alerts`` does."""
        return run(self._service.get_grafana_alerts())
