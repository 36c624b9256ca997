"""Histograms in queries: bounds that exist, and quantiles of buckets that still have their ``le``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import bound_text
from otel_monitoring.grafana.promql import VARIABLE, matchers, metric_name, selectors, unwrapped
from otel_monitoring.grafana.result_labels import labels_within
from otel_monitoring.grafana.series import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.series import KnownSeries, Series

_SPELLED_OUT = re.compile(r"[\d.eE+|()\[\]\\Inf-]+")
_AROUND_CHARACTERS = re.compile(r"\[(.)\]|\\(.)|[()]")


def bound_problems(selector: promql.VectorSelector, known: KnownSeries) -> Iterator[str]:
    """Go through the bounds that a selector names and that its histogram does not have."""
    name = metric_name(selector)
    series = None if name is None else known.find(name)
    if series is None or series.role is not Role.BUCKET or series.declaration is None:
        return
    bounds = [*map(bound_text, series.declaration.buckets), "+Inf"]
    for matcher in matchers(selector):
        if matcher.name == "le" and VARIABLE not in matcher.value:
            named = _named_bounds(matcher)
            found = [bound for bound in named if bound in bounds]
            for bound in named:
                if not any(_is_same(bound, one) for one in found):
                    yield _no_bound(series, bound, bounds)


def _named_bounds(matcher: promql.Matcher) -> list[str]:
    """Return the bounds that a matcher spells out, as in ``1|1[.]0``; none where it holds a real pattern."""
    if matcher.op == promql.MatchOp.Equal or matcher.op == promql.MatchOp.NotEqual:  # noqa: PLR1714 (they have no hash)
        return [matcher.value] if matcher.value else []
    if not _SPELLED_OUT.fullmatch(matcher.value):
        return []
    plain = _AROUND_CHARACTERS.sub(lambda found: found[1] or found[2] or "", matcher.value).split("|")
    return plain if all(_number(bound) is not None for bound in plain) else []


def _is_same(bound: str, other: str) -> bool:
    """Tell whether two texts are one number: who takes both spellings is right with either."""
    return bound == other or (_number(bound) is not None and _number(bound) == _number(other))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _no_bound(series: Series, bound: str, bounds: list[str]) -> str:
    return f"{series.name} has no bucket le={bound!r}: it has {', '.join(bounds)}{_nearest_bound(bound, bounds)}"


def _nearest_bound(bound: str, bounds: list[str]) -> str:
    wanted = _number(bound)
    if wanted is None:
        return ""
    found = min(bounds, key=lambda one: abs(float(one) - wanted))
    return f"; did you mean {found!r}?"


def quantile_problems(call: promql.Call, known: KnownSeries) -> Iterator[str]:
    """Say what is wrong with a ``histogram_quantile``."""
    if call.func.name != "histogram_quantile":
        return
    share, vector = unwrapped(call.args[0]), call.args[1]
    if isinstance(share, promql.NumberLiteral) and not 0 <= share.val <= 1:
        yield f"histogram_quantile({share.val:.12g}, …): a quantile is a number from 0 to 1"
    wrong = [series for series in _series(vector, known) if series.role not in {Role.BUCKET, Role.UNKNOWN}]
    if wrong:
        yield from map(_no_buckets, wrong)
    else:
        labels = labels_within(vector, known.labels_of)
        if labels is not None and "le" not in labels:
            yield "histogram_quantile() needs the label 'le', which is gone here: write 'by (le, …)'"


def _no_buckets(series: Series) -> str:
    metric = series.declaration
    says = f"histogram_quantile() is of buckets, and {series.name} are none"
    if metric is None or "_bucket" not in metric.kind.sample_suffixes:
        return f"{says}: {series.name} belongs to no histogram"
    return f"{says}: use {metric.prometheus_name}_bucket"


def _series(expr: promql.Expr, known: KnownSeries) -> Iterator[Series]:
    for selector in selectors(expr):
        name = metric_name(selector)
        series = None if name is None else known.find(name)
        if series is not None:
            yield series
