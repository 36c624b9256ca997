"""What is logged of an error shows no secrets either."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from otel_monitoring.errors.chain import chain_of, format_chain, payload_of
from otel_monitoring.errors.scrub import HIDDEN
from otel_monitoring.logs.events import exception_of, interpolated

if TYPE_CHECKING:
    from otel_monitoring.errors.scrub import Scrubber

    Event = MutableMapping[str, Any]

_LEFT_ALONE = frozenset({"_record", "_from_structlog", "exc_info", "level", "positional_args", "timestamp"})
_WHOLE = 1 << 62
"""Texts of log lines are cut nowhere."""

_STRUCTURES = (Mapping, list, tuple, set, frozenset)


def scrub_event(event: Event, scrubber: Scrubber) -> None:
    """Hide the secrets of an event in it; what holds none stays the very object that it is.

    An exception with a secret in its text, or in that of one of its causes, is replaced by
    its traceback as text, under ``exception``, where renderers look for it.
    """
    if event.get("positional_args"):
        _scrub_arguments(event, scrubber)
    for name, value in list(event.items()):
        if name not in _LEFT_ALONE and value is not None:
            clean = _clean(name, value, scrubber)
            if clean is not value:
                event[name] = clean
    _scrub_exception(event, scrubber)


def _clean(name: str, value: object, scrubber: Scrubber) -> object:
    if isinstance(value, str):
        return HIDDEN if value and scrubber.is_secret(name) else scrubber.cut_text(value, _WHOLE)
    if isinstance(value, bool | int | float) and not scrubber.is_secret(name):
        return value
    plain = next(iter(scrubber.mapping({name: value}).values()))
    if isinstance(value, _STRUCTURES) or is_dataclass(value):
        return value if plain == value else plain
    return plain if isinstance(plain, str) and HIDDEN in plain else value


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
    hidden: list[str] = []

    def clean(text: str) -> str:
        cleaned = scrubber.text(text)
        if cleaned != text:
            hidden.append(cleaned)
        return cleaned

    chain = chain_of(exception, clean=clean)
    if hidden:
        event["exc_info"] = False  # not missing: structlog's set_exc_info would put it back
        event["exception"] = format_chain([payload_of(link) for link in chain])


class ScrubLine:
    """A processor that hides the secrets of every event; it stands before what renders them.

    Args:
        scrubber: knows what is secret.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, logger: object, method_name: str, event_dict: Event) -> Event:  # noqa: ARG002 (structlog's signature)
        """Return the event without secrets."""
        scrub_event(event_dict, self._scrubber)
        return event_dict
