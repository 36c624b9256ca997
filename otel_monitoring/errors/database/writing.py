"""Errors on their way into the database's tables: each of them once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, case, select, update
from sqlalchemy.exc import DBAPIError

from otel_monitoring.errors.database.rows import MisfitError, added_up, entry_of
from otel_monitoring.errors.database.tables import events, groups, streams
from otel_monitoring.errors.stored import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Insert

    from otel_monitoring.errors.database.connections import Backend
    from otel_monitoring.errors.database.rows import Entry, EventRow
    from otel_monitoring.errors.stored import Payload


class Refused(NamedTuple):
    """A payload that cannot be kept, and why."""

    payload: Payload
    reason: str


class _SomeKnownError(Exception):
    """Some of several errors are in the database already."""


def read_payload(payload: Payload) -> Entry | Refused:
    """Return an error as rows, if it can be kept."""
    try:
        return entry_of(payload)
    except MisfitError as error:
        return Refused(payload, str(error))


class Writer:
    """Puts errors into the tables, within a transaction.

    Those that the database refuses by themselves, and those that it has already, are found
    by halving: the others go in.

    Args:
        connection: with the transaction.
        backend: its database.

    Attributes:
        refused: what could not be kept.
    """

    def __init__(self, connection: Connection, backend: Backend) -> None:
        self.refused: list[Refused] = []
        self._connection = connection
        self._backend = backend
        self._insert_events = backend.insert(events).on_conflict_do_nothing(index_elements=[events.c.id])
        self._add_to_groups = _add_to_groups(backend)

    def put(self, errors: Iterable[Entry | Refused]) -> int:
        """Put errors in; return how many of them are new."""
        entries: list[Entry] = []
        for error in errors:
            if isinstance(error, Refused):
                self.refused.append(error)
            else:
                entries.append(error)
        # In one order, so that writers of the same errors wait for each other, and not in a circle.
        entries.sort(key=lambda entry: entry.event["id"] if entry.event else "")
        return self._put(entries)

    def _put(self, entries: Sequence[Entry]) -> int:
        if not entries:
            return 0
        try:
            with self._connection.begin_nested():
                return self._put_together(entries)
        except _SomeKnownError:
            pass
        except DBAPIError as error:
            if not isinstance(error.orig, Exception) or not self._backend.blames_record(error.orig):
                raise
            if len(entries) == 1:
                self.refused.append(Refused(entries[0].payload, f"the database refuses it: {error.orig}"))
                return 0
        middle = len(entries) // 2
        return self._put(entries[:middle]) + self._put(entries[middle:])

    def _put_together(self, entries: Sequence[Entry]) -> int:
        rows = [entry.event for entry in entries if entry.event]
        new = self._insert(rows) if rows else 0
        if not new and len(rows) == len(entries):
            return 0
        if new < len(rows):
            raise _SomeKnownError
        self._connection.execute(self._add_to_groups, added_up(entries))
        return len(entries)

    def _insert(self, rows: Sequence[EventRow]) -> int:
        """Insert events; return how many of them were not there."""
        options = {"preserve_rowcount": True}
        return self._connection.execute(self._insert_events, rows, execution_options=options).rowcount


def _add_to_groups(backend: Backend) -> Insert:
    """Return the statement that adds to groups or begins them, whatever order errors come in."""
    insert = backend.insert(groups)
    new, known = insert.excluded, groups.c
    is_latest = new.last_seen >= known.last_seen
    is_back = and_(known.status == Status.RESOLVED.value, new.last_seen > known.resolved_at)
    last_said = ("title", "error_type", "component", "service", "last_release", "last_seen")
    return insert.on_conflict_do_update(
        index_elements=[known.fingerprint],
        set_={
            **{name: case((is_latest, new[name]), else_=known[name]) for name in last_said},
            "count": known["count"] + new["count"],
            "first_seen": case((new.first_seen < known.first_seen, new.first_seen), else_=known.first_seen),
            "status": case((is_back, Status.REGRESSED.value), else_=known.status),
        },
    )


def take_stream(connection: Connection, backend: Backend, stream: str) -> int:
    """Return the number up to which a stream is in, and let nobody else write of it until the transaction ends."""
    look = select(streams.c.last).where(streams.c.stream == stream).with_for_update()
    last: int | None = connection.execute(look).scalar()
    if last is not None:
        return last
    connection.execute(backend.insert(streams).on_conflict_do_nothing(), {"stream": stream, "last": 0})
    taken: int = connection.execute(look).scalar_one()
    return taken


def mark_stream(connection: Connection, stream: str, last: int) -> None:
    """Keep the number up to which a stream is in."""
    connection.execute(update(streams).where(streams.c.stream == stream).values(last=last))
