"""Which errors are the same fault: what stays equal while values, lines, processes and Pythons change.

The fault of an exception is told by the types of its chain, by where in the application's
code it came from (module and function, never a line or a path) and by what is left of its
texts when the values in them are masked.  Without an exception its type and text tell it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_monitoring.errors.chain import Link

CHARACTERS = 1000
LINES = 10
"""How much of a text is looked at."""

CHARACTERS_OF_LONGER = 250
"""How much of a longer text's template counts: where the text was cut depends on the length of its values."""

MASK = "*"

_KEPT = 1024
_REMEMBERED_PLACES = 4096

_QUOTED = r"""
    (?<![\w\\])[bB]? {0}                         # after a letter it is an apostrophe
    (?: [^{0}\\\n] | \\. | (?<=\w){0}(?=\w) )*+   # and between two letters too
    {0}(?!\w)
"""

_IN_PATH = r"[^\s\"'`<>|,;:()\[\]{}=*]"

_PATH = rf"""
    (?<! {_IN_PATH} )
    (?: (?: [A-Za-z]: | ~\w* | \.\.? )? [/\\]     # begins as one
      | (?= {_IN_PATH}*? (?: \\                   # or is joined as no words are
                           | / {_IN_PATH}*? / | / {_IN_PATH}*? \.\w | \.\w {_IN_PATH}*? / ) )
    )
    {_IN_PATH}*+ (?: ={{1,2}}(?!\w) )?            # base64 may look like a path
"""

_NAMES = (
    "base64|ec2|float32|float64|http/?2|int32|int64|ipv4|ipv6|k8s|md5|oauth2|s3|"
    "sha-?1|sha-?256|sha-?512|utf-?16|utf-?8|x509"
)
"""Words with digits that are no values: they may be all that tells two faults apart."""

_UNITS = "%|[nuµm]?s|min|h|[kKMGT]?i?B"

_WORD = rf"""
    (?<!\w)(?<!\w[-+/])
    (?: (?= [a-fA-F:]{{0,40}} \d )                               # a time, IPv6, a hardware address
        [0-9a-fA-F]{{0,4}} (?: :[0-9a-fA-F]{{0,4}} ){{2,7}} (?!\w)
      | [-+]?\d++ (?: [.,]\d++ ){{0,4}}+ (?= (?: {_UNITS} ) (?![-\w]) )
      | (?! (?i: {_NAMES} ) (?![-\w]) )
        [-+]? (?: [^\W\d]++[-+/] )*+ [^\W\d]*+ \d\w*+ (?: [-+/]\w++ )*+ (?: ={{1,2}}(?!\w) )?
      | [a-fA-F]{{8,}}+ (?![-\w])                               # a hash without a digit
    )
"""


def _pattern(text: str) -> re.Pattern[str]:
    # Chinese and others write no spaces: only ASCII letters are of one word with a number beside them.
    return re.compile(text, re.VERBOSE | re.ASCII)


