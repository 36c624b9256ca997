"""Every setting, where it may come from, and the one object that holds them all.

A setting has one name in three spellings: ``grafana_url`` as a keyword and in the
dictionary, ``OTEL_MONITORING_GRAFANA_URL`` in the environment.  The first of these that
gives a value wins: keyword, dictionary, ``OTEL_MONITORING_…``, OpenTelemetry's own
variable, default.  Text is read alike wherever it comes from (``"9464"`` is a port,
``"off"`` is false); ``None`` and empty text mean "not given".

No other module reads settings from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import ip_network
from math import inf, isfinite
from typing import Any, ClassVar, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.catalogue.names import nearest
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.exceptions import ConfigurationError, DeclarationError

PREFIX = "OTEL_MONITORING_"
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
_CREDENTIALS = re.compile(r"\A([a-zA-Z][a-zA-Z0-9+.-]*://)?.*@", re.DOTALL)
_HIDDEN = "***"
_SCHEDULER_SECONDS = 10  # Grafana evaluates rules at multiples of it
_LONGEST_SHOWN = 80


class _MisfitError(ValueError):
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


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one setting beside its name and its default.

    Attributes:
        kind: what it takes.
        meaning: one sentence for the documentation.
        unit: of a number.
        variables: OpenTelemetry's own environment variables that give it too.
        secret: whether its value must not be shown.
    """

    kind: Kind
    meaning: str
    unit: str = ""
    variables: tuple[str, ...] = ()
    secret: bool = False


class Row(NamedTuple):
    """One line of the documentation of the settings."""

    name: str
    variables: tuple[str, ...]
    type: str
    default: str
    unit: str
    meaning: str


def _text(value: object) -> str:
    if not isinstance(value, str) or _UNWRITABLE.search(value):
        raise _MisfitError
    return value


def _token(value: object) -> str:
    if not isinstance(value, str) or not _VISIBLE_ASCII.fullmatch(value):
        raise _MisfitError
    return value


def _word(value: object) -> str:
    word = _text(value).strip()
    if len(word.split()) != 1:
        raise _MisfitError
    return word


def _user_name(value: object) -> str:
    if ":" in _text(value):
        raise _MisfitError
    return _text(value)


def _header(value: object) -> str:
    if not isinstance(value, str) or not _HEADER_NAME.fullmatch(value.strip()):
        raise _MisfitError
    return value.strip()


def _url(value: object) -> str:
    url = _word(value)
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise _MisfitError from None
    if not right or "?" in url or "#" in url:
        raise _MisfitError
    return url.rstrip("/")


def _switch(value: object) -> bool:
    found = _SWITCH_WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise _MisfitError
    return found


def _store(value: object) -> bool | str:
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(value, str) or value.strip().lower() in _SWITCH_WORDS:
        return _switch(value)
    scheme, address, _ = _text(value).strip().partition("://")
    if address and scheme.partition("+")[0] not in _DATABASES:
        raise _MisfitError(f"; {_cut(scheme)} is none of {', '.join(sorted(_DATABASES))}")
    return value.strip()


