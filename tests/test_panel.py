"""Panels as data: what they take, what they refuse, and how queries are narrowed to what is selected."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_monitoring.catalogue import Query
from otel_monitoring.exceptions import DashboardError, QueryError
from otel_monitoring.grafana import Panel, PanelKind, Target
from otel_monitoring.grafana.promql import matchers, parse_query, selectors
from otel_monitoring.grafana.selectors import find_selectors, narrowed
from otel_monitoring.grafana.units import grafana_unit

BOTH = 'job=~"$job", instance=~"$instance"'
RATE = Query(expr="rate(jobs_total[5m])", title="Jobs", unit="{job}/s", legend="{{queue}}", description="Jobs done.")


def test_a_panel_is_a_title_and_promql() -> None:
    panel = Panel("Backlog", 'sum by (queue) (job_backlog{job=~"$job", instance=~"$instance"})', unit="short")
    assert panel.targets == (Target('sum by (queue) (job_backlog{job=~"$job", instance=~"$instance"})'),)
    assert panel.shown_as is PanelKind.TIME_SERIES


def test_a_metrics_own_query_brings_unit_legend_and_description() -> None:
    panel = Panel("Mine", RATE)
    assert (panel.unit, panel.description) == ("cps", "Jobs done.")
    assert [(target.expr, target.legend) for target in panel.targets] == [
        (f"rate(jobs_total{{{BOTH}}}[5m])", "{{queue}}")
    ]


def test_what_is_written_at_the_panel_counts_more_than_what_the_query_brings() -> None:
    panel = Panel("Mine", RATE, unit="ops", description="Work.", legend="jobs")
    assert (panel.unit, panel.description) == ("ops", "Work.")
    assert panel.targets[0].legend == "{{queue}}"  # it names the labels that are there


def test_a_panel_takes_several_queries_of_any_kind() -> None:
    """A generator too, which can be read once only."""
    given: list[str | Query | Target] = ["up", RATE, Target("up == 0", "down", dashed=True)]
    panel = Panel("All", (query for query in given), legend="{{instance}}")
    assert [target.legend for target in panel.targets] == ["{{instance}}", "{{queue}}", "down"]
    assert panel.targets[2].dashed


@pytest.mark.parametrize(
    ("written", "narrowed"),
    [
        ("up", f"up{{{BOTH}}}"),
        ("up{}", f"up{{{BOTH}}}"),
        ('up{zone="a"}', f'up{{{BOTH}, zone="a"}}'),
        ('up{zone="a",}', f'up{{{BOTH}, zone="a",}}'),
        ('up{job="x", instance!="y"}', 'up{job="x", instance!="y"}'),
        ('up{instance="y"}', 'up{job=~"$job", instance="y"}'),
        ("sum by (job) (rate(a_total[5m]))", f"sum by (job) (rate(a_total{{{BOTH}}}[5m]))"),
        ("sum(a) by (le)", f"sum(a{{{BOTH}}}) by (le)"),
        ("SUM BY (x) (a)", f"SUM BY (x) (a{{{BOTH}}})"),
        ("a AND ON (x) b", f"a{{{BOTH}}} AND ON (x) b{{{BOTH}}}"),
        (
            "a / on (x) group_left (y) b offset 5m or c @ end()",
            f"a{{{BOTH}}} / on (x) group_left (y) b{{{BOTH}}} offset 5m or c{{{BOTH}}} @ end()",
        ),
        ("max_over_time(a[5m:1m])", f"max_over_time(a{{{BOTH}}}[5m:1m])"),
        ("a[$__range] @ start()", f"a{{{BOTH}}}[$__range] @ start()"),
        ("topk($count, a > bool 2e3)", f"topk($count, a{{{BOTH}}} > bool 2e3)"),
        ("a == inf or b == NaN", f"a{{{BOTH}}} == inf or b{{{BOTH}}} == NaN"),
        ('label_replace(a, "x", "$1", "y", "(b)")', f'label_replace(a{{{BOTH}}}, "x", "$1", "y", "(b)")'),
        ("a # of b{c}\n + d", f"a{{{BOTH}}} # of b{{c}}\n + d{{{BOTH}}}"),
        ('{__name__=~"a|b"} unless {x="}"}', f'{{{BOTH}, __name__=~"a|b"}} unless {{{BOTH}, x="}}"}}'),
        ("job_component:errors:ratio5m", 'job_component:errors:ratio5m{job=~"$job"}'),
        ("job_instance:errors:ratio5m", f"job_instance:errors:ratio5m{{{BOTH}}}"),
        ("service:objective:threshold", "service:objective:threshold"),
        ('ALERTS{alertstate="firing"}', 'ALERTS{job=~"$job", alertstate="firing"}'),
        ("vector(1) + time()", "vector(1) + time()"),
    ],
)
def test_each_selector_is_narrowed_to_the_selected_jobs_and_instances(written: str, narrowed: str) -> None:
    """The rest of the text stays as it is, and what the selector says itself counts."""
    assert Panel("Any", written).targets[0].expr == narrowed


def test_narrowing_what_is_narrowed_changes_nothing() -> None:
    once = Panel("Any", 'sum(rate(a_total{x="y"}[5m])) / sum(b)').targets[0].expr
    assert Panel("Any", once).targets[0].expr == once


def test_selectors_are_found_with_their_conditions() -> None:
    (selector,) = find_selectors('rate(a_total{x=~"$x", y!=\'q,z="1"\', le=`0.5`}[5m])')
    assert selector.metric == "a_total"
    assert [tuple(matcher) for matcher in selector.matchers] == [
        ("x", "=~", "$x"),
        ("y", "!=", 'q,z="1"'),
        ("le", "=", "0.5"),
    ]


LABELS = st.sampled_from(["job", "instance", "le", "by", "on", "queue"])
VALUES = st.text(st.sampled_from("ab{}[]()$,=\"\\'#|. "), max_size=6).map(
    lambda text: '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
)
MATCHERS = st.lists(st.builds("{}{}{}".format, LABELS, st.sampled_from(["=", "!="]), VALUES), max_size=3)
METRICS = st.sampled_from(["a_total", "sum_total", "by_queue", "offset_seconds", "and1", "up", "node:x:rate5m"])
SELECTORS = st.one_of(METRICS, st.builds(lambda name, found: f"{name}{{{', '.join(found)}}}", METRICS, MATCHERS))
SERIES = st.builds(
    "{}{}{}".format, SELECTORS, st.sampled_from(["", " offset 5m", " @ end()"]), st.sampled_from(["", " # a{b}\n"])
)
RANGES = st.builds("{}({}[{}])".format, st.sampled_from(["rate", "increase"]), SELECTORS, st.sampled_from(["5m", "1h"]))


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "/ on (queue) group_left (le)", "> bool", "and ignoring (by)", "unless", "OR"])
    return st.one_of(
        st.builds("sum by (queue, le) ({})".format, inner),
        st.builds("max({}) WITHOUT (on)".format, inner),
        st.builds("topk(3, {})".format, inner),
        st.builds("max_over_time(({})[5m:1m])".format, inner),
        st.builds('label_replace({}, "x", "$1", "y", "(a{{2}})")'.format, inner),
        st.builds("({}) {} ({})".format, inner, operators, inner),
        st.builds("({}) > 1e3".format, inner),
    )


QUERIES = st.recursive(st.one_of(SERIES, RANGES), _larger, max_leaves=6)


@settings(deadline=None)
@given(QUERIES)
def test_of_any_query_every_selector_is_narrowed_and_nothing_else_is_changed(expr: str) -> None:
    """As a parser reads it: the same selectors with what they said, and besides it the selection."""
    before = list(selectors(parse_query(expr, where="it")))
    after = list(selectors(parse_query(narrowed(expr), where="it")))
    assert [one.name for one in after] == [one.name for one in before]
    for old, new in zip(before, after, strict=True):
        said = [(one.name, one.value) for one in matchers(old)]
        given_now = [(one.name, one.value) for one in matchers(new)]
        added = [pair for pair in given_now if pair not in said]
        missing = {"job", "instance"} - {name for name, _ in said}
        assert {name for name, _ in added} == (missing if ":" not in str(old.name) else set())
        assert [pair for pair in given_now if pair in said] == said
    assert narrowed(narrowed(expr)) == narrowed(expr)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab{}[]()$,=\"\\'#|.:`1 \n"), max_size=30))
def test_what_is_no_query_does_not_stop_narrowing(text: str) -> None:
    """It is refused where it is parsed."""
    assert isinstance(narrowed(text), str)


@pytest.mark.parametrize("expr", ["sum(", "rate(a_total[)", "a b", 'a{x="y"', "a{x=y}", "sum by a (b)"])
def test_what_is_no_promql_is_refused_when_the_panel_is_made(expr: str) -> None:
    with pytest.raises(QueryError, match=r"^panel 'Bad': "):
        Panel("Bad", expr)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": " "}, "the title is ' ': write what it shows"),
        ({"title": None}, "the title is None: write what it shows"),
        ({"queries": ()}, "it has no query: write PromQL"),
        ({"queries": ""}, "'' is no query: write PromQL"),
        ({"queries": 3}, "3 is no query: write PromQL"),
        ({"queries": ["up", None]}, "None is no query: write PromQL"),
        ({"kind": "time series"}, "the kind 'time series' is none of timeseries, stat, .*; did you mean 'timeseries'"),
        ({"kind": 3}, "the kind 3 is none of"),
        ({"thresholds": {2: "red", 1: "green"}}, r"the thresholds .* do not rise"),
        ({"thresholds": {"1": "red"}}, "the thresholds are .*: write colours by value"),
        ({"thresholds": [(1, "red")]}, "the thresholds are .*: write colours by value"),
        ({"colors": {"error": None}}, "the colors are .*: write them by the legend's text"),
        ({"texts": {0: "down"}}, r"the texts are .*: write them by value, {0: ValueText\('down', 'red'\)}"),
        (
            {"links": {"queue": "/d/jobs"}},
            r"the links are .*: write them by label, {'queue': link_to\('jobs', 'queue'\)}",
        ),
        ({"queries": ["up"] * 27}, "it has 27 queries: Grafana names them A to Z"),
        ({"minimum": "0"}, "the minimum is '0': a number"),
        ({"minimum": 1, "maximum": 1}, "the minimum 1 is not below the maximum 1"),
        ({"width": 25}, "the width is 25: a whole number of columns from 1 to 24"),
        ({"width": 0}, "the width is 0"),
        ({"width": 2.5}, "the width is 2.5"),
        ({"width": True}, "the width is True"),
        ({"height": 0}, "the height is 0: a whole number above 0"),
        ({"unit": None}, "the unit is None: one of Grafana's, such as 's', 'bytes' or 'short'"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_panel_is_refused_with_what_would_be_right(wrong: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"title": "Bad", "queries": "up", **wrong}
    with pytest.raises(DashboardError, match=said):
        Panel(given.pop("title"), given.pop("queries"), **given)


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("", "short"),
        ("1", "percentunit"),
        ("%", "percent"),
        ("s", "s"),
        ("ms", "ms"),
        ("min", "m"),
        ("By", "bytes"),
        ("MiBy", "mbytes"),
        ("By/s", "binBps"),
        ("{job}", "short"),
        ("{job}/s", "cps"),
        ("{request}/s", "reqps"),
        ("{operation}/s", "ops"),
        ("1/s", "cps"),
        ("Cel", "celsius"),
        ("{job}/min", "cpm"),
        ("km/h", "suffix:km/h"),
    ],
)
def test_units_are_grafanas_own(unit: str, shown: str) -> None:
    assert grafana_unit(unit) == shown
