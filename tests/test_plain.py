"""Plain data: whatever stands in a context becomes what JSON can hold, in bounded time, and nothing in it can raise."""

from __future__ import annotations

import array
import collections
import dataclasses
import decimal
import enum
import itertools
import json
import math
import pathlib
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from otel_monitoring.errors.secrecy.scrub import BOUNDS, HIDDEN, Bounds, Scrubber

if TYPE_CHECKING:
    from otel_monitoring.errors.stored import Plain


def plain(value: object, **bounds: Any) -> Plain:
    return Scrubber(bounds=dataclasses.replace(BOUNDS, **bounds)).mapping({"it": value})["it"]


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"
    BOTH = ("red", 1)


class Word(enum.StrEnum):
    """An enumeration of texts."""

    ONE = "one"


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    token: str


@dataclasses.dataclass
class User:
    """A dataclass with a secret, and a field that it does not show."""

    name: str
    password: str
    unsaid: str = dataclasses.field(default="unsaid", repr=False)


@dataclasses.dataclass
class Masked:
    """A dataclass that shows itself in its own way."""

    value: str

    def __repr__(self) -> str:
        return "Masked(…)"


class Thing:
    """Anything else."""

    def __repr__(self) -> str:
        return "Thing(password='hunter2')"


class Text(str):
    """A kind of text."""

    __slots__ = ()


class Bag(Mapping[str, object]):
    """A mapping that says how much it has, and has what it is given."""

    def __init__(self, size: int, names: Iterator[str]) -> None:
        self.size = size
        self.names = names
        self.read = 0

    def __getitem__(self, key: str) -> object:
        self.read += 1
        return key

    def __iter__(self) -> Iterator[str]:
        return self.names

    def __len__(self) -> int:
        return self.size


AS_THEY_ARE: list[object] = [None, True, False, 0, -5, 2**63 - 1, 1.5, "text", "", {"a": {"b": [1]}}, [], {}]

