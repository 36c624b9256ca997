"""Letting go of old errors, a few at a time, so that nobody waits long for the database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, select, tuple_

from otel_monitoring.errors.database.tables import events, groups
from otel_monitoring.errors.stored import Pruned, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection

    from otel_monitoring.errors.database.connections import Backend, Connections

STEP = 500
"""How many rows go in one transaction."""

_LONGEST_PAUSE_SECONDS = 0.2


class Pruning:
    """Lets go of errors, and counts them.

    Several processes may do so at once: what goes is fixed by its time, and a row that one of
    them has taken is nothing to the others.

    Args:
        connections: to the database.
        backend: the database.
    """

    def __init__(self, connections: Connections, backend: Backend) -> None:
        self._connections = connections
        self._backend = backend
        self._events = self._groups = self._bytes = 0

    @property
    def result(self) -> Pruned:
        """What was let go of up to now."""
        return Pruned(events=self._events, groups=self._groups, bytes=self._bytes)

    def drop_older(self, than: float) -> None:
        """Delete the events and groups that were last seen before a time; muted groups stay, to go on being muted."""
        is_old = and_(groups.c.last_seen < than, groups.c.status != Status.MUTED.value)
        self._in_transactions(lambda connection: self._drop_events(connection, events.c.time < than))
        self._in_transactions(lambda connection: self._drop_groups(connection, is_old))

    def drop_beyond(self, keep_bytes: int) -> None:
        """Delete the oldest events until the others take no more than so much."""
        with self._connections.reading() as connection:
            newest = _newest_beyond(connection, keep_bytes)
        if newest is not None:
            condition = tuple_(events.c.time, events.c.id) <= newest
            self._in_transactions(lambda connection: self._drop_events(connection, condition))

    def give_back(self) -> None:
        """Give the disk what is not needed any more."""
        if self._events or self._groups:
            _in_turns(self._free)

    def _free(self) -> bool:
        with self._connections.at_work():
            return self._backend.free()

    def _in_transactions(self, step: Callable[[Connection], bool]) -> None:
        def transaction() -> bool:
            with self._connections.writing() as connection:
                return step(connection)

        _in_turns(transaction)

    def _drop_events(self, connection: Connection, condition: ColumnElement[bool]) -> bool:
        oldest = select(events.c.id, events.c.bytes).where(condition).order_by(events.c.time, events.c.id).limit(STEP)
        rows = connection.execute(oldest.with_for_update(skip_locked=True)).all()
        connection.execute(delete(events).where(events.c.id.in_([row.id for row in rows])))
        self._events += len(rows)
        self._bytes += sum(row.bytes for row in rows)
        return len(rows) == STEP

    def _drop_groups(self, connection: Connection, condition: ColumnElement[bool]) -> bool:
        oldest = select(groups.c.fingerprint).where(condition).limit(STEP).with_for_update(skip_locked=True)
        fingerprints = connection.execute(oldest).scalars().all()
        connection.execute(delete(groups).where(groups.c.fingerprint.in_(fingerprints)))
        self._groups += len(fingerprints)
        return len(fingerprints) == STEP


def _in_turns(step: Callable[[], bool]) -> None:
    """Do a step again and again as long as it says that there is more."""
    began = time.monotonic()
    while step():
        # SQLite keeps no queue of who waits: as long as this took, others may have it.
        time.sleep(min(time.monotonic() - began, _LONGEST_PAUSE_SECONDS))
        began = time.monotonic()


def _newest_beyond(connection: Connection, keep_bytes: int) -> tuple[float, str] | None:
    """Return time and id of the newest event that does not fit together with those after it."""
    total: int | None = connection.execute(select(func.sum(events.c.bytes))).scalar()
    if (total or 0) <= keep_bytes:
        return None
    newest_first = (events.c.time.desc(), events.c.id.desc())
    kept = select(
        events.c.time, events.c.id, func.sum(events.c.bytes).over(order_by=newest_first).label("bytes")
    ).subquery()
    beyond = select(kept.c.time, kept.c.id).where(kept.c.bytes > keep_bytes)
    row = connection.execute(beyond.order_by(kept.c.time.desc(), kept.c.id.desc()).limit(1)).first()
    return None if row is None else (row.time, row.id)
