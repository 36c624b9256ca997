"""Which limits an alert depends on: found by changing each and looking at what becomes of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue.thresholds import ThresholdRow, Thresholds
from otel_monitoring.exceptions import DeclarationError
from otel_monitoring.grafana.alert import Alert, identity
from otel_monitoring.grafana.promql import metric_name, parse_query, selectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_monitoring.grafana.alert import Record, RuleGroup

    MakeGroups = Callable[[Thresholds], Iterable[RuleGroup]]


def thresholds_behind(make_groups: MakeGroups) -> dict[str, tuple[ThresholdRow, ...]]:
    """Return the thresholds that each alert depends on, by its name, through recorded series too.

    Args:
        make_groups: makes the rules for thresholds.
    """
    before = _rules(make_groups(Thresholds()))
    reads = {name: _read_by(rule) for name, rule in before.items()}
    behind: dict[str, tuple[ThresholdRow, ...]] = {}
    for row in Thresholds.table():
        after = _rules(make_groups(_changed(row)))
        changed = {rule.name for name, rule in before.items() if after.get(name) != rule}
        for name in _alerts_reached(before, changed, reads):
            behind[name] = (*behind.get(name, ()), row)
    return behind


def _rules(groups: Iterable[RuleGroup]) -> dict[str, Alert | Record]:
    """Return rules by what they are, numbered where several are the same, as recorded thresholds may be."""
    rules: dict[str, Alert | Record] = {}
    for rule in (rule for group in groups for rule in group.rules):
        name = identity(rule)
        while name in rules:
            name += "+"
        rules[name] = rule
    return rules


def _changed(row: ThresholdRow) -> Thresholds:
    """Return thresholds with another value for one: near it, or where only few are right, one of those."""
    for value in (row.default * 1.001, row.default * 0.999, 1.0, 0.5):
        if value != row.default:
            try:
                return Thresholds.read({row.name: value})
            except DeclarationError:
                continue
    raise DeclarationError(f"the threshold {row.name!r} has no other value to compare with")


def _alerts_reached(
    rules: Mapping[str, Alert | Record], changed: set[str], reads: Mapping[str, frozenset[str]]
) -> list[str]:
    """Return the alerts that changed, or that read something that did; a rule only reads what is above it."""
    for name, rule in rules.items():
        if not changed.isdisjoint(reads[name]):
            changed.add(rule.name)
    alerts = dict.fromkeys(rule.name for rule in rules.values() if isinstance(rule, Alert))
    return [name for name in alerts if name in changed]


def _read_by(rule: Alert | Record) -> frozenset[str]:
    return frozenset(metric_name(selector) or "" for selector in selectors(parse_query(rule.expr, where=rule.name)))
