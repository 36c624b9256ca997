"""Where two pieces of JSON differ, field by field, as a person reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAMING_KEYS = ("refId", "uid", "name", "title", "id")
"""What a list's members are called by, the most telling first."""

_LONGEST_SHOWN = 160
_LONGEST_WHOLE = 60
_BESIDE = 20


class _Absent:
    """Stands for what is not there."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field.

    Attributes:
        path: where it is, such as ``panels[Errors].targets[A].expr``.
        before: what is there; ABSENT for nothing.
        after: what shall be there; ABSENT for nothing.
    """

    path: str
    before: object
    after: object

    def __str__(self) -> str:
        """Show it in one line: ``+`` is new, ``-`` goes, ``~`` changes."""
        if self.before is ABSENT:
            return f"+ {self.path}: {_shown(self.after)}"
        if self.after is ABSENT:
            return f"- {self.path}: {_shown(self.before)}"
        if isinstance(self.before, str) and isinstance(self.after, str):
            before, after = _where_they_differ(self.before, self.after)
            return f"~ {self.path}: {_shown(before)} → {_shown(after)}"
        return f"~ {self.path}: {_shown(self.before)} → {_shown(self.after)}"


def differences(before: object, after: object) -> tuple[Difference, ...]:
    """Return each field that differs; members of lists are told apart by their names where all have one."""
    return tuple(_differing("", before, after))


def _differing(path: str, before: object, after: object) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(path, cast("dict[str, object]", before), cast("dict[str, object]", after))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(path, cast("list[object]", before), cast("list[object]", after))
    else:
        yield Difference(path, before, after)


def _of_objects(path: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Difference]:
    for key in dict.fromkeys((*before, *after)):
        inner = f"{path}.{key}" if path else key
        yield from _differing(inner, before.get(key, ABSENT), after.get(key, ABSENT))


def _of_lists(path: str, before: Sequence[object], after: Sequence[object]) -> Iterator[Difference]:
    key = next((key for key in _NAMING_KEYS if _names(before, key) and _names(after, key)), None)
    if key is None:
        for index in range(max(len(before), len(after))):
            yield from _differing(f"{path}[{index}]", _at(before, index), _at(after, index))
        return
    old, new = _by_name(before, key), _by_name(after, key)
    for name in dict.fromkeys((*old, *new)):
        yield from _differing(f"{path}[{name}]", old.get(name, ABSENT), new.get(name, ABSENT))
    kept = [name for name in old if name in new]
    order = [name for name in new if name in old]
    if kept != order:
        yield Difference(f"{path} (order)", kept, order)


def _names(members: Sequence[object], key: str) -> bool:
    """Tell whether a key names each member, and no two alike."""
    names = [cast("dict[str, object]", member).get(key) for member in members if isinstance(member, dict)]
    texts = {name for name in names if isinstance(name, str | int) and name != ""}
    return len(texts) == len(members)


def _by_name(members: Sequence[object], key: str) -> dict[object, object]:
    return {cast("dict[str, object]", member)[key]: member for member in members}


def _at(members: Sequence[object], index: int) -> object:
    return members[index] if index < len(members) else ABSENT


def _where_they_differ(before: str, after: str) -> tuple[str, str]:
    """Return of two long texts what differs, with a little of what stands beside it: queries have many lines."""
    if max(len(before), len(after)) <= _LONGEST_WHOLE:
        return before, after
    start = max(0, _alike(before, after) - _BESIDE)
    end = max(0, _alike(before[start:][::-1], after[start:][::-1]) - _BESIDE)
    return _cut(before, start, end), _cut(after, start, end)


def _alike(one: str, other: str) -> int:
    """Return with how many characters two texts begin alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _cut(text: str, start: int, end: int) -> str:
    """Leave out so many characters at the start and at the end, where it is worth an ellipsis."""
    shown = text[start : len(text) - end]
    return f"{'…' if start else ''}{shown}{'…' if end else ''}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        named = next(
            (cast("dict[str, object]", value)[key] for key in ("title", "name", "uid", "refId") if key in value), None
        )
        if named is not None:
            return f"{{{named}, …}}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
