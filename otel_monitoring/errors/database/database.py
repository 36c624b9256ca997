"""The database of errors: written by the mover, read by whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from sqlalchemy import delete, insert, inspect, select, update

from otel_monitoring.errors.database.connections import Connections, backend_of
from otel_monitoring.errors.database.queries import find_events, find_group, find_groups, next_events
from otel_monitoring.errors.database.retention import Pruning
from otel_monitoring.errors.database.rows import group_of, seconds_of
from otel_monitoring.errors.database.tables import SCHEMA_VERSION, groups, metadata, schema, streams
from otel_monitoring.errors.database.writing import Writer, mark_stream, read_payload, take_stream
from otel_monitoring.errors.stored import Status
from otel_monitoring.exceptions import StoreError, UnknownGroupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, EventsWanted, GroupsWanted, Payload, Pruned

_READ_AT_ONCE = 200


class Database:
    """Errors in a SQLite file or on a PostgreSQL server.

    It may be used from several threads; each gets a connection of its own while it needs one.
    What goes wrong in the database comes as a ``StoreError``.

    Args:
        url: where it is, such as ``sqlite:///errors.db`` or ``postgresql://user:password@host/database``.
            Nothing is connected yet.
        refused: told of each payload that can never be kept, and why; the others are.
        wait_seconds: how long to wait for a lock or a connection.

    Raises:
        ConfigurationError: the URL names no database that can keep errors.
        ExtraMissingError: it names a PostgreSQL server, and psycopg is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        refused: Callable[[Payload, str], object] | None = None,
        wait_seconds: float = 5.0,
    ) -> None:
        self._backend = backend_of(url, wait_seconds=wait_seconds)
        self._connections = Connections(self._backend)
        self._refused = refused

    @property
    def shown(self) -> str:
        """Where it is, without credentials."""
        return self._backend.shown

    def prepare(self) -> None:
        """Make the file and the tables that are missing; cheap where all is there.

        Raises:
            StoreError: that cannot be done, or a newer release has made the tables.
        """
        self._connections.make_place()
        with self._connections.reading() as connection:
            if self._is_prepared(connection):
                return
        with self._connections.writing() as connection:
            self._backend.take_turn(connection)
            if not self._is_prepared(connection):
                metadata.create_all(connection)
                connection.execute(insert(schema).values(version=SCHEMA_VERSION))

    def last_number(self, stream: str) -> int:
        """Return the number up to which the errors of a stream are in; 0 where none is."""
        with self._connections.reading() as connection:
            return connection.execute(select(streams.c.last).where(streams.c.stream == stream)).scalar() or 0

    def write(self, stream: str, batch: Sequence[tuple[int, Payload]]) -> int:
        """Keep errors of a stream, all of them or none.

        Args:
            stream: its name.
            batch: the errors with their numbers, which rise; up to about 1 000.  Those with a
                number that is in already are passed over.

        Returns:
            How many were new.
        """
        if not batch:
            return 0
        # Before the transaction, so that others need not wait for it.
        errors = [(number, read_payload(payload)) for number, payload in batch]
        with self._connections.writing() as connection:
            writer = Writer(connection, self._backend)
            last = take_stream(connection, self._backend, stream)
            new = writer.put(error for number, error in errors if number > last)
            mark_stream(connection, stream, max(last, batch[-1][0]))
        self._report(writer)
        return new

    def write_loose(self, batch: Sequence[Payload]) -> int:
        """Keep errors that came by no stream, all of them or none; those that are in already are passed over.

        Those that only count leave nothing by which to know them again.

        Returns:
            How many were new.
        """
        errors = [read_payload(payload) for payload in batch]
        with self._connections.writing() as connection:
            writer = Writer(connection, self._backend)
            new = writer.put(errors)
        self._report(writer)
        return new

    def forget_stream(self, stream: str) -> None:
        """Forget up to which number the errors of a stream are in: none will come any more."""
        with self._connections.writing() as connection:
            connection.execute(delete(streams).where(streams.c.stream == stream))

    def groups(self, *, limit: int = 100, **wanted: Unpack[GroupsWanted]) -> list[ErrorGroup]:
        """Return groups of errors, the one that was seen last first.

        Args:
            limit: at most so many.
            wanted: which of them.
        """
        with self._connections.reading() as connection:
            return find_groups(connection, wanted, limit=limit)

    def group(self, prefix: str) -> ErrorGroup:
        """Return the one group whose fingerprint is this or begins so.

        Raises:
            UnknownGroupError: there is none, or there are several.
        """
        with self._connections.reading() as connection:
            return find_group(connection, prefix)

    def events(
        self, *, limit: int = 100, before: ErrorEvent | None = None, **wanted: Unpack[EventsWanted]
    ) -> list[ErrorEvent]:
        """Return single errors, newest first.

        Args:
            limit: at most so many.
            before: the last one of the page before, to go on from.
            wanted: which of them.
        """
        with self._connections.reading() as connection:
            return find_events(connection, wanted, limit=limit, before=before)

    def stream_events(self, **wanted: Unpack[EventsWanted]) -> Iterator[ErrorEvent]:
        """Go through single errors, oldest first, holding few of them at once and no transaction.

        What is written in the meantime may be among them or not.

        Args:
            wanted: which of them.
        """
        last: ErrorEvent | None = None
        while True:
            with self._connections.reading() as connection:
                found = next_events(connection, wanted, limit=_READ_AT_ONCE, after=last)
            yield from found
            if len(found) < _READ_AT_ONCE:
                return
            last = found[-1]

    def set_status(self, fingerprint: str, status: Status, at: datetime) -> ErrorGroup:
        """Say what is known of a group.

        Args:
            fingerprint: all of it.
            status: ``resolved``, ``muted``, or ``new`` to take that back.
            at: when; a resolved group regresses with the first error after it.

        Returns:
            The group as it is now.

        Raises:
            UnknownGroupError: there is no such group.
        """
        resolved_at = seconds_of(at) if status is Status.RESOLVED else None
        this = groups.c.fingerprint == fingerprint
        with self._connections.writing() as connection:
            connection.execute(update(groups).where(this).values(status=status.value, resolved_at=resolved_at))
            row = connection.execute(select(groups).where(this)).mappings().first()
            if row is None:
                raise UnknownGroupError(f"there is no group of errors {fingerprint!r}")
            return group_of(row)

    def prune(self, *, keep_seconds: float | None, keep_bytes: int | None, now: float) -> Pruned:
        """Let go of what is too old, then of the oldest until the rest is small enough.

        Args:
            keep_seconds: how old errors may get, and groups without new ones; muted groups stay.
            keep_bytes: how much single errors may take, which about is what they take on the disk.
            now: in seconds since 1970.

        Returns:
            What was let go of.
        """
        pruning = Pruning(self._connections, self._backend)
        if keep_seconds is not None:
            pruning.drop_older(now - keep_seconds)
        if keep_bytes is not None:
            pruning.drop_beyond(keep_bytes)
        pruning.give_back()
        return pruning.result

    def size_bytes(self) -> int:
        """Return what it takes on the disk."""
        with self._connections.reading() as connection:
            return self._backend.size_bytes(connection)

    def close(self) -> None:
        """Close the connections; what is used afterwards opens new ones."""
        self._connections.close()

    def abandon(self) -> None:
        """Leave the connections to the parent: to be called first of all in a forked child."""
        self._connections.abandon()

    def _is_prepared(self, connection: Connection) -> bool:
        if not inspect(connection).has_table(schema.name):
            return False
        version: int = connection.execute(select(schema.c.version)).scalar_one()
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the error store {self.shown} has tables of version {version}, made by a newer release of "
                f"otel-monitoring; this one knows version {SCHEMA_VERSION}: install the newer release here too",
                passing=False,
            )
        return True

    def _report(self, writer: Writer) -> None:
        if self._refused is not None:
            for payload, reason in writer.refused:
                self._refused(payload, reason)
