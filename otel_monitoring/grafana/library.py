"""The door to grafana-client, which is imported when Grafana is first talked to, and typed by what is used of it."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from otel_monitoring.exceptions import ExtraMissingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from otel_monitoring.grafana.connection import Connection

MISSING = "Grafana is managed with grafana-client, and {} is not installed: pip install 'otel-monitoring[grafana]'"


class Response(Protocol):
    """A reply as niquests gives it."""

    status_code: int | None
    headers: Mapping[str, str]
    text: str | None

    def json(self) -> object:
        """Return the body, decoded."""
        ...


class Session(Protocol):
    """The HTTP session of grafana-client's asynchronous API."""

    headers: MutableMapping[str, str]
    hooks: dict[str, list[Any]]
    max_redirects: int

    def request(self, method: str, url: str, **options: object) -> Awaitable[Response]:
        """Send a request."""
        ...

    def close(self) -> Awaitable[None]:
        """Close its connections."""
        ...


class Verbs(Protocol):
    """Raw requests below ``/api``."""

    s: Session
    auth: object
    url: str

    def GET(self, url: str, **options: object) -> Awaitable[object]:  # noqa: N802 (grafana-client's name)
        """Send a GET."""
        ...

    def POST(self, url: str, **options: object) -> Awaitable[object]:  # noqa: N802 (grafana-client's name)
        """Send a POST."""
        ...

    def DELETE(self, url: str, **options: object) -> Awaitable[object]:  # noqa: N802 (grafana-client's name)
        """Send a DELETE."""
        ...


class Dashboards(Protocol):
    """Of grafana-client's ``dashboard``."""

    def get_dashboard(self, dashboard_uid: str) -> Awaitable[object]:
        """Read one."""
        ...

    def update_dashboard(self, dashboard: Mapping[str, object]) -> Awaitable[object]:
        """Save one."""
        ...

    def delete_dashboard(self, dashboard_uid: str) -> Awaitable[object]:
        """Delete one."""
        ...


class Folders(Protocol):
    """Of grafana-client's ``folder``."""

    def get_folder(self, uid: str) -> Awaitable[object]:
        """Read one."""
        ...

    def create_folder(self, title: str, uid: str | None = None, parent_uid: str | None = None) -> Awaitable[object]:
        """Make one."""
        ...

    def delete_folder(self, uid: str, force_delete_rules: object = "false") -> Awaitable[object]:
        """Delete one."""
        ...


class Datasources(Protocol):
    """Of grafana-client's ``datasource``."""

    def get_datasource_by_uid(self, datasource_uid: str) -> Awaitable[object]:
        """Read one."""
        ...

    def list_datasources(self) -> Awaitable[object]:
        """List all."""
        ...

    def health(self, datasource_uid: str) -> Awaitable[object]:
        """Have Grafana try it."""
        ...


class Provisioning(Protocol):
    """Of grafana-client's ``alertingprovisioning``."""

    def get_alertrules_all(self) -> Awaitable[object]:
        """List all rules."""
        ...

    def get_alertrule(self, alertrule_uid: str) -> Awaitable[object]:
        """Read a rule."""
        ...

    def create_alertrule(self, alertrule: object, disable_provenance: bool = False) -> Awaitable[object]:  # noqa: FBT001, FBT002 (as there)
        """Make a rule."""
        ...

    def delete_alertrule(self, alertrule_uid: str) -> Awaitable[object]:
        """Delete a rule."""
        ...

    def get_rule_group(self, folder_uid: str, group_uid: str) -> Awaitable[object]:
        """Read a group."""
        ...

    def update_rule_group(
        self,
        folder_uid: str,
        group_uid: str,
        alertrule_group: object,
        disable_provenance: bool = False,  # noqa: FBT001, FBT002 (as there)
    ) -> Awaitable[object]:
        """Write a group."""
        ...


class Annotations(Protocol):
    """Of grafana-client's ``annotations``."""

    def add_annotation(
        self, *, dashboard_uid: str | None, time_from: int | None, time_to: int | None, tags: list[str], text: str
    ) -> Awaitable[object]:
        """Make one."""
        ...


class Search(Protocol):
    """Of grafana-client's ``search``."""

    def search_dashboards(
        self,
        *,
        query: str | None = None,
        tag: str | None = None,
        type_: str,
        folder_uids: str | None = None,
        limit: int,
        page: int,
    ) -> Awaitable[object]:
        """Find dashboards or folders."""
        ...


class Api(Protocol):
    """Of grafana-client's ``AsyncGrafanaApi``."""

    client: Verbs
    dashboard: Dashboards
    folder: Folders
    datasource: Datasources
    alertingprovisioning: Provisioning
    annotations: Annotations
    search: Search


def require_library() -> None:
    """Import grafana-client, which takes about a second the first time.

    Raises:
        ExtraMissingError: it is not installed.
    """
    with warnings.catch_warnings():
        # Older versions hold an index that Python warns of when it compiles it, and what else
        # they do that gets old is no affair of our users.
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import_module("grafana_client.api")
        except ModuleNotFoundError as missing:
            absent = missing.name
        else:
            return
    raise ExtraMissingError(MISSING.format(absent))


def open_api(connection: Connection) -> Api:
    """Return grafana-client's asynchronous API, for the event loop that runs.

    Raises:
        ExtraMissingError: grafana-client is not installed.
    """
    require_library()
    from grafana_client.api import AsyncGrafanaApi

    if connection.verify is False:
        # The setting says that this is wanted, of this host.
        host = connection.host.strip("[]")
        warnings.filterwarnings("ignore", re.escape(f"Unverified HTTPS request is being made to host '{host}'"))
    return cast("Callable[..., Api]", AsyncGrafanaApi)(
        connection.auth,
        host=connection.host,
        port=connection.port,
        url_path_prefix=connection.prefix,
        protocol=connection.protocol,
        verify=connection.verify,
        timeout=connection.timeout_seconds,
        user_agent="otel-monitoring",
    )
