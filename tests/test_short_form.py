"""The short form of alert rules: what is made of it, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

from otel_monitoring.catalogue import Catalogue
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.exceptions import AlertError, QueryError
from otel_monitoring.grafana.short_form import is_full_rule, rule_from_short_form

ERRORS = {"expr": "sum(rate(system_errors_total[5m]))", "operator": ">", "threshold": 5, "for": "5m"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """What the package ships."""
    found = Catalogue()
    for declaration in SHIPPED:
        found.declare(declaration)
    return found


def made(catalogue: Catalogue, *conditions: Any, **more: Any) -> dict[str, Any]:
    data = {"name": "High Error Rate", "conditions": list(conditions), **more}
    return rule_from_short_form(data, catalogue, datasource_uid="prom")


def models(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [node["model"] for node in rule["data"]]


def test_one_condition_becomes_a_query_a_reduction_and_a_threshold(catalogue: Catalogue) -> None:
    """As Grafana's own editor makes them."""
    rule = made(catalogue, ERRORS)
    query, reduction, threshold = rule["data"]
    assert (rule["title"], rule["condition"], rule["for"]) == ("High Error Rate", "C", "5m")
    assert query["datasourceUid"] == "prom"
    assert query["relativeTimeRange"] == {"from": 600, "to": 0}
    assert query["model"] == {"refId": "A", "expr": ERRORS["expr"], "instant": True, "range": False}
    assert reduction["model"] == {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}
    assert threshold["datasourceUid"] == "__expr__"
    assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [5]}}]
    assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")


@pytest.mark.parametrize(
    ("operator", "threshold", "kind"),
    [
        (">", 5, "gt"),
        ("<", 0.05, "lt"),
        (">=", 1, "gte"),
        ("<=", 1, "lte"),
        ("==", 0, "eq"),
        ("!=", -1, "ne"),
        ("gt", 5, "gt"),
        ("within_range", [0.2, 0.8], "within_range"),
        ("outside_range", (1, 2), "outside_range"),
    ],
)
def test_each_operator_has_its_evaluator(catalogue: Catalogue, operator: str, threshold: Any, kind: str) -> None:
    """Signs, and Grafana's own words."""
    rule = made(catalogue, {**ERRORS, "operator": operator, "threshold": threshold})
    params = list(threshold) if isinstance(threshold, list | tuple) else [threshold]
    assert models(rule)[2]["conditions"] == [{"evaluator": {"type": kind, "params": params}}]


@pytest.mark.parametrize(
    ("metric", "expr"),
    [
        ("system_errors_total", "sum(rate(system_errors_total[5m]))"),
        ("system_errors", "sum(rate(system_errors_total[5m]))"),
        ("memory_usage_bytes", "max(memory_usage_bytes)"),
        (
            "request_duration_seconds",
            "histogram_quantile(0.95, sum by (le) (rate(request_duration_seconds_bucket[5m])))",
        ),
    ],
    ids=["counter", "by its OpenTelemetry name", "gauge", "histogram"],
)
def test_a_metric_by_name_is_asked_as_its_kind_is(catalogue: Catalogue, metric: str, expr: str) -> None:
    """A rate, the highest value, or the 95th percentile."""
    rule = made(catalogue, {"metric": metric, "operator": ">", "threshold": 1})
    assert models(rule)[0]["expr"] == expr
    assert rule["for"] == "0s"


@pytest.mark.parametrize(("match", "joined"), [("all", "&&"), ("any", "||")])
def test_several_conditions_are_joined(catalogue: Catalogue, match: str, joined: str) -> None:
    """By one expression over all queries, whose numbers keep their value."""
    others = [
        {"metric": "memory_usage_bytes", "operator": "within_range", "threshold": [-0.1, 3]},
        {"expr": "up", "operator": "==", "threshold": 1e-07},
    ]
    rule = made(catalogue, ERRORS, *others, match=match)
    assert rule["condition"] == "D"
    assert rule["for"] == "5m"
    assert models(rule)[3] == {
        "refId": "D",
        "type": "math",
        "expression": f"$A > 5 {joined} ($B > (-0.1) && $B < 3) {joined} $C == 0.0000001",
    }


CLASSIC = {
    "evaluator": {"type": "gt", "params": [3]},
    "operator": {"type": "or"},
    "query": {"params": ["Q", "10m", "now-1m"], "model": {"expr": "up"}},
    "reducer": {"type": "avg", "params": []},
    "type": "query",
}


