"""YAML as text: the part of it that every reader understands alike, without aliases, the same bytes each time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = re.compile(r"[A-Za-z_/.][\w ./+=()%-]*(?<! )", re.ASCII)
"""Text that needs no quotes: it begins with no sign and holds none that means something."""

_MEANS_OTHER = re.compile(
    r"(y|n|yes|no|on|off|true|false|null|none|nan|\.(inf|nan)|[\d.][\d_.]*(e[+-]?\d+)?)", re.IGNORECASE
)
"""Plain text that one reader or another takes for a switch, a number or nothing (YAML 1.1 and 1.2)."""

_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""What YAML does not let stand in quotes, beside what JSON escapes, and what reads as a line end."""

_BLOCK_LINE = re.compile(r"[^\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]*(?<! )")
"""A line of text that may stand in a block: what ends it in blank space is easily lost."""


def yaml_text(value: object, *, heading: str = "") -> str:
    """Return a document.

    Args:
        value: mappings, sequences, texts, numbers, switches and None; keys keep their order.
        heading: lines of comment to begin with, without their signs.

    Raises:
        TypeError: there is something else in it.
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in heading.splitlines())
    return comment + "\n".join(_lines(value)) + "\n"


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, content in value.items():
            yield from _entry(f"{_scalar(str(key))}:", content)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            yield from _item(item)
    else:
        yield _scalar(value)


def _entry(head: str, content: object) -> Iterator[str]:
    """Give the lines of a key and what belongs to it."""
    if isinstance(content, dict | list | tuple) and content:
        yield head
        yield from (f"  {line}" if line else "" for line in _lines(content))
    elif isinstance(content, str) and _is_block(content):
        yield f"{head} |" if content.endswith("\n") else f"{head} |-"
        yield from (f"  {line}" if line else "" for line in content.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(content)}"


def _item(item: object) -> Iterator[str]:
    """Give the lines of an item: the first after a dash, the others as far in."""
    if isinstance(item, str) and _is_block(item):
        yield from _entry("-", item)
        return
    first, *others = _lines(item)
    yield f"- {first}"
    yield from (f"  {line}" if line else "" for line in others)


def _is_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    # A block's first line says how far in all of it stands.
    framed = len(lines) > 1 and lines[0].lstrip(" ") == lines[0] != "" and lines[-1] != ""
    return framed and all(map(_BLOCK_LINE.fullmatch, lines))


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, dict | list | tuple):
        return "{}" if isinstance(value, dict) else "[]"
    if value is None or isinstance(value, bool | int | float):
        return _json_scalar(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as YAML")


def _json_scalar(value: float | None) -> str:
    text = json.dumps(value, allow_nan=False)
    # A number without a point before its exponent is text to readers of YAML 1.1.
    return re.sub(r"^(-?\d+)e", r"\1.0e", text)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and not _MEANS_OTHER.fullmatch(text)


def _quoted(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
