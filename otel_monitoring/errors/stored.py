"""What the store keeps of errors, and the form in which an error travels to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can hold."""


class FramePayload(TypedDict, total=False):
    """One call of a traceback; ``source`` and ``locals`` only where they are known."""

    module: str
    function: str
    file: str
    line: int
    in_app: bool
    source: str
    locals: dict[str, Plain]


class LinkPayload(TypedDict):
    """One exception of a chain, as ``Link`` has it; ``group`` is where in the chain a member's group is."""

    type: str
    message: str
    relation: str
    frames: list[FramePayload]
    omitted: int
    group: NotRequired[int]


class Payload(TypedDict, total=False):
    """One error on its way to the store, scrubbed already.

    Those of a burst beyond what is kept in detail carry no ``message``, ``context`` and
    ``chain``, and ``detailed`` is false: they are counted in their group and are no event.
    """

    id: str
    time: float
    fingerprint: str
    title: str
    error_type: str
    component: str
    service: str
    detailed: bool
    message: str
    context: dict[str, Plain]
    chain: list[LinkPayload]
    trace_id: str | None
    span_id: str | None
    host: str
    pid: int
    release: str | None


class Status(StrEnum):
    """What is known of a group: whether anybody has to look at it."""

    NEW = "new"
    """Seen, and nobody has said anything of it."""
    RESOLVED = "resolved"
    """Said to be mended, and not seen since."""
    REGRESSED = "regressed"
    """Seen again after it was said to be mended."""
    MUTED = "muted"
    """Counted and kept, and nobody wants to hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """All errors of one fingerprint.

    Attributes:
        fingerprint: 16 hex digits; the id of the group.
        title: the last error in one line.
        error_type, component, service: as the last error has them.
        status: whether it wants attention.
        count: how many there were, the ones not kept in detail too.
        first_seen, last_seen: in UTC.
        resolved_at: when it was said to be mended, if it was.
        last_release: the release of the last one, where it is known.
    """

    fingerprint: str
    title: str
    error_type: str
    component: str
    service: str
    status: Status
    count: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None
    last_release: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """One error as it was kept.

    Attributes:
        id: 32 hex digits that rise with time.
        fingerprint: of its group.
        time: in UTC.
        error_type, component, message, service, host, pid, release, trace_id, span_id: as it was reported.
        context: what was said beside it, scrubbed.
        chain: its exceptions with their frames, the one that was reported first.
    """

    id: str
    fingerprint: str
    time: datetime
    error_type: str
    component: str
    message: str
    service: str
    host: str
    pid: int
    release: str | None
    trace_id: str | None
    span_id: str | None
    context: Mapping[str, Plain]
    chain: tuple[LinkPayload, ...]


class GroupsWanted(TypedDict, total=False):
    """Which groups are asked for; what is left out or None wants all.

    Attributes:
        status: one of these.
        component, service: exactly this one, as the last error has it.
        since: seen then or later; a time without a zone is in UTC.
        search: a text that the title or the type holds, in small or large letters.
    """

    status: Collection[Status] | None
    component: str | None
    service: str | None
    since: datetime | None
    search: str | None


class EventsWanted(TypedDict, total=False):
    """Which single errors are asked for; what is left out or None wants all.

    Attributes:
        fingerprint, component, service: exactly this one.
        since: of then or later; a time without a zone is in UTC.
        until: of earlier than this.
    """

    fingerprint: str | None
    component: str | None
    service: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was let go of.

    Attributes:
        events, groups: how many.
        bytes: about what the events took.
    """

    events: int = 0
    groups: int = 0
    bytes: int = 0
