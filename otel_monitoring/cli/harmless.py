"""Text from the store as a terminal may show it: nothing in it moves, colours, hides or reorders."""

from __future__ import annotations

import json
import re
from unicodedata import category

_JOINERS = "\u200c\u200d"
"""Persian, Hindi and family emoji are written with them; they change only how their neighbours join."""

_LINE_END = re.compile(r"\r\n?|\n")
_TAB_COLUMNS = 4


def one_line(text: str) -> str:
    """Return text in one line: white space becomes single spaces, what a terminal would obey is spelled out."""
    return harmless(" ".join(text.split()))


def lines_of(text: str) -> list[str]:
    """Return the lines of text, with tabs expanded and what a terminal would obey spelled out."""
    return [harmless(line.expandtabs(_TAB_COLUMNS).rstrip()) for line in _LINE_END.split(text)]


def harmless(text: str) -> str:
    """Spell out control characters, direction overrides and whatever else has no shape of its own."""
    return text if text.isprintable() else "".join(map(_shown, text))


def spelled_out(text: str) -> str:
    r"""Write all characters without a shape as ``\uXXXX``; JSON stays the same JSON."""
    return text if text.isprintable() else "".join(map(_spelled, text))


def _shown(character: str) -> str:
    if category(character) == "Zs":
        return " "
    return character if character in _JOINERS else _spelled(character)


def _spelled(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
