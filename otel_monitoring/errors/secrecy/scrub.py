"""The scrubber: nothing secret or personal goes with an error, and nothing grows without bound.

What it cannot know: a password in a sentence (``the password is hunter2``), the second word
of a password with spaces that nobody put in quotes, a secret without a telling name or
shape.  Further names and patterns are the application's to give.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from otel_monitoring.errors.secrecy.named_values import NamedValues
from otel_monitoring.errors.secrecy.plain import BOUNDS, Bounds, PlainData
from otel_monitoring.errors.secrecy.secrets import (
    EMAILS,
    HIDDEN,
    LOOKED_BEYOND,
    SHAPES,
    Names,
    Rule,
    custom_rule,
    finder_of,
    hide_cards,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.errors.stored import Plain

__all__ = ["BOUNDS", "HIDDEN", "Bounds", "Scrubber"]

LABELS_KEPT = 256
"""How many labels are kept at hand."""

SHORT = 12
"""Characters of a word that is no secret by itself: a card number has one more digit."""

MOST_ROUNDS = 4
"""Times that a text is gone over; most that hold a secret are done at the second."""

_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_NOTE = re.compile(r"… \[([0-9]{1,3}(?: [0-9]{3}){0,6}) more characters\]\Z")
_LONGEST_NOTE = 50


class Scrubber:
    """Takes secrets and personal data out of texts and structures, and cuts both to a bound.

    What is hidden becomes ``***``: whatever stands under a secret name, in a structure and
    in a text that looks like one (``password='…'``, ``"api_key": "…"``, ``Cookie: …``,
    ``?access_token=…``, ``--password …``, ``<token>…</token>``, ``("authorization", "Bearer …")``);
    and, wherever it stands, what has the shape of a bearer or basic credential, a JSON web
    token, a private key, a well-known service's key, the password in a URL, a card number.
    Numbers, booleans and None are left where a name only counts (``max_tokens: 4096``).

    What is given is never changed, and nothing that it holds can make this raise.  Done
    twice it is as done once.

    Args:
        keys: further names whose values are hidden; ``iban`` hides ``customer_iban`` too.
        patterns: further regular expressions whose matches are hidden, up to 1024 characters
            long where a cut may go through them.
        emails: whether addresses of e-mail are hidden.
        bounds: how much is kept.

    Raises:
        ValueError: a pattern is no regular expression, or a key is no name.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        patterns: Iterable[str] = (),
        emails: bool = False,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self._names = Names(keys)
        custom = [custom_rule(pattern) for pattern in patterns]
        named = Rule(self._names.hints, NamedValues(self._names).hide)
        self._rules = (*SHAPES, named, *([EMAILS] if emails else ()), *custom)
        self._suspect = finder_of(frozenset(mark for rule in self._rules for mark in rule.marks))
        self._short = 0 if custom else SHORT
        self._longest = bounds.characters_per_text
        self._plain = PlainData(self.cut_text, self._names.secrecy, bounds)
        self.label = lru_cache(LABELS_KEPT)(self.text)
        """``text`` for what comes again and again: components and types of errors."""

    def is_secret(self, name: str) -> bool:
        """Tell whether what stands under this name is hidden."""
        return self._names.secrecy(name) is not None

    def mapping(self, given: Mapping[str, object] | Mapping[object, object]) -> dict[str, Plain]:
        """Return a context, the fields of a log event or a frame's locals as plain data that JSON can hold.

        What is cut off, goes too deep, refers to itself or cannot be read says so in its place.
        """
        return self._plain.mapping(given)

    def text(self, text: str) -> str:
        """Return a message, an exception's text or a source line without secrets, cut to the bound.

        A text that holds none and is short enough comes back itself.
        """
        return self.cut_text(text, self._longest)

    def cut_text(self, text: str, longest: int, beyond: int = 0) -> str:
        """Return a text without secrets, cut to so many characters and a note of how many are missing.

        Args:
            text: the text, or its beginning.
            longest: the characters that are kept.
            beyond: how many more characters the text had.
        """
        if type(text) is not str:
            text = str.__str__(text)
        if len(text) <= longest and not beyond:
            ascii_only = text.isascii()
            if ascii_only and len(text) <= self._short and text.isalnum():
                return text
            if not self._suspect(text.lower()) and (ascii_only or not _UNSTORABLE.search(text)):
                return text
        return self._cut(text, longest, beyond)

    def _cut(self, text: str, longest: int, beyond: int) -> str:
        # The note of an earlier cut is no part of the text.
        note = _NOTE.search(text, max(0, len(text) - _LONGEST_NOTE))
        if note is not None:
            text = text[: note.start()]
        window = _UNSTORABLE.sub("\ufffd", text[: longest + LOOKED_BEYOND])
        lost = len(text) - len(window) + beyond
        clean = self._hide(window, cut=lost > 0)
        if not lost and len(clean) <= longest:
            return clean if note is None else clean + note[0]
        kept = self._kept(clean, min(longest, len(clean) - _same_at_end(window, clean)) if lost else longest)
        missing = lost + len(clean) - len(kept) + (int(note[1].replace(" ", "")) if note else 0)
        return kept + f"… [{missing:,} more characters]".replace(",", " ")

    def _kept(self, clean: str, longest: int) -> str:
        """Return so much of a text, with what the cut made of its last word hidden again."""
        kept = self._hide(clean[:longest])
        return kept if len(kept) <= longest else self._hide(clean[: max(0, longest - len(HIDDEN))])[:longest]

    def _hide(self, text: str, *, cut: bool = False) -> str:
        # What is hidden may bring out what it stood beside.
        for _ in range(MOST_ROUNDS):
            before, text = text, self._hide_once(text, cut=cut)
            if text == before:
                break
            cut = False
        return text

    def _hide_once(self, text: str, *, cut: bool) -> str:
        lowered = text.lower()
        for rule in self._rules:
            # What marks a secret may stand behind the cut.
            for mark in ("",) if cut else rule.marks:
                if mark in lowered:
                    text = rule.hide(text)
                    break
        return hide_cards(text)


def _same_at_end(window: str, clean: str) -> int:
    """Return how many of the last characters nothing was hidden in: a secret's beginning may stand there."""
    most = min(LOOKED_BEYOND, len(window), len(clean))
    return next((count for count in range(most) if window[-1 - count] != clean[-1 - count]), most)
