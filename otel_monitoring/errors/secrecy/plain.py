"""Whatever stands in a context as data that JSON and PostgreSQL can hold, in bounded time and room."""

from __future__ import annotations

import re
import time
from array import array
from collections import UserList, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import islice
from math import isfinite
from pathlib import PurePath
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from otel_monitoring.errors.chain import exception_type, text_of
from otel_monitoring.errors.secrecy.secrets import HIDDEN, LOOKED_BEYOND, NAMES_KEPT, Secrecy, is_number

if TYPE_CHECKING:
    from otel_monitoring.errors.stored import Plain

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is kept of a text and of a structure; what is cut off says so in its place.

    Attributes:
        characters_per_text: of one text.
        characters_per_key: of one key.
        characters: of all texts of a structure; those after them are cut to ``characters_per_key``.
        items_per_container: of one mapping or sequence.
        items: of all of them together.
        depth: how many containers deep a structure goes.
        repr_seconds: how long an object's ``repr`` may take.
        repr_pause_seconds: how long objects of a class are shown by their class alone once a
            ``repr`` of it took longer.
    """

    characters_per_text: int = 4096
    characters_per_key: int = 128
    characters: int = 65_536
    items_per_container: int = 100
    items: int = 2000
    depth: int = 8
    repr_seconds: float = 0.001
    repr_pause_seconds: float = 60.0


BOUNDS = Bounds()

SLOW_CLASSES = 256
"""How many classes with a slow ``repr`` are kept in mind."""

MORE = "…"
TOO_DEEP = "[too deep]"
ITSELF = "[refers to itself]"

LONGEST_CHARACTER_BYTES = 4
CARD_NUMBERS_FROM = 10**12
INTEGER_BITS = 63
LONGEST_INTEGER_BITS = 256
"""Of those that are shown; the decimal digits of a long one take their time."""

_RECORDS = (("name", "value"), ("key", "value"), ("header", "value"), ("loc", "input"))
"""The last is what Pydantic makes of a field that it refuses."""

_MORE_ITEMS = re.compile(r"… \[[0-9]+ more items\]\Z")
_NAME = re.compile(r"[\w.-]{1,64}\Z")
_UNPRINTABLE = re.compile(r"[\0-\x08\x0e-\x1f\x7f\ufffd]")

_ITEMS: type = type({}.items())
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), _ITEMS)

# A metaclass can make anything of ``kind.__name__`` and ``kind.__mro__``.
_name_of: Any = type.__dict__["__name__"].__get__
_bases_of: Any = type.__dict__["__mro__"].__get__


class CutText(Protocol):
    """Takes the secrets out of a text and cuts it."""

    def __call__(self, text: str, longest: int, beyond: int = 0) -> str:
        """Return so many characters of it, and a note of how many more there were."""
        ...


class PlainData:
    """Turns a context into plain data, with what stands under secret names hidden.

    Only what is known to be at hand is looked into: mappings, lists, tuples, sets, deques,
    dataclasses.  Anything else, generators and lazy queries among it, is shown by its
    ``repr``, and where that fails by its class.

    Args:
        cut_text: what every text goes through.
        secrecy: tells by its name how secret something is.
        bounds: how much is kept.
    """

    def __init__(self, cut_text: CutText, secrecy: Callable[[str], Secrecy | None], bounds: Bounds) -> None:
        self.cut_text = cut_text
        self.secrecy = secrecy
        self.bounds = bounds
        self.known_key = lru_cache(NAMES_KEPT)(self.key)
        self._slow: WeakKeyDictionary[type, float] = WeakKeyDictionary()

    def mapping(self, given: Mapping[str, object] | Mapping[object, object]) -> dict[str, Plain]:
        """Return what JSON can hold of a mapping."""
        plain = _Walk(self).value(given)
        return plain if type(plain) is dict else {MORE: plain}

    def key(self, key: str) -> tuple[str, Secrecy | None]:
        """Return a key as it is shown, and how secret what stands under it is."""
        shown = self.cut_text(key, self.bounds.characters_per_key)
        return shown, self.secrecy(shown)

    def is_slow(self, kind: type) -> bool:
        """Tell whether the ``repr`` of this class took too long a short while ago."""
        since = self._slow.get(kind)
        return since is not None and time.monotonic() - since < self.bounds.repr_pause_seconds

    def note_slow(self, kind: type) -> None:
        """Remember that the ``repr`` of this class takes too long."""
        if len(self._slow) >= SLOW_CLASSES:
            self._slow.clear()
        self._slow[kind] = time.monotonic()


class _Walk:
    """One way through a structure, and what is left of its bounds.

    What is cut off a container leaves a note, which is one item more; a last item that
    takes no more room than its note is kept instead.  So what comes in again comes out as
    it is.
    """

    __slots__ = ("bounds", "characters", "items", "open", "to")

    def __init__(self, to: PlainData) -> None:
        self.to = to
        self.bounds = bounds = to.bounds
        self.items = bounds.items
        self.characters = bounds.characters
        self.open: list[int] = []

    def value(self, value: object) -> Plain:
        """Return a value as plain data; what it raises becomes a note."""
        make: _Maker = _Walk.said
        try:
            kind = type(value)
            make = _EXACTLY.get(kind) or _maker_of(kind)
            return make(self, value)
        except Exception:  # noqa: BLE001 (what an object raises when it is looked at is its own affair)
            what = "repr failed" if make is _Walk.said else "cannot be read"
            return self.text(f"<{_name_of(type(value))}: {what}>")

    def text(self, text: str, beyond: int = 0) -> str:
        left, longest = self.characters, self.bounds.characters_per_text
        if left < longest:
            longest = max(left, self.bounds.characters_per_key)
        shown = self.to.cut_text(text, longest, beyond)
        self.characters = left - len(shown)
        return shown

    def itself(self, value: bool | None) -> Plain:  # noqa: FBT001 (one of the many)
        return value

    def integer(self, value: int) -> Plain:
        number = int.__int__(value)
        if -CARD_NUMBERS_FROM < number < CARD_NUMBERS_FROM:
            return number
        bits = number.bit_length()
        if bits > LONGEST_INTEGER_BITS:
            return self.text(f"<integer of {bits} bits>")
        digits = str(number)
        shown = self.text(digits)
        return number if shown == digits and bits <= INTEGER_BITS else shown

    def real(self, value: float) -> Plain:
        number = float.__float__(value)
        return number if isfinite(number) else self.text(repr(number))

    def member(self, value: Enum) -> Plain:
        return self.value(value.value)

    def octets(self, value: bytes | bytearray) -> Plain:
        content = memoryview(value)
        taken = content[: LONGEST_CHARACTER_BYTES * (self.bounds.characters_per_text + LOOKED_BEYOND)].tobytes()
        beyond = len(content) - len(taken)
        text = taken.decode(errors="replace")
        if beyond:  # the cut may go through a character
            text = text.rstrip("\ufffd")
        return self.text(f"<{len(content)} bytes>") if _UNPRINTABLE.search(text) else self.text(text, beyond)

    def said(self, value: object, say: Callable[[Any], str] = repr) -> Plain:
        kind = type(value)
        if self.to.is_slow(kind):
            return self.text(f"<{_name_of(kind)}>")
        started = time.perf_counter()
        try:
            text = say(value)
        finally:
            if time.perf_counter() - started > self.bounds.repr_seconds:
                self.to.note_slow(kind)
        return self.text(text)

    def mapping(self, value: Mapping[object, object]) -> Plain:
        return self.inside(value, value.items(), len(value), self.entries)

    def dictionary(self, value: dict[object, object]) -> Plain:
        return self.inside(value, dict.items(value), dict.__len__(value), self.entries)

    def fields(self, value: Any) -> Plain:  # noqa: ANN401 (a dataclass)
        shown = [(field.name, getattr(value, field.name)) for field in fields(value) if field.repr]
        return self.inside(value, shown, len(shown), self.entries)

    def row(self, value: tuple[object, ...]) -> Plain:
        names: object = getattr(type(value), "_fields", None)
        items, size = tuple.__iter__(value), tuple.__len__(value)
        if type(names) is tuple and len(names) == size:
            return self.inside(value, zip(names, items, strict=True), size, self.entries)
        return self.inside(value, items, size, self.listed)

    def inside(
        self, container: object, content: Iterable[T], size: int, make: Callable[[list[T], int], Plain]
    ) -> Plain:
        """Go into a container and make something of so much of its content as there is room for.

        Args:
            container: the container.
            content: what is in it.
            size: how much that is, as the container says.
            make: gets the items, and how many are missing, the last of these too.
        """
        bounds, now_open, mark = self.bounds, self.open, id(container)
        if mark in now_open:
            return ITSELF
        if len(now_open) >= bounds.depth:
            return TOO_DEEP
        room = size
        if room > bounds.items_per_container or room > self.items:
            room = min(bounds.items_per_container, self.items)
        self.items -= room
        now_open.append(mark)
        try:
            # A copy at once, since another thread may change it; bounded, since a class may have more than it says.
            is_whole = room == size and type(content) is _ITEMS
            found = list(content if is_whole else islice(content, room + 1))
            return make(found, 0 if len(found) <= room else size - room or 1)
        finally:
            now_open.pop()

    def entries(self, entries: list[tuple[Any, Any]], missing: int) -> Plain:
        if missing == 1 and type(entries[-1][1]) in _SMALL:
            missing = 0
        known_key, longest_key = self.to.known_key, self.bounds.characters_per_key
        cut_text, longest = self.to.cut_text, self.bounds.characters_per_text
        result: dict[str, Plain] = {}
        for key, value in entries[:-1] if missing else entries:
            shown, secrecy = known_key(key) if type(key) is str and len(key) <= longest_key else self.key(key)
            if shown in result:
                shown = f"{shown[: longest_key // 2]} ({len(result) + 1})"
            kind = type(value)
            if secrecy is not None:
                result[shown] = self.hidden(value, secrecy)
            elif kind is str and self.characters >= longest:
                result[shown] = text = cut_text(value, longest)
                self.characters -= len(text)
            elif kind is int and -CARD_NUMBERS_FROM < value < CARD_NUMBERS_FROM:
                result[shown] = value
            else:
                result[shown] = self.value(value)
        if "value" in result or "input" in result:
            self.hide_named(result)
        if missing:
            result[MORE] = f"[{missing} more]"
        return result

    def listed(self, items: list[object], missing: int) -> Plain:
        if missing == 1 and type(items[-1]) in _SMALL:
            missing = 0
        result: list[Plain] = []
        secrecy: Secrecy | None = None
        for item in items[:-1] if missing else items:
            plain = self.value(item) if secrecy is None else self.hidden(item, secrecy)
            is_name = _is_flag(plain) or (len(items) == 2 and not (result or missing))  # noqa: PLR2004 (and its value)
            secrecy = self.secrecy_of(plain) if is_name and secrecy is None else None
            result.append(plain)
        if missing:
            result.append(f"{MORE} [{missing} more items]")
        return result

    def key(self, key: object) -> tuple[str, Secrecy | None]:
        return self.to.key(key if type(key) is str else str(self.value(key)))

    def hidden(self, value: object, secrecy: Secrecy) -> Plain:
        """Return what may be shown of a value that stands under a secret name."""
        words = secrecy is Secrecy.WORDS
        kind = type(value)
        if value is None or kind is bool:
            return self.value(value)
        if type(value) is str and (not value or _MORE_ITEMS.match(value) or (words and is_number(value))):
            return self.text(value)
        if kind in _NUMBERS and secrecy is not Secrecy.ALL:
            number = self.value(value)
            return number if type(number) in _NUMBERS else HIDDEN
        if kind is dict and words:
            counts = self.value(value)
            if type(counts) is dict and all(type(count) in _NUMBERS for count in counts.values()):
                return counts
        return HIDDEN

    def hide_named(self, entries: dict[str, Plain]) -> None:
        """Hide the value of a record that names it, as ``{"name": "Authorization", "value": "Bearer …"}`` does."""
        for label, told in _RECORDS:
            names = entries.get(label)
            if told in entries:
                for name in names if type(names) is list else [names]:
                    secrecy = self.secrecy_of(name)
                    if secrecy is not None:
                        entries[told] = self.hidden(entries[told], secrecy)

    def secrecy_of(self, name: Plain) -> Secrecy | None:
        return self.to.secrecy(name) if type(name) is str and _NAME.match(name) else None


def _is_flag(item: Plain) -> bool:
    return type(item) is str and item.startswith("--")


def _listing(base: Any) -> _Maker:  # noqa: ANN401 (any class that has both)
    """Return what lists a container as its base class does, whatever the class itself makes of it."""
    return lambda walk, value: walk.inside(value, base.__iter__(value), base.__len__(value), walk.listed)


def _saying(say: Callable[[Any], str]) -> _Maker:
    return lambda walk, value: walk.said(value, say)


def _exception_text(exception: BaseException) -> str:
    text = text_of(exception)
    return f"{exception_type(exception)}: {text}" if text else exception_type(exception)


_Maker = Callable[[_Walk, Any], "Plain"]

_BY_BASE: dict[type, _Maker] = {
    bool: _Walk.itself,
    NoneType: _Walk.itself,
    str: _Walk.text,
    int: _Walk.integer,
    float: _Walk.real,
    bytes: _Walk.octets,
    bytearray: _Walk.octets,
    Enum: _Walk.member,
    dict: _Walk.dictionary,
    tuple: _Walk.row,
    **{base: _listing(base) for base in (list, set, frozenset, deque, array, *_VIEWS)},
    UserList: lambda walk, value: walk.value(value.data),
    **{base: _saying(str) for base in (Decimal, UUID, PurePath, timedelta)},
    **{base: _saying(base.isoformat) for base in (date, datetime, time_of_day)},
    BaseException: _saying(_exception_text),
    Mapping: _Walk.mapping,
}
_EXACTLY: dict[type, _Maker] = {**_BY_BASE, dict: _Walk.mapping, MappingProxyType: _Walk.mapping}

_NUMBERS = frozenset({int, float})
_SMALL = frozenset({str, int, float, bool, NoneType})
"""What takes no more room than a note that it is missing."""


@dataclass
class _Sample:
    """Shows which code a dataclass's own ``repr`` has."""


_GENERATED_REPR = getattr(_Sample.__repr__, "__code__", None)


def _maker_of(kind: type) -> _Maker:
    for base in _bases_of(kind):
        if base in _BY_BASE:
            return _BY_BASE[base]
    if issubclass(kind, Mapping):
        return _Walk.mapping
    # A dataclass with a repr of its own has its reasons, maybe a secret.
    if is_dataclass(kind) and getattr(kind.__repr__, "__code__", None) is _GENERATED_REPR:
        return _Walk.fields
    return _Walk.said
