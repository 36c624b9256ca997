"""The Grafana that the client's tests run on: the stand-in, or a real one.

With ``GRAFANA_URL`` and ``GRAFANA_TOKEN`` (or ``GRAFANA_USERNAME`` and ``GRAFANA_PASSWORD``) set,
it is that one.  It needs the role Admin and a datasource of the type Prometheus.  Everything
goes into one folder of a random name, which is deleted with all that is in it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otel_monitoring.grafana.client import GrafanaClient
from otel_monitoring.grafana.connection import Connection
from otel_monitoring.grafana.failures import NotFoundError
from otel_monitoring.grafana.library import require_library
from otel_monitoring.grafana.transport import Patience
from tests.grafana_server import EDITOR_TOKEN, GrafanaServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

QUICK = Patience(first_pause_seconds=0.001)
KINDS = ("real",) if os.environ.get("GRAFANA_URL") else ("resources", "classic")
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Target:
    """A Grafana, and where to put things there.

    Attributes:
        connection: to it.
        kind: ``resources`` or ``classic`` of the stand-in, or ``real``.
        folder_uid: of a folder that is there for this test alone.
        server: the stand-in, where it is it.
    """

    connection: Connection
    kind: str
    folder_uid: str
    server: GrafanaServer | None

    def open(self) -> GrafanaClient:
        """Return a client, to be entered."""
        return GrafanaClient(self.connection, patience=QUICK)

    def forget_annotation(self, number: int) -> None:
        """Delete an annotation, which belongs to no folder, from a real Grafana."""
        if self.server is None:
            require_library()
            from grafana_client.api import GrafanaApi

            connection = self.connection
            api: Any = GrafanaApi(
                connection.auth,
                host=connection.host,
                port=connection.port,
                url_path_prefix=connection.prefix,
                protocol=connection.protocol,
            )
            api.annotations.delete_annotations_by_id(number)

    def uid(self, name: str) -> str:
        """Return a uid that no other test uses."""
        return f"{name}-{self.folder_uid[-12:]}"


def target(kind: str) -> Iterator[Target]:
    """Give a Grafana of a kind, and clear up behind the test."""
    if kind == "real":
        yield from _with_folder(_real(), kind, None)
    else:
        with GrafanaServer(resources=kind == "resources") as server:
            yield from _with_folder(Connection(url=server.url, token=EDITOR_TOKEN, timeout_seconds=60.0), kind, server)


def _real() -> Connection:
    given = os.environ
    return Connection(
        url=given["GRAFANA_URL"],
        token=given.get("GRAFANA_TOKEN"),
        username=given.get("GRAFANA_USERNAME"),
        password=given.get("GRAFANA_PASSWORD"),
        timeout_seconds=60.0,
    )


def _with_folder(connection: Connection, kind: str, server: GrafanaServer | None) -> Iterator[Target]:
    title = f"otel-monitoring-test-{uuid.uuid4().hex[:12]}"
    asyncio.run(_once(connection, lambda client: client.ensure_folder(title, uid=title)))
    try:
        yield Target(connection, kind, title, server)
    finally:
        asyncio.run(_once(connection, lambda client: _delete(client, title)))


async def _once(connection: Connection, act: Callable[[GrafanaClient], Awaitable[object]]) -> None:
    async with GrafanaClient(connection) as client:
        await act(client)


async def _delete(client: GrafanaClient, uid: str) -> None:
    with suppress(NotFoundError):
        await client.delete_folder(uid, with_all_in_it=True)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a look at the server finds what it shall; only a failure takes long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await look():  # noqa: ASYNC110 (another process, which tells nobody)
            await asyncio.sleep(0.05)


def rule(uid: str, expr: str = "vector(1)", **more: object) -> dict[str, object]:
    """Return a rule that fires when a query's value is above zero."""
    evaluator = {"type": "gt", "params": [0]}
    threshold = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [{"evaluator": evaluator}]}
    return {
        "uid": uid,
        "title": uid,
        "condition": "B",
        "for": "0s",
        "noDataState": "OK",
        "execErrState": "Error",
        "data": [
            {
                "refId": "A",
                "datasourceUid": "prometheus",
                "relativeTimeRange": {"from": 600, "to": 0},
                "model": {"refId": "A", "expr": expr, "instant": True, "range": False},
            },
            {
                "refId": "B",
                "datasourceUid": "__expr__",
                "relativeTimeRange": {"from": 0, "to": 0},
                "model": threshold,
            },
        ],
        **more,
    }
