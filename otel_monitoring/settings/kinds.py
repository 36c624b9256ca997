"""What settings take: each kind of value, how it is read, and what is said of one that does not fit."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from math import inf, isfinite
from typing import cast
from urllib.parse import unquote, urlsplit

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.exceptions import DeclarationError
from otel_monitoring.settings.shown import cut

DAY_SECONDS = 86_400.0
MOST_BYTES = 1 << 50
MOST_DAYS = 36_500.0
_SWITCH_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_DATABASES = frozenset({"postgres", "postgresql", "sqlite"})
_SIZE = re.compile(r"([0-9.]+)\s*([kmgt]?i?b)", re.IGNORECASE)
_SIZE_UNITS = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
    "ib": 1,
}
_SCRUB_ITEM = re.compile(r"\s*(/(?:[^/\\]|\\.)+/|[^,]+)\s*(?:,|$)")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_PATTERN = re.compile(r"[a-zA-Z_:*][a-zA-Z0-9_:*]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")  # RFC 9110's, without "_", which WSGI takes for "-"
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_SCHEDULER_SECONDS = 10  # Grafana evaluates rules at multiples of it


class MisfitError(ValueError):
    """A value does not fit its setting; the text, if any, is a hint to put behind the message."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting takes.

    Attributes:
        shown: the type as the documentation names it.
        expected: what a right value is, as it stands behind "is not".
        read: returns the value to keep, or raises a misfit.
    """

    shown: str
    expected: str
    read: Callable[[object], object]


def _text(value: object) -> str:
    if not isinstance(value, str) or _UNWRITABLE.search(value):
        raise MisfitError
    return value


def _token(value: object) -> str:
    if not isinstance(value, str) or not _VISIBLE_ASCII.fullmatch(value):
        raise MisfitError
    return value


def _word(value: object) -> str:
    word = _text(value).strip()
    if len(word.split()) != 1:
        raise MisfitError
    return word


def _user_name(value: object) -> str:
    if ":" in _text(value):
        raise MisfitError
    return _text(value)


def _header(value: object) -> str:
    if not isinstance(value, str) or not _HEADER_NAME.fullmatch(value.strip()):
        raise MisfitError
    return value.strip()


def _url(value: object) -> str:
    url = _word(value)
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise MisfitError from None
    if not right or "?" in url or "#" in url:
        raise MisfitError
    return url.rstrip("/")


def _switch(value: object) -> bool:
    found = _SWITCH_WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise MisfitError
    return found


def _store(value: object) -> bool | str:
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(value, str) or value.strip().lower() in _SWITCH_WORDS:
        return _switch(value)
    scheme, address, _ = _text(value).strip().partition("://")
    if address and scheme.partition("+")[0] not in _DATABASES:
        raise MisfitError(f"; {cut(scheme)} is none of {', '.join(sorted(_DATABASES))}")
    return value.strip()


def _path(value: object) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    return _text(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise MisfitError
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise MisfitError from None
    if not isfinite(number):
        raise MisfitError
    return number


def _whole_from(lowest: int, highest: float = inf) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(value)
        if number != int(number) or not lowest <= number <= highest:
            raise MisfitError
        return int(number)

    return read


def _seconds_from(lowest: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        number = _number(value)
        if not lowest <= number <= DAY_SECONDS:
            raise MisfitError
        return number

    return read


def _interval(value: object) -> int:
    number = _number(value)
    if number % _SCHEDULER_SECONDS or not _SCHEDULER_SECONDS <= number <= DAY_SECONDS:
        raise MisfitError
    return int(number)


def _choice_of(*choices: str) -> Kind:
    by_lower = {choice.lower(): choice for choice in choices}

    def read(value: object) -> str:
        word = _word(value).lower()
        if word not in by_lower:
            raise MisfitError(did_you_mean(word, by_lower))
        return by_lower[word]

    return Kind(", ".join(f'"{choice}"' for choice in choices), f"one of {', '.join(choices)}", read)


def _bytes(value: object) -> int:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    number = _number(found[1]) * _SIZE_UNITS[found[2].lower()] if found else _number(value)
    if not 1 <= number <= MOST_BYTES:
        raise MisfitError
    return int(number)


def _days(value: object) -> float:
    number = _number(value)
    if not 0 < number <= MOST_DAYS:
        raise MisfitError
    return number


def _scrubbed(value: object) -> tuple[str, ...]:
    items = _SCRUB_ITEM.findall(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise MisfitError
    return tuple(map(_scrub_item, cast("list[object] | tuple[object, ...]", items)))


def _scrub_item(value: object) -> str:
    text = _text(value).strip()
    if not text or text == "//":
        raise MisfitError("; one of them is empty")
    if is_pattern(text):
        try:
            re.compile(text[1:-1])
        except re.error as error:
            raise MisfitError(f"; {text} is no regular expression: {error}") from None
    return text


def is_pattern(item: str) -> bool:
    """Tell whether an item of ``scrub`` is a regular expression, which stands between slashes."""
    return len(item) > 1 and item.startswith("/") and item.endswith("/")


def _networks(value: object) -> tuple[str, ...]:
    items = items_of(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise MisfitError
    return tuple(map(_network, cast("list[object] | tuple[object, ...]", items)))


def _network(value: object) -> str:
    text = _word(value)
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise MisfitError from None
    raise MisfitError(f"; did you mean '{wider}'?")


def _metric_names(value: object) -> tuple[str, ...]:
    return _names(value, _METRIC_PATTERN)


def _label_names(value: object) -> tuple[str, ...]:
    return _names(value, _LABEL_NAME)


def _names(value: object, right: re.Pattern[str]) -> tuple[str, ...]:
    items = items_of(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise MisfitError
    names = cast("list[object] | tuple[object, ...]", items)
    for name in names:
        if not isinstance(name, str) or not right.fullmatch(name):
            raise MisfitError(f"; {cut(name)} is none")
    return tuple(map(str, names))


def _labels(value: object) -> Mapping[str, str]:
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise MisfitError
    labels = {_label(name): _text(content) for name, content in cast("Mapping[object, object]", pairs).items()}
    if not all(labels.values()):
        raise MisfitError("; a label's value is not empty")
    return labels


def _label(name: object) -> str:
    if name in {"job", "instance"}:
        raise MisfitError(f"; {name} has a setting of its own, push_{name}")
    if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
        raise MisfitError
    return name


def _platforms(value: object) -> Mapping[str, str]:
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise MisfitError
    return {_host(host): _text(name).strip() for host, name in cast("Mapping[object, object]", pairs).items()}


def _host(value: object) -> str:
    host = _word(value).lower().strip("[]")
    if "/" in host or host.count(":") == 1 or not host.strip("."):
        raise MisfitError(f"; {cut(host)} is not a host alone")
    return host


def _thresholds(value: object) -> Thresholds:
    if isinstance(value, Thresholds):
        return value
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise MisfitError
    try:
        return Thresholds.read(cast("Mapping[str, object]", pairs))
    except DeclarationError as error:
        raise MisfitError(f"; {error}") from None


def _words(value: object) -> tuple[str, ...]:
    items = items_of(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise MisfitError
    return tuple(map(_word, cast("list[object] | tuple[object, ...]", items)))


def items_of(text: str) -> list[str]:
    """Return what stands between commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(text: str) -> dict[str, str]:
    """Read ``name=value,name=value``, with values percent-encoded as in OpenTelemetry's variables."""
    split = [item.partition("=") for item in items_of(text)]
    if not all(equals for _, equals, _ in split):
        raise MisfitError
    return {name.strip(): unquote(content.strip()) for name, _, content in split}


