"""The corridor: every error passes here once, whichever way it came in."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from otel_monitoring.errors.chain import members_of
from otel_monitoring.errors.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.metrics.incidents import Incidents

_dictionary: Any = BaseException.__dict__["__dict__"]
"""Reaches an exception's attributes whatever its class makes of ``__setattr__`` and ``__dict__``."""


class Sink(Protocol):
    """Hears of every error; what it raises stops neither the next sink nor the application.

    One that reports nothing itself, and may be interrupted by itself, can have an attribute
    ``takes_nested`` that is true: then it hears too of what comes while it is told of another.
    """

    def __call__(self, record: ErrorRecord, /) -> object:
        """Take note of an error."""
        ...


class _Busy(threading.local):
    reporting = False


class Corridor:
    """Hands each error to every sink, and each exception object only once.

    Args:
        incidents: hears of sinks that fail.
        sinks: who hears of errors, in this order.
        recorder: makes the records.
    """

    def __init__(self, incidents: Incidents, sinks: Iterable[Sink] = (), recorder: Recorder | None = None) -> None:
        self.incidents = incidents
        self.recorder = Recorder() if recorder is None else recorder
        self._sinks = tuple(sinks)
        self._lock = threading.Lock()
        self._busy = _Busy()
        self._mark = f"_otel_monitoring_{uuid4().hex}"

    def add_sink(self, sink: Sink) -> Callable[[], None]:
        """Let one more hear of the errors from now on, until the function that is returned is called."""
        with self._lock:
            self._sinks = (*self._sinks, sink)

        def remove() -> None:
            with self._lock:
                self._sinks = tuple(other for other in self._sinks if other is not sink)

        return remove

    def report(self, record: ErrorRecord) -> bool:
        """Hand an error to every sink.

        An error that comes while its own thread is being told of another is a sink's own, or a
        signal handler's or a finaliser's.  It goes to those sinks that take such ones: to all it
        must not, for a sink that reports an error of its own would be told of it for ever.

        Returns:
            False where its exception was reported before, and where no sink has taken it.
        """
        return self._is_first(record.exception) and self._hand_round(record)

    def report_exception(
        self, exception: BaseException, *, component: str, context: Mapping[str, object] | None = None
    ) -> bool:
        """Report an exception that was caught, unless it was reported before; no record is made then."""
        if not self._is_first(exception):
            return False
        try:
            record = self.recorder.of_exception(exception, component=component, context=context)
        except RecursionError:
            # There is too little room here, where the stack is full: whoever catches it further up has more.
            self._forget(exception)
            return False
        return self._hand_round(record)

    def _hand_round(self, record: ErrorRecord) -> bool:
        busy = self._busy
        is_nested = busy.reporting
        sinks = tuple(filter(_takes_nested, self._sinks)) if is_nested else self._sinks
        busy.reporting = True
        try:
            for sink in sinks:
                with self.incidents.contained("handing an error to a sink"):
                    sink(record)
        finally:
            busy.reporting = is_nested
        return bool(sinks) or not is_nested

    def _is_first(self, exception: BaseException | None) -> bool:
        """Mark the exception object as reported; tell whether it was not yet.

        The mark names this corridor, this process and this object, so that a copy or an
        exception that was pickled in a worker process is an error of its own.  It is a
        list, which every pickle can carry, and ``setdefault`` lets one thread win.
        """
        attributes = _attributes_of(exception)
        mine: list[object] = []
        if attributes is None:
            return True
        is_first = attributes.setdefault(self._mark_of(exception), mine) is mine
        return is_first and not self._holds_reported_only(exception)

    def _holds_reported_only(self, exception: BaseException | None) -> bool:
        """Tell whether it is a group, as ``TaskGroup`` raises it, of exceptions that were each reported before."""
        waiting = list(members_of(exception))
        if not waiting:
            return False
        while waiting:
            member = waiting.pop()
            if self._mark_of(member) not in (_attributes_of(member) or ()):
                inner = members_of(member)
                if not inner:
                    return False
                waiting.extend(inner)
        return True

    def _forget(self, exception: BaseException) -> None:
        attributes = _attributes_of(exception)
        if attributes is not None:
            attributes.pop(self._mark_of(exception), None)

    def _mark_of(self, exception: BaseException | None) -> str:
        return f"{self._mark}_{os.getpid()}_{id(exception)}"


def _takes_nested(sink: Sink) -> bool:
    return getattr(sink, "takes_nested", False)


def _attributes_of(exception: BaseException | None) -> dict[str, object] | None:
    if exception is None:
        return None
    try:
        attributes: dict[str, object] = _dictionary.__get__(exception)
    except TypeError:  # it only says that it is an exception, as a mock does
        return None
    return attributes
