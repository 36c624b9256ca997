"""What a text says of secret names: ``password='…'``, ``"api_key": "…"``, ``Cookie: …``, ``--token …``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_monitoring.errors.secrecy.secrets import HIDDEN, Names, Secrecy, is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SEPARATOR = re.compile(
    r"""
    [=:,>"'] (?:
        (?<= [=:] )            # name=value, name: value, "name": "value"
      | (?<= ["'], )           # ("name", "value")
      | (?<= \w> )             # <name>value</name>
      | (?<= \w[ ]["'] )       # name "value"
    )
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"(?s:.*[^\w.-])?([\w.-]+)\Z")
_WORD_BEFORE = re.compile(r"(?s:.*[^\w.-])?([\w.-]+)[ ]\Z")
_LONGEST_NAME = 80
_AROUND_NAME = " \t\\\"'!)]_-."
_SECOND_WORDS = frozenset({"key", "keys", "id", "code", "codes", "number", "word", "phrase"})
"""What makes a secret name together with the word before it, where names are written with spaces."""

_OF_SEVERAL_WORDS = re.compile(r"(?:authori[sz]ation|cookies?|phrase)\Z", re.IGNORECASE)
"""Names whose values go on to the line's end where nothing else ends them."""

_PATH = re.compile(r"""(?:\A|[\s"'(=])(?:[A-Za-z]:|~|\.\.?)?/(?:[\w.-]+/)*\Z""")

_BLANKS = re.compile(r"[=:>]*[ \t]*")
_LONGEST_ELEMENT = 4096
_FLAG = re.compile(r"--([A-Za-z][\w-]{0,80}+)[ \t]+(?!-)")
_IN_TUPLE = re.compile(r"""[(\[]\s*[bB]?\\*["']\Z""")
_TUPLE_ENDS = re.compile(r"""\\*["']\s*(?:[)\]]|\Z)|\Z""")
_RECORD = re.compile(r"""\s*(?:\\*["']value\\*["']\s*:|value\s*=)\s*""")
_QUOTE = re.compile(r"""(\\*)(["'])\Z""")
_VALIDATED = re.compile(r"^(\S[^\n]*)(\n[ ]{2}[^\n]*?\binput_value=)(?:(?!, input_type=)[^\n])*+", re.MULTILINE)
_PARAMETERS = re.compile(r"\]\n\[parameters: ")
_LOCATED = re.compile(r"""["']loc["']: [(\[]([^)\]\n]{1,200})[)\]][^\n]{0,500}?["']input["']: """)
"""How Pydantic, SQLAlchemy and FastAPI write what they were given, away from its name."""
_NAMES_IN = re.compile(r"[\w-]+")
_OF_COLUMNS = (Secrecy.TEXTS, Secrecy.ALL)


class NamedValues:
    """Hides what a text says of secret names: assignments, fields, headers, query parameters, elements."""

    def __init__(self, names: Names) -> None:
        self._secrecy = names.secrecy

    def hide(self, text: str) -> str:
        """Return the text without the values of secret names."""
        if "input_value=" in text:
            text = _VALIDATED.sub(self._hide_input, text)
        if "[parameters: " in text:
            text = _without(text, self._of_statements(text))
        if "--" in text:
            text = _without(text, self._after_flags(text))
        if "loc" in text and "input" in text:
            text = _without(text, self._of_locations(text))
        return _without(text, self._after_separators(text))

    def _hide_input(self, found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}{HIDDEN}" if self._secrecy(found[1]) else found[0]

    def _of_statements(self, text: str) -> Iterator[tuple[int, int]]:
        done = 0
        for found in _PARAMETERS.finditer(text):
            statement = text[text.rfind("[SQL: ", done, found.start()) : found.start()]
            done = found.end()
            if any(self._secrecy(name) in _OF_COLUMNS for name in _NAMES_IN.findall(statement)):
                end = text.find("]\n(Background", done)
                yield done, end if end >= 0 else len(text)

    def _after_flags(self, text: str) -> Iterator[tuple[int, int]]:
        for flag in _FLAG.finditer(text):
            secrecy = self._secrecy(flag[1])
            if secrecy is not None and (span := secret_at(text, flag.end(), secrecy)):
                yield span

    def _of_locations(self, text: str) -> Iterator[tuple[int, int]]:
        for found in _LOCATED.finditer(text):
            is_secret = any(map(self._secrecy, _NAMES_IN.findall(found[1])))
            if is_secret and (span := secret_at(text, found.end(), Secrecy.ALL)):
                yield span

    def _after_separators(self, text: str) -> Iterator[tuple[int, int]]:
        done = 0
        for separator in _SEPARATOR.finditer(text):
            at = separator.start()
            if at >= done and (span := self._after(text, at)):
                yield span
                done = span[1]

    def _after(self, text: str, at: int) -> tuple[int, int] | None:
        """Return where the value is that a separator gives to a secret name."""
        head = text[max(0, at - _LONGEST_NAME) : at]
        stripped = head.rstrip(_AROUND_NAME)
        name = _NAME.match(stripped) if stripped[-1:].isalnum() else None
        secrecy = name and self._secrecy_of(name)
        if not name or not secrecy:
            return None
        start = at - len(head) + name.start(1)
        before, end = text[max(0, start - _LONGEST_NAME) : start], start + len(name[1])
        match text[at]:
            case ",":
                return _in_list(text, at, before, secrecy, flag=name[1].startswith("-"))
            case ">":
                return _in_element(text, at, before)
            case "=" | ":":
                return _assigned(text, at, before, secrecy, name=text[start:end], quoted=text[end] in "\\\"'")
            case _:
                return secret_at(text, at, secrecy)

    def _secrecy_of(self, name: re.Match[str]) -> Secrecy | None:
        secrecy = self._secrecy(name[1])
        if secrecy is None and name[1].lower() in _SECOND_WORDS:
            first = _WORD_BEFORE.match(name.string[: name.start(1)])
            return first and self._secrecy(f"{first[1]} {name[1]}")
        return secrecy


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return the text with these places hidden; one that begins in another is a part of it."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            pieces += text[done:start], HIDDEN
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _in_list(text: str, at: int, before: str, secrecy: Secrecy, *, flag: bool) -> tuple[int, int] | None:
    """Return the second of two in a tuple or a list, what follows a flag, or the value of a named record."""
    if not _QUOTE.search(before):
        return None
    if record := _RECORD.match(text, at + 1):
        return secret_at(text, record.end(), secrecy)
    start = _end_of(_BLANKS, text, at + 1)
    if not (flag or _IN_TUPLE.search(before)) or not _OPENING.match(text, start):
        return None
    span = secret_at(text, start, secrecy)
    return span if span and (flag or _TUPLE_ENDS.match(text, span[1])) else None


def _in_element(text: str, at: int, before: str) -> tuple[int, int] | None:
    end = text.find("</", at, at + _LONGEST_ELEMENT) if before.endswith(("<", ":")) else -1
    return (at + 1, end) if end > at + 1 else None


def _assigned(text: str, at: int, before: str, secrecy: Secrecy, *, name: str, quoted: bool) -> tuple[int, int] | None:
    start = _end_of(_BLANKS, text, at + 1)
    if text[at] == ":" and not quoted:
        # A user in a URL, whose password is hidden already; a file that an error is about.
        if before.endswith("//") and text.startswith(f"{HIDDEN}@", start):
            return None
        if text[at + 1 : at + 2] == " " and _PATH.search(before):
            return None
        if _OF_SEVERAL_WORDS.search(name):
            return _rest_of_line(text, start, before)
    return secret_at(text, start, secrecy)


_OPENING = re.compile(r"""[bBfFrRuU]{0,2}(\\*)(["'])""")
_QUOTED = {quote: re.compile(rf"(?s:[^{quote}\\]|\\++.|{quote}{quote})*+") for quote in "\"'"}
_BRACKET = re.compile(r"[\w.]*([(\[{<])")
_INSIDE = {
    opening: re.compile(
        rf"""{re.escape(opening)}|(?P<closing>{re.escape(closing)})"""
        r"""|"(?s:[^"\\]|\\++.)*+(?:"|\\*\Z)|'(?s:[^'\\]|\\++.)*+(?:'|\\*\Z)"""
    )
    for opening, closing in ("()", "[]", "{}", "<>")
}
_LINE = re.compile(r"(?:(?!\\[nr])[^\r\n])*")
_SCHEME = re.compile(r"(?:(?i:apikey|basic|bearer|digest|negotiate|token)[ \t]+)?")
_WORD = re.compile(
    r"""
    (?:
        (?! [,;&] (?: \s | \Z | [\w.%-]+ [=:] ) )               # the next pair
        (?! [)\]}>"']+ (?: [\s,;&.:)\]}>] | \Z ) )               # the end of what the pair stands in
        (?! \\ [nrt"'] )                                       # the same in a text's repr
        \S
    )*
    """,
    re.VERBOSE,
)
_ASSIGNED_ON = re.compile(r"(?:[ \t]*\|[ \t]*[\w.\[\]]+)*+[ \t]*=(?!=)[ \t]*")
_NO_SECRETS = frozenset({"", "none", "null", "nil", "true", "false", "undefined"})


def secret_at(text: str, start: int, secrecy: Secrecy) -> tuple[int, int] | None:
    """Return from where to where the value goes that starts here, its quotes left out; None where it is no secret."""
    opening = _OPENING.match(text, start)
    if opening is not None:
        start = opening.end()
        end = _closing_quote(text, start, opening[1], opening[2])
        value = text[start:end]
    else:
        end = _end_of_value(text, start)
        # In source code the type may stand between the name and its value.
        while assigned := _ASSIGNED_ON.match(text, end):
            end = _end_of_value(text, assigned.end())
        value = text[start:end].lower()
    if not value or (opening is None and value in _NO_SECRETS) or (secrecy is Secrecy.WORDS and is_number(value)):
        return None
    return start, end


def _end_of_value(text: str, start: int) -> int:
    if opening := _OPENING.match(text, start):
        end = _closing_quote(text, opening.end(), opening[1], opening[2])
        return min(len(text), end + len(opening[1]) + 1)
    end = _end_of(_SCHEME, text, start)
    while bracket := _BRACKET.match(text, end):
        end = _closing_bracket(text, bracket.end(), bracket[1])
    return _end_of(_WORD, text, end)


def _closing_quote(text: str, at: int, backslashes: str, quote: str) -> int:
    """Return where a quoted text ends that starts here, be it quoted in a quoted text itself."""
    if not backslashes:
        return _end_of(_QUOTED[quote], text, at)
    end = text.find(backslashes + quote, at)
    while end > at and text[end - 1] == "\\":
        end = text.find(backslashes + quote, end + 1)
    return end if end >= 0 else len(text)


def _closing_bracket(text: str, at: int, bracket: str) -> int:
    depth = 1
    for found in _INSIDE[bracket].finditer(text, at):
        if found[0] == bracket:
            depth += 1
        elif found["closing"]:
            depth -= 1
        if not depth:
            return found.end()
    return len(text)


def _rest_of_line(text: str, start: int, before: str) -> tuple[int, int] | None:
    end = _end_of(_LINE, text, start)
    if around := _QUOTE.search(before):
        end = min(end, _closing_quote(text, start, around[1], around[2]))
    return (start, end) if start < end else None


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()
