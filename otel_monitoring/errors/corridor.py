"""The corridor: every error passes here once, whichever way it came in."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from otel_monitoring.errors.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.metrics.incidents import Incidents

_dictionary: Any = BaseException.__dict__["__dict__"]
"""Reaches an exception's attributes whatever its class makes of ``__setattr__`` and ``__dict__``."""


class Sink(Protocol):
    """Hears of every error; what it raises stops neither the next sink nor the application."""

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

        Returns:
            False where its exception was reported before, and where a sink itself reports an
            error while it is being told of one: it would be told of its own for ever.
        """
        if self._busy.reporting or not self._is_first(record.exception):
            return False
        self._hand_round(record)
        return True

    def report_exception(
        self, exception: BaseException, *, component: str, context: Mapping[str, object] | None = None
    ) -> bool:
        """Report an exception that was caught, unless it was reported before; no record is made then."""
        if self._busy.reporting or not self._is_first(exception):
            return False
        try:
            record = self.recorder.of_exception(exception, component=component, context=context)
        except RecursionError:
            # There is too little room here, where the stack is full: whoever catches it further up has more.
            self._forget(exception)
            return False
        self._hand_round(record)
        return True

    def _hand_round(self, record: ErrorRecord) -> None:
        busy = self._busy
        busy.reporting = True
        try:
            for sink in self._sinks:
                with self.incidents.contained("handing an error to a sink"):
                    sink(record)
        finally:
            busy.reporting = False

    def _is_first(self, exception: BaseException | None) -> bool:
        """Mark the exception object as reported; tell whether it was not yet.

        The mark names this corridor, this process and this object, so that a copy or an
        exception that was pickled in a worker process is an error of its own.  It is a
        list, which every pickle can carry, and ``setdefault`` lets one thread win.
        """
        attributes = _attributes_of(exception)
        mine: list[object] = []
        return attributes is None or attributes.setdefault(self._mark_of(exception), mine) is mine

    def _forget(self, exception: BaseException) -> None:
        attributes = _attributes_of(exception)
        if attributes is not None:
            attributes.pop(self._mark_of(exception), None)

    def _mark_of(self, exception: BaseException | None) -> str:
        return f"{self._mark}_{os.getpid()}_{id(exception)}"


def _attributes_of(exception: BaseException | None) -> dict[str, object] | None:
    if exception is None:
        return None
    try:
        attributes: dict[str, object] = _dictionary.__get__(exception)
    except TypeError:  # it only says that it is an exception, as a mock does
        return None
    return attributes
