"""What is said of an error as rows of the database, and what is in its rows as groups and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import RowMapping

    from otel_monitoring.errors.stored import Payload

LONGEST_KEY = 64
"""Characters of an id or a fingerprint: both are indexed."""

OVERHEAD_BYTES = 450
"""What a row takes beside its long texts, in the table and its indexes; measured with SQLite."""

_EARLIEST = datetime.min.replace(tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_LARGEST_INTEGER = 2**63 - 1

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class EventRow(TypedDict):
    """A row of ``monitoring_error_events``."""

    id: str
    fingerprint: str
    time: float
    error_type: str
    component: str
    message: str
    service: str
    host: str
    pid: int
    release: str | None
    trace_id: str | None
    span_id: str | None
    context: str
    chain: str
    bytes: int


class GroupRow(TypedDict):
    """What some errors of one group add to ``monitoring_error_groups``."""

    fingerprint: str
    title: str
    error_type: str
    component: str
    service: str
    last_release: str | None
    status: str
    count: int
    first_seen: float
    last_seen: float


class Entry(NamedTuple):
    """One error as it goes in.

    Attributes:
        payload: as it came.
        share: what it adds to its group.
        event: itself, unless it only counts.
    """

    payload: Payload
    share: GroupRow
    event: EventRow | None


class MisfitError(ValueError):
    """A payload cannot be kept; the text says why."""


def entry_of(payload: Payload) -> Entry:
    """Return a payload as rows.

    Another release may have written it, so what is missing is left empty.

    Raises:
        MisfitError: it has no id, time or fingerprint, or something is of a wrong type.
    """
    fields: Mapping[str, object] = payload
    time = _time(fields)
    share: GroupRow = {
        "fingerprint": _key(fields, "fingerprint"),
        "title": _text(fields, "title"),
        "error_type": _text(fields, "error_type"),
        "component": _text(fields, "component"),
        "service": _text(fields, "service"),
        "last_release": _text_or_none(fields, "release"),
        "status": Status.NEW.value,
        "count": 1,
        "first_seen": time,
        "last_seen": time,
    }
    event = _event(fields, share) if fields.get("detailed", True) else None
    return Entry(payload, share, event)


def added_up(entries: Iterable[Entry]) -> list[GroupRow]:
    """Return one row for each group, by fingerprint: writers that lock rows in one order never wait in a circle."""
    rows: dict[str, GroupRow] = {}
    for entry in entries:
        known = rows.get(entry.share["fingerprint"])
        rows[entry.share["fingerprint"]] = entry.share if known is None else _sum(known, entry.share)
    return [rows[fingerprint] for fingerprint in sorted(rows)]


def group_of(row: RowMapping) -> ErrorGroup:
    """Return a row of the groups as what it says."""
    resolved_at: float | None = row["resolved_at"]
    return ErrorGroup(
        fingerprint=row["fingerprint"],
        title=row["title"],
        error_type=row["error_type"],
        component=row["component"],
        service=row["service"],
        status=Status(row["status"]),
        count=row["count"],
        first_seen=datetime.fromtimestamp(row["first_seen"], UTC),
        last_seen=datetime.fromtimestamp(row["last_seen"], UTC),
        resolved_at=None if resolved_at is None else datetime.fromtimestamp(resolved_at, UTC),
        last_release=row["last_release"],
    )


def event_of(row: RowMapping) -> ErrorEvent:
    """Return a row of the events as what it says."""
    return ErrorEvent(
        id=row["id"],
        fingerprint=row["fingerprint"],
        time=datetime.fromtimestamp(row["time"], UTC),
        error_type=row["error_type"],
        component=row["component"],
        message=row["message"],
        service=row["service"],
        host=row["host"],
        pid=row["pid"],
        release=row["release"],
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        context=json.loads(row["context"]),
        chain=tuple(json.loads(row["chain"])),
    )


def seconds_of(moment: datetime) -> float:
    """Return a time as it is kept; one without a zone is in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _event(fields: Mapping[str, object], share: GroupRow) -> EventRow:
    message = _text(fields, "message")
    context = _json(fields, "context", {})
    chain = _json(fields, "chain", [])
    return {
        "id": _key(fields, "id"),
        "fingerprint": share["fingerprint"],
        "time": share["first_seen"],
        "error_type": share["error_type"],
        "component": share["component"],
        "message": message,
        "service": share["service"],
        "host": _text(fields, "host"),
        "pid": _integer(fields, "pid"),
        "release": share["last_release"],
        "trace_id": _text_or_none(fields, "trace_id"),
        "span_id": _text_or_none(fields, "span_id"),
        "context": context,
        "chain": chain,
        "bytes": OVERHEAD_BYTES + len(message.encode()) + len(context.encode()) + len(chain.encode()),
    }


def _sum(known: GroupRow, share: GroupRow) -> GroupRow:
    """Add an error to those of its group before it: the latest one says what the group is like."""
    latest = share if share["last_seen"] >= known["last_seen"] else known
    return {
        **latest,
        "count": known["count"] + share["count"],
        "first_seen": min(known["first_seen"], share["first_seen"]),
    }


def _key(fields: Mapping[str, object], name: str) -> str:
    key = _text(fields, name)
    if not 0 < len(key) <= LONGEST_KEY:
        raise MisfitError(f"its {name} has {len(key)} characters, which should be 1 to {LONGEST_KEY}")
    return key


def _time(fields: Mapping[str, object]) -> float:
    value = fields.get("time")
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST <= value <= _LATEST:
        raise MisfitError("its time is no number of seconds since 1970, or of no year from 1 to 9999")
    return round(float(value), 6)


def _integer(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name, 0)
    if not isinstance(value, int) or abs(value) > _LARGEST_INTEGER:
        raise MisfitError(f"its {name} is no integer of 64 bits")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    return _text_or_none(fields, name) or ""


def _text_or_none(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MisfitError(f"its {name} is no text")
    return _storable(value)


def _json(fields: Mapping[str, object], name: str, default: object) -> str:
    try:
        return _storable(_to_json(fields.get(name, default)))
    except (TypeError, ValueError, RecursionError):
        raise MisfitError(f"its {name} cannot be written as JSON") from None


def _storable(text: str) -> str:
    """Return a text without what a database refuses: NUL characters and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
