"""Histograms in queries: bounds that exist, and quantiles of buckets that still have their ``le``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import bound_text
from otel_monitoring.grafana.labels import labels_of
from otel_monitoring.grafana.promql import VARIABLE, matchers, metric_name, selectors, unwrapped
from otel_monitoring.grafana.series import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.grafana.series import KnownSeries, Series

_ALTERNATIVES = re.compile(r"\(?(?:[\d.e+|]|\\[.+]|\+?Inf)+\)?")


def bound_problems(selector: promql.VectorSelector, known: KnownSeries) -> Iterator[str]:
    """Go through the bounds that a selector names and that its histogram does not have."""
    name = metric_name(selector)
    series = None if name is None else known.find(name)
    if series is None or series.role is not Role.BUCKET or series.declaration is None:
        return
    bounds = [*map(bound_text, series.declaration.buckets), "+Inf"]
    for matcher in matchers(selector):
        if matcher.name == "le" and VARIABLE not in matcher.value:
            for bound in _named_bounds(matcher):
                if bound not in bounds:
                    yield _no_bound(series, bound, bounds)


def _named_bounds(matcher: promql.Matcher) -> Iterable[str]:
    if matcher.op == promql.MatchOp.Equal or matcher.op == promql.MatchOp.NotEqual:  # noqa: PLR1714 (they have no hash)
        return [matcher.value] if matcher.value else []
    if not _ALTERNATIVES.fullmatch(matcher.value):
        return []
    return re.sub(r"\\(.)|[()]", r"\1", matcher.value).split("|")


def _no_bound(series: Series, bound: str, bounds: list[str]) -> str:
    return f"{series.name} has no bucket le={bound!r}{_nearest_bound(bound, bounds)}: it has {', '.join(bounds)}"


def _nearest_bound(bound: str, bounds: list[str]) -> str:
    try:
        wanted = float(bound)
    except ValueError:
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
        labels = labels_of(vector, known)
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
