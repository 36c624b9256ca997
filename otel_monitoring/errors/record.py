"""One error as it was reported, and who makes such records."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from otel_monitoring.errors.chain import chain_of, exception_type, text_of
from otel_monitoring.errors.fingerprint import fingerprint_of
from otel_monitoring.errors.secrecy.scrub import Scrubber
from otel_monitoring.errors.trace import current_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from otel_monitoring.errors.chain import Link
    from otel_monitoring.errors.stored import Plain

TITLE_CHARACTERS = 200
"""How much of an error's text names it in a list."""

_FIELDS = frozenset({"component", "error_type", "fingerprint"})
"""What a log event may say of its error beside the context."""


Found = TypeVar("Found")


class found_once(Generic[Found]):  # noqa: N801 (a decorator)
    """A property that is found out when it is first asked for, and kept with the object.

    As ``functools.cached_property``, which up to Python 3.11 has one lock for all objects: a
    child that is forked while another thread holds it waits for it without end.
    """

    def __init__(self, find: Callable[[Any], Found]) -> None:
        self._find = find
        self.__doc__ = find.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Found: ...

    def __get__(self, instance: object | None, owner: type) -> Self | Found:
        """Return what was found."""
        if instance is None:
            return self
        found = self._find(instance)
        instance.__dict__[self._find.__name__] = found
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the errors of a process come from.

    Args:
        service: its name.
        host: the machine's name.
        release: the version that runs, where it is known.
    """

    service: str = "unknown_service"
    host: str = ""
    release: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorRecord:
    """What is known of one error; all texts are scrubbed.

    What only some want to know is found out when it is first asked for: while the error is
    handed round, since a traceback grows as its exception travels on.

    Args:
        time: when, in seconds since 1970.
        error_type: its kind, one of few: an exception class or a word of the application's.
        component: the part of the service in which it happened.
        message: one line for people.
        context: whatever else was said: a read-only copy in plain data.
        exception: the exception itself, where there was one; nothing of it is scrubbed.
        trace_id: the active trace in hex, as OpenTelemetry writes it, or None.
        span_id: the active span in hex, or None.
        origin: the service, the host and the release.
        pid: the process.
        grouping: what the application says to group by, instead of what is found out.
    """

    time: float
    error_type: str
    component: str
    message: str
    context: Mapping[str, Plain]
    exception: BaseException | None = field(default=None, repr=False)
    trace_id: str | None = None
    span_id: str | None = None
    origin: Origin = Origin()
    pid: int = 0
    grouping: str | None = None
    _scrubber: Scrubber = field(repr=False)
    _with_locals: bool = field(default=False, repr=False)

    @found_once
    def id(self) -> str:
        """32 hex digits that no other error has, and that rise with time."""
        return _ids.next_for(self.time)

    @found_once
    def chain(self) -> tuple[Link, ...]:
        """The exception, its causes and its members, with their frames; empty where there is none."""
        if self.exception is None:
            return ()
        clean_locals = self._scrubber.mapping if self._with_locals else None
        return chain_of(self.exception, clean=self._scrubber.text, clean_locals=clean_locals)

    @found_once
    def fingerprint(self) -> str:
        """16 hex digits that the same fault has each time, in each process."""
        return fingerprint_of(
            service=self.origin.service,
            component=self.component,
            error_type=self.error_type,
            message=self.message,
            chain=self.chain,
            override=self.grouping,
        )

    @property
    def title(self) -> str:
        """The error in one line of at most 200 characters."""
        text = f"{self.chain[0].type}: {self.chain[0].message}" if self.chain else self.message
        line = " ".join(text[: 2 * TITLE_CHARACTERS].split())
        return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


class Recorder:
    """Makes the records of one service.

    Args:
        origin: the same for all of them.
        scrubber: hides what nobody may see.
        with_locals: keep the local variables of the application's frames, scrubbed.
    """

    def __init__(
        self, origin: Origin | None = None, scrubber: Scrubber | None = None, *, with_locals: bool = False
    ) -> None:
        self.origin = Origin() if origin is None else origin
        self.scrubber = Scrubber() if scrubber is None else scrubber
        self._with_locals = with_locals

    def record(
        self,
        message: str,
        *,
        error_type: str,
        component: str,
        context: Mapping[str, object],
        exception: BaseException | None = None,
        fingerprint: str | None = None,
    ) -> ErrorRecord:
        """Return the record of an error that happens at this moment, in the active span.

        Args:
            message: one line for people.
            error_type: its kind, one of few.
            component: the part of the service in which it happened.
            context: whatever else is known.
            exception: the exception, where there is one.
            fingerprint: errors with the same text here are one group, whatever they look like.
        """
        scrubber = self.scrubber
        trace_id, span_id = current_span()
        return ErrorRecord(
            time=time.time(),
            error_type=scrubber.label(error_type),
            component=scrubber.label(component),
            message=scrubber.text(message),
            context=MappingProxyType(scrubber.mapping(context) if context else {}),
            exception=exception,
            trace_id=trace_id,
            span_id=span_id,
            origin=self.origin,
            pid=os.getpid(),
            grouping=fingerprint,
            _scrubber=scrubber,
            _with_locals=self._with_locals,
        )

    def of_exception(
        self, exception: BaseException, *, component: str, context: Mapping[str, object] | None = None
    ) -> ErrorRecord:
        """Return the record of an exception that was caught; its type is the class's name."""
        return self.record(
            text_of(exception),
            error_type=exception_type(exception),
            component=component,
            context=context or {},
            exception=exception,
        )

    def of_log(
        self,
        message: str,
        *,
        fields: Mapping[str, object],
        exception: BaseException | None,
        default_type: str,
        default_component: str,
    ) -> ErrorRecord:
        """Return the record of an error that was logged.

        Args:
            message: the text of the event.
            fields: what came with it; ``error_type``, ``component`` and ``fingerprint`` are taken
                from here where they are not empty, and the rest is the context.
            exception: the exception that was logged with it.
            default_type: the type of an event that gives none and has no exception.
            default_component: the component of an event that gives none.
        """
        given_type = fields.get("error_type")
        if not given_type:
            given_type = default_type if exception is None else exception_type(exception)
        fingerprint = fields.get("fingerprint")
        return self.record(
            message,
            error_type=str(given_type),
            component=str(fields.get("component") or default_component),
            context={name: value for name, value in fields.items() if name not in _FIELDS},
            exception=exception,
            fingerprint=str(fingerprint) if fingerprint else None,
        )


class _Ids:
    """Gives ids: milliseconds since 1970, a number of this process's own, and a count."""

    def __init__(self) -> None:
        self._process = (-1, "")
        self._numbers = itertools.count()

    def next_for(self, seconds: float) -> str:
        """Return an id for an error of that time."""
        pid, mark = self._process
        if pid != os.getpid():  # a forked child must not go on with its parent's
            mark = os.urandom(5).hex()
            self._process = os.getpid(), mark
        return f"{max(0, int(seconds * 1000)):012x}{mark}{next(self._numbers) & 0xFF_FFFF_FFFF:010x}"


_ids = _Ids()