def test_classic_conditions_become_one_node(catalogue: Catalogue) -> None:
    """Equal queries are asked once; the times of a query are kept."""
    short = {"evaluator": "no_value", "query": "sum(up)"}
    rule = made(catalogue, CLASSIC, short, {**short, "evaluator": {"type": "within_range", "params": [1, 2]}})
    first, second, last = rule["data"]
    assert first["relativeTimeRange"] == {"from": 600, "to": 60}
    assert first["model"] == {"refId": "Q", "expr": "up", "instant": False, "range": True}
    assert (second["refId"], second["relativeTimeRange"]) == ("A", {"from": 300, "to": 0})
    assert rule["condition"] == last["refId"] == "B"
    assert last["model"]["type"] == "classic_conditions"
    assert last["model"]["conditions"] == [
        {**CLASSIC, "query": {"params": ["Q"]}},
        {
            "evaluator": {"type": "no_value", "params": []},
            "operator": {"type": "and"},
            "query": {"params": ["A"]},
            "reducer": {"type": "last", "params": []},
            "type": "query",
        },
        {
            "evaluator": {"type": "within_range", "params": [1, 2]},
            "operator": {"type": "and"},
            "query": {"params": ["A"]},
            "reducer": {"type": "last", "params": []},
            "type": "query",
        },
    ]


def test_what_else_a_rule_may_say_goes_where_it_belongs(catalogue: Catalogue) -> None:
    """Texts become annotations, the severity a label, Grafana's own keys stay."""
    given = {"severity": "critical", "summary": "S", "description": "D", "uid": "u", "noDataState": "Alerting"}
    rule = made(catalogue, ERRORS, **given, labels={"team": "a"}, annotations={"runbook_url": "R"}, **{"for": "1h"})
    assert rule["labels"] == {"team": "a", "severity": "critical"}
    assert rule["annotations"] == {"runbook_url": "R", "summary": "S", "description": "D"}
    assert (rule["uid"], rule["noDataState"], rule["for"]) == ("u", "Alerting", "1h")


def test_a_full_rule_is_told_from_the_short_form() -> None:
    """By its data."""
    assert is_full_rule({"title": "T", "data": []})
    assert is_full_rule({"title": "T"})
    assert not is_full_rule({"name": "T", "conditions": []})
    assert not is_full_rule({"title": "T", "conditions": []})