TEXT = Kind("text", "text without control characters", _text)
WORD = Kind("text", "text without spaces", _word)
TOKEN = Kind("text", "visible ASCII text without spaces", _token)
USER_NAME = Kind("text", "a user name: text without a colon", _user_name)
URL = Kind("URL", "an address such as http://host:port, without a query", _url)
SWITCH = Kind("true or false", "true or false", _switch)
STORE = Kind("true, false, path or database URL", "true, false, a path or a database URL", _store)
PATH = Kind("path", "a path", _path)
BYTES = Kind("size", "a size such as 64MiB, 200MB or a number of bytes", _bytes)
DAYS = Kind("number", "a number of days above 0, at most 36500", _days)
SCRUBBED = Kind(
    "names and /patterns/",
    "a list of names and of regular expressions between slashes, as in customer_no,/ACME-\\d+/",
    _scrubbed,
)
PORT = Kind("whole number", "a port: a whole number from 0 to 65535", _whole_from(0, 65_535))
COUNT = Kind("whole number", "a whole number above 0", _whole_from(1, 10**9))
PAUSE = Kind("number", "a number of seconds from 0 to 86400", _seconds_from(0.0))
TIMEOUT = Kind("number", "a number of seconds from 0.001 to 86400", _seconds_from(0.001))
INTERVAL = Kind("whole number", "a number of seconds from 10 to 86400, a multiple of 10", _interval)
NETWORKS = Kind("list of networks", "a list of networks such as 10.0.0.0/8, 127.0.0.1", _networks)
METRIC_NAMES = Kind("list of metrics", "a list of metrics such as node_*, queue_length", _metric_names)
LABEL_NAMES = Kind("list of labels", "a list of labels such as team, region", _label_names)
LABELS = Kind("labels", "a list of labels such as region=eu,zone=a", _labels)
HEADER = Kind("header", "the name of an HTTP header such as X-Request-ID", _header)
PLATFORMS = Kind("hosts", "a list of hosts and their platforms such as api.example.com=example", _platforms)
THRESHOLDS = Kind(
    "names and numbers",
    "a list of thresholds such as error_ratio=0.05, error_ratio.crawler=0.1",
    _thresholds,
)
NAMES = Kind("list of names", "a list of names such as redis, sqlite3", _words)
LOG_FORMAT = _choice_of("json", "console")
LOG_LEVEL = _choice_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
