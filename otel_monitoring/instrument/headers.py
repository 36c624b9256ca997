"""What the headers of an HTTP answer say of rate limits, in the dialects that services speak.

- IETF: ``RateLimit`` and ``RateLimit-Policy`` as lists of named items (draft-ietf-httpapi-ratelimit-headers-10),
  as the dictionary of its draft 07, and ``RateLimit-Limit``, ``-Remaining``, ``-Reset`` of the drafts before.
- ``X-RateLimit-Limit``, ``-Remaining``, ``-Reset``, with or without a name behind or between (GitHub, Reddit,
  OpenAI and those who follow it, Kong, RapidAPI, Discord), ``X-Rate-Limit-…`` (X, formerly Twitter).
- ``anthropic-ratelimit-…`` and ``anthropic-priority-…``.
- ``Retry-After`` in both forms (RFC 9110, section 10.2.3), or ``retry-after-ms`` (Azure), with 403, 429 and 503.

A time is a number of seconds to go, seconds or milliseconds since 1970, a duration such as ``6m0s``,
a date of RFC 3339 or an HTTP date.  Values that are none of what is expected are as if not sent:
whatever comes over the wire, nothing is raised.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from otel_monitoring.instrument.headroom import DEFAULT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

FORBIDDEN = 403
TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503

FARTHEST_SECONDS = 366 * 86_400.0
"""Resets farther from now than this, before or after, are taken for mistakes."""

_FEWEST_EPOCH_SECONDS = 1e9  # 2001: no window lasts for thirty years
_FEWEST_EPOCH_MILLISECONDS = 1e11  # 1973; as seconds the year 5138
_LONGEST_NAME = 100
_LONGEST_VALUE = 1000
_MOST_HEADERS = 100
_MOST_TYPES = 20

_NAME = re.compile(
    r"(?:x-|anthropic-)?(rate-?limit|priority|app-limit|user-limit)-"
    r"(?:(limit|remaining|reset-after|reset|used|resource)(?:-([a-z0-9_-]{1,64}))?"
    r"|([a-z0-9_-]{1,64}?)-(limit|remaining|reset))"
)
_WHOLE = frozenset({"ratelimit", "ratelimit-policy", "retry-after", "retry-after-ms"})
_NUMBER = re.compile(r"\s*(-?[0-9]{1,18}(?:\.[0-9]{0,9})?)\s*(?:[,;]|$)")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|us|µs|ns|[dhms])){1,8}")
_DURATION_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_UNIT_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_UNITS = tuple(_UNIT_SECONDS)
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2,8},? [A-Za-z0-9 :-]{16,26}")
_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PART = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_OUTSIDE_OF_A_TYPE = re.compile(r"[^a-z0-9_.]+")


class Reading(NamedTuple):
    """What one answer says of one limit; None is what it does not say.

    Attributes:
        limit_type: which limit, such as ``tokens``; ``api`` where it has no name.
        limit: what is granted for a whole window.
        remaining: what is left of it.
        reset: when the window ends, in seconds since 1970.
        hit: whether the platform has refused the call for it.
    """

    limit_type: str
    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None
    hit: bool = False


_NOTHING = (None, None, None, False)


def read_limits(headers: Iterable[tuple[str, str]], *, status: int, now: float) -> tuple[Reading, ...]:
    """Return what the headers of an answer say of each limit, in the order of their names.

    A refusal (429, or 403 and 503 with ``Retry-After``) is a hit of the limits with nothing
    left; where none is so, it is one of the limit ``api``, which holds for all calls.

    Args:
        headers: names, in letters of any size, and values.
        status: the status code of the answer.
        now: when it came, in seconds since 1970.
    """
    found = _Found(now)
    for name, value in headers:
        told = _told_by(name) if len(name) <= _LONGEST_NAME else None
        if told is not None and len(value) <= _LONGEST_VALUE:
            found.hear(*told, value)
    return found.readings(status)


class _Found:
    """What was found in the headers of one answer so far."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._left = _MOST_HEADERS
        self._fields: dict[str, dict[str, float]] = {}
        self._resource = DEFAULT_TYPE
        self._retry_after: float | None = None
        self._retry_after_is_exact = False

    def hear(self, limit_type: str, field: str, value: str) -> None:
        """Take one header: what it tells, of which limit, and its value."""
        self._left -= 1
        if self._left < 0:
            return
        if field in {"retry-after", "retry-after-ms"}:
            self._hear_retry_after(value, milliseconds=field.endswith("-ms"))
        elif field == "ratelimit":
            self._hear_ietf(value, {"r": "remaining", "t": "reset"})
        elif field == "ratelimit-policy":
            self._hear_ietf(value, {"q": "limit"})
        elif field == "resource":
            self._rename(clean_type(value))
        else:
            number = read_moment(value, self._now) if field.startswith("reset") else read_number(value)
            # The more exact one of Discord's two wins, whichever comes first.
            self._set(limit_type or self._resource, field.removesuffix("-after"), number, weak=field == "reset")

    def readings(self, status: int) -> tuple[Reading, ...]:
        """Return the readings, hits among them where the status says so."""
        readings = {limit_type: _reading(limit_type, fields) for limit_type, fields in sorted(self._fields.items())}
        refused = status == TOO_MANY_REQUESTS or (
            status in {FORBIDDEN, SERVICE_UNAVAILABLE} and self._retry_after is not None
        )
        if refused:
            spent = [one for one in readings.values() if one.remaining is not None and one.remaining <= 0]
            for one in spent or [self._refusal(readings.get(DEFAULT_TYPE))]:
                reset = self._retry_after if one.reset is None else one.reset
                readings[one.limit_type] = one._replace(reset=reset, hit=True)
        return tuple(one for one in readings.values() if one[1:] != _NOTHING)

    def _refusal(self, reading: Reading | None) -> Reading:
        known = reading or Reading(DEFAULT_TYPE)
        # Without a time at which it ends, nothing would ever say that calls are taken again.
        return known if self._retry_after is None else known._replace(remaining=0.0, reset=self._retry_after)

    def _hear_retry_after(self, value: str, *, milliseconds: bool) -> None:
        moment = read_moment(f"{value.strip()}ms" if milliseconds else value, self._now)
        # The more exact one of two wins, whichever comes first.
        if moment is not None and not self._retry_after_is_exact:
            self._retry_after = moment
            self._retry_after_is_exact = milliseconds

    def _rename(self, resource: str) -> None:
        if DEFAULT_TYPE in self._fields:
            self._fields[resource] = self._fields.pop(DEFAULT_TYPE)
        self._resource = resource

    def _hear_ietf(self, value: str, parameters: dict[str, str]) -> None:
        for member in _MEMBER.findall(value)[:_MOST_TYPES]:
            name, *rest = [part.strip() for part in _PART.findall(member)] or [""]
            if "=" in name:  # draft 07: limit=100, remaining=50, reset=50
                self._set_ietf(DEFAULT_TYPE, name, {"limit": "limit", "remaining": "remaining", "reset": "reset"})
            elif (quota := read_number(name)) is not None:  # draft 07: 100;w=60
                self._set(DEFAULT_TYPE, "limit", quota, weak=True)
            else:
                for part in rest:
                    self._set_ietf(clean_type(name), part, parameters)

    def _set_ietf(self, limit_type: str, pair: str, fields: dict[str, str]) -> None:
        key, _, text = pair.partition("=")
        field = fields.get(key.strip())
        if field is not None:
            number = read_moment(text, self._now) if field == "reset" else read_number(text)
            self._set(limit_type, field, number)

    def _set(self, limit_type: str, field: str, number: float | None, *, weak: bool = False) -> None:
        if number is None or (limit_type not in self._fields and len(self._fields) >= _MOST_TYPES):
            return
        fields = self._fields.setdefault(limit_type, {})
        if weak:
            fields.setdefault(field, number)
        else:
            fields[field] = number


