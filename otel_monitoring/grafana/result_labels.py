"""Which labels the result of a query carries, as far as its text tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Callable

    LabelsOf = Callable[[str], frozenset[str] | None]
    """Gives the labels of the series of a name, or None where it does not know."""

Labels = frozenset[str] | None
"""The labels that may be there; None where nothing is known of them."""

_NO_LABELS = frozenset[str]()
_KEEP_ALL = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_MAKE_NONE = frozenset({"scalar", "time", "pi", "vector"})
_DATES = frozenset(
    {"minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"}
)  # without an argument they are of the time of the query


def result_labels(expr: str, labels_of: LabelsOf = lambda _: None) -> Labels:
    """Return the labels that the result of a query can carry, without the metric's name.

    Args:
        expr: PromQL without Grafana's variables.
        labels_of: gives the labels of a series by its name.

    Raises:
        ValueError: it is no PromQL.
    """
    return _labels(promql.parse(expr), labels_of)


def _labels(node: promql.Expr, labels_of: LabelsOf) -> Labels:
    if isinstance(node, promql.VectorSelector):
        return labels_of(node.name) if node.name else None
    if isinstance(node, promql.MatrixSelector):
        return _labels(node.vector_selector, labels_of)
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return _labels(node.expr, labels_of)
    if isinstance(node, promql.AggregateExpr):
        return _aggregated(node, labels_of)
    if isinstance(node, promql.BinaryExpr):
        return _combined(node, labels_of)
    return _called(node, labels_of) if isinstance(node, promql.Call) else _NO_LABELS


def _aggregated(node: promql.AggregateExpr, labels_of: LabelsOf) -> Labels:
    inner = _labels(node.expr, labels_of)
    if str(node.op) in _KEEP_ALL:
        return inner
    kept: Labels = _NO_LABELS
    if node.modifier is not None:
        named = frozenset(node.modifier.labels)
        if node.modifier.type == promql.AggModifierType.By:
            kept = named if inner is None else named & inner
        else:
            kept = None if inner is None else inner - named
    if str(node.op) == "count_values" and kept is not None:
        return kept | {str(node.param).strip('"')}
    return kept


def _combined(node: promql.BinaryExpr, labels_of: LabelsOf) -> Labels:
    left, right = _labels(node.lhs, labels_of), _labels(node.rhs, labels_of)
    operator = str(node.op)
    if operator in {"and", "unless"}:
        return left
    if operator == "or":
        return None if left is None or right is None else left | right
    if is_scalar(node.lhs) or is_scalar(node.rhs):
        return right if is_scalar(node.lhs) else left
    return _matched(node.modifier, left, right)


def _matched(modifier: promql.BinModifier | None, left: Labels, right: Labels) -> Labels:
    """Return what an arithmetic or a comparing operator between two vectors leaves of their labels."""
    if modifier is None:
        return left
    added = frozenset(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return None if left is None else left | added
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return None if right is None else right | added
    if modifier.matching is None:
        return left
    named = frozenset(modifier.matching.labels)
    if modifier.matching.type == promql.LabelModifierType.Include:
        return named if left is None else named & left
    return None if left is None else left - named


def _called(node: promql.Call, labels_of: LabelsOf) -> Labels:
    name, arguments = node.func.name, node.args
    if name in _MAKE_NONE or (name in _DATES and not arguments):
        return _NO_LABELS
    if name in {"absent", "absent_over_time"}:
        return _equal_labels(arguments[0])
    vector = next((one for one in arguments if not _is_plain(one)), None)
    inner = _NO_LABELS if vector is None else _labels(vector, labels_of)
    if name in {"label_replace", "label_join"} and inner is not None:
        return inner | {str(arguments[1]).strip('"')}
    return inner - {"le"} if name == "histogram_quantile" and inner is not None else inner


def _equal_labels(node: promql.Expr) -> Labels:
    """Return what ``absent`` makes of a selector: the labels that must be equal to something."""
    selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
    if not isinstance(selector, promql.VectorSelector):
        return _NO_LABELS
    equal = [one.name for one in selector.matchers.matchers if one.op == promql.MatchOp.Equal]
    return frozenset(name for name in equal if equal.count(name) == 1 and name != "__name__")


def is_scalar(node: promql.Expr) -> bool:
    """Tell whether an expression gives one number without labels instead of a vector."""
    if isinstance(node, promql.NumberLiteral):
        return True
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return is_scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return is_scalar(node.lhs) and is_scalar(node.rhs)
    return isinstance(node, promql.Call) and node.func.return_type == promql.ValueType.Scalar


def _is_plain(node: promql.Expr) -> bool:
    return isinstance(node, promql.StringLiteral) or is_scalar(node)
