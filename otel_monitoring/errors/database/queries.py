"""What can be asked of the database of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, tuple_

from otel_monitoring.errors.database.rows import event_of, group_of, seconds_of
from otel_monitoring.errors.database.tables import events, groups
from otel_monitoring.exceptions import UnknownGroupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection

    from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, EventsWanted, GroupsWanted

_LISTED = 10
"""How many groups are named where one was meant."""


def find_groups(connection: Connection, wanted: GroupsWanted, *, limit: int) -> list[ErrorGroup]:
    """Return groups, the one that was seen last first."""
    query = select(groups).where(*_of_groups(wanted))
    query = query.order_by(groups.c.last_seen.desc(), groups.c.fingerprint).limit(limit)
    return [group_of(row) for row in connection.execute(query).mappings()]


def find_group(connection: Connection, prefix: str) -> ErrorGroup:
    """Return the one group whose fingerprint is this or begins so.

    Raises:
        UnknownGroupError: there is none, or there are several.
    """
    start = prefix.strip().lower()
    query = select(groups).where(groups.c.fingerprint.startswith(start, autoescape=True))
    query = query.order_by(func.length(groups.c.fingerprint), groups.c.fingerprint).limit(_LISTED + 1)
    found = [group_of(row) for row in connection.execute(query).mappings()]
    if not found or not start:
        raise UnknownGroupError(f"no group of errors has a fingerprint that begins with {prefix!r}")
    if len(found) == 1 or found[0].fingerprint == start:
        return found[0]
    listed = "".join(f"\n  {group.fingerprint}  {group.title}" for group in found[:_LISTED])
    more = "\n  …" if len(found) > _LISTED else ""
    raise UnknownGroupError(
        f"several groups have a fingerprint that begins with {prefix!r}, say more of it:{listed}{more}"
    )


def find_events(
    connection: Connection, wanted: EventsWanted, *, limit: int, before: ErrorEvent | None = None
) -> list[ErrorEvent]:
    """Return events, newest first; with ``before`` those that come after this one in that order."""
    position = tuple_(events.c.time, events.c.id)
    query = select(events).where(*_of_events(wanted))
    if before is not None:
        query = query.where(position < (seconds_of(before.time), before.id))
    query = query.order_by(events.c.time.desc(), events.c.id.desc()).limit(limit)
    return [event_of(row) for row in connection.execute(query).mappings()]


def next_events(
    connection: Connection, wanted: EventsWanted, *, limit: int, after: ErrorEvent | None = None
) -> list[ErrorEvent]:
    """Return events, oldest first; with ``after`` those that come after this one in that order."""
    position = tuple_(events.c.time, events.c.id)
    query = select(events).where(*_of_events(wanted))
    if after is not None:
        query = query.where(position > (seconds_of(after.time), after.id))
    query = query.order_by(events.c.time, events.c.id).limit(limit)
    return [event_of(row) for row in connection.execute(query).mappings()]


def _of_groups(wanted: GroupsWanted) -> Iterator[ColumnElement[bool]]:
    if (status := wanted.get("status")) is not None:
        yield groups.c.status.in_([one.value for one in status])
    if (component := wanted.get("component")) is not None:
        yield groups.c.component == component
    if (service := wanted.get("service")) is not None:
        yield groups.c.service == service
    if (since := wanted.get("since")) is not None:
        yield groups.c.last_seen >= seconds_of(since)
    if (search := wanted.get("search")) is not None:
        yield or_(*(text.icontains(search, autoescape=True) for text in (groups.c.title, groups.c.error_type)))


def _of_events(wanted: EventsWanted) -> Iterator[ColumnElement[bool]]:
    if (fingerprint := wanted.get("fingerprint")) is not None:
        yield events.c.fingerprint == fingerprint
    if (component := wanted.get("component")) is not None:
        yield events.c.component == component
    if (service := wanted.get("service")) is not None:
        yield events.c.service == service
    if (since := wanted.get("since")) is not None:
        yield events.c.time >= seconds_of(since)
    if (until := wanted.get("until")) is not None:
        yield events.c.time < seconds_of(until)
