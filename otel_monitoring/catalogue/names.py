"""Where OpenTelemetry's names and Prometheus's meet.

The rules follow OpenTelemetry's "Prometheus and OpenMetrics Compatibility"
specification, as the stock Python exporter applies them on the pull path: unit ``1``
adds nothing, an annotation such as ``{job}`` is dropped, a counter ends in ``_total``.
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

METRIC_NAME = re.compile(r"[a-zA-Z][-_./a-zA-Z0-9]{0,254}")
UNIT = re.compile(r"[\x21-\x7e]{0,63}")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,127}")

ALIKE = 0.6
"""How much of two words must agree for one to be meant by the other."""

OVERFLOW_LABEL = "otel_metric_overflow"
"""OpenTelemetry's ``otel.metric.overflow`` as Prometheus shows it."""

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
    "1": "",
}
_PER = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
    "m": "meter",
}
_RESERVED_LABELS = frozenset({"le", "quantile", "job", "instance", OVERFLOW_LABEL})
_RESERVED_NAMES = frozenset({"up", "ALERTS", "ALERTS_FOR_STATE", "target_info"})


def unit_suffix(unit: str) -> str:
    """Return the word that Prometheus shows for a UCUM unit, empty where it shows none."""
    plain = re.sub(r"\{[^}]*\}", "", unit)
    if plain in _UNITS:
        return _UNITS[plain]
    if "/" in plain:
        above, below = plain.split("/", 1)
        if below in _PER:
            return f"{_UNITS.get(above, _words(above))}_per_{_PER[below]}".lstrip("_")
    return _words(plain)


def _words(text: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_:]", "_", text)).strip("_")


def prometheus_name(name: str, unit: str, *, counter: bool) -> str:
    """Return the Prometheus family name of an OpenTelemetry metric.

    Args:
        name: the OpenTelemetry name, for instance ``job.wait``.
        unit: its UCUM unit, for instance ``s``.
        counter: whether it only ever rises; then the name ends in ``_total``.
    """
    base = re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_:]", "_", name)).rstrip("_")
    if counter:
        base = base.removesuffix("_total")
    suffix = unit_suffix(unit)
    if suffix and base != suffix and not base.endswith(f"_{suffix}"):
        base = f"{base}_{suffix}"
    return f"{base}_total" if counter else base


def prometheus_label(name: str) -> str:
    """Return the Prometheus label of an OpenTelemetry attribute name."""
    return name.replace(".", "_")


def metric_name_problem(name: object) -> str | None:
    """Say what is wrong with an OpenTelemetry metric name, or return None."""
    if not isinstance(name, str) or not METRIC_NAME.fullmatch(name):
        return (
            f"{name!r} is no metric name: it starts with a letter and goes on with up to 254 "
            "letters, digits and any of '_', '.', '-', '/', for instance 'jobs' or 'job.wait'"
        )
    shown = prometheus_name(name, "", counter=False)
    if shown in _RESERVED_NAMES or shown.startswith("scrape_"):
        return f"the name {name!r} belongs to Prometheus itself: choose another, such as 'app_{shown}'"
    return None


def unit_problem(unit: object) -> str | None:
    """Say what is wrong with a UCUM unit, or return None."""
    if not isinstance(unit, str) or not UNIT.fullmatch(unit):
        return (
            f"{unit!r} is no unit: up to 63 printable ASCII characters without spaces, such as "
            "'s', 'By', '%' or, for things that are counted, '{job}'"
        )
    return None


def label_name_problem(name: object) -> str | None:
    """Say what is wrong with a label name, or return None."""
    if not isinstance(name, str) or not LABEL_NAME.fullmatch(name):
        return (
            f"{name!r} is no label name: it starts with a letter or '_' and goes on with letters, "
            "digits, '_' and '.', for instance 'queue'"
        )
    shown = prometheus_label(name)
    if shown.startswith("__"):
        return f"the label {name!r} is reserved: names that start with '__' are Prometheus's own; drop the underscores"
    if shown in _RESERVED_LABELS:
        return f"the label {name!r} is reserved by Prometheus or OpenTelemetry: choose another, such as 'app_{shown}'"
    return None


def nearest(word: str, known: Iterable[str], *, alike: float = ALIKE) -> str | None:
    """Return the known word that looks most like the given one, if any comes close: ``alike`` is from 0 to 1."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=alike)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or nothing."""
    found = nearest(word, known)
    return f"; did you mean {found!r}?" if found else ""
