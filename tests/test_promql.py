"""PromQL with Grafana's variables in it is read for what it asks."""

from __future__ import annotations

import promql_parser as promql
import pytest

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.promql import (
    DEEPEST,
    LONGEST,
    matchers,
    metric_name,
    parse_query,
    selectors,
    without_variables,
)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("rate(jobs_total[$__rate_interval])", "rate(jobs_total[5m])"),
        ("rate(jobs_total[${__rate_interval}])", "rate(jobs_total[5m])"),
        ("rate(jobs_total[[[window]]])", "rate(jobs_total[5m])"),
        ("max_over_time(backlog[$window:$step])", "max_over_time(backlog[5m:5m])"),
        ("increase(jobs_total[${__range_s}s])", "increase(jobs_total[1s])"),
        ("increase(jobs_total[${minutes}m])", "increase(jobs_total[1m])"),
        ("backlog offset $shift", "backlog offset 5m"),
        ("backlog offset -$shift", "backlog offset -5m"),
        ("backlog > $limit", "backlog > 1"),
        ("backlog / $__range_s", "backlog / 1"),
        ("topk($count, backlog)", "topk(1, backlog)"),
        ("$metric{queue='a'}", "grafana_variable{queue='a'}"),
        ("rate($metric[5m])", "rate(grafana_variable[5m])"),
        ("rate(${name}_total[5m])", "rate(grafana_variable_total[5m])"),
        ("sum by ($split, queue) (backlog)", "sum by (grafana_variable, queue) (backlog)"),
        ("a / ON ($split) b", "a / ON (grafana_variable) b"),
        ('backlog{$label="a"}', 'backlog{grafana_variable="a"}'),
        ("backlog{$filter}", 'backlog{grafana_variable="grafana_variable"}'),
        ('backlog{queue="a", $filter}', 'backlog{queue="a", grafana_variable="grafana_variable"}'),
        ('backlog{queue=~"$queue"}', 'backlog{queue=~"grafana_variable"}'),
        ('backlog{queue=~"a-${queue:regex}-b"}', 'backlog{queue=~"a-grafana_variable-b"}'),
        ('backlog{queue=~"[[queue:pipe]]"}', 'backlog{queue=~"grafana_variable"}'),
        ('backlog{queue="{"} > $limit', 'backlog{queue="{"} > 1'),
        ('backlog{queue="["} > $limit', 'backlog{queue="["} > 1'),
        ('backlog{queue=~"a$"}', 'backlog{queue=~"a$"}'),
        (r"backlog{queue=~`a\.b`}", r'backlog{queue=~"a\\.b"}'),
        ("backlog # > $limit {", "backlog "),
        ('backlog{queue="#"}', 'backlog{queue="#"}'),
    ],
    ids=lambda text: text,
)
def test_a_variable_becomes_what_fits_its_place(query: str, read: str) -> None:
    """Durations, numbers, names, labels and text; what is no variable stays as it is."""
    assert without_variables(query) == read
    parse_query(query, where="query")


def test_a_variable_may_be_a_metric_where_a_number_makes_no_sense() -> None:
    """Where the place says nothing and a number is no PromQL, a name is tried."""
    tree = parse_query("sum by (queue) ($metric)", where="query")
    assert [metric_name(selector) for selector in selectors(tree)] == [None]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("sum(backlog", "unclosed left parenthesis"),
        ("rate(jobs_total)", "expected type matrix in call to function 'rate', got vector"),
        ("sum by (queue) (jobs_total[5m])", "expected type vector in aggregation expression, got matrix"),
        ("rats(jobs_total[5m])", "unknown function with name 'rats'"),
        ('backlog{queue=~"("}', "illegal regex"),
        ("", "is no query: write PromQL"),
        ("   ", "is no query: write PromQL"),
        ("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1), "brackets stand within each other"),
        ("1" + " + 1" * LONGEST, "are the most"),
    ],
    ids=["open", "instant", "range", "function", "pattern", "empty", "blank", "deep", "long"],
)
def test_what_is_no_promql_is_refused_with_the_reason(query: str, says: str) -> None:
    """The message begins with whose query it is, and holds what the parser found."""
    with pytest.raises(QueryError) as caught:
        parse_query(query, where="panel 'Backlog'")
    assert str(caught.value).startswith("panel 'Backlog': ")
    assert says in str(caught.value)


def test_as_many_brackets_as_are_allowed_are_read() -> None:
    """The limit itself is below what promql-parser can stand."""
    parse_query("(" * DEEPEST + "1" + ")" * DEEPEST, where="query")


def test_all_selectors_are_found_wherever_they_stand() -> None:
    """In functions, aggregations and their parameters, operators, subqueries, signs and parentheses."""
    query = "topk(scalar(a), -b) / (sum(rate(c[5m]))) or max_over_time((d + 1)[1h:5m]) and quantile(0.5, e) > bool f"
    names = [metric_name(selector) for selector in selectors(parse_query(query, where="query"))]
    assert names == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("backlog", "backlog"),
        ('{__name__="backlog"}', "backlog"),
        ('{"backlog", queue="a"}', "backlog"),
        ('{__name__=~"back.*"}', None),
        ('{__name__!="backlog", queue="a"}', None),
        ('{queue="a"}', None),
        ("$metric{}", None),
    ],
    ids=lambda value: str(value),  # noqa: PLW0108 (a type alone has no signature)
)
def test_a_metric_is_known_by_its_whole_name_only(query: str, name: str | None) -> None:
    """A pattern, a variable or other labels alone select nobody knows which metrics."""
    (selector,) = selectors(parse_query(query, where="query"))
    assert metric_name(selector) == name


def test_matchers_joined_by_or_are_found_too() -> None:
    """The parser keeps them apart from the others."""
    (selector,) = selectors(promql.parse('a{b="1" or c="2"}'))
    assert [(one.name, one.value) for one in matchers(selector)] == [("b", "1"), ("c", "2")]
