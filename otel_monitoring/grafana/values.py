"""Values of labels that a query asks for and that are never recorded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.grafana.promql import VARIABLE, matchers, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.grafana.series import KnownSeries

_PLAIN_ALTERNATIVES = re.compile(r"\(?(?:\w|-|\|)+\)?")


def value_problems(selector: promql.VectorSelector, known: KnownSeries) -> Iterator[str]:
    """Go through the values that a selector names and that its label never has."""
    name = metric_name(selector)
    series = None if name is None else known.find(name)
    if series is None or series.declaration is None:
        return
    closed = series.declaration.prometheus_values
    for matcher in matchers(selector):
        values = closed.get(matcher.name)
        if values is not None and VARIABLE not in matcher.value:
            for value in named_values(matcher):
                if value and value not in values:
                    right = f"it is one of {', '.join(values)}{did_you_mean(value, values)}"
                    yield f"the label {matcher.name!r} of {series.name} is never {value!r}: {right}"


def named_values(matcher: promql.Matcher) -> Iterable[str]:
    """Return the values that a matcher spells out, none where it holds a real pattern."""
    if matcher.op == promql.MatchOp.Equal or matcher.op == promql.MatchOp.NotEqual:  # noqa: PLR1714 (they have no hash)
        return [matcher.value]
    if not _PLAIN_ALTERNATIVES.fullmatch(matcher.value):
        return []
    return matcher.value.strip("()").split("|")