def _path(value: object) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    return _text(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _MisfitError
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise _MisfitError from None
    if not isfinite(number):
        raise _MisfitError
    return number


def _whole_from(lowest: int, highest: float = inf) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(value)
        if number != int(number) or not lowest <= number <= highest:
            raise _MisfitError
        return int(number)

    return read


def _seconds_from(lowest: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        number = _number(value)
        if not lowest <= number <= DAY_SECONDS:
            raise _MisfitError
        return number

    return read


def _interval(value: object) -> int:
    number = _number(value)
    if number % _SCHEDULER_SECONDS or not _SCHEDULER_SECONDS <= number <= DAY_SECONDS:
        raise _MisfitError
    return int(number)


def _choice_of(*choices: str) -> Kind:
    by_lower = {choice.lower(): choice for choice in choices}

    def read(value: object) -> str:
        word = _word(value).lower()
        if word not in by_lower:
            raise _MisfitError(did_you_mean(word, by_lower))
        return by_lower[word]

    return Kind(", ".join(f'"{choice}"' for choice in choices), f"one of {', '.join(choices)}", read)


def _bytes(value: object) -> int:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    number = _number(found[1]) * _SIZE_UNITS[found[2].lower()] if found else _number(value)
    if not 1 <= number <= MOST_BYTES:
        raise _MisfitError
    return int(number)


def _days(value: object) -> float:
    number = _number(value)
    if not 0 < number <= MOST_DAYS:
        raise _MisfitError
    return number


def _scrubbed(value: object) -> tuple[str, ...]:
    items = _SCRUB_ITEM.findall(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _MisfitError
    return tuple(map(_scrub_item, cast("list[object] | tuple[object, ...]", items)))


def _scrub_item(value: object) -> str:
    text = _text(value).strip()
    if not text or text == "//":
        raise _MisfitError("; one of them is empty")
    if is_pattern(text):
        try:
            re.compile(text[1:-1])
        except re.error as error:
            raise _MisfitError(f"; {text} is no regular expression: {error}") from None
    return text


def is_pattern(item: str) -> bool:
    """Tell whether an item of ``scrub`` is a regular expression, which stands between slashes."""
    return len(item) > 1 and item.startswith("/") and item.endswith("/")


def _networks(value: object) -> tuple[str, ...]:
    items = _items(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _MisfitError
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
        raise _MisfitError from None
    raise _MisfitError(f"; did you mean '{wider}'?")


def _metric_names(value: object) -> tuple[str, ...]:
    return _names(value, _METRIC_PATTERN)


def _label_names(value: object) -> tuple[str, ...]:
    return _names(value, _LABEL_NAME)


def _names(value: object, right: re.Pattern[str]) -> tuple[str, ...]:
    items = _items(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _MisfitError
    names = cast("list[object] | tuple[object, ...]", items)
    for name in names:
        if not isinstance(name, str) or not right.fullmatch(name):
            raise _MisfitError(f"; {_cut(name)} is none")
    return tuple(map(str, names))


def _labels(value: object) -> Mapping[str, str]:
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise _MisfitError
    labels = {_label(name): _text(content) for name, content in cast("Mapping[object, object]", pairs).items()}
    if not all(labels.values()):
        raise _MisfitError("; a label's value is not empty")
    return labels


def _label(name: object) -> str:
    if name in {"job", "instance"}:
        raise _MisfitError(f"; {name} has a setting of its own, push_{name}")
    if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
        raise _MisfitError
    return name


def _platforms(value: object) -> Mapping[str, str]:
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise _MisfitError
    return {_host(host): _text(name).strip() for host, name in cast("Mapping[object, object]", pairs).items()}


def _host(value: object) -> str:
    host = _word(value).lower().strip("[]")
    if "/" in host or host.count(":") == 1 or not host.strip("."):
        raise _MisfitError(f"; {_cut(host)} is not a host alone")
    return host


def _thresholds(value: object) -> Thresholds:
    if isinstance(value, Thresholds):
        return value
    pairs = _pairs(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise _MisfitError
    try:
        return Thresholds.read(cast("Mapping[str, object]", pairs))
    except DeclarationError as error:
        raise _MisfitError(f"; {error}") from None


def _words(value: object) -> tuple[str, ...]:
    items = _items(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _MisfitError
    return tuple(map(_word, cast("list[object] | tuple[object, ...]", items)))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(text: str) -> dict[str, str]:
    """Read ``name=value,name=value``, with values percent-encoded as in OpenTelemetry's variables."""
    split = [item.partition("=") for item in _items(text)]
    if not all(equals for _, equals, _ in split):
        raise _MisfitError
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """All settings, checked; made by :meth:`load`.  What is secret does not show in its repr.

    Attributes:
        offline_by_default: what ``offline`` is where nothing says it; of the class, so that
            the test kit can set it before anything is loaded.
    """

    offline_by_default: ClassVar[bool] = False

    service_name: str = field(
        default="unknown_service",
        metadata={
            "about": About(
                TEXT,
                "The name of the service; Prometheus's job where metrics are pushed.",
                variables=("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES (service.name)"),
            )
        },
    )
    disabled: bool = field(
        default=False,
        metadata={"about": About(SWITCH, "Record, serve and push nothing.", variables=("OTEL_SDK_DISABLED",))},
    )
    offline: bool = field(
        default=False,
        metadata={
            "about": About(
                SWITCH, "Push nothing and keep no errors, whatever else is set; under pytest true unless given."
            )
        },
    )
    release: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT,
                "The version of the application that runs; errors are kept with it.",
                variables=("OTEL_RESOURCE_ATTRIBUTES (service.version)",),
            )
        },
    )
    state_dir: str = field(
        default="~/.local/state/otel-monitoring",
        metadata={
            "about": About(
                PATH, "The folder of what outlives the process; in `$XDG_STATE_HOME` where that is set, as is usual."
            )
        },
    )
    strict: bool = field(
        default=False,
        metadata={
            "about": About(
                SWITCH, "Raise on a measurement that does not fit its metric, instead of dropping it; for tests."
            )
        },
    )
    max_series: int = field(
        default=2000,
        metadata={
            "about": About(
                COUNT, "Label sets a metric keeps apart before the rest go to its overflow series.", unit="series"
            )
        },
    )
    resources: bool = field(
        default=True, metadata={"about": About(SWITCH, "Show the memory and the CPU that the process uses.")}
    )
    third_party: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Show what other libraries record with OpenTelemetry's instruments too.")},
    )
    shutdown_timeout_seconds: float = field(
        default=5.0,
        metadata={"about": About(TIMEOUT, "How long the end of the process may wait for the last export.", unit="s")},
    )
    prometheus_host: str = field(
        default="127.0.0.1",
        metadata={
            "about": About(
                WORD,
                "The address that the stand-alone server listens on.",
                variables=("OTEL_EXPORTER_PROMETHEUS_HOST",),
            )
        },
    )
    prometheus_port: int = field(
        default=9464,
        metadata={
            "about": About(
                PORT,
                "The port that the stand-alone server listens on; 0 takes any that is free.",
                variables=("OTEL_EXPORTER_PROMETHEUS_PORT",),
            )
        },
    )
    prometheus_username: str | None = field(
        default=None, metadata={"about": About(USER_NAME, "The user name that the stand-alone server asks for.")}
    )
    prometheus_password: str | None = field(
        default=None, metadata={"about": About(TEXT, "The password that belongs to it.", secret=True)}
    )
    prometheus_bearer_token: str | None = field(
        default=None,
        metadata={"about": About(TOKEN, "The bearer token that the stand-alone server asks for.", secret=True)},
    )
    prometheus_allow: tuple[str, ...] = field(
        default=(),
        metadata={"about": About(NETWORKS, "The networks that the stand-alone server answers; none listed means all.")},
    )
    created_timestamps: bool = field(
        default=True, metadata={"about": About(SWITCH, "Show in OpenMetrics when each series began (`_created`).")}
    )
    prometheus_push_gateway: str | None = field(
        default=None, metadata={"about": About(URL, "The Pushgateway that metrics are pushed to.")}
    )
    push_job: str | None = field(
        default=None, metadata={"about": About(TEXT, "The job to push under; without it, the name of the service.")}
    )
    push_instance: str | None = field(
        default=None, metadata={"about": About(TEXT, "The instance to push under; without it, the name of the host.")}
    )
    push_grouping: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata={"about": About(LABELS, "Further labels of the group that is pushed.")},
    )
    push_interval_seconds: float = field(
        default=15.0,
        metadata={
            "about": About(PAUSE, "The time between two pushes; 0 pushes at exit and on request only.", unit="s")
        },
    )
    push_timeout_seconds: float = field(
        default=5.0, metadata={"about": About(TIMEOUT, "How long one push may take.", unit="s")}
    )
    platforms: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata={
            "about": About(
                PLATFORMS,
                "Hosts, with all hosts below them, and the platforms that their HTTP calls are counted under; "
                "calls to a host with an empty platform are not counted.",
            )
        },
    )
    store_errors: bool | str = field(
        default=False,
        metadata={
            "about": About(
                STORE,
                "Keep errors: in this SQLite file or PostgreSQL database, or with true in `errors.db` in `state_dir`.",
            )
        },
    )
    errors_keep_days: float = field(
        default=30.0, metadata={"about": About(DAYS, "How long errors are kept.", unit="days")}
    )
    errors_keep_bytes: int = field(
        default=256 * 2**20,
        metadata={"about": About(BYTES, "How much of them is kept; the oldest go first.", unit="bytes")},
    )
    errors_per_second: int = field(
        default=10,
        metadata={
            "about": About(
                COUNT, "Errors of one group that are kept in detail in a second; those beyond are counted.", unit="1/s"
            )
        },
    )
    errors_spool_dir: str | None = field(
        default=None,
        metadata={
            "about": About(
                PATH,
                "Where errors wait to be stored, on a local disk; else beside the SQLite file, or in `state_dir`.",
            )
        },
    )
    errors_spool_bytes: int = field(
        default=64 * 2**20,
        metadata={"about": About(BYTES, "How much may wait there, for each process.", unit="bytes")},
    )
    errors_locals: bool = field(
        default=False,
        metadata={"about": About(SWITCH, "Keep the local variables of the application's frames, scrubbed.")},
    )
    errors_to_logs: bool = field(
        default=True,
        metadata={
            "about": About(SWITCH, "Hand errors to OpenTelemetry's logs, where the application has a LoggerProvider.")
        },
    )
    errors_to_spans: bool = field(
        default=False, metadata={"about": About(SWITCH, "Add an event to the active span for each error.")}
    )
    errors_uncaught: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Report exceptions that nobody catches, of the process and its threads.")},
    )
    scrub: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(SCRUBBED, "What else is secret in errors and logs: names of values, and patterns of text.")
        },
    )
    scrub_emails: bool = field(
        default=False, metadata={"about": About(SWITCH, "Hide e-mail addresses in errors and logs, too.")}
    )
    log_format: str | None = field(
        default=None,
        metadata={"about": About(LOG_FORMAT, "Write logs in this form; without it, logging is left as it is.")},
    )
    log_level: str = field(default="INFO", metadata={"about": About(LOG_LEVEL, "The lowest level that is logged.")})
    untraced_urls: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT,
                "Requests that become no spans: regular expressions of URLs, with commas between.",
                variables=("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"),
            )
        },
    )
    request_id_header: str = field(
        default="X-Request-ID",
        metadata={
            "about": About(HEADER, "The header in which a web request brings its id; without a fit one, an id is made.")
        },
    )
    zero_code_serve: bool = field(
        default=True,
        metadata={
            "about": About(SWITCH, "Serve the metrics of an application that `otel-monitoring run` has started.")
        },
    )
    zero_code_checklist: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Say what is instrumented when `otel-monitoring run` starts an application.")},
    )
    disabled_instrumentations: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                NAMES,
                "What `otel-monitoring run` does not instrument, by the names in its checklist; `*` is all of it.",
                variables=("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",),
            )
        },
    )
    grafana_url: str | None = field(default=None, metadata={"about": About(URL, "The Grafana to manage.")})
    grafana_api_key: str | None = field(
        default=None,
        metadata={
            "about": About(
                WORD, "An API key or service account token; used where a user name is given too.", secret=True
            )
        },
    )
    grafana_username: str | None = field(
        default=None, metadata={"about": About(USER_NAME, "The user name for Grafana.")}
    )
    grafana_password: str | None = field(
        default=None, metadata={"about": About(TEXT, "The password that belongs to it.", secret=True)}
    )
    grafana_timeout_seconds: float = field(
        default=10.0, metadata={"about": About(TIMEOUT, "How long Grafana may take to answer one request.", unit="s")}
    )
    grafana_verify_tls: bool = field(
        default=True, metadata={"about": About(SWITCH, "Check Grafana's certificate, where its address is https.")}
    )
    grafana_ca_file: str | None = field(
        default=None,
        metadata={"about": About(PATH, "The certificates to trust for that, in PEM form; else those of the system.")},
    )
    grafana_organization_id: int | None = field(
        default=None,
        metadata={"about": About(COUNT, "The organisation to work in; without it, that of the credentials.")},
    )
    grafana_folder: str = field(
        default="otel-monitoring",
        metadata={
            "about": About(TEXT, "The title of the folder for dashboards and alert rules; made where it is missing.")
        },
    )
    grafana_datasource: str | None = field(
        default=None,
        metadata={
            "about": About(TEXT, "The uid or the name of the Prometheus to query; without it, the default or only one.")
        },
    )
    grafana_alert_group: str = field(
        default="otel-monitoring",
        metadata={"about": About(TEXT, "The group of alert rules that name none.")},
    )
    grafana_alert_interval_seconds: int = field(
        default=60,
        metadata={"about": About(INTERVAL, "The time between two evaluations of alert rules.", unit="s")},
    )
    grafana_editable: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Let people change the alert rules in Grafana's UI (no provenance).")},
    )

    foreign_metrics: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                METRIC_NAMES,
                "Metrics of others that queries of dashboards and alerts may name; `*` stands for any text.",
            )
        },
    )
    target_labels: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                LABEL_NAMES, "Labels that Prometheus adds to what it scrapes, beside job, instance and usual places."
            )
        },
    )
    thresholds: Thresholds = field(
        default_factory=Thresholds,
        metadata={
            "about": About(
                THRESHOLDS,
                "The limits of the alerts, where they are not to be the default ones: `error_ratio=0.05`, and for one "
                "component `error_ratio.crawler=0.1`.",
            )
        },
    )
    runbooks_url: str | None = field(
        default=None,
        metadata={
            "about": About(
                URL,
                "Where the runbooks are published, for the links in alerts: `/<alert>.md` is put behind it, or the "
                "alert's name in the place of `{alert}`.",
            )
        },
    )
    prometheus_job: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT, "The job that Prometheus scrapes this service as; without it, the name of the service."
            )
        },
    )

    @classmethod
    def load(
        cls,
        config: Mapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        **keywords: object,
    ) -> Settings:
        """Return the settings that keywords, dictionary and environment give together.

        Args:
            config: the dictionary.
            environ: the environment; None takes that of the process.
            keywords: settings by name.

        Raises:
            ConfigurationError: something is unknown or wrong; the message lists all of it.
        """
        sources = _Sources(keywords, config, os.environ if environ is None else environ)
        problems = list(sources.unknown())
        values: dict[str, Any] = {}
        for name, about in _ABOUT.items():
            for place, given in sources.given(name, about):
                try:
                    values.setdefault(name, about.kind.read(given))
                except _MisfitError as misfit:
                    values.setdefault(name, None)
                    problems.append(f"{place}: {_shown(given, about)} is not {about.kind.expected}{misfit}")
        if "state_dir" not in values and (home := sources.environ.get("XDG_STATE_HOME")):
            values["state_dir"] = os.path.join(home, "otel-monitoring")  # noqa: PTH118 (text)
        problems += _disagreements(values, sources)
        if problems:
            raise ConfigurationError(tuple(problems))
        values.setdefault("offline", cls.offline_by_default)
        return cls(**values)

    @classmethod
    def table(cls) -> tuple[Row, ...]:
        """Return the documentation of all settings, a row each."""
        return tuple(
            Row(
                setting.name,
                (PREFIX + setting.name.upper(), *about.variables),
                about.kind.shown,
                _default(setting),
                about.unit,
                about.meaning,
            )
            for setting, about in zip(fields(cls), _ABOUT.values(), strict=True)
        )

    def __repr__(self) -> str:
        """Show all settings, secrets and the credentials in addresses hidden."""
        shown = (f"{name}={_repr(getattr(self, name), about)}" for name, about in _ABOUT.items())
        return f"Settings({', '.join(shown)})"


