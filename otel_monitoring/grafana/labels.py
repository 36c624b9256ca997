"""Which labels the result of each part of a query can have, and where one is named that cannot be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.grafana.promql import VARIABLE, matchers, metric_name, parts, unwrapped
from otel_monitoring.grafana.series import IMPLIED_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.grafana.series import KnownSeries

Labels = frozenset[str] | None
"""The labels that a result can have; None where nobody knows."""

NONE: frozenset[str] = frozenset()
SET_OPERATORS = frozenset({"and", "or", "unless"})
_KEEPS_SERIES = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_WITHOUT_LABELS = frozenset({"vector", "scalar", "time", "pi"})
_OF_BUCKETS = frozenset({"histogram_quantile", "histogram_fraction"})


def labels_of(expr: promql.Expr, known: KnownSeries) -> Labels:
    """Return the labels that the result of an expression can have."""
    match expr:
        case promql.VectorSelector():
            return _of_selector(expr, known)
        case promql.AggregateExpr():
            return _of_aggregate(expr, known)
        case promql.BinaryExpr():
            return _of_binary(expr, known)
        case promql.Call():
            return _of_call(expr, known)
        case promql.NumberLiteral() | promql.StringLiteral():
            return NONE
        case _:
            return labels_of(next(parts(expr)), known)


def is_scalar(expr: promql.Expr) -> bool:
    """Tell whether an expression gives one number instead of series."""
    match unwrapped(expr):
        case promql.NumberLiteral():
            return True
        case promql.UnaryExpr() as negated:
            return is_scalar(negated.expr)
        case promql.BinaryExpr() as both:
            return is_scalar(both.lhs) and is_scalar(both.rhs)
        case promql.Call() as call:
            return bool(call.func.return_type == promql.ValueType.Scalar)
        case _:
            return False


def label_problems(expr: promql.Expr, known: KnownSeries) -> Iterator[str]:
    """Go through the labels that one expression names and that cannot be there; its parts not included."""
    match expr:
        case promql.VectorSelector():
            named = (one.name for one in matchers(expr))
            yield from _absent(named, _of_selector(expr, known), f"{metric_name(expr)} has no label")
        case promql.AggregateExpr():
            yield from _in_aggregate(expr, known)
        case promql.BinaryExpr():
            yield from _in_matching(expr, known)
        case promql.Call():
            yield from _in_call(expr, known)
        case _:
            return


def _of_selector(selector: promql.VectorSelector, known: KnownSeries) -> Labels:
    name = metric_name(selector)
    series = None if name is None else known.find(name)
    return None if series is None else series.labels


def _of_aggregate(expr: promql.AggregateExpr, known: KnownSeries) -> Labels:
    inner = labels_of(expr.expr, known)
    if str(expr.op) in _KEEPS_SERIES:
        return inner
    added = _text_of(expr.param) if str(expr.op) == "count_values" else NONE
    if expr.modifier is None:
        return added
    named = frozenset(expr.modifier.labels)
    if expr.modifier.type == promql.AggModifierType.By:
        return _open_where_variable(named | added)
    return None if inner is None else (inner - named) | added


def _of_binary(expr: promql.BinaryExpr, known: KnownSeries) -> Labels:
    left, right = labels_of(expr.lhs, known), labels_of(expr.rhs, known)
    if is_scalar(expr.lhs):
        return right
    operator = str(expr.op)
    if is_scalar(expr.rhs) or operator in {"and", "unless"}:
        return left
    if operator == "or":
        return None if left is None or right is None else left | right
    return _of_matching(expr, left, right)


def _of_matching(expr: promql.BinaryExpr, left: Labels, right: Labels) -> Labels:
    modifier = expr.modifier
    if modifier is None:
        return left
    taken = frozenset(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return None if left is None else left | taken
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return None if right is None else right | taken
    if modifier.matching is None:
        return left
    named = frozenset(modifier.matching.labels)
    if modifier.matching.type == promql.LabelModifierType.Include:
        return _open_where_variable(named)
    return None if left is None else left - named


def _of_call(call: promql.Call, known: KnownSeries) -> Labels:
    name = call.func.name
    if name in _WITHOUT_LABELS or not call.args:
        return NONE
    if name == "info":
        return None
    inner = labels_of(_series_argument(call), known)
    if inner is None:
        return None
    if name in _OF_BUCKETS:
        return inner - {"le"}
    if name in {"label_replace", "label_join"}:
        return _open_where_variable(inner | _text_of(call.args[1]))
    return inner


def _series_argument(call: promql.Call) -> promql.Expr:
    """Return the argument whose series the result has; the others are numbers and text."""
    vectors = [arg for arg in call.args if not is_scalar(arg) and not isinstance(unwrapped(arg), promql.StringLiteral)]
    first: promql.Expr = (vectors or call.args)[0]
    return first


def _text_of(expr: promql.Expr | None) -> frozenset[str]:
    text = None if expr is None else unwrapped(expr)
    return frozenset({text.val}) if isinstance(text, promql.StringLiteral) else NONE


def _open_where_variable(labels: frozenset[str]) -> Labels:
    return None if any(VARIABLE in label for label in labels) else labels


def _in_aggregate(expr: promql.AggregateExpr, known: KnownSeries) -> Iterator[str]:
    if expr.modifier is None:
        return
    word = "by" if expr.modifier.type == promql.AggModifierType.By else "without"
    inner = labels_of(expr.expr, known)
    yield from _absent(expr.modifier.labels, inner, f"what '{expr.op} {word}' adds up has no label")


def _in_matching(expr: promql.BinaryExpr, known: KnownSeries) -> Iterator[str]:
    modifier = expr.modifier
    if modifier is None or is_scalar(expr.lhs) or is_scalar(expr.rhs):
        return
    left, right = labels_of(expr.lhs, known), labels_of(expr.rhs, known)
    if modifier.matching is not None:
        yield from _in_on(modifier.matching, str(expr.op), left, right)
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        yield from _absent(
            modifier.group_labels or (), right, "the right side, which group_left takes it from, has no label"
        )
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        yield from _absent(
            modifier.group_labels or (), left, "the left side, which group_right takes it from, has no label"
        )


def _in_on(matching: promql.LabelModifier, operator: str, left: Labels, right: Labels) -> Iterator[str]:
    if matching.type == promql.LabelModifierType.Include and operator != "or":
        yield from _absent(matching.labels, left, "the left side of 'on' has no label")
        yield from _absent(matching.labels, right, "the right side of 'on' has no label")
        return
    word = "on" if matching.type == promql.LabelModifierType.Include else "ignoring"
    either = None if left is None or right is None else left | right
    yield from _absent(matching.labels, either, f"neither side of '{word}' has a label")


def _in_call(call: promql.Call, known: KnownSeries) -> Iterator[str]:
    sources = {"label_replace": call.args[3:4], "label_join": call.args[3:]}.get(call.func.name, [])
    named = [label for source in sources for label in _text_of(source)]
    if named:
        yield from _absent(named, labels_of(call.args[0], known), f"what {call.func.name} reads has no label")


def _absent(named: Iterable[str], labels: Labels, says: str) -> Iterator[str]:
    if labels is None:
        return
    for label in named:
        if label not in labels and VARIABLE not in label:
            yield f"{says} {label!r}{_there_is(label, labels)}"


def _there_is(label: str, labels: frozenset[str]) -> str:
    own = sorted(one for one in labels if one not in IMPLIED_LABELS and not one.startswith(("exported_", "__")))
    return f": it has {', '.join(own) or 'none of its own'}{did_you_mean(label, labels)}"
