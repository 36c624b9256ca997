"""Counters and gauges: each only inside of the functions that fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.grafana.promql import metric_name, parts, selectors, unwrapped
from otel_monitoring.grafana.series import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.series import KnownSeries, Series

OF_COUNTERS = frozenset({"rate", "irate", "increase", "resets"})
OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear", "holt_winters", "double_exponential_smoothing"})
_OF_EXISTENCE = frozenset(
    {"absent", "absent_over_time", "present_over_time", "count_over_time", "changes", "timestamp"}
)
_COUNTS_SERIES = frozenset({"count", "group"})
_EITHER = frozenset({Role.COUNTER, Role.BUCKET})


def counter_problems(expr: promql.Expr, known: KnownSeries, *, bare: bool = True) -> Iterator[str]:
    """Go through the counters and gauges of a query that stand where they say nothing.

    Args:
        expr: the query, or a part of it.
        known: what may be named.
        bare: whether the value itself counts here; where only its being there does, a counter may stand bare.
    """
    match expr:
        case promql.VectorSelector():
            series = _series(expr, known)
            if bare and series is not None and series.role in _EITHER:
                yield f"{series.name} only ever rises: take its rate() or increase()"
        case promql.Call() if expr.func.name in OF_COUNTERS:
            yield from _of_counters(expr, known)
        case promql.Call() if expr.func.name in OF_GAUGES:
            yield from _of_gauges(expr, known)
        case promql.Call() if expr.func.name in _OF_EXISTENCE:
            yield from _in_parts(expr, known, bare=False)
        case promql.AggregateExpr() if str(expr.op) in _COUNTS_SERIES:
            yield from _in_parts(expr, known, bare=False)
        case promql.BinaryExpr() if str(expr.op) in {"and", "unless"}:
            yield from counter_problems(expr.lhs, known, bare=bare)
            yield from counter_problems(expr.rhs, known, bare=False)
        case _:
            yield from _in_parts(expr, known, bare=bare)


def _in_parts(expr: promql.Expr, known: KnownSeries, *, bare: bool) -> Iterator[str]:
    for part in parts(expr):
        yield from counter_problems(part, known, bare=bare)


def _of_counters(call: promql.Call, known: KnownSeries) -> Iterator[str]:
    argument = unwrapped(call.args[0])
    inner = unwrapped(argument.expr) if isinstance(argument, promql.SubqueryExpr) else argument
    name = call.func.name
    match inner:
        case promql.MatrixSelector() | promql.VectorSelector():
            for selector in selectors(inner):
                series = _series(selector, known)
                if series is not None and series.role is Role.GAUGE:
                    yield f"{series.name} falls too, and {name}() takes each fall for a restart: use delta() or deriv()"
        case promql.AggregateExpr() if any(_is_counter(one, known) for one in _bare_selectors(inner)):
            yield f"{name}({inner.op}(…)) takes a restart of one process for one of all: write {inner.op}({name}(…))"
        case _:
            yield from counter_problems(inner, known)


def _of_gauges(call: promql.Call, known: KnownSeries) -> Iterator[str]:
    argument = unwrapped(call.args[0])
    inner = unwrapped(argument.expr) if isinstance(argument, promql.SubqueryExpr) else argument
    if not isinstance(inner, promql.MatrixSelector | promql.VectorSelector):
        yield from counter_problems(inner, known)
        return
    name = call.func.name
    for selector in selectors(inner):
        series = _series(selector, known)
        if series is not None and series.role in _EITHER:
            yield f"{series.name} is a counter, and {name}() takes its restarts for falls: use rate() or increase()"


def _bare_selectors(expr: promql.Expr) -> Iterator[promql.VectorSelector]:
    """Go through the selectors that no function of ranges stands around."""
    if isinstance(expr, promql.VectorSelector):
        yield expr
    elif not isinstance(expr, promql.MatrixSelector):
        for part in parts(expr):
            yield from _bare_selectors(part)


def _is_counter(selector: promql.VectorSelector, known: KnownSeries) -> bool:
    series = _series(selector, known)
    return series is not None and series.role in _EITHER


def _series(selector: promql.VectorSelector, known: KnownSeries) -> Series | None:
    name = metric_name(selector)
    return None if name is None else known.find(name)