_ABOUT: dict[str, About] = {setting.name: setting.metadata["about"] for setting in fields(Settings)}


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where values come from, the strongest first."""

    keywords: Mapping[str, object]
    config: object
    environ: Mapping[str, str]

    def unknown(self) -> Iterator[str]:
        """Say which names are none of ours, and which one was perhaps meant."""
        for keyword in self.keywords:
            if keyword not in _ABOUT:
                yield f"keyword {_cut(keyword)}: there is no such setting{_nearest(keyword)}"
        if self.config is not None and not isinstance(self.config, Mapping):
            yield f"config: a {type(self.config).__name__} is not a dictionary"
        for key in self._dictionary():
            if key not in _ABOUT:
                yield f"dictionary key {_cut(key)}: there is no such setting{_nearest(key)}"
        known = {PREFIX + name.upper() for name in _ABOUT}
        for variable, given in self.environ.items():
            if variable.startswith(PREFIX) and variable not in known and not _is_blank(given):
                yield f"environment variable {_cut(variable)}: there is no such setting{_nearest(variable, PREFIX)}"

    def given(self, name: str, about: About) -> Iterator[tuple[str, object]]:
        """Go through the values given for one setting: (place, value).

        All that is meant for us is looked at, so that a mistake shows even where it is
        overridden; OpenTelemetry's variables, which others read too, only where they count.
        """
        variable = PREFIX + name.upper()
        ours = (
            (f"keyword {name!r}", self.keywords.get(name)),
            (f"dictionary key {name!r}", self._dictionary().get(name)),
            (f"environment variable {variable}", self.environ.get(variable)),
        )
        found = [(place, value) for place, value in ours if not _is_blank(value)]
        yield from found or self._of_opentelemetry(about)

    def says(self, name: str) -> bool:
        """Tell whether code gives a setting; what the environment gives may wait there for a command's options."""
        return not _is_blank(self.keywords.get(name)) or not _is_blank(self._dictionary().get(name))

    def _of_opentelemetry(self, about: About) -> Iterator[tuple[str, object]]:
        for variable in about.variables:
            place, _, attribute = variable.partition(" ")
            text = self.environ.get(place)
            value = _attribute(text, attribute.strip("()")) if attribute and text else text
            if not _is_blank(value):
                yield f"environment variable {place}", value
                return

    def _dictionary(self) -> Mapping[object, object]:
        return cast("Mapping[object, object]", self.config) if isinstance(self.config, Mapping) else {}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _attribute(text: str, name: str) -> str | None:
    """Find one of OpenTelemetry's resource attributes; what else is there is not ours to check."""
    pairs = (item.partition("=") for item in _items(text))
    return next((unquote(content.strip()) for key, _, content in pairs if key.strip() == name), None)


