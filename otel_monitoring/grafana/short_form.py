"""The short form of alert rules, ``{"name": …, "conditions": […]}``, and the rule that Grafana takes for it.

A condition is ``{"expr" or "metric", "operator", "threshold", "for"}``, or one of Grafana's classic
ones (see ``classic_conditions``).  A rule in the form of Grafana's provisioning API stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from string import ascii_uppercase
from typing import TYPE_CHECKING, cast

from otel_monitoring.catalogue import Kind, did_you_mean
from otel_monitoring.exceptions import AlertError
from otel_monitoring.grafana.alert import DURATION, LONGEST_TITLE
from otel_monitoring.grafana.classic_conditions import classic_data, is_classic, refuse_unknown
from otel_monitoring.grafana.promql import parse_query
from otel_monitoring.grafana.queries import Json, expression, instant_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_monitoring.catalogue import Catalogue, Declaration

MOST_CONDITIONS = len(ascii_uppercase) - 1
OVER = "5m"
"""The window of the rates that a condition on a counter or a histogram reads."""

EVALUATORS = {
    ">": "gt",
    "<": "lt",
    ">=": "gte",
    "<=": "lte",
    "==": "eq",
    "!=": "ne",
    "within_range": "within_range",
    "outside_range": "outside_range",
}
_WORDS = {word: sign for sign, word in EVALUATORS.items()}
_RANGES = {"within_range": "({0} > {1} && {0} < {2})", "outside_range": "({0} < {1} || {0} > {2})"}
_BOUNDS = 2

_RULE_KEYS = ("name", "conditions", "match", "for", "labels", "severity", "annotations", "summary", "description")
_PASSED_KEYS = ("uid", "isPaused", "noDataState", "execErrState", "folderUID", "ruleGroup")
_CONDITION_KEYS = ("expr", "metric", "operator", "threshold", "for")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a query's value.

    Attributes:
        expr: the PromQL.
        operator: one of ``EVALUATORS``.
        bounds: one number, or two for a range.
        hold: for how long, as ``5m``; empty where it is not said.
    """

    expr: str
    operator: str
    bounds: tuple[float, ...]
    hold: str


def is_full_rule(data: Mapping[str, object]) -> bool:
    """Tell whether an alert is given in the form of Grafana's provisioning API."""
    return "data" in data or ("title" in data and "conditions" not in data)


def rule_from_short_form(data: Mapping[str, object], catalogue: Catalogue, *, datasource_uid: str) -> Json:
    """Return a rule as Grafana's provisioning API takes it, without its folder and group.

    Args:
        data: the short form.
        catalogue: the metrics that a condition may name.
        datasource_uid: the Prometheus that is asked.

    Raises:
        AlertError: something does not fit; the message says where and what would be right.
        QueryError: a query is no PromQL.
    """
    name = _name(data)
    where = f"alert {name!r}"
    refuse_unknown(data, (*_RULE_KEYS, *_PASSED_KEYS), where)
    given = _conditions(data, where)
    if any(map(is_classic, given)):
        _refuse_mixed(given, where)
        nodes, hold = classic_data(given, where=where, datasource_uid=datasource_uid), ""
    else:
        conditions = [_condition(one, catalogue, f"{where}, condition {number}") for number, one in enumerate(given, 1)]
        nodes = _data(conditions, datasource_uid, joined=_join(data, where))
        hold = _common_hold(conditions, where)
    return {
        "title": name,
        "condition": nodes[-1]["refId"],
        "data": nodes,
        "for": _hold(data.get("for"), where) or hold or "0s",
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": _texts(data, "labels", where) | _texts_of(data, ("severity",), where),
        "annotations": _texts(data, "annotations", where) | _texts_of(data, ("summary", "description"), where),
        **{key: data[key] for key in _PASSED_KEYS if key in data},
    }


def _name(data: Mapping[str, object]) -> str:
    name = data.get("name")
    if not isinstance(name, str) or not name.strip():
        raise AlertError(f"an alert's name is {name!r}: write text, as {{'name': 'High Error Rate', …}}")
    if len(name) > LONGEST_TITLE:
        raise AlertError(
            f"alert {name[:40]!r}…: the name is longer than the {LONGEST_TITLE} characters that Grafana takes"
        )
    return name


def _conditions(data: Mapping[str, object], where: str) -> list[Mapping[str, object]]:
    given = data.get("conditions")
    if not isinstance(given, list | tuple) or not given:
        raise AlertError(f"{where}: conditions are {given!r}: write a list, as {_EXAMPLE}")
    conditions = cast("Sequence[object]", given)
    if len(conditions) > MOST_CONDITIONS:
        raise AlertError(f"{where}: {len(conditions)} conditions are too many: {MOST_CONDITIONS} is the most")
    for number, condition in enumerate(conditions, 1):
        if not isinstance(condition, Mapping):
            raise AlertError(f"{where}, condition {number}: {condition!r} is no dictionary: write it as {_EXAMPLE}")
    return cast("list[Mapping[str, object]]", list(conditions))


_EXAMPLE = "[{'expr': 'sum(rate(system_errors_total[5m]))', 'operator': '>', 'threshold': 5, 'for': '5m'}]"


def _refuse_mixed(given: Sequence[Mapping[str, object]], where: str) -> None:
    if not all(map(is_classic, given)):
        raise AlertError(f"{where}: classic conditions (evaluator, query, reducer) stand among short ones: use one")


