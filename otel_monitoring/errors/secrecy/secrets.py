"""What a secret is: the names that secrets go by, and the shapes that give them away."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

HIDDEN = "***"
"""What stands in a secret's place."""


LOOKED_BEYOND = 1024
"""Characters behind a cut that are looked at: where the cut goes through a secret, its shape is still seen."""


class Secrecy(Enum):
    """How much of what stands under a secret name is hidden; None, True, False and the empty text never are."""

    WORDS = "words"
    """All but numbers, however they are written: ``max_tokens=4096`` is a limit."""
    TEXTS = "texts"
    """All but numbers that are numbers: ``token=482913`` in a text is a code, ``{"token": 3}`` a count."""
    ALL = "all"
    """Numbers too: a password, a PIN."""


_ALL = r"""
    pass(?:word|wort|wd|code|phrase) | kennwort | pwd
  | (?<![a-z]) (?:pw|pin(?:_?code)?|t?otp|cvv|cvc|ssn) (?![a-z])
  | card_?num | (?:credit|debit)_?card
  | (?:mfa|2fa|auth|verification|security|recovery|backup)_?codes? (?![a-z])
"""
_TEXTS = r"""
    secret (?!ar) | credential | authori[sz]ation | api_?key
  | token (?![a-z]) | cookie (?:s|jar)? (?![a-z])
  | (?<![a-z]) (?:jwt|bearer|csrf|xsrf) (?![a-z])
  | (?<![a-z]) (?:auth|pass|sig) _?[0-9]*\Z | signature [_0-9]*\Z | (?<![a-z]) auth_(?:header|data|string|value)
  | session_?(?:id|key) | sess_?id
  | (?:access|account|admin|app|auth|client|consumer|deploy|encryption|functions|hmac|license|master|private
      |service|session|shared|signing|ssh|storage|subscription|webhook) _?keys? (?![a-z])
"""
_WORDS = r"tokens (?![a-z])"

_ABOUT = r"""
    (?:^|_) per_
  | (?:^|_) (?:
        age|alg|algorithm|arn|at|attempts|backend|banner|bucket|budget|class|consent|cost|counts?|counter|denied
      | dir|disabled|domain|enabled|endpoint|errors?|exception|expired|expires|expiration|expiry|failed|fields?
      | file|filename|found|go|handler|in|index|invalid|issuer|java|js|kind|left|len|length|limits?|manager|max
      | method|middleware|min|minutes|missing|mode|model|ms|names?|offset|on|path|policy|position|present|price
      | provider|py|rate|ratio|rb|remaining|required|samesite|scheme|scopes?|seconds|shown|size|state|status
      | store|strength|total|ts|ttl|types?|ur[il]|usage|used|valid|validator|version|warning|window
    ) _?\Z
"""
"""Names that say something about a secret: ``token_type``, ``tokens_per_second``, ``InvalidTokenError``."""

is_number = re.compile(r"[-+]?[0-9][0-9.,_]{0,24}[%kKmM]?\Z").match
"""Matches a number as people and programs write it."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP = re.compile(r"[\W_]+")

_HINTS = (
    *("pass", "pw", "pin", "otp", "cv", "ssn", "kennwort", "card", "code", "cre", "auth", "ok", "key"),
    *("jwt", "bearer", "srf", "sig", "sess"),
)
"""One of these is in every secret name, in small letters; ``cre`` is secret and credential, ``ok`` token and cookie."""

NAMES_KEPT = 4096
"""How many names' verdicts are kept at hand."""