@lru_cache(maxsize=1000)
def _told_by(name: str) -> tuple[str, str] | None:
    """Return the limit type, empty for the one without a name, and what a header tells of it."""
    name = name.lower()
    if name in _WHOLE:
        return "", name
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    family, first, behind, between, last = match.groups()
    limit_type = behind or between or ""
    if family in {"app-limit", "user-limit", "priority"}:
        limit_type = f"{family.removesuffix('-limit')}_{limit_type}"
    return clean_type(limit_type) if limit_type else "", first or last


def _reading(limit_type: str, fields: dict[str, float]) -> Reading:
    remaining, limit = fields.get("remaining"), fields.get("limit")
    if limit is None and remaining is not None and "used" in fields:
        limit = remaining + fields["used"]
    return Reading(limit_type, limit, remaining, fields.get("reset"))


def clean_type(name: str) -> str:
    """Return a limit's name as a label's value: small letters, digits, dots and underscores, at most 64."""
    return _OUTSIDE_OF_A_TYPE.sub("_", name.lower()[:64]).strip("_") or DEFAULT_TYPE


def read_number(text: str) -> float | None:
    """Return the number that a value is, or begins with before a comma or semicolon."""
    match = _NUMBER.match(text)
    return float(match[1]) if match else None


def read_moment(text: str, now: float) -> float | None:
    """Return the moment that a value means, in seconds since 1970; None where it means none near.

    Args:
        text: seconds to go, seconds or milliseconds since 1970, a duration or a date.
        now: in seconds since 1970.
    """
    text = text.strip()
    moment = _counted(text, now)
    if moment is None:
        moment = _dated(text)
    return moment if moment is not None and abs(moment - now) <= FARTHEST_SECONDS else None


def _counted(text: str, now: float) -> float | None:
    number = read_number(text)
    if number is None:
        seconds = _duration_seconds(text) if text.endswith(_UNITS) else None
        return None if seconds is None else now + seconds
    if number >= _FEWEST_EPOCH_MILLISECONDS:
        return number / 1000
    return number if number >= _FEWEST_EPOCH_SECONDS else now + max(number, 0.0)


@lru_cache(maxsize=1000)
def _duration_seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in _DURATION_PART.findall(text))


def _dated(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text) if _HTTP_DATE.fullmatch(text) else datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
