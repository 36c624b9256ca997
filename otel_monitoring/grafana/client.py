"""Our client of Grafana's HTTP API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from otel_monitoring.grafana.classic import Classic
from otel_monitoring.grafana.failures import NotFoundError, RefusedError, VersionConflictError
from otel_monitoring.grafana.places import WithPlaces
from otel_monitoring.grafana.resources import open_resources
from otel_monitoring.grafana.rules import WithRules
from otel_monitoring.grafana.saving import Draft, Shelf
from otel_monitoring.grafana.shapes import as_json, mapping, quoted
from otel_monitoring.grafana.transport import Patience, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from otel_monitoring.grafana.connection import Connection
    from otel_monitoring.grafana.found import FoundDashboard


class GrafanaClient(WithPlaces, WithRules):
    """One Grafana, for one event loop, while it is entered with ``async with``.

    Every method raises one of the failures in ``otel_monitoring.grafana.failures``; their
    messages say what to do and hold no credentials.

    Args:
        connection: which Grafana, and how to sign in.
        patience: with requests that fail for a while.
    """

    def __init__(self, connection: Connection, *, patience: Patience | None = None) -> None:
        self._transport = Transport(connection, patience or Patience())
        self._opened_shelf: Shelf | None = None

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            OfflineError: the settings say that nothing is sent.
            ExtraMissingError: grafana-client is not installed.
        """
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._opened_shelf = None
        await self._transport.__aexit__(kind, error, traceback)

    @property
    def address(self) -> str:
        """Where this Grafana is, without credentials."""
        return self._transport.connection.shown

    async def read_dashboard(self, uid: str) -> FoundDashboard:
        """Return a dashboard.

        Raises:
            NotFoundError: there is none of this uid.
        """
        return await (await self._shelf()).read(uid)

    async def save_dashboard(
        self,
        spec: Mapping[str, object],
        *,
        folder_uid: str,
        message: str = "",
        expected: FoundDashboard | None = None,
        overwrite: bool = False,
    ) -> FoundDashboard:
        """Save a dashboard and return it as it is on the server afterwards.

        Args:
            spec: the dashboard, as Grafana's JSON model of schema v1; ``uid`` may be in it.
            folder_uid: where it goes; empty is the root.
            message: for its history.
            expected: as it was read; None says that there is none yet.
            overwrite: whatever is there now.

        Raises:
            VersionConflictError: it has changed since it was read, or was made meanwhile.
            ProvisionedError: it comes from a file.
            NewerSchemaError: it is stored in schema v2.
            FolderMissingError: there is no such folder.
            RefusedError: Grafana finds something wrong.
        """
        shelf = await self._shelf()
        draft = _draft(spec, folder_uid, message, expected=expected)
        if expected is None and overwrite:
            expected = await self._read_or_none(shelf, draft.uid)
        if expected is not None:
            return await shelf.replace(draft, expected, overwrite=overwrite)
        try:
            return await shelf.create(draft)
        except VersionConflictError:
            pass
        raise VersionConflictError(
            f"{draft.what}: there is a dashboard {draft.uid!r} already. Update that one, or use another uid"
        )

    async def dry_run(
        self,
        spec: Mapping[str, object],
        *,
        folder_uid: str,
        expected: FoundDashboard | None = None,
    ) -> dict[str, object]:
        """Return a dashboard as the server would hold it, without saving it; arguments are those of ``save_dashboard``.

        A server that cannot try gives it back as it is.
        """
        draft = _draft(spec, folder_uid, "", expected=expected)
        return await (await self._shelf()).dry_run(draft, expected)

    async def delete_dashboard(self, uid: str) -> None:
        """Delete a dashboard.

        Raises:
            NotFoundError: there is none.
            ProvisionedError: it comes from a file.
        """
        await self._transport.call(
            lambda api: api.dashboard.delete_dashboard(quoted(uid)), f"deleting dashboard {uid!r}", repeatable=False
        )

    async def _shelf(self) -> Shelf:
        if self._opened_shelf is None:
            self._opened_shelf = await open_resources(self._transport) or Classic(self._transport)
        return self._opened_shelf

    @staticmethod
    async def _read_or_none(shelf: Shelf, uid: str) -> FoundDashboard | None:
        try:
            return await shelf.read(uid)
        except NotFoundError:
            return None


def _draft(
    spec: Mapping[str, object],
    folder_uid: str,
    message: str,
    *,
    expected: FoundDashboard | None,
) -> Draft:
    uid = expected.uid if expected is not None else spec.get("uid") or ""
    if not isinstance(uid, str):
        raise RefusedError(f"saving a dashboard: its uid is a {type(uid).__name__}, where text is right")
    draft = Draft(uid=uid or uuid4().hex, spec=spec, folder_uid=folder_uid, message=message)
    return replace(draft, spec=mapping(as_json(dict(spec), draft.what), draft.what))