def _condition(given: Mapping[str, object], catalogue: Catalogue, where: str) -> Condition:
    refuse_unknown(given, _CONDITION_KEYS, where)
    operator = _operator(given.get("operator"), where)
    return Condition(
        expr=_expr(given, catalogue, where),
        operator=operator,
        bounds=_bounds(given.get("threshold"), operator, where),
        hold=_hold(given.get("for"), where),
    )


def _expr(given: Mapping[str, object], catalogue: Catalogue, where: str) -> str:
    if ("expr" in given) == ("metric" in given):
        raise AlertError(f"{where}: give either 'expr', which is PromQL, or 'metric', which is a metric's name")
    named = given.get("expr", given.get("metric"))
    if not isinstance(named, str) or not named.strip():
        raise AlertError(f"{where}: {named!r} is no query: write PromQL, or the name of a metric")
    if "expr" in given:
        parse_query(named, where=where)
        return named
    declaration = catalogue.find(named)
    if declaration is None:
        nearest = catalogue.nearest(named)
        meant = f"; did you mean {nearest!r}?" if nearest else "."
        raise AlertError(f"{where}: no metric is called {named!r}{meant} Give 'expr' to ask for others' metrics")
    return _usual(declaration)


def _usual(metric: Declaration) -> str:
    """Return what is asked of a metric of which only the name is given: one series, over all labels."""
    name = metric.prometheus_name
    if metric.kind is Kind.COUNTER:
        return f"sum(rate({name}[{OVER}]))"
    if metric.kind is Kind.HISTOGRAM:
        return f"histogram_quantile(0.95, sum by (le) (rate({name}_bucket[{OVER}])))"
    return f"sum({name})" if metric.kind is Kind.UP_DOWN_COUNTER else f"max({name})"


def _operator(given: object, where: str) -> str:
    found = _WORDS.get(given, given) if isinstance(given, str) else given
    if not isinstance(found, str) or found not in EVALUATORS:
        meant = did_you_mean(given, (*EVALUATORS, *_WORDS)) if isinstance(given, str) else ""
        raise AlertError(f"{where}: operator is {given!r}{meant or '.'} Write one of {', '.join(EVALUATORS)}")
    return found


def _bounds(given: object, operator: str, where: str) -> tuple[float, ...]:
    ranged = operator in _RANGES
    values = cast("Sequence[object]", given) if ranged and isinstance(given, list | tuple) else (given,)
    bounds = tuple(value for value in values if _is_number(value))
    if len(bounds) != len(values) or len(bounds) != (_BOUNDS if ranged else 1):
        right = "two numbers, as [0.2, 0.8]" if ranged else "a number, as 0.05"
        raise AlertError(f"{where}: threshold is {given!r}: with the operator {operator!r} write {right}")
    return cast("tuple[float, ...]", bounds)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _hold(given: object, where: str) -> str:
    if given is None or given == "":
        return ""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return f"{given}s"
    if not isinstance(given, str) or not DURATION.fullmatch(given):
        raise AlertError(f"{where}: 'for' is {given!r}: write a time, as '5m' or '1h30m'")
    return "0s" if given == "0" else given


def _common_hold(conditions: Sequence[Condition], where: str) -> str:
    holds = sorted({condition.hold for condition in conditions if condition.hold})
    if len(holds) > 1:
        raise AlertError(
            f"{where}: its conditions have different times in 'for' ({', '.join(holds)}), and a rule has one: "
            f"write 'for' beside 'conditions'"
        )
    return holds[0] if holds else ""


def _join(data: Mapping[str, object], where: str) -> str:
    match = data.get("match", "all")
    if match not in {"all", "any"}:
        raise AlertError(f"{where}: match is {match!r}: write 'all' or 'any' of the conditions")
    return " && " if match == "all" else " || "


def _data(conditions: Sequence[Condition], datasource_uid: str, *, joined: str) -> list[Json]:
    queries = [
        instant_query(letter, condition.expr, datasource_uid)
        for letter, condition in zip(ascii_uppercase, conditions, strict=False)
    ]
    if len(conditions) == 1:
        return [*queries, *_one_compared(conditions[0])]
    compared = [_math(letter, condition) for letter, condition in zip(ascii_uppercase, conditions, strict=False)]
    last = ascii_uppercase[len(conditions)]
    return [*queries, expression(last, {"type": "math", "expression": joined.join(compared)})]


def _one_compared(condition: Condition) -> Iterator[Json]:
    yield expression("B", {"type": "reduce", "expression": "A", "reducer": "last"})
    evaluator = {"type": EVALUATORS[condition.operator], "params": list(condition.bounds)}
    yield expression("C", {"type": "threshold", "expression": "B", "conditions": [{"evaluator": evaluator}]})


def _math(letter: str, condition: Condition) -> str:
    bounds = [_number_text(bound) for bound in condition.bounds]
    if condition.operator in _RANGES:
        return _RANGES[condition.operator].format(f"${letter}", *bounds)
    return f"${letter} {condition.operator} {bounds[0]}"


def _number_text(number: float) -> str:
    text = format(Decimal(repr(number)), "f")
    return f"({text})" if number < 0 else text


def _texts(data: Mapping[str, object], key: str, where: str) -> dict[str, str]:
    given = data.get(key, {})
    if not isinstance(given, Mapping):
        raise AlertError(f"{where}: {key} are {given!r}: write a dictionary of texts")
    return _texts_of(cast("Mapping[str, object]", given), tuple(cast("Mapping[str, object]", given)), f"{where}, {key}")


def _texts_of(data: Mapping[str, object], keys: tuple[str, ...], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in keys:
        value = data.get(key)
        if key in data and not isinstance(value, str):
            raise AlertError(f"{where}: {key} is {value!r}: write text")
        if isinstance(value, str):
            found[key] = value
    return found
