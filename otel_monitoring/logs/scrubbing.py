"""What is logged of an error shows no secrets either."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import is_dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import structlog

from otel_monitoring.errors.chain import chain_of
from otel_monitoring.errors.secrecy.plain import CARD_NUMBERS_FROM
from otel_monitoring.errors.secrecy.scrub import HIDDEN
from otel_monitoring.logs.events import exception_of, interpolated

if TYPE_CHECKING:
    from otel_monitoring.errors.secrecy.scrub import Scrubber
    from otel_monitoring.errors.stored import Plain

    Event = MutableMapping[str, Any]

_LEFT_ALONE = frozenset({"exc_info", "level", "positional_args", "timestamp"})
_LABELS = frozenset({"component", "error_type", "logger"})
_WHOLE = 1 << 62
"""Texts of log lines are cut nowhere."""

_STRUCTURES = (Mapping, list, tuple, set, frozenset)


class Scrubbed(dict[str, "Plain"]):
    """What a scrubber has made of a context: the same scrubber does not go through it again.

    Others never see it, for it becomes a plain dictionary where the event is scrubbed.

    Args:
        given: what it has made.
        by: the scrubber.
    """

    __slots__ = ("by",)

    def __init__(self, given: Mapping[str, Plain], by: Scrubber) -> None:
        super().__init__(given)
        self.by = by


def scrub_event(event: Event, scrubber: Scrubber) -> None:
    """Hide the secrets of an event in it; what holds none stays the very object that it is.

    An exception with a secret in its text, or in that of one of its causes, is replaced by
    its traceback as text, under ``exception``, where renderers look for it.  So is every one
    while structlog is not configured.
    """
    if event.get("positional_args"):
        _scrub_arguments(event, scrubber)
    for name, value in event.items():
        if name not in _LEFT_ALONE and value is not None:
            clean = _clean(name, value, scrubber)
            if clean is not value:
                event[name] = clean  # of a name that is there: what is gone through stays the same
    _scrub_exception(event, scrubber)


def _clean(name: str, value: object, scrubber: Scrubber) -> object:
    is_secret = scrubber.is_secret(name)
    if isinstance(value, str):
        if name in _LABELS and not is_secret:
            return scrubber.label(value)
        return HIDDEN if value and is_secret else scrubber.cut_text(value, _WHOLE)
    if not is_secret and _is_plain_number(value):
        return value
    if not is_secret and isinstance(value, Scrubbed) and value.by is scrubber:
        return dict(value)
    plain = next(iter(scrubber.mapping({name: value}).values()))
    if isinstance(value, _STRUCTURES) or is_dataclass(value):
        return value if _is_same(plain, value) else plain
    return plain if isinstance(plain, str) and HIDDEN in plain else value


def _is_plain_number(value: object) -> bool:
    return isinstance(value, bool | float) or (type(value) is int and -CARD_NUMBERS_FROM < value < CARD_NUMBERS_FROM)


def _is_same(plain: Plain, value: object) -> bool:
    """Tell whether a value is plain data already, and nothing was cut or hidden in it."""
    if isinstance(plain, dict):
        if type(value) is not dict or plain.keys() != value.keys():
            return False
        return all(_is_same(plain[name], value[name]) for name in plain)
    if isinstance(plain, list):
        return type(value) is list and len(plain) == len(value) and all(map(_is_same, plain, value))
    return type(plain) is type(value) and plain == value


def _scrub_arguments(event: Event, scrubber: Scrubber) -> None:
    """Put the arguments in where the text would show a secret with them."""
    shown = interpolated(event.get("event", ""), event["positional_args"])
    if scrubber.cut_text(shown, _WHOLE) != shown:
        event["event"] = shown
        del event["positional_args"]


def _scrub_exception(event: Event, scrubber: Scrubber) -> None:
    exception = exception_of(event.get("exc_info"))
    if exception is None:
        return
    is_chosen = structlog.is_configured()
    if _has_secret(exception, scrubber) or not is_chosen:
        event["exc_info"] = False  # not missing: structlog's set_exc_info would put it back
        # Nobody has chosen structlog's default, whose tracebacks show local variables; earlier
        # releases of it complain of an exception that comes as text, and of a stack do not.
        name = "exception" if is_chosen else "stack"
        event[name] = scrubber.cut_text("".join(format_exception(exception)).rstrip("\n"), _WHOLE)


def _has_secret(exception: BaseException, scrubber: Scrubber) -> bool:
    hidden = False

    def clean(text: str) -> str:
        nonlocal hidden
        cleaned = scrubber.text(text)
        hidden = hidden or cleaned != text
        return cleaned

    chain_of(exception, clean=clean)
    return hidden


class ScrubLine:
    """A processor that hides the secrets of every event.

    Args:
        scrubber: knows what is secret.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, logger: object, method_name: str, event_dict: Event) -> Event:  # noqa: ARG002 (structlog's signature)
        """Return the event without secrets."""
        scrub_event(event_dict, self._scrubber)
        return event_dict