_VALUES = (
    ("sub-exception", _pattern(r"\(\d++\ sub-exceptions?\)")),
    (" at 0x", _pattern(r"<[^<>\n]*\ at\ 0x[^<>\n]*>")),
    ("'", _pattern(_QUOTED.format("'"))),
    ('"', _pattern(_QUOTED.format('"'))),
    ("`", _pattern(_QUOTED.format("`"))),
    ("://", _pattern(r"\b[A-Za-z][\w+.-]*+://[^\s\"'`<>()\[\]{},;]*+")),
    ("@", _pattern(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)*+")),
    ("/", _pattern(_PATH)),
    ("\\", _pattern(_PATH)),
)
"""What is masked, in this order; a text without the first of a pair has none of the second."""

_VALUE_IN_WORD = _pattern(_WORD)
_HEX_LETTERS = "abcdefABCDEF"
_SHORTEST_HASH = 8

_OPEN_QUOTE = _pattern(r"(?<!\w)['\"`][^\n]*\Z")
_RUN = _pattern(r"\*(?:[\s,;:/+&|=.-]*+\*)++")
_BRACKETED = _pattern(r"[\[({]\s*+\*[\s,]*+[\])}]")
_NESTED = 4
"""How deep brackets in brackets with nothing but values are one value."""

_RECURSION = "maximum recursion depth exceeded"
"""What Python says after it depends on what happened to be called at the limit."""

_COMPREHENSION = re.compile(r"<(?:list|dict|set)comp>\Z")
_IN_COMPREHENSION = re.compile(r"<(?:list|dict|set)comp>\.")


def fingerprint_of(
    *,
    service: str,
    component: str,
    error_type: str,
    message: str,
    chain: Sequence[Link],
    override: str | None = None,
) -> str:
    """Return 16 hex digits that errors have in common when they are the same fault.

    Args:
        service: errors of two services are never the same.
        component: nor are those of two components.
        error_type: counts where there is no exception.
        message: counts where there is no exception; what was logged beside one says how it
            was reported, and the fault is the same.
        chain: the exception and what led to it; empty where there is none.
        override: what alone counts beside service and component, where it is given.
    """
    if override is not None:
        return _digest(service, component, "override", override)
    if chain:
        return _digest(service, component, "exception", *_told_by(chain))
    return _of_message(service, component, error_type, message[: CHARACTERS + 1])


@lru_cache(maxsize=_KEPT)
def _of_message(service: str, component: str, error_type: str, text: str) -> str:
    return _digest(service, component, "message", error_type, template_of(text))


def _digest(*told: str) -> str:
    return blake2b(_joined(told).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def template_of(message: str) -> str:
    """Return what is left of a text when the values in it are masked, in one line.

    Values are numbers, words with digits in them, quoted text, addresses, paths, URLs and
    what Python prints of objects; several in a row are one.
    """
    return _template_of_start(message[: CHARACTERS + 1])


@lru_cache(maxsize=_KEPT)
def _template_of_start(text: str) -> str:
    is_cut = len(text) > CHARACTERS
    text = "\n".join(text[:CHARACTERS].split("\n", LINES)[:LINES])
    for mark, pattern in _VALUES:
        if mark in text:
            text = pattern.sub(MASK, text)
    if is_cut:
        text = _OPEN_QUOTE.sub(MASK, text)
    template = _with_values_joined(" ".join(map(_masked_word, text.split())))
    return template[:CHARACTERS_OF_LONGER] if is_cut else template


def _masked_word(word: str) -> str:
    if word.isalpha() and (len(word) < _SHORTEST_HASH or word.strip(_HEX_LETTERS)):
        return word
    return _VALUE_IN_WORD.sub(MASK, word)


def _with_values_joined(text: str) -> str:
    for _ in range(_NESTED):
        joined = _BRACKETED.sub(MASK, _RUN.sub(MASK, text))
        if joined == text:
            break
        text = joined
    return text


def _told_by(chain: Sequence[Link]) -> Iterable[str]:
    """Return what tells an exception's fault; the same twice, as of tasks that all fail alike, tells no more."""
    first, *others = dict.fromkeys(map(_link_text, chain))
    # Members of a group are in the order in which their tasks happened to fail.
    return first, *(sorted(others) if any(link.group is not None for link in chain) else others)


def _link_text(link: Link) -> str:
    frames = link.frames
    places = dict.fromkeys([_place(frame.module, frame.function) for frame in frames if frame.in_app])
    places.pop("", None)
    if not places:
        innermost = next((place for frame in reversed(frames) if (place := _place(frame.module, frame.function))), "")
        places = {innermost: None}
    message = _RECURSION if link.message.startswith(_RECURSION) else link.message
    return _joined([link.type, template_of(message), *places])


@lru_cache(maxsize=_REMEMBERED_PLACES)
def _place(module: str, function: str) -> str:
    """Return where a frame is, without what only some Pythons have: from 3.12 on comprehensions are no calls."""
    return "" if _COMPREHENSION.search(function) else _joined((module, _IN_COMPREHENSION.sub("", function)))


def _joined(parts: Iterable[str]) -> str:
    """Return texts as one that no other texts give."""
    return "".join([f"{len(part)}:{part}" for part in parts])