C1 = "alert 'High Error Rate', condition 1"
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no name": ([ERRORS], {"name": None}, "an alert's name is None: write text"),
    "long name": ([ERRORS], {"name": "x" * 191}, "longer than the 190 characters"),
    "no conditions": ([], {}, "write a list, as [{'expr'"),
    "conditions that are none": ([], {"conditions": "up > 1"}, "conditions are 'up > 1': write a list"),
    "condition that is none": (["up > 1"], {}, f"{C1}: 'up > 1' is no dictionary: write it as"),
    "too many": ([ERRORS] * 26, {}, "26 conditions are too many: 25"),
    "unknown key": ([ERRORS], {"condtions": 1}, "there is no key 'condtions'; did you mean 'conditions'? The keys are"),
    "unknown key of a condition": ([{**ERRORS, "treshold": 1}], {}, f"{C1}: there is no key 'treshold'; did you mean"),
    "key like none": ([ERRORS], {"zzzz": 1}, "there is no key 'zzzz'. The keys are name, conditions"),
    "neither expr nor metric": ([{"operator": ">", "threshold": 1}], {}, f"{C1}: give either 'expr'"),
    "both": ([{**ERRORS, "metric": "memory_usage_bytes"}], {}, "give either 'expr', which is PromQL, or 'metric'"),
    "expr of a wrong type": ([{**ERRORS, "expr": 5}], {}, f"{C1}: 5 is no query"),
    "unknown metric": (
        [{"metric": "system_error_total", "operator": ">", "threshold": 1}],
        {},
        "no metric is called 'system_error_total'; did you mean 'system_errors_total'? Give 'expr'",
    ),
    "no operator": ([{"expr": "up", "threshold": 1}], {}, f"{C1}: operator is None. Write one of >, <"),
    "unknown operator": ([{**ERRORS, "operator": "=>"}], {}, "operator is '=>'"),
    "no threshold": ([{"expr": "up", "operator": ">"}], {}, f"{C1}: threshold is None: with the operator '>' write a"),
    "threshold that is true": ([{**ERRORS, "threshold": True}], {}, "threshold is True"),
    "threshold without end": ([{**ERRORS, "threshold": float("inf")}], {}, "threshold is inf"),
    "threshold as text": ([{**ERRORS, "threshold": "5"}], {}, "threshold is '5'"),
    "range of one": ([{**ERRORS, "operator": "within_range"}], {}, "write two numbers, as [0.2, 0.8]"),
    "time that is none": ([{**ERRORS, "for": "soon"}], {}, f"{C1}: 'for' is 'soon': write a time, as '5m'"),
    "time that is negative": ([{**ERRORS, "for": -5}], {}, "'for' is -5"),
    "two times": ([ERRORS, {**ERRORS, "for": "1h"}], {}, "different times in 'for' (1h, 5m), and a rule has one"),
    "match": ([ERRORS, ERRORS], {"match": "some"}, "match is 'some': write 'all' or 'any'"),
    "mixed": ([ERRORS, CLASSIC], {}, "classic conditions (evaluator, query, reducer) stand among short ones"),
    "labels": ([ERRORS], {"labels": ["a"]}, "labels are ['a']: write a dictionary of texts"),
    "label": ([ERRORS], {"labels": {"a": 1}}, "labels: a is 1: write text"),
    "summary": ([ERRORS], {"summary": 1}, "summary is 1: write text"),
    "evaluator": ([{**CLASSIC, "evaluator": {"type": "qt"}}], {}, f"{C1}: the evaluator is {{'type': 'qt'}}"),
    "no evaluator": ([{"query": "up", "reducer": "avg"}], {}, "the evaluator is None. Its type is one of gt, lt"),
    "evaluator without number": ([{**CLASSIC, "evaluator": {"type": "gt"}}], {}, "'gt' takes 1 number(s) in params"),
    "reducer": ([{**CLASSIC, "reducer": {"type": "mean"}}], {}, "the reducer is {'type': 'mean'}"),
    "classic operator": ([{**CLASSIC, "operator": "xor"}], {}, "the operator is 'xor'"),
    "classic query": ([{**CLASSIC, "query": 5}], {}, "the query is 5: write {'params'"),
    "query of a panel": ([{**CLASSIC, "query": {"params": ["A", "5m", "now"]}}], {}, "there is no panel"),
    "query's time": ([{**CLASSIC, "query": {"params": ["A", "5x"], "expr": "up"}}], {}, "time is '5x': write it as"),
    "query's params": ([{**CLASSIC, "query": {"params": 5, "expr": "up"}}], {}, "params are 5: write a name and times"),
    "query's empty time": (
        [{**CLASSIC, "query": {"params": ["A", "now", "now"], "expr": "up"}}],
        {},
        "begins 0 s ago and ends 0 s ago: it is empty",
    ),
    "query's key": ([{**CLASSIC, "query": {"exp": "up"}}], {}, "there is no key 'exp'; did you mean 'expr'?"),
    "classic key": ([{**CLASSIC, "reduser": 1}], {}, "there is no key 'reduser'; did you mean 'reducer'?"),
    "name of two queries": (
        [CLASSIC, {**CLASSIC, "query": {"params": ["Q"], "expr": "sum(up)"}}],
        {},
        "condition 2: the name 'Q' is taken by another query",
    ),
}


@pytest.mark.parametrize(("conditions", "more", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_with_what_would(
    catalogue: Catalogue, conditions: list[Any], more: dict[str, Any], words: str
) -> None:
    """Grafana would drop it in silence."""
    with pytest.raises(AlertError) as refused:
        rule_from_short_form(
            {"name": "High Error Rate", "conditions": conditions, **more}, catalogue, datasource_uid="prom"
        )
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "condition",
    [{**ERRORS, "expr": "sum(up"}, {**CLASSIC, "query": "sum(up"}],
    ids=["short", "classic"],
)
def test_a_query_that_is_no_promql_is_refused(catalogue: Catalogue, condition: dict[str, Any]) -> None:
    """Before it is sent anywhere."""
    with pytest.raises(QueryError, match=r"condition 1: .* is no PromQL"):
        made(catalogue, condition)
