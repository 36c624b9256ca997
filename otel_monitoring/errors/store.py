"""The store of errors: what ``monitoring.errors`` is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otel_monitoring.errors.stored import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_monitoring.errors.database.database import Database
    from otel_monitoring.errors.mover import Mover
    from otel_monitoring.errors.spool import Spool
    from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, Pruned

UNRESOLVED = (Status.NEW, Status.REGRESSED)
FLUSH_SECONDS = 5.0
"""How long a question waits for what was reported just before it."""

DAY_SECONDS = 86_400.0


class ErrorStore:
    """The errors that were kept: groups of the same fault, and single ones.

    Each question takes in what was reported before it, also by processes that are gone; while
    the database is out of reach it raises a ``StoreError``, and errors wait in the spool.

    A group is named by its fingerprint, or by a beginning of it that no other group has.
    """

    def __init__(
        self, database: Database, spool: Spool, mover: Mover, *, keep_days: float | None, keep_bytes: int | None
    ) -> None:
        self._database = database
        self._spool = spool
        self._mover = mover
        self._keep_days = keep_days
        self._keep_bytes = keep_bytes

    def groups(
        self,
        *,
        unresolved: bool = False,
        status: Status | Collection[Status] | None = None,
        component: str | None = None,
        service: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[ErrorGroup]:
        """Return groups, the one seen last first.

        Args:
            unresolved: only those that want attention: new and regressed ones.
            status: only those of this status, or of one of these.
            component: only those of this part of a service.
            service: only those of this service; a store may hold several.
            since: only those seen at this time or later; in UTC where it names no zone.
            limit: so many at the most.

        Raises:
            StoreError: the database cannot be read.
        """
        self._take_in()
        wanted = UNRESOLVED if unresolved and status is None else status
        statuses = [wanted] if isinstance(wanted, Status | str) else wanted
        return self._database.groups(
            status=None if statuses is None else [Status(one) for one in statuses],
            component=component,
            service=service,
            since=_aware(since),
            limit=limit,
        )

    def group(self, id: str) -> ErrorGroup:  # noqa: A002 (what the command line calls it too)
        """Return one group.

        Raises:
            StoreError: there is none or more than one of this name, or the database cannot be read.
        """
        self._take_in()
        return self._database.group(id)

    def events(
        self,
        group: str | None = None,
        *,
        component: str | None = None,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[ErrorEvent]:
        """Return single errors, the newest first.

        Args:
            group: only those of this group.
            component: only those of this part of a service.
            service: only those of this service.
            since: only those at this time or later; in UTC where it names no zone.
            until: only those before this time.
            limit: so many at the most.

        Raises:
            StoreError: the group is unknown, or the database cannot be read.
        """
        self._take_in()
        return self._database.events(
            fingerprint=None if group is None else self._database.group(group).fingerprint,
            component=component,
            service=service,
            since=_aware(since),
            until=_aware(until),
            limit=limit,
        )

    def export(
        self,
        *,
        component: str | None = None,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[ErrorEvent]:
        """Go through all errors, the oldest first, however many they are; arguments are those of ``events``."""
        self._take_in()
        return self._database.stream_events(
            component=component, service=service, since=_aware(since), until=_aware(until)
        )

    def resolve(self, id: str) -> ErrorGroup:  # noqa: A002 (as above)
        """Say that a fault is mended; when it is seen again, its group is ``regressed``."""
        return self._set(id, Status.RESOLVED)

    def mute(self, id: str) -> ErrorGroup:  # noqa: A002 (as above)
        """Say that a fault is known and wants no attention; it is counted and kept on."""
        return self._set(id, Status.MUTED)

    def reopen(self, id: str) -> ErrorGroup:  # noqa: A002 (as above)
        """Take back what was said of a fault: its group is ``new`` again."""
        return self._set(id, Status.NEW)

    def prune(self, *, keep_days: float | None = None, keep_bytes: int | None = None) -> Pruned:
        """Let go of what is too old or too much.

        Args:
            keep_days: errors older than this go; None takes the setting ``errors_keep_days``.
            keep_bytes: then the oldest go until the rest takes no more than this; None takes the
                setting ``errors_keep_bytes``.

        Returns:
            How many errors and groups went, and how many bytes they took.
        """
        days = self._keep_days if keep_days is None else keep_days
        self._database.prepare()
        return self._database.prune(
            keep_seconds=None if days is None else days * DAY_SECONDS,
            keep_bytes=self._keep_bytes if keep_bytes is None else keep_bytes,
            now=time.time(),
        )

    def begin(self) -> None:
        """Have what processes have left that are gone taken in, though nothing is reported here.

        Raises:
            OSError: the spool's folder cannot be read.
        """
        if self._spool.has_others():
            self._mover.wake()

    def flush(self, timeout_seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until what was reported before is in the database; tell whether it is."""
        return self._mover.flush(timeout_seconds)

    def close(self, timeout_seconds: float = FLUSH_SECONDS) -> None:
        """Move what is there into the database, as far as the time goes, and let go of all files.

        What could not be moved stays in the spool, and whoever opens the store next moves it.
        """
        self._mover.stop(timeout_seconds)
        if not self._mover.is_running:
            self._spool.close()
            self._database.close()

    def after_fork_in_child(self) -> None:
        """Begin anew: files, threads and connections are the parent's."""
        self._spool.after_fork_in_child()
        self._mover.after_fork_in_child()
        self._database.abandon()

    def _set(self, name: str, status: Status) -> ErrorGroup:
        self._take_in()
        return self._database.set_status(self._database.group(name).fingerprint, status, datetime.now(UTC))

    def _take_in(self) -> None:
        self._database.prepare()
        self._mover.flush(FLUSH_SECONDS)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