class Names:
    """Tells by a name whether what stands under it is secret.

    A name is taken apart into words, whether it is written ``apiKey``, ``X-Api-Key``,
    ``API_KEY`` or ``api key``; it is secret where a secret word occurs in it.  Names that
    only say something about a secret are not, and neither is ``session``, which is mostly a
    database's, nor ``key``.

    Args:
        further: names that are secret too, by themselves or as a part of a name.

    Raises:
        ValueError: a further name has no letter and no digit.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        words = [(name, _words(name)) for name in further]
        if empty := [name for name, found in words if not found]:
            raise ValueError(f"{empty[0]!r} names no key: give at least one letter or digit")
        added = [rf"(?<![a-z]){found.replace('_', '_?')}(?![a-z])" for _, found in words]
        self._added = re.compile("|".join(added)) if added else None
        self.hints = tuple(dict.fromkeys((*_HINTS, *(max(found.split("_"), key=len) for _, found in words))))
        self.secrecy = lru_cache(NAMES_KEPT)(self._judge)

    def _judge(self, name: str) -> Secrecy | None:
        lowered = name.lower()
        if not any(hint in lowered for hint in self.hints):
            return None
        words = _words(name)
        if self._added is not None and self._added.search(words):
            return Secrecy.ALL
        if _IS_ABOUT(words):
            return None
        return next((secrecy for secrecy, is_of in _SECRECIES if is_of(words)), None)


def _words(name: str) -> str:
    return _GAP.sub("_", _HUMP.sub("_", name)).strip("_").lower()


_SECRECIES = tuple(
    (secrecy, re.compile(names, re.VERBOSE).search)
    for secrecy, names in ((Secrecy.ALL, _ALL), (Secrecy.TEXTS, _TEXTS), (Secrecy.WORDS, _WORDS))
)
_IS_ABOUT = re.compile(_ABOUT, re.VERBOSE).search


@dataclass(frozen=True, slots=True)
class Rule:
    """Hides one kind of secret in a text.

    Args:
        marks: one of these, in small letters, is in every text that the rule can change;
            looked for first, since that takes a fraction of a search by pattern.
        hide: returns the text without such secrets.
    """

    marks: tuple[str, ...]
    hide: Callable[[str], str]


_PEM = re.compile(r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?s:.*?)(?:-----END[A-Z0-9 ]{0,60}-----|\Z)")

_USERINFO = re.compile(
    r"""
    :// (?P<user> [^\s/?\#@:"'<>]*+ )
    (?:
        # The password ends at the last @ before the path.  It may hold a raw slash, which a port does not.
        (?P<colon> : ) (?! [0-9]{1,5} (?:[/?\#\s"'),;\]}>]|\Z) )
        (?: (?: [^\s/?\#@"']*+ @ )+ | [^\s/?\#@"']*+ \Z | [^\s@"']{0,256}+ (?: @ | \Z ) )
      | @
    )
    """,
    re.VERBOSE,
)
LONGEST_USER = 19
"""In front of an @; longer ones are tokens."""


def _hide_userinfo(found: re.Match[str]) -> str:
    user, at = found["user"], "@" if found[0].endswith("@") else ""
    shown = user if len(user) <= LONGEST_USER else HIDDEN
    return f"://{shown}:{HIDDEN}{at}" if found["colon"] else f"://{shown}{at}"


_BEARER = re.compile(
    r"""
    ( (?i: bearer ) (?: [ \t]+ | %20 | \+ ) )
    (?! (?i: auth | authentication | authorization | bearer | challenge | credentials? | error | expired | format
          | header | invalid | is | missing | of | or | realm | required | schemes? | scope | tokens? | type | was
        ) (?! [\w.~+/-] ) )
    [\w.~+/-]{3,}+ =*+ (?! \w )
    """,
    re.VERBOSE,
)
_BASIC = re.compile(r"((?i:basic)(?:[ \t]+|%20|\+))([A-Za-z0-9+/]{4,}={0,2})")


def _hide_basic(found: re.Match[str]) -> str:
    """Hide what is ``user:password`` in base64, and leave "basic plan" alone."""
    whole = found[2].rstrip("=")
    decoded = b64decode(whole + "A" * (-len(whole) % 4))
    return found[1] + HIDDEN if b":" in decoded else found[0]


_STARTS = r"(?: (?<![A-Za-z0-9]) | (?<=\\[nrt]) | (?<=%[0-9A-Fa-f]{2}) )"
"""Where a word starts, in a text's repr and in a quoted URL too."""

_TOKENS = re.compile(
    rf"""
    eyJ [\w-]{{16,}} (?: \.[\w-]* ){{0,4}}                               # JSON in base64: a JWT, signed or encrypted
  | A[KS]IA [0-9A-Z]{{16}}                                               # AWS
  | gh[opusr]_ [A-Za-z0-9]{{16,}} | github_pat_ \w{{16,}} | glpat- [\w-]{{16,}}
  | xox[a-z]- [\w-]{{8,}} | xapp- [\w-]{{16,}} | hooks\.slack\.com/services/ [\w/]+
  | [rs]k_(?:live|test)_ \w{{8,}} | whsec_ [\w+/]{{16,}}                   # Stripe
  | {_STARTS} sk- (?= [\w-]{{0,64}} [0-9] ) [\w-]{{16,}}                   # OpenAI, Anthropic
  | {_STARTS} (?: gsk_ | hf_ | npm_ | xai- | pypi- ) [\w-]{{16,}}
  | AIza [\w-]{{30,}} | {_STARTS} ya29\. [\w-]{{16,}}                      # Google
  | {_STARTS} SG\. [\w-]{{16,}} \. [\w-]{{16,}}                            # SendGrid
  | [0-9]{{6,12}} :AA [\w-]{{30,}}                                       # Telegram
    """,
    re.VERBOSE,
)
_TOKEN_MARKS = (
    *("eyj", "akia", "asia", "aiza", "telegram"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "k_live_", "k_test_", "whsec_", "gsk_", "hf_", "npm_"),
    *("glpat-", "xox", "xapp-", "sk-", "xai-", "pypi-"),
    *("ya29.", "sg.", "hooks.slack.com/"),
)

_CARD = re.compile(
    r"""
    [2-6] (?<! [0-9]. ) (?<! [0-9]\.. )                    # which re skips to, as it does not to what looks back
    (?:
        [0-9]{3} ([ -]) [0-9]{4} \1 [0-9]{4} \1 [0-9]{1,4} (?: \1 [0-9]{1,3} )?
      | [0-9]{3} ([ -]) [0-9]{6} \2 [0-9]{4,5}
      | [0-9]{12,18}
    )
    (?! [0-9] )
    """,
    re.VERBOSE,
)
_ISSUERS = re.compile(
    r"""
    4 (?: [0-9]{12} | [0-9]{15} | [0-9]{18} )                                                # Visa
  | (?: 5[1-5][0-9]{2} | 222[1-9] | 22[3-9][0-9] | 2[3-6][0-9]{2} | 27[01][0-9] | 2720 ) [0-9]{12} # Mastercard
  | 3[47] [0-9]{13}                                                                          # American Express
  | 3 (?: 0[0-59] | [689][0-9] ) [0-9]{11,16}                                                  # Diners Club
  | 35 (?: 2[89] | [3-8][0-9] ) [0-9]{12,15}                                                   # JCB
  | 6 (?: 011 | 4[4-9][0-9] | 5[0-9]{2} | 2[0-9]{2} ) [0-9]{12,15}                               # Discover, UnionPay
  | (?: 50[0-9]{2} | 5[6-8][0-9]{2} | 6[0-9]{3} ) [0-9]{9,15}                                    # Maestro
    """,
    re.VERBOSE,
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _hide_card(found: re.Match[str]) -> str:
    digits = found[0].replace(" ", "").replace("-", "")
    return HIDDEN if _ISSUERS.fullmatch(digits) and _passes_luhn(digits) else found[0]


def _passes_luhn(digits: str) -> bool:
    """Tell whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0


def hide_cards(text: str) -> str:
    """Return the text without the card numbers that have an issuer's prefix and pass Luhn's check."""
    return _CARD.sub(_hide_card, text)


_FAILING_ROW = re.compile(r"(Failing row contains \()[^\n]*")
"""How PostgreSQL shows a row that a constraint refuses, without the names of its columns."""

_RAREST_FIRST = "@zjxqkvw-_bfgypu/.:mchldsrniotae"
"""What marks are made of, by how seldom it is in messages, URLs and identifiers."""


_CARD_BEGINS = "[0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{2}"


def finder_of(marks: Collection[str]) -> Callable[[str], object]:
    """Return what finds one of these marks, a long number or a NUL in a text of small letters.

    Most texts hold none and pass here only, so it has to be fast: ``re`` skips to the
    characters that alternatives start with, so each starts with its mark's rarest, and what
    stands before that is looked back at.
    """
    if "" in marks:
        return re.compile("").search
    endings: dict[str, list[str]] = {"\0": [""]} | {digit: [_CARD_BEGINS] for digit in "23456"}
    for mark in marks:
        at = min(range(len(mark)), key=lambda at: _RAREST_FIRST.find(mark[at]) % len(_RAREST_FIRST))
        behind = f"(?<={re.escape(mark[: at + 1])})" if at else ""
        endings.setdefault(mark[at], []).append(behind + re.escape(mark[at + 1 :]))
    return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in endings.items())).search


_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+'-]{1,200}@(?:[\w-]{1,63}\.){1,8}[\w-]{1,63}")

SHAPES = (
    Rule(("-----begin",), lambda text: _PEM.sub(HIDDEN, text)),
    Rule(("@",), lambda text: _USERINFO.sub(_hide_userinfo, text)),
    Rule(("bearer",), lambda text: _BEARER.sub(rf"\1{HIDDEN}", text)),
    Rule(("basic",), lambda text: _BASIC.sub(_hide_basic, text)),
    Rule(("failing row contains",), lambda text: _FAILING_ROW.sub(rf"\1{HIDDEN}", text)),
    Rule(_TOKEN_MARKS, lambda text: _TOKENS.sub(HIDDEN, text)),
)
"""Secrets that are known by their shape, wherever they stand."""

EMAILS = Rule(("@",), lambda text: _EMAIL.sub(HIDDEN, text))
"""Addresses of e-mail, which are personal, and mostly what one looks for in an error."""


def custom_rule(pattern: str) -> Rule:
    """Return the rule that hides what a regular expression matches.

    Raises:
        ValueError: it is none.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    # Matches that touch are hidden as one, and those of nothing not at all, so that no text grows without end.
    return Rule(("",), lambda text: _RUN.sub(HIDDEN, compiled.sub(lambda found: found[0] and HIDDEN, text)))


_RUN = re.compile(rf"(?:{re.escape(HIDDEN)})+")
