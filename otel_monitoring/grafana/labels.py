"""Labels that a query names where they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.catalogue import OVERFLOW_LABEL, did_you_mean
from otel_monitoring.catalogue.query_parts import TARGET_LABELS
from otel_monitoring.grafana.promql import VARIABLE, matchers, metric_name
from otel_monitoring.grafana.result_labels import is_scalar, labels_within, text_of
from otel_monitoring.grafana.series import PLACE_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.grafana.result_labels import Labels
    from otel_monitoring.grafana.series import KnownSeries

_UNLISTED = PLACE_LABELS.union(TARGET_LABELS, {OVERFLOW_LABEL})


def label_problems(expr: promql.Expr, known: KnownSeries) -> Iterator[str]:
    """Go through the labels that one expression names and that cannot be there; its parts not included."""
    match expr:
        case promql.VectorSelector():
            named = (one.name for one in matchers(expr))
            yield from _absent(named, _labels(expr, known), f"{metric_name(expr)} has no label")
        case promql.AggregateExpr():
            yield from _in_aggregate(expr, known)
        case promql.BinaryExpr():
            yield from _in_matching(expr, known)
        case promql.Call():
            yield from _in_call(expr, known)
        case _:
            return


def _labels(expr: promql.Expr, known: KnownSeries) -> Labels:
    return labels_within(expr, known.labels_of)


def _in_aggregate(expr: promql.AggregateExpr, known: KnownSeries) -> Iterator[str]:
    if expr.modifier is None:
        return
    word = "by" if expr.modifier.type == promql.AggModifierType.By else "without"
    inner = _labels(expr.expr, known)
    yield from _absent(expr.modifier.labels, inner, f"what '{expr.op} {word}' adds up has no label")


def _in_matching(expr: promql.BinaryExpr, known: KnownSeries) -> Iterator[str]:
    modifier = expr.modifier
    if modifier is None or is_scalar(expr.lhs) or is_scalar(expr.rhs):
        return
    left, right = _labels(expr.lhs, known), _labels(expr.rhs, known)
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
    named = frozenset[str]().union(*map(text_of, _read_by(call))) - {""}
    if named:
        yield from _absent(named, _labels(call.args[0], known), f"what {call.func.name} reads has no label")


def _read_by(call: promql.Call) -> Iterable[promql.Expr]:
    """Return the names of the labels whose values a call makes a new label of."""
    if call.func.name == "label_join":
        return call.args[3:]
    if call.func.name != "label_replace":
        return ()
    # Without a reference to a group the new value is a constant, and what is matched often does not exist.
    refers = any("$" in text or VARIABLE in text for text in text_of(call.args[2]))
    return call.args[3:4] if refers else ()


def _absent(named: Iterable[str], labels: Labels, says: str) -> Iterator[str]:
    if labels is None:
        return
    for label in sorted(set(named)):
        if label not in labels and VARIABLE not in label:
            yield f"{says} {label!r}{_there_is(label, labels)}"


def _there_is(label: str, labels: frozenset[str]) -> str:
    named = sorted(one for one in labels - _UNLISTED if not one.startswith(("exported_", "__")))
    meant = did_you_mean(label, {*named, *labels.intersection(TARGET_LABELS)})
    return f": it has {', '.join(named) or 'none of its own'}{meant}"
