"""What a service is made of, as its settings want it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from otel_monitoring.errors import Origin, Recorder
from otel_monitoring.errors.secrecy.scrub import Scrubber
from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.metrics import Registry
from otel_monitoring.settings import Settings, is_pattern

if TYPE_CHECKING:
    from otel_monitoring.errors.opening import Keeping, Opened
    from otel_monitoring.errors.store import ErrorStore
    from otel_monitoring.grafana.client import GrafanaClient
    from otel_monitoring.grafana.connection import Connection


def open_error_store(settings: Settings) -> ErrorStore:
    """Return the errors that a service of these settings keeps, without being that service.

    Raises:
        ConfigurationError: this system cannot keep errors, or the address is of no known database.
        ExtraMissingError: the database needs a driver that is not installed.
    """
    return opened_store(settings, Registry(max_series=settings.max_series, strict=False), _scrubber(settings)).store


def keeping_of(settings: Settings) -> Keeping:
    """Return how errors are kept by these settings."""
    from otel_monitoring.errors.opening import Keeping

    return Keeping(
        where=settings.store_errors if isinstance(settings.store_errors, str) else None,
        state_folder=settings.state_dir,
        spool_folder=settings.errors_spool_dir,
        spool_bytes=settings.errors_spool_bytes,
        per_second=settings.errors_per_second,
        keep_days=settings.errors_keep_days,
        keep_bytes=settings.errors_keep_bytes,
    )


def opened_store(settings: Settings, registry: Registry, scrubber: Scrubber) -> Opened:
    """Return the store of errors and the way into it, opened by these settings."""
    from otel_monitoring.errors.opening import open_store

    return open_store(keeping_of(settings), registry, scrubber)


def grafana_connection_of(settings: Settings) -> Connection:
    """Return where Grafana is and how to sign in there, by these settings.

    Raises:
        ConfigurationError: there is no ``grafana_url``.
    """
    from otel_monitoring.grafana.connection import Connection

    if settings.grafana_url is None:
        raise ConfigurationError(("grafana_url is not set: give the address of Grafana, as 'http://grafana:3000'",))
    return Connection(
        url=settings.grafana_url,
        token=settings.grafana_api_key,
        username=settings.grafana_username,
        password=settings.grafana_password,
        verify=settings.grafana_verify_tls and (settings.grafana_ca_file or True),
        timeout_seconds=settings.grafana_timeout_seconds,
        organization_id=settings.grafana_organization_id,
        offline=settings.offline,
    )


def grafana_client_of(settings: Settings) -> GrafanaClient:
    """Return the client for the Grafana of these settings; it is used with ``async with``.

    Raises:
        ConfigurationError: there is no ``grafana_url``.
        ExtraMissingError: otel-monitoring[grafana] is not installed.
    """
    from otel_monitoring.grafana.client import GrafanaClient
    from otel_monitoring.grafana.library import require_library

    require_library()
    return GrafanaClient(grafana_connection_of(settings))


def recorder_of(settings: Settings) -> Recorder:
    """Return what makes records of errors by these settings."""
    origin = Origin(service=settings.service_name, host=platform.node(), release=settings.release)
    return Recorder(origin, _scrubber(settings), with_locals=settings.errors_locals)


def _scrubber(settings: Settings) -> Scrubber:
    return Scrubber(
        keys=[item for item in settings.scrub if not is_pattern(item)],
        patterns=[item[1:-1] for item in settings.scrub if is_pattern(item)],
        emails=settings.scrub_emails,
    )
