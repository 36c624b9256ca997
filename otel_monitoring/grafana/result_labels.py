"""Which labels the result of a query can carry, as far as its text and those who know its series tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.grafana.promql import VARIABLE, metric_name, parts, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    LabelsOf = Callable[[str], frozenset[str] | None]
    """Gives the labels of the series of a name, or None where it does not know."""

Labels = frozenset[str] | None
"""The labels that may be there; None where nothing is known of them."""

NONE: frozenset[str] = frozenset()
_KEEPS_SERIES = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_WITHOUT_LABELS = frozenset({"vector", "scalar", "time", "pi"})
_ABSENT = frozenset({"absent", "absent_over_time"})
_MAKES_LABEL = frozenset({"label_replace", "label_join"})
_OF_BUCKETS = frozenset({"histogram_quantile", "histogram_fraction"})


def result_labels(expr: str, labels_of: LabelsOf = lambda _: None) -> Labels:
    """Return the labels that the result of a query can carry.

    Args:
        expr: PromQL without Grafana's variables.
        labels_of: gives the labels of a series by its name.

    Raises:
        ValueError: it is no PromQL.
    """
    return labels_within(promql.parse(expr), labels_of)


def labels_within(expr: promql.Expr, labels_of: LabelsOf) -> Labels:
    """Return the labels that the result of a part of a query can carry.

    Args:
        expr: the part, as it is parsed.
        labels_of: gives the labels of a series by its name.
    """
    match expr:
        case promql.VectorSelector():
            name = metric_name(expr)
            return None if name is None else labels_of(name)
        case promql.AggregateExpr():
            return _of_aggregate(expr, labels_of)
        case promql.BinaryExpr():
            return _of_binary(expr, labels_of)
        case promql.Call():
            return _of_call(expr, labels_of)
        case promql.NumberLiteral() | promql.StringLiteral():
            return NONE
        case _:
            return labels_within(next(parts(expr)), labels_of)


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


def _of_aggregate(expr: promql.AggregateExpr, labels_of: LabelsOf) -> Labels:
    inner = labels_within(expr.expr, labels_of)
    if str(expr.op) in _KEEPS_SERIES:
        return inner
    added = text_of(expr.param) if str(expr.op) == "count_values" else NONE
    if expr.modifier is None:
        return added
    named = frozenset(expr.modifier.labels)
    if expr.modifier.type == promql.AggModifierType.By:
        return _open_where_variable(named | added)
    return None if inner is None else (inner - named) | added


def _of_binary(expr: promql.BinaryExpr, labels_of: LabelsOf) -> Labels:
    left, right = labels_within(expr.lhs, labels_of), labels_within(expr.rhs, labels_of)
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


def _of_call(call: promql.Call, labels_of: LabelsOf) -> Labels:
    name = call.func.name
    if name in _WITHOUT_LABELS or not call.args:
        return NONE
    if name == "info":
        return None
    if name in _ABSENT:
        return _equal_labels(call.args[0])
    inner = labels_within(_series_argument(call), labels_of)
    return None if inner is None else _changed_by(call, inner)


def _changed_by(call: promql.Call, labels: frozenset[str]) -> Labels:
    """Return what a function makes of the labels of its series."""
    if call.func.name in _OF_BUCKETS:
        return labels - {"le"}
    if call.func.name in _MAKES_LABEL:
        return _open_where_variable(labels | text_of(call.args[1]))
    return labels


def _series_argument(call: promql.Call) -> promql.Expr:
    """Return the argument whose series the result has; the others are numbers and text."""
    vectors = [arg for arg in call.args if not is_scalar(arg) and not isinstance(unwrapped(arg), promql.StringLiteral)]
    first: promql.Expr = (vectors or call.args)[0]
    return first


def _equal_labels(expr: promql.Expr) -> Labels:
    """Return what ``absent`` makes of a selector: the labels that must be equal to something."""
    inner = unwrapped(expr)
    selector = inner.vector_selector if isinstance(inner, promql.MatrixSelector) else inner
    if not isinstance(selector, promql.VectorSelector):
        return NONE
    equal = [one.name for one in selector.matchers.matchers if one.op == promql.MatchOp.Equal]
    return frozenset(name for name in equal if equal.count(name) == 1 and name != "__name__")


def text_of(expr: promql.Expr | None) -> frozenset[str]:
    """Return what an argument that is text says, nothing where it is none."""
    text = None if expr is None else unwrapped(expr)
    return frozenset({text.val}) if isinstance(text, promql.StringLiteral) else NONE


def _open_where_variable(labels: frozenset[str]) -> Labels:
    return None if any(VARIABLE in label for label in labels) else labels