CONVERTED = [
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (2**63, "9223372036854775808"),
    (Level.HIGH, 3),
    (Word.ONE, "one"),
    (Colour.RED, "red"),
    (Colour.BOTH, ["red", 1]),
    (Text("x"), "x"),
    (b"text\n", "text\n"),
    (bytearray(b"text"), "text"),
    (b"\x00\xff", "<2 bytes>"),
    (datetime(2026, 11, 25, 13, 45, tzinfo=UTC), "2026-11-25T13:45:00+00:00"),
    (date(2026, 11, 25), "2026-11-25"),
    (time(13, 45), "13:45:00"),
    (timedelta(minutes=5), "0:05:00"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (decimal.Decimal("1.50"), "1.50"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    ((1, 2, 3), [1, 2, 3]),
    ({1}, [1]),
    (frozenset({1}), [1]),
    (collections.deque([1, 2, 3]), [1, 2, 3]),
    (collections.UserList([1, 2, 3]), [1, 2, 3]),
    (array.array("d", [1, 2, 3]), [1.0, 2.0, 3.0]),
    ({"a": 1}.keys(), ["a"]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "a", None: "b", (1, "x"): "c"}, {"1": "a", "None": "b", "[1, 'x']": "c"}),
    ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
    (Point(1, "hunter2"), {"x": 1, "token": HIDDEN}),
    (User("bob", "hunter2"), {"name": "bob", "password": HIDDEN}),
    (Masked("hunter2"), "Masked(…)"),
    (User, f"<class '{__name__}.User'>"),
    (Thing(), "Thing(password='***')"),
    (ValueError("password='hunter2'"), "ValueError: password='***'"),
    (KeyError(), "KeyError"),
    (range(3), "range(0, 3)"),
]


@pytest.mark.parametrize("value", AS_THEY_ARE)
def test_what_json_can_hold_stays_as_it_is(value: object) -> None:
    assert plain(value) == value
    assert type(plain(value)) is type(value)


@pytest.mark.parametrize(("value", "expected"), CONVERTED)
def test_everything_else_becomes_structure_or_text(value: object, expected: Plain) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_an_integer_whose_digits_would_take_long_is_told_by_its_size() -> None:
    assert plain(10**5000) == "<integer of 16610 bits>"


def test_what_is_given_is_not_changed_and_not_shared() -> None:
    inner = {"password": "hunter2", "list": [1]}
    given: dict[object, object] = {"inner": inner}
    clean = Scrubber().mapping(given)
    assert given == {"inner": {"password": "hunter2", "list": [1]}}
    assert clean["inner"] is not inner


def test_what_is_cut_off_a_container_says_how_much_it_was() -> None:
    assert plain(list(range(1000)), items_per_container=3) == [0, 1, 2, "… [997 more items]"]
    assert plain(dict.fromkeys("abcde", 1), items_per_container=3) == {"a": 1, "b": 1, "c": 1, "…": "[2 more]"}


def test_a_last_item_that_takes_no_more_room_than_its_note_is_kept() -> None:
    assert plain([1, 2, 3], items_per_container=2) == [1, 2, 3]
    assert plain([1, 2, [3]], items_per_container=2) == [1, 2, "… [1 more items]"]
    assert plain({"a": 1, "b": 2}, items_per_container=1) == {"a": 1, "b": 2}


def test_what_goes_too_deep_or_refers_to_itself_says_so() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert plain(deep, depth=3) == [["[too deep]"]]
    itself: dict[str, object] = {"a": 1}
    itself["itself"] = [itself]
    assert plain(itself) == {"a": 1, "itself": ["[refers to itself]"]}


def test_what_stands_twice_side_by_side_is_shown_twice() -> None:
    shared = {"a": 1}
    assert plain([shared, shared, shared]) == [shared, shared, shared]


def test_a_structure_that_grows_with_each_level_is_cut_by_its_items() -> None:
    wide: list[object] = []
    for _ in range(50):
        wide = [wide] * 50
    assert len(json.dumps(plain(wide))) < 100 * BOUNDS.items


def test_texts_beyond_the_whole_s_characters_are_cut_short() -> None:
    shown = plain(["a" * 40] * 4, characters_per_text=50, characters=100, characters_per_key=10)
    assert shown == [
        "a" * 40,
        "a" * 40,
        "a" * 20 + "… [20 more characters]",
        "a" * 10 + "… [30 more characters]",
    ]


def test_a_long_key_is_cut_and_still_tells_whether_it_is_secret() -> None:
    clean = Scrubber().mapping({"password" + "x" * 1_000_000: "hunter2"})
    assert clean == {"password" + "x" * 120 + "… [999 880 more characters]": HIDDEN}


def test_long_bytes_are_read_no_further_than_they_are_shown() -> None:
    assert str(plain("é".encode() * 100_000, characters_per_text=4)).startswith("éééé… [")
    assert str(plain("é".encode() * 100_001, characters_per_text=5)).startswith("ééééé… [")
    secret = b"password=" + b"hunter2" * 100_000
    assert str(plain(secret, characters_per_text=20)).startswith("password=***… [")


class RaisingRepr:
    """Its ``repr`` raises."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


class LyingClass:
    """It says that it is a dictionary."""

    __class__: Any = dict

    def __repr__(self) -> str:
        return "LyingClass()"


class RaisingClass:
    """It does not say what it is."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NoTextRepr:
    """Its ``repr`` is a number."""

    def __repr__(self) -> Any:
        return 5


class RaisingItems(dict[str, int]):
    """A dictionary that cannot be asked for anything."""

    def items(self) -> Any:
        """Raise."""
        raise OSError

    def __iter__(self) -> Any:
        raise OSError

    def __len__(self) -> int:
        raise OSError


class RaisingMapping(Bag):
    """A mapping without a size."""

    def __len__(self) -> int:
        raise OSError


class RaisingError(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise RuntimeError


class Meta(type):
    """A metaclass that lets nobody at its classes."""

    def __hash__(cls) -> int:
        raise RuntimeError

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class OddlyMade(metaclass=Meta):
    """A class of that metaclass."""


@dataclasses.dataclass
class Unset:
    """A dataclass whose only field may not be there."""

    __slots__ = ("value",)
    value: int


HOSTILE: list[tuple[Callable[[], object], Plain]] = [
    (RaisingRepr, "<RaisingRepr: repr failed>"),
    (NoTextRepr, "<NoTextRepr: repr failed>"),
    (LyingClass, "LyingClass()"),
    (lambda: RaisingItems(a=1), {"a": 1}),
    (lambda: RaisingMapping(0, iter("")), "<RaisingMapping: cannot be read>"),
    (RaisingError, f"{__name__}.RaisingError: <no text: {__name__}.RaisingError.__str__ failed>"),
    (lambda: type.__call__(OddlyMade), "<OddlyMade: repr failed>"),
    (lambda: object.__new__(Unset), "<Unset: cannot be read>"),
    (lambda: {"a": RaisingRepr(), "b": 1}, {"a": "<RaisingRepr: repr failed>", "b": 1}),
    (lambda: {RaisingRepr(): 1}, {"<RaisingRepr: repr failed>": 1}),
]


@pytest.mark.parametrize(("make", "expected"), HOSTILE)
def test_what_an_object_raises_becomes_a_note(make: Callable[[], object], expected: Plain) -> None:
    assert plain(make()) == expected


def test_an_object_that_lies_under_a_secret_name_is_hidden() -> None:
    class LyingFlag:
        __class__: Any = bool

    assert Scrubber().mapping({"token": LyingFlag(), "secret": RaisingClass()}) == {"token": HIDDEN, "secret": HIDDEN}


def test_a_context_that_cannot_be_read_is_a_note() -> None:
    assert Scrubber().mapping(RaisingMapping(0, iter(""))) == {"…": "<RaisingMapping: cannot be read>"}


def test_what_wants_to_stop_the_program_does() -> None:
    class Stopping:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain(Stopping())


def test_no_generator_and_no_iterator_is_consumed() -> None:
    numbers = (number for number in range(3))
    lines = iter(["a", "b"])
    assert "generator object" in str(plain([numbers, lines]))
    assert list(numbers) == [0, 1, 2]
    assert list(lines) == ["a", "b"]


def test_a_lazy_sequence_is_shown_by_its_repr() -> None:
    class Query(Sequence[int]):
        def __getitem__(self, index: Any) -> Any:
            raise AssertionError

        def __len__(self) -> int:
            raise AssertionError

        def __repr__(self) -> str:
            return "<Query>"

    assert plain(Query()) == "<Query>"


@pytest.mark.parametrize("size", [0, 3, 10**9])
def test_a_mapping_is_read_no_further_than_it_is_shown_whatever_size_it_says(size: int) -> None:
    endless = Bag(size, map(str, itertools.count()))
    assert len(str(plain(endless, items_per_container=5))) < 200
    assert endless.read <= 6


def test_a_class_with_a_slow_repr_is_shown_by_its_name_for_a_while() -> None:
    spoken: list[int] = []

    class Slow:
        def __repr__(self) -> str:
            spoken.append(1)
            return "Slow()"

    scrubber = Scrubber(bounds=Bounds(repr_seconds=0.0))
    assert scrubber.mapping({"a": Slow(), "b": [Slow()]}) == {"a": "Slow()", "b": ["<Slow>"]}
    assert scrubber.mapping({"a": Slow()}) == {"a": "<Slow>"}
    assert len(spoken) == 1
    impatient = Scrubber(bounds=Bounds(repr_seconds=0.0, repr_pause_seconds=0.0))
    assert impatient.mapping({"a": Slow(), "b": [Slow()]}) == {"a": "Slow()", "b": ["Slow()"]}


def test_a_slow_repr_that_raises_is_remembered_too() -> None:
    scrubber = Scrubber(bounds=Bounds(repr_seconds=0.0))
    first = scrubber.mapping({"a": RaisingRepr(), "b": RaisingRepr()})
    assert first == {"a": "<RaisingRepr: repr failed>", "b": "<RaisingRepr>"}


def test_only_so_many_slow_classes_are_remembered() -> None:
    scrubber = Scrubber(bounds=Bounds(repr_seconds=0.0))

    def shown_by_name(kind: type) -> bool:
        return "object at" not in str(scrubber.mapping({"a": kind()}))

    kinds = [type(f"Kind{number}", (), {}) for number in range(257)]
    assert not any(map(shown_by_name, kinds[:256]))
    assert all(map(shown_by_name, kinds[:256]))
    assert not shown_by_name(kinds[256])
    assert not shown_by_name(kinds[0])


def test_a_dictionary_that_other_threads_change_is_shown_as_it_was_at_some_moment() -> None:
    shared = {number: number for number in range(50)}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            shared[50] = 50
            del shared[50]

    changing = threading.Thread(target=change)
    changing.start()
    scrubber = Scrubber()
    sizes = {
        len(found) for found in (scrubber.mapping({"it": shared})["it"] for _ in range(500)) if type(found) is dict
    }
    stop.set()
    changing.join()
    assert sizes
    assert sizes <= {50, 51}
