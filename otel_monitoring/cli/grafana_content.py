"""What the commands are about: which Grafana, and what the code says that shall be in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from otel_monitoring.grafana.connection import Connection
    from otel_monitoring.grafana.content import Content
    from otel_monitoring.grafana.pulled import Pulled


UNNAMED = "unknown_service"
"""What a service is called where nobody has said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the options of a command say.

    Attributes:
        service: the application's service, as ``module:name``; None is what comes with the package.
        url: of Grafana; None leaves it to the settings, and so do the next two.
        folder: the folder's title.
        datasource: the uid or the name of the Prometheus.
        job: the Prometheus job that is watched; None takes the service's name.
        files: a folder with JSON that takes the place of what the code says.
    """

    service: str | None = None
    url: str | None = None
    folder: str | None = None
    datasource: str | None = None
    job: str | None = None
    files: Path | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a command works with.

    Attributes:
        settings: of the service, where one is named, with the options over them.
        content: what the code says.
        job: the Prometheus job that is watched.
        pulled: what files say instead.
    """

    settings: Settings
    content: Content
    job: str
    pulled: Pulled | None

    @property
    def connection(self) -> Connection:
        """Which Grafana, and how to sign in there."""
        from otel_monitoring.service.from_settings import grafana_connection_of

        return grafana_connection_of(self.settings)


def subject_of(choice: Choice) -> Subject:
    """Return what a command works with.

    Raises:
        MonitoringError: something that the options name is not there, or settings are wrong.
    """
    from otel_monitoring.cli.named_service import named_service
    from otel_monitoring.grafana import RuleGroup
    from otel_monitoring.grafana.content import shipped_content
    from otel_monitoring.grafana.pulled import read_pulled
    from otel_monitoring.grafana.shipped_rules import JOB
    from otel_monitoring.metrics import Registry

    service = None if choice.service is None else named_service(choice.service)
    settings = settings_of(choice, None if service is None else service.settings)
    job = choice.job or settings.prometheus_job or (settings.service_name if settings.service_name != UNNAMED else JOB)
    pulled = None if choice.files is None else read_pulled(choice.files)
    if service is None:
        shipped = shipped_content(
            Registry().catalogue, job=job, thresholds=settings.thresholds, runbooks=settings.runbooks_url
        )
        return Subject(settings, shipped, job, pulled)
    alerts = tuple(service.alerts)
    own = RuleGroup(settings.grafana_alert_group, settings.grafana_alert_interval_seconds, alerts)
    content = shipped_content(
        service.registry.catalogue,
        job=job,
        thresholds=settings.thresholds,
        objectives=service.objectives,
        runbooks=settings.runbooks_url,
        dashboards=service.dashboards,
        groups=[own] if alerts else [],
    )
    return Subject(settings, content, job, pulled)


def settings_of(choice: Choice, settings: Settings | None = None) -> Settings:
    """Return the settings, with what the options say over them.

    Args:
        choice: the options.
        settings: those of the application's service; None takes the environment's.
    """
    options = {
        "grafana_url": choice.url,
        "grafana_folder": choice.folder,
        "grafana_datasource": choice.datasource,
    }
    given = {name: value for name, value in options.items() if value is not None}
    loaded = Settings.load(given)
    if settings is None:
        return loaded
    # The service was made so that it sends nothing by itself; a command is asked to.
    return replace(settings, offline=loaded.offline, **{name: getattr(loaded, name) for name in given})
