"""Which logging records a corridor has heard of already.

Where structlog writes through the standard library, an error passes two ears: the
processor in structlog's chain, and then the handler that gets the logging record.  Both
are reached inside of one call to a structlog logger.  So the first notes that call, and
the second looks whether it is still in it.  The note is no flag that could be left
standing when a later processor drops the event or the level is disabled: it names the
call by its frame, and a call that has returned is on nobody's stack.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from inspect import currentframe
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from otel_monitoring.errors import Corridor

    Call = tuple[int, int, int]


FIELDS = "structlog_fields"
"""The attribute of a logging record in which the fields of a structlog event travel.

As single attributes they would clash with the record's own: ``extra={"name": …}`` raises.
"""


class Fields(dict[str, Any]):
    """The fields of a structlog event on its way through ``logging``; nothing in them is secret any more.

    Args:
        given: the fields.
        heard_by: a corridor that has heard of the event.
    """

    __slots__ = ("heard_by",)

    def __init__(self, given: Mapping[str, Any], heard_by: Corridor | None) -> None:
        super().__init__(given)
        self.heard_by = heard_by

    def __reduce__(self) -> tuple[type[Fields], tuple[dict[str, Any], None]]:
        """Go to other processes without the corridor, which is none of theirs."""
        return Fields, (dict(self), None)


class _Notes:
    """What one corridor has heard in one thread.

    Attributes:
        calls: the last structlog call for each name of a logger of the standard library.
        record: the last logging record.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.record: ref[logging.LogRecord] | None = None


class _ThreadNotes(threading.local):
    def __init__(self) -> None:
        self.by_corridor: WeakKeyDictionary[Corridor, _Notes] = WeakKeyDictionary()

    def of(self, corridor: Corridor) -> _Notes:
        """Return this thread's notes of a corridor."""
        notes = self.by_corridor.get(corridor)
        if notes is None:
            notes = self.by_corridor[corridor] = _Notes()
        return notes


_notes = _ThreadNotes()


def note_call(corridor: Corridor, logger: object) -> None:
    """Note that the corridor has heard of the structlog call that is running.

    Args:
        corridor: who has heard.
        logger: what structlog will hand the event to; only a logger of the standard
            library leads to another ear.
    """
    if isinstance(logger, logging.Logger | logging.LoggerAdapter):
        call = _structlog_call()
        if call is not None:
            _notes.of(corridor).calls[logger.name] = call


def is_new(corridor: Corridor, record: logging.LogRecord) -> bool:
    """Note a logging record; tell whether the corridor has heard neither of it nor of its event."""
    fields = vars(record).get(FIELDS)
    if isinstance(fields, Fields) and fields.heard_by is corridor:
        return False
    notes = _notes.of(corridor)
    if notes.record is not None and notes.record() is record:
        return False
    notes.record = ref(record)
    call = notes.calls.get(record.name)
    return call is None or call != _structlog_call()


def _structlog_call() -> Call | None:
    """Return what tells the innermost running call into structlog from all others.

    That is the frame by which structlog was entered, and the place of the call.  The
    address of a frame that has ended may be taken by another, but that is then the next
    call from the same place, which has been noted itself.
    """
    frame = currentframe()
    while frame is not None and not _is_structlog(frame):
        frame = frame.f_back
    if frame is None:
        return None
    while frame.f_back is not None and _is_structlog(frame.f_back):
        frame = frame.f_back
    caller = frame.f_back
    return id(frame), id(caller), -1 if caller is None else caller.f_lasti


def _is_structlog(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and _names_structlog(name)


@lru_cache(maxsize=4096)
def _names_structlog(module: str) -> bool:
    return f"{module}.".startswith("structlog.")
