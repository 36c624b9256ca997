"""What a metric is called by convention, and what must be said of it.

https://prometheus.io/docs/practices/naming/
https://opentelemetry.io/docs/specs/semconv/general/naming/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.kind import Kind
from otel_monitoring.catalogue.names import unit_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.catalogue.declaration import Declaration

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(?:[._][a-z0-9]+)*")
_BASE_UNITS = {
    **dict.fromkeys(("ns", "us", "ms", "min", "h", "d"), "s"),
    **dict.fromkeys(("KiBy", "MiBy", "GiBy", "TiBy", "KBy", "MBy", "GBy", "TBy"), "By"),
}
_TAKEN_SUFFIXES = {
    "_total": "counters alone end in it, by themselves",
    "_bucket": "the series of a histogram end in it",
    "_sum": "the series of a histogram end in it",
    "_count": "the series of a histogram end in it",
    "_created": "it says when a series began",
}
_UNITS_IN_NAMES = frozenset(
    {"seconds", "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "bytes", "percent"}
)
_UNBOUNDED = frozenset(
    {
        *("email", "error_message", "exception", "id", "ip", "message", "path", "query", "request_id", "session_id"),
        *("span_id", "timestamp", "trace_id", "url", "user", "user_id", "uuid"),
    }
)


def convention_problems(metric: Declaration) -> Iterator[str]:
    """Say where a metric breaks a convention, and what would be right."""
    yield from _name_problems(metric)
    yield from _unit_problems(metric)
    for label in metric.labels:
        if not _SNAKE_CASE.fullmatch(label):
            yield f"the label {label!r} is not in small letters with '_' between words: {_snake(label)!r}"
        if label in _UNBOUNDED:
            yield f"the label {label!r} has a new value each time, and each makes a series: leave it to logs and spans"
    if not metric.description.strip():
        yield "it has no description, which is its help text: say in one sentence what it counts or measures"


def _name_problems(metric: Declaration) -> Iterator[str]:
    suffix = next((suffix for suffix in _TAKEN_SUFFIXES if metric.name.endswith(suffix)), "")
    bare = metric.name.removesuffix(suffix)
    if not _SNAKE_CASE.fullmatch(metric.name):
        yield f"the name is not in small letters with '_' or '.' between words: {_snake(bare)!r}"
    if suffix:
        yield f"the name ends in {suffix!r}, and {_TAKEN_SUFFIXES[suffix]}: {_snake(bare)!r}"
    last = re.split(r"[._]", metric.name)[-1]
    if last in _UNITS_IN_NAMES and last != unit_suffix(metric.unit):
        yield f"the name ends in the unit {last!r}, and its unit is {metric.unit!r}: give unit=…, and leave it out here"


def _unit_problems(metric: Declaration) -> Iterator[str]:
    base = _BASE_UNITS.get(metric.unit)
    if base:
        yield f"the unit is {metric.unit!r}: Prometheus's names and panels take the base unit, {base!r}"
    if metric.kind is Kind.HISTOGRAM and not metric.unit:
        yield "a histogram without a unit says little: 's', 'By', or what is counted, '{item}'"


def _snake(name: str) -> str:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9.]+", "_", apart.lower()).strip("_.")
