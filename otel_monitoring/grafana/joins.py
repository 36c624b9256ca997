"""Two sides of an operator that can never meet, because they are split by different labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import OVERFLOW_LABEL
from otel_monitoring.grafana.promql import unwrapped
from otel_monitoring.grafana.result_labels import is_scalar, labels_within
from otel_monitoring.grafana.series import PLACE_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.result_labels import Labels
    from otel_monitoring.grafana.series import KnownSeries

_SPLITS = frozenset({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"})


def join_problems(expr: promql.BinaryExpr, known: KnownSeries) -> Iterator[str]:
    """Say when the two sides of an operator have different labels and nothing tells which of them count."""
    if str(expr.op) == "or" or (expr.modifier is not None and expr.modifier.matching is not None):
        return
    left, right = _split_by(expr.lhs, known), _split_by(expr.rhs, known)
    if left is None or right is None or not any(map(_is_always_there, left ^ right)):
        return
    common = ", ".join(sorted(left & right))
    yield (
        f"the sides of '{expr.op}' never meet: {_described(left)} are on the left and {_described(right)} on the "
        f"right; write '{expr.op} on ({common}){_group(left, right)}' or split both alike"
    )


def _is_always_there(label: str) -> bool:
    """Tell whether a label has a value: what is missing counts as empty, and so it may meet what does not have it."""
    return label not in PLACE_LABELS and label != OVERFLOW_LABEL and not label.startswith("exported_")


def _group(left: frozenset[str], right: frozenset[str]) -> str:
    if right < left:
        return " group_left ()"
    return " group_right ()" if left < right else ""


def _described(labels: frozenset[str]) -> str:
    return f"the labels {', '.join(sorted(labels))}" if labels else "no labels"


def _split_by(expr: promql.Expr, known: KnownSeries) -> Labels:
    """Return the very labels that the result has, None where that is not sure."""
    inner = unwrapped(expr)
    match inner:
        case promql.AggregateExpr() if str(inner.op) in _SPLITS and _by_only(inner):
            of_what = labels_within(inner.expr, known.labels_of)
            return None if of_what is None else labels_within(inner, known.labels_of)
        case promql.UnaryExpr():
            return _split_by(inner.expr, known)
        case promql.BinaryExpr() if not is_scalar(inner):
            return _of_operator(inner, known)
        case promql.Call() if inner.func.name == "histogram_quantile":
            quantiled = _split_by(inner.args[1], known)
            return None if quantiled is None else quantiled - {"le"}
        case _:
            return None


def _by_only(expr: promql.AggregateExpr) -> bool:
    return expr.modifier is None or bool(expr.modifier.type == promql.AggModifierType.By)


def _of_operator(expr: promql.BinaryExpr, known: KnownSeries) -> Labels:
    if is_scalar(expr.rhs):
        return _split_by(expr.lhs, known)
    if is_scalar(expr.lhs):
        return _split_by(expr.rhs, known)
    left, right = _split_by(expr.lhs, known), _split_by(expr.rhs, known)
    if str(expr.op) in {"and", "unless"}:
        return left
    return left if left == right and expr.modifier is None else None
