"""Alerts, records and groups: what they refuse when they are made, and what would be right."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana import Alert, Record, Reference, RuleGroup
from otel_monitoring.grafana.alert_text import for_grafana, for_prometheus
from otel_monitoring.grafana.result_labels import result_labels

STUCK = "sum by (queue) (rate(jobs_total[10m])) == 0"


def refusal(**changes: Any) -> str:
    given: dict[str, Any] = {"name": "JobsStuck", "expr": STUCK, **changes}
    with pytest.raises(QueryError) as caught:
        Alert(given.pop("name"), given.pop("expr"), **given)
    return str(caught.value)


def test_an_alert_is_as_the_tour_writes_it() -> None:
    stuck = Alert("JobsStuck", STUCK, hold="15m", severity="warning", summary="{{ $labels.queue }} stands still.")
    assert stuck.all_labels == {"severity": "warning"}
    assert stuck.texts == {"summary": "{{ $labels.queue }} stands still."}


def test_an_alert_cannot_be_changed_and_may_be_a_key() -> None:
    stuck = Alert("JobsStuck", STUCK, labels={"team": "mail"})
    assert {stuck: 1}[Alert("JobsStuck", STUCK, labels={"team": "mail"})] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        stuck.name = "Other"  # type: ignore[misc]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "jobs stuck"}, "the name is 'jobs stuck', perhaps 'JobsStuck'"),
    ({"name": ""}, "the name is ''"),
    ({"name": None}, "the name is None"),
    ({"name": "J" * 191}, "up to 190 letters"),
    ({"expr": "sum("}, "its query: unclosed left parenthesis, so this is no PromQL (in sum()"),
    ({"expr": "(" * 5000 + "up" + ")" * 5000}, "its query: "),
    ({"expr": ""}, "'' is no PromQL: write a query"),
    ({"expr": None}, "None is no PromQL"),
    ({"expr": "jobs_total[5m]"}, "gives no value for each series"),
    ({"expr": '"text"'}, "gives no value for each series"),
    ({"expr": "rate(jobs_total[$__rate_interval]) > 0"}, "holds a variable of Grafana's"),
    ({"hold": "15"}, "hold is '15': a duration such as 30s, 15m or 1h30m"),
    ({"hold": "5m1h"}, "hold is '5m1h'"),
    ({"hold": None}, "hold is None: a duration"),
    ({"keep_firing_for": "soon"}, "keep_firing_for is 'soon': a duration"),
    ({"severity": "warn"}, "severity is 'warn': one of critical, warning, info, none; did you mean 'warning'?"),
    ({"labels": {"severity": "page"}}, "the label 'severity' is not for you to give here"),
    ({"labels": {"a-b": "c"}}, "'a-b' is no label name"),
    ({"labels": {"team": 5}}, "the label 'team' is 5: write text"),
    ({"labels": {"value": "{{ $value }}"}}, "a new alert each time"),
    ({"labels": {"team": "{{ if }}"}}, "has no {{ end }}"),
    ({"summary": "{{ $labels.queu }}"}, "summary names $labels.queu, and the result has queue; did you mean 'queue'"),
    ({"summary": '{{ index $labels "x" }}'}, "summary names $labels.x"),
    ({"summary": "{{ .Labels.x }}"}, "summary names $labels.x"),
    ({"summary": "{{ $labels.team }}", "labels": {"team": "m"}}, "the alert's own labels are not among them"),
    ({"description": "{{ $value"}, "a {{ has no }}"),
    ({"description": "{{ }}"}, "{{ }} is empty"),
    ({"description": "{{ end }}"}, "an {{ end }} ends nothing"),
    ({"description": "{{ with $value }}"}, "has no {{ end }}"),
    ({"description": "{{ $valeu }}"}, "there is no $valeu: an alert's texts know $labels, $value and $reference"),
    ({"description": "{{ $reference }}"}, "the alert has none: give reference=Reference(series, labels)"),
    (
        {"description": '{{ printf "%f" $reference }}', "reference": Reference("a:b", ("queue",))},
        "$reference stands at the beginning",
    ),
    ({"reference": Reference("a b")}, "the reference 'a b' is no name of a series"),
    ({"reference": Reference("a:b", ("job",))}, "the reference names 'job', and the result has queue"),
    ({"labels": {"team": "{{ $labels.team }}"}}, "the label 'team' names $labels.team, and the result has queue"),
    ({"summary": 5}, "summary is 5: write text"),
    ({"summary": "a lone \udcff"}, "summary is"),
]


@pytest.mark.parametrize(
    ("changes", "told"), REFUSED, ids=[f"{number}-{next(iter(changes))}" for number, (changes, _) in enumerate(REFUSED)]
)
def test_what_cannot_work_is_refused_when_the_alert_is_made(changes: dict[str, Any], told: str) -> None:
    assert told in refusal(**changes)


def test_all_problems_are_told_at_once() -> None:
    message = refusal(name="x y", hold="z", severity="page")
    assert message.startswith("alert 'x y': ")
    assert all(part in message for part in ("the name is", "hold is 'z'", "severity is 'page'"))


@pytest.mark.parametrize(
    "text",
    [
        "{{ $labels.queue | toUpper }} {{ $value | humanizePercentage }}",
        "{{ if gt $value 0.5 }}much{{ else }}little{{ end }}",
        "{{ with $x := $labels.queue }}{{ $x }}{{ end }}",
        "{{ range $i, $v := query `up` }}{{ $v.Value }}{{ end }}",
        '{{ "}}" }} and "quotes" and 100% and $5',
        "{{- $value -}}",
    ],
)
def test_templates_of_prometheus_are_taken(text: str) -> None:
    assert Alert("JobsStuck", STUCK, description=text).description == text


def test_dollars_in_texts_of_a_query_are_no_variables() -> None:
    replaced = "label_replace(up, 'a', '$1', 'b', `(.*)$`) == 0"
    assert Alert("A", replaced).expr == replaced


def test_labels_that_nobody_knows_are_left_to_those_who_do() -> None:
    assert Alert("TargetDown", "up == 0", summary="{{ $labels.rack }}").summary == "{{ $labels.rack }}"


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        ("sum by (a, b) (x) > 1", {"a", "b"}),
        ("sum(x)", set()),
        ("sum without (a) (sum by (a, b) (x))", {"b"}),
        ("vector(1)", set()),
        ("time() - 5 > bool 3", set()),
        ('absent(up{job="a", b=~"c"})', {"job"}),
        ("sum by (a) (x) / on (a) group_left (c) sum by (a, c) (y)", {"a", "c"}),
        ("sum by (a, b) (x) > on (a) sum by (a) (y)", {"a"}),
        ("sum by (a, b) (x) > ignoring (a) sum by (b) (y)", {"b"}),
        ("sum by (a) (x) and on (b) sum by (b) (y)", {"a"}),
        ("sum by (a) (x) or sum by (b) (y)", {"a", "b"}),
        ("histogram_quantile(0.9, sum by (a, le) (rate(x[5m])))", {"a"}),
        ('label_replace(sum by (a) (x), "b", "$1", "a", "(.*)")', {"a", "b"}),
        ('count_values("v", sum by (a) (x))', {"v"}),
        ("topk(3, sum by (a) (x))", {"a"}),
        ("max_over_time(sum by (a) (x)[5m:1m])", {"a"}),
        ("-sum by (a) (x)", {"a"}),
        ("2 * sum by (a) (x)", {"a"}),
        ("x > 1", None),
        ("sum without (a) (x)", None),
        ("rate(x[5m]) or sum(y)", None),
    ],
)
def test_the_labels_of_a_result_are_read_from_its_query(expr: str, labels: set[str] | None) -> None:
    assert result_labels(expr) == (None if labels is None else frozenset(labels))


def test_the_labels_of_series_come_from_those_who_know_them() -> None:
    assert result_labels("rate(x[5m]) > 1", {"x": frozenset({"a"})}.get) == frozenset({"a"})
    assert result_labels("y", {"x": frozenset({"a"})}.get) is None


TEXT = "{{ $labels.queue }} is at {{ $value | humanizePercentage }}, allowed {{ $reference | humanizePercentage }}."


def test_one_text_is_rendered_for_prometheus() -> None:
    rendered = for_prometheus(TEXT, Reference("queue:limit", ("job", "queue")))
    asked = 'printf "queue:limit{job=%q,queue=%q}" $labels.job $labels.queue | query'
    assert rendered == (
        "{{ $labels.queue }} is at {{ $value | humanizePercentage }}, allowed "
        f"{{{{ with {asked} }}}}{{{{ . | first | value | humanizePercentage }}}}{{{{ end }}}}."
    )


def test_and_for_grafana() -> None:
    """There ``$value`` is text for debugging, and nothing can be asked for from within a text."""
    assert for_grafana(TEXT) == (
        "{{ $labels.queue }} is at {{ $values.A.Value | humanizePercentage }}, allowed "
        "{{ with $values.T }}{{ .Value | humanizePercentage }}{{ end }}."
    )


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ('{{ with query "up" }}{{ . | first | value }}{{ end }}', "name the series as the alert's reference"),
        ("{{ $externalLabels.region }}", "leave them out"),
        ("{{ $externalURL }}", "write {{ externalURL }}"),
        ("{{ .Value | humanize }}", "write $value"),
    ],
    ids=["query", "external labels", "external URL", "value"],
)
def test_what_grafana_does_not_know_is_refused_with_what_it_does(text: str, instead: str) -> None:
    with pytest.raises(ValueError, match="Grafana's templates cannot tell that") as caught:
        for_grafana(text)
    assert instead in str(caught.value)


@pytest.mark.parametrize("text", ['{{ "query" }}', "{{ .Labels.job }}", "{{ $labels.job | urlquery }}"])
def test_what_both_know_stays_as_it_is(text: str) -> None:
    assert for_grafana(text) == text
    assert for_prometheus(text, None) == text


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (("a b", "up"), "the name is none of a series"),
        (("a:b", "up["), "is no PromQL"),
        (("a:b", "up[5m]"), "gives no value for each series"),
        (("a:b", "up", {"__name__": "x"}), "no label name"),
    ],
)
def test_a_record_that_cannot_work_is_refused(record: tuple[Any, ...], told: str) -> None:
    with pytest.raises(QueryError) as caught:
        Record(*record)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("group", "told"),
    [
        (("", 60, ()), "the name is text"),
        (("g", 15, ()), "interval_seconds is 15: a multiple of 10 above 0, such as 60"),
        (("g", 0, ()), "interval_seconds is 0"),
        (("g", True, ()), "interval_seconds is True"),
        (("g", 60, ("up",)), "'up' is no rule: write Alert(name, expr) or Record(name, expr)"),
        (("g", 60, (Alert("A", "up"), Alert("A", "up == 0"))), "A{severity='warning'} is there twice"),
    ],
)
def test_a_group_that_cannot_work_is_refused(group: tuple[Any, ...], told: str) -> None:
    with pytest.raises(QueryError) as caught:
        RuleGroup(*group)
    assert told in str(caught.value)


def test_alerts_of_one_name_are_told_apart_by_their_labels() -> None:
    group = RuleGroup("g", 60, [Alert("A", "up"), Alert("A", "up", severity="critical")])  # type: ignore[arg-type]
    assert len(group.alerts) == 2
    assert group.records == ()
