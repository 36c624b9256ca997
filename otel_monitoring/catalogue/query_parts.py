"""Parts of a query that are made of a declaration: labels, matchers and windows, each checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.names import did_you_mean, prometheus_label
from otel_monitoring.exceptions import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.catalogue.declaration import Declaration

    By = str | tuple[str, ...]
    Where = Mapping[str, str | tuple[str, ...]]

TARGET = ('job=~"$job"', 'instance=~"$instance"')
"""The variables that every dashboard has."""

TARGET_LABELS = ("job", "instance")
"""What Prometheus adds to all that it scrapes."""

_VARIABLE = re.compile(r"\$\w+|\$\{\w+(:\w+)?\}")
_DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def aggregation(metric: Declaration, by: By, operator: str = "sum") -> str:
    """Return the head of an aggregation, ``sum by (queue) `` or ``sum``.

    Raises:
        QueryError: a label is not the metric's.
    """
    labels = shown_labels(metric, by)
    return f"{operator} by ({', '.join(labels)}) " if labels else operator


def shown_labels(metric: Declaration, by: By) -> tuple[str, ...]:
    """Return labels as Prometheus shows them, each once.

    Raises:
        QueryError: one is not the metric's; the message names the nearest that is.
    """
    names = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    return tuple(dict.fromkeys(_label(metric, name) for name in names))


def _label(metric: Declaration, name: str) -> str:
    known = (*metric.prometheus_labels, *TARGET_LABELS)
    if not isinstance(name, str):
        raise QueryError(f"metric {metric.name!r}: {name!r} names no label: it has {', '.join(known)}")
    shown = prometheus_label(name)
    if shown not in known:
        raise QueryError(
            f"metric {metric.name!r} has no label {name!r}: it has {', '.join(known)}{did_you_mean(shown, known)}"
        )
    return shown


def window(metric: Declaration, over: str) -> str:
    """Return a window.

    Raises:
        QueryError: it is neither a duration nor a variable.
    """
    if not isinstance(over, str) or not (_DURATION.fullmatch(over) or _VARIABLE.fullmatch(over)):
        raise QueryError(
            f"metric {metric.name!r}: {over!r} is no window: write a duration such as '5m', or a variable of Grafana's"
        )
    return over


def matchers(metric: Declaration, where: Where | None) -> str:
    """Return the braces of a selector: the dashboard's variables, and values that labels must have.

    Raises:
        QueryError: a label is not the metric's, or never has the value.
    """
    own = [_matcher(metric, _label(metric, name), value) for name, value in (where or {}).items()]
    return "{" + ", ".join([*TARGET, *own]) + "}"


def _matcher(metric: Declaration, label: str, value: str | Iterable[str]) -> str:
    if isinstance(value, str):
        if _VARIABLE.fullmatch(value):
            return f'{label}=~"{value}"'
        return f'{label}="{_escaped(_value(metric, label, value))}"'
    values = [_value(metric, label, one) for one in (value if isinstance(value, Iterable) else (value,))]
    if not values:
        raise QueryError(f"metric {metric.name!r}: no value is given for the label {label!r}")
    return f'{label}=~"{_escaped("|".join(map(re.escape, values)))}"'


def _value(metric: Declaration, label: str, value: str) -> str:
    if not isinstance(value, str):
        raise QueryError(f"metric {metric.name!r}: {value!r} is no value of the label {label!r}: write text")
    known = metric.prometheus_values.get(label, (value,))
    if value not in known:
        right = f"it is one of {', '.join(known)}{did_you_mean(value, known)}"
        raise QueryError(f"metric {metric.name!r}: the label {label!r} is never {value!r}: {right}")
    return value


def _escaped(text: str) -> str:
    return text.translate(_TEXT_ESCAPES)