def _disagreements(values: Mapping[str, object], sources: _Sources) -> Iterator[str]:
    for server in ("grafana", "prometheus"):
        for given, missing in (("username", "password"), ("password", "username")):
            if f"{server}_{given}" in values and f"{server}_{missing}" not in values:
                yield f"{server}_{given} is given without {server}_{missing}: give both or none"
    if "grafana_url" not in values:
        for name in filter(sources.says, ("grafana_api_key", "grafana_username")):
            yield f"{name} is given without grafana_url: say which Grafana it is for"


def _nearest(key: object, prefix: str = "") -> str:
    if not isinstance(key, str):
        return ""
    # Without the prefix, which all have in common and which would make any two names look alike.
    found = nearest(key.lower().removeprefix(PREFIX.lower()), _ABOUT)
    if found is None:
        return ""
    meant = prefix + found.upper() if prefix else found
    return f"; did you mean {meant!r}?"


def _default(setting: Field[Any]) -> str:
    if setting.default is MISSING or setting.default is None or setting.default == ():
        return ""
    return str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)


def _shown(value: object, about: About) -> str:
    if about.secret:
        return f"the {type(value).__name__} given"
    if isinstance(value, str):
        return _cut(_without_credentials(value))
    if isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int) and abs(value) < 10**_LONGEST_SHOWN:
        return repr(value)
    return f"the {type(value).__name__} given"


def _repr(value: object, about: About) -> str:
    if about.secret and value is not None:
        return repr(_HIDDEN)
    return repr(_without_credentials(value) if isinstance(value, str) else value)


def _without_credentials(text: str) -> str:
    """Hide what may be secret in an address: what stands before ``@``, and the query."""
    bare, query, _ = _CREDENTIALS.sub(rf"\1{_HIDDEN}@", text).partition("?")
    return f"{bare}?{_HIDDEN}" if query else bare


def _cut(value: object) -> str:
    text = repr(value) if isinstance(value, str) else f"of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…'"
