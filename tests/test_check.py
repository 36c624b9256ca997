"""Queries are held to the catalogue: what is not there is named with what is, and what is right passes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue import Catalogue, Declaration, Kind, bound_text, prometheus_label
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.exceptions import QueryError
from otel_monitoring.export.server import MetricsServer
from otel_monitoring.grafana.check import check_query
from otel_monitoring.grafana.promql import parse_query, without_variables
from otel_monitoring.grafana.result_labels import labels_within
from otel_monitoring.grafana.series import KnownSeries
from otel_monitoring.metrics import Counter, Gauge, Histogram, UpDownCounter
from tests.servers import find_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import PrometheusServer, Sample

OWN = (
    Declaration(name="jobs", kind=Kind.COUNTER, unit="{job}", labels=("queue", "outcome")),
    Declaration(name="job_wait", kind=Kind.HISTOGRAM, unit="s", labels=("queue",), buckets=(0.1, 1, 10, 2e6)),
    Declaration(name="job_backlog", kind=Kind.GAUGE, unit="{job}", labels=("queue",)),
    Declaration(name="jobs_running", kind=Kind.UP_DOWN_COUNTER, unit="{job}", labels=("queue",)),
    Declaration(
        name="mails", kind=Kind.COUNTER, labels=("state",), values=(("state", ("sent", "bounced", "not-sent")),)
    ),
)
RECORDED = {"queue:jobs:rate5m": frozenset({"job", "queue"})}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    for declaration in (*SHIPPED, *OWN):
        catalogue.declare(declaration)
    return catalogue


def refusal(query: str, catalogue: Catalogue) -> str:
    with pytest.raises(QueryError) as caught:
        check_query(query, catalogue, where="panel 'Jobs'", recorded=RECORDED)
    message = str(caught.value)
    assert message.startswith("panel 'Jobs': ")
    return message


@pytest.mark.parametrize(
    "query",
    [
        'sum by (queue) (job_backlog{job=~"$job"})',
        "sum by (queue) (rate(jobs_total[10m])) == 0",
        "histogram_quantile(0.95, sum by (le, queue) (rate(job_wait_seconds_bucket[$__rate_interval])))",
        "histogram_quantile(0.95, sum without (instance, job) (rate(job_wait_seconds_bucket[5m])))",
        "histogram_quantile(scalar(max(job_backlog)), rate(job_wait_seconds_bucket[5m]))",
        'sum(rate(job_wait_seconds_bucket{le="0.1"}[5m])) / sum(rate(job_wait_seconds_count[5m]))',
        'sum(rate(job_wait_seconds_bucket{le=~"1|1[.]0"}[5m]))',
        r'sum(rate(job_wait_seconds_bucket{le=~"(0\\.1|10\\.0)"}[5m]))',
        'sum(rate(job_wait_seconds_bucket{le="2e+06"}[5m]))',
        'sum(rate(job_wait_seconds_bucket{le!="+Inf"}[5m]))',
        'sum(rate(job_wait_seconds_bucket{le=~"$bound"}[5m]))',
        'sum(rate(job_wait_seconds_bucket{le=~"1.*"}[5m]))',
        "time() - max by (queue) (job_wait_seconds_created)",
        "up == 0 or absent(up)",
        'ALERTS{alertname="JobsStuck", alertstate="firing"}',
        "scrape_samples_post_metric_relabeling > 1000",
        "absent(jobs_total)",
        "absent_over_time(jobs_total[1h])",
        "changes(jobs_total[1h]) > 0",
        "resets(jobs_total[1h])",
        "count by (queue) (jobs_total)",
        "group by (queue) (jobs_total) unless group by (queue) (jobs_total offset 1h)",
        "job_backlog unless on (queue) jobs_total offset 1h",
        "job_backlog and on (queue) jobs_total",
        "max_over_time(sum by (queue) (rate(jobs_total[5m]))[1h:1m])",
        "rate(jobs_total[5m:1m])",
        "deriv(job_backlog[1h]) > 0",
        "delta(jobs_running[1h])",
        "predict_linear(job_backlog[1h], 3600)",
        "topk(5, sum by (queue) (rate(jobs_total[5m])))",
        "topk by (queue) (5, rate(jobs_total[5m]))",
        'count_values by (queue) ("backlog", job_backlog)',
        'sum by (backlog) (count_values("backlog", job_backlog))',
        'sum by (team) (label_replace(job_backlog, "team", "$1", "queue", "(.*)-.*"))',
        'label_replace(vector(0), "queue", "mail", "", "")',
        'sum by (both) (label_join(rate(jobs_total[5m]), "both", "-", "queue", "outcome")) or up',
        "rate(jobs_total[5m]) * on (queue) group_left () max by (queue) (job_backlog)",
        "sum by (queue) (rate(jobs_total[5m])) / on () group_left () sum(rate(jobs_total[5m]))",
        "sum by (queue) (rate(jobs_total[5m])) / ignoring (queue) group_left () sum(rate(jobs_total[5m]))",
        "sum by (queue, outcome) (rate(jobs_total[1h])) / ignoring (outcome) group_left () sum by (queue) (up)",
        "sum(rate(jobs_total[5m])) or vector(0)",
        "sum by (queue) (job_backlog) or 0 * max by (queue) (jobs_running)",
        "sum by ($split) (rate(jobs_total[5m]))",
        'sum by (queue) (rate($metric{queue="a"}[5m]))',
        '{__name__=~"job.*", anything="goes"}',
        "queue:jobs:rate5m > 1",
        "sum by (queue) (queue:jobs:rate5m)",
        "sum by (anything) (up)",
        "sum by (namespace, pod) (job_backlog)",
        "sum by (exported_job, exported_queue) (job_backlog)",
        'rate(mails_total{state=~"sent|not-sent"}[5m])',
        'rate(mails_total{state!="", state=~".*sent"}[5m])',
        'rate(mails_total{state=~"$state"}[5m])',
        'rate(jobs_total{otel_metric_overflow="true"}[5m])',
        "sum by (namespace, queue) (job_backlog) / sum by (queue) (jobs_running)",
        "sum by (mode) (up) / sum(up)",
        "vector(1)",
        "1",
        "-job_backlog ^ 2 % 3 atan2 4",
        "sum by (job) (rate(jobs_total[5m])) > bool 1",
        "hour() > 8 and on () sum(job_backlog) > 1",
        "avg_over_time((sum(job_backlog))[1h:5m] offset 1d)",
        "rate(jobs_total[5m] @ end())",
    ],
    ids=lambda text: text,
)
def test_what_is_right_passes(query: str, catalogue: Catalogue) -> None:
    """Each construct of PromQL is followed to the labels that it leaves."""
    check_query(query, catalogue, where="panel 'Jobs'", recorded=RECORDED)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("rate(jbs_total[5m])", "there is no metric 'jbs_total'; did you mean 'jobs_total'?"),
        ('{__name__="jbs_total"}', "there is no metric 'jbs_total'; did you mean 'jobs_total'?"),
        ("queue:jobs:rate1m", "there is no metric 'queue:jobs:rate1m'; did you mean 'queue:jobs:rate5m'?"),
        ("upp == 0", "there is no metric 'upp'; did you mean 'up'?"),
        ("rate(jobs[5m])", "jobs_total is a counter and has no series 'jobs': use 'jobs_total'"),
        (
            "rate(job_wait_seconds[5m])",
            "is a histogram and has no series 'job_wait_seconds': use 'job_wait_seconds_bucket' or",
        ),
        ("job_backlog_total", "job_backlog is a gauge and has no series 'job_backlog_total': use 'job_backlog'"),
        ("rate(jobs_total_count[5m])", "jobs_total is a counter and has no series 'jobs_total_count'"),
        ("rate(job_backlog_bucket[5m])", "job_backlog is a gauge and has no series 'job_backlog_bucket'"),
        (
            'rate(jobs_total{quue="a"}[5m])',
            "jobs_total has no label 'quue': it has outcome, queue; did you mean 'queue'?",
        ),
        ('job_backlog{instnce="a"}', "job_backlog has no label 'instnce': it has queue; did you mean 'instance'?"),
        ('rate(jobs_total{le="1.0"}[5m])', "jobs_total has no label 'le'"),
        ("sum by (quue) (job_backlog)", "'sum by' adds up has no label 'quue': it has queue; did you mean 'queue'?"),
        ("sum without (outcome) (job_backlog)", "'sum without' adds up has no label 'outcome'"),
        ("sum by (queue) (sum(job_backlog))", "has no label 'queue': it has none of its own"),
        ("sum by (queue) (sum by (instance) (job_backlog))", "has no label 'queue'"),
        ("sum by (queue) (sum without (queue) (job_backlog))", "has no label 'queue'"),
        ("sum by (instance) (queue:jobs:rate5m)", "has no label 'instance': it has queue"),
        ("job_backlog * on (outcome) group_left () jobs_running", "the left side of 'on' has no label 'outcome'"),
        ("job_backlog * on (queue) sum(jobs_running)", "the right side of 'on' has no label 'queue'"),
        ("job_backlog * ignoring (outcome) jobs_running", "neither side of 'ignoring' has a label 'outcome'"),
        ("job_backlog * on (queue) group_left (outcome) jobs_running", "which group_left takes it from, has no label"),
        (
            "jobs_running * on (queue) group_right (outcome) job_backlog",
            "which group_right takes it from, has no label",
        ),
        ('label_replace(job_backlog, "team", "$1", "quue", "(.*)")', "label_replace reads has no label 'quue'"),
        ('label_join(job_backlog, "team", "-", "queue", "outcome")', "label_join reads has no label 'outcome'"),
        ("jobs_total", "jobs_total only ever rises: take its rate() or increase()"),
        ("sum by (queue) (jobs_total) > 5", "jobs_total only ever rises"),
        ("job_wait_seconds_count", "job_wait_seconds_count only ever rises"),
        ("max_over_time(jobs_total[1h])", "jobs_total only ever rises"),
        (
            "rate(job_backlog[5m])",
            "job_backlog falls too, and rate() takes each fall for a restart: use delta() or deriv()",
        ),
        ("increase(jobs_running[5m:1m])", "jobs_running falls too, and increase() takes"),
        ("irate(jobs_running[5m])", "jobs_running falls too, and irate() takes"),
        ("deriv(jobs_total[1h])", "jobs_total is a counter, and deriv() takes its restarts for falls: use rate()"),
        ("delta(job_wait_seconds_sum[1h])", "job_wait_seconds_sum is a counter, and delta() takes"),
        ("rate(sum(jobs_total)[5m:1m])", "write sum(rate(…))"),
        ("increase(sum by (queue) (jobs_total)[1h:])", "write sum(increase(…))"),
        (
            "histogram_quantile(0.95, sum by (queue) (rate(job_wait_seconds_bucket[5m])))",
            "histogram_quantile() needs the label 'le', which is gone here: write 'by (le, …)'",
        ),
        ("histogram_quantile(0.95, sum(rate(job_wait_seconds_bucket[5m])))", "write 'by (le, …)'"),
        ("histogram_quantile(0.9, rate(job_wait_seconds_count[5m]))", "use job_wait_seconds_bucket"),
        ("histogram_quantile(0.9, job_backlog)", "job_backlog belongs to no histogram"),
        ("histogram_quantile(95, rate(job_wait_seconds_bucket[5m]))", "a quantile is a number from 0 to 1"),
        (
            'rate(job_wait_seconds_bucket{le="1"}[5m])',
            "no bucket le='1': it has 0.1, 1.0, 10.0, 2e+06, +Inf; did you mean '1.0'?",
        ),
        ('rate(job_wait_seconds_bucket{le="7.5"}[5m])', "has no bucket le='7.5'"),
        ('rate(job_wait_seconds_bucket{le=~"0.1|0.3"}[5m])', "has no bucket le='0.3'"),
        ('rate(job_wait_seconds_bucket{le="2000000.0"}[5m])', "did you mean '2e+06'?"),
        ('rate(job_wait_seconds_bucket{le="fast"}[5m])', "has no bucket le='fast'"),
        (
            'rate(mails_total{state="send"}[5m])',
            "is never 'send': it is one of sent, bounced, not-sent; did you mean 'sent'?",
        ),
        ('rate(mails_total{state=~"sent|lost"}[5m])', "the label 'state' of mails_total is never 'lost'"),
        ('rate(http_requests_total{status="500"}[5m])', "never '500': it is one of 1xx, 2xx, 3xx, 4xx, 5xx"),
        ("sum by (queue) (rate(jobs_total[5m])) / sum(rate(jobs_total[5m]))", "write '/ on () group_left ()'"),
        ("sum(job_backlog) > max by (queue) (jobs_running)", "write '> on () group_right ()'"),
        ("sum by (outcome) (rate(jobs_total[5m])) / sum by (queue) (job_backlog)", "never meet"),
        ("jobs_total[5m]", "the result is a range of samples"),
        ("job_backlog[5m:1m]", "the result is a range of samples"),
        ('"text"', "the result is text"),
        ('job_backlog{queue="a" or queue="b"}', "Prometheus knows no 'or' between matchers"),
        ("rate(jobs_total)", "expected type matrix in call to function 'rate', got vector"),
        ("up" + " or up" * 3000, "more operators stand within each other than can be followed"),
    ],
    ids=lambda text: text[:70],
)
def test_what_is_wrong_is_named_with_what_is_right(query: str, says: str, catalogue: Catalogue) -> None:
    """The message begins with whose query it is, says what does not fit, and what would."""
    assert says in refusal(query, catalogue)


def test_all_that_is_wrong_is_said_at_once(catalogue: Catalogue) -> None:
    """One message holds each problem once, and the query."""
    query = 'sum by (quue) (jbs_total) + sum by (quue) (jbs_total) + job_backlog{outcome="a"}'
    message = refusal(query, catalogue)
    assert message.count("'jbs_total'") == 1
    assert "no label 'outcome'" in message
    assert message.endswith(f"(in {query})")


def test_others_metrics_and_labels_are_allowed_where_the_catalogue_says_so() -> None:
    """Names with ``*`` stand for many; labels that Prometheus adds are those of all our series."""
    catalogue = Catalogue()
    catalogue.declare(OWN[2])
    query = 'job_backlog{team="a"} / on (team) node_memory_MemFree_bytes'
    assert "no metric 'node_memory_MemFree_bytes'" in refusal(query, catalogue)
    catalogue.allow(metrics=("node_*",), labels=("team",))
    check_query(query, catalogue, where="panel 'Jobs'")


def test_a_single_query_may_be_allowed_more(catalogue: Catalogue) -> None:
    """What is foreign to one dashboard stays unknown to the others."""
    check_query("rate(node_cpu_seconds_total[5m])", catalogue, where="panel 'CPU'", foreign=("node_*",))
    assert "no metric" in refusal("rate(node_cpu_seconds_total[5m])", catalogue)


# Queries made of the parts that a catalogue gives

names = st.sampled_from((*SHIPPED, *OWN))
windows = st.sampled_from(["5m", "1h30m", "$__rate_interval", "${__range_s}s", "1d"])


@st.composite
def selectors(draw: st.DrawFn, declaration: Declaration, suffix: str) -> str:
    closed = declaration.prometheus_values
    labels = draw(st.lists(st.sampled_from(["job", "instance", *declaration.prometheus_labels]), unique=True))
    parts = []
    for label in labels:
        operator = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
        value = (
            draw(st.sampled_from(closed[label])) if label in closed else draw(st.sampled_from(["a", "$v", "b-1", ""]))
        )
        parts.append(f'{label}{operator}"{value}"')
    if suffix == "_bucket" and draw(st.booleans()):
        parts.append(f'le="{draw(st.sampled_from([*map(bound_text, declaration.buckets), "+Inf"]))}"')
    return f"{declaration.base_name}{suffix}{{{draw(st.sampled_from([',', ', ', ' ,']))[:2].join(parts)}}}"


@st.composite
def instant(draw: st.DrawFn, declaration: Declaration) -> str:
    """Return a query that gives a value for each series of a metric."""
    window = draw(windows)
    if declaration.kind in {Kind.GAUGE, Kind.UP_DOWN_COUNTER}:
        selected = draw(selectors(declaration, ""))
        ranged = draw(st.sampled_from(["avg_over_time", "deriv", "delta", "max_over_time"]))
        return draw(st.sampled_from([selected, f"{ranged}({selected}[{window}])", f"abs({selected} offset 5m)"]))
    suffix = "_total" if declaration.kind is Kind.COUNTER else draw(st.sampled_from(["_bucket", "_sum", "_count"]))
    return f"{draw(st.sampled_from(['rate', 'increase', 'irate']))}({draw(selectors(declaration, suffix))}[{window}])"


@st.composite
def queries(draw: st.DrawFn, declaration: Declaration) -> str:
    """Return a query that is right: aggregated by labels that are there, joined on them, compared."""
    labels = draw(st.lists(st.sampled_from(["job", "instance", *declaration.prometheus_labels]), unique=True))
    by = ", ".join(labels)
    operator = draw(st.sampled_from(["sum", "max", "avg", "count"]))
    grouped = f"{operator} by ({by}) ({draw(instant(declaration))})"
    other = f"max by ({by}) ({draw(instant(declaration))})"
    quantile = (
        f"histogram_quantile(0.9, sum by ({', '.join(['le', *labels])}) (rate({declaration.base_name}_bucket{{}}[5m])))"
    )
    shapes = [
        draw(instant(declaration)),
        grouped,
        f"topk(3, {grouped}) > 0.5",
        f"{grouped} / {other}",
        f"{grouped} / on ({by}) group_left () {other}",
        f"{grouped} unless on ({by}) {other} or vector(0)",
        f"max_over_time(({grouped})[1h:5m])",
        f"(1 - clamp_max({grouped}, 1)) * 100",
    ]
    return draw(st.sampled_from(shapes + ([quantile] if declaration.kind is Kind.HISTOGRAM else [])))


@settings(deadline=None)
@given(data=st.data(), declaration=names)
def test_whatever_is_made_of_the_catalogue_passes(
    data: st.DataObject, declaration: Declaration, catalogue: Catalogue
) -> None:
    """No right query is refused."""
    check_query(data.draw(queries(declaration)), catalogue, where="query")


@settings(deadline=None)
@given(data=st.data(), declaration=names)
def test_one_letter_that_is_wrong_in_a_metric_is_found(
    data: st.DataObject, declaration: Declaration, catalogue: Catalogue
) -> None:
    """A name with a letter left out, doubled or changed is no metric, and a known one is named instead."""
    query = data.draw(queries(declaration))
    name = declaration.base_name
    place = data.draw(st.integers(1, len(name) - 1))
    wrong = name[:place] + data.draw(st.sampled_from(["", name[place] * 2, "x"])) + name[place + 1 :]
    assume(catalogue.find(wrong) is None and wrong + "_total" != declaration.prometheus_name)
    assert "did you mean" in refusal(query.replace(name, wrong), catalogue)


@settings(deadline=None)
@given(data=st.data(), declaration=names.filter(lambda one: one.labels))
def test_a_label_that_is_wrong_is_found_where_it_counts(
    data: st.DataObject, declaration: Declaration, catalogue: Catalogue
) -> None:
    """In braces and in ``by``, a label that the metric does not have is refused."""
    label = data.draw(st.sampled_from(declaration.prometheus_labels))
    wrong = label[:-1] + data.draw(st.sampled_from(["", "x", label[-1] * 2]))
    assume(wrong and wrong not in {*declaration.prometheus_labels, "job", "instance"})
    selected = data.draw(instant(declaration))
    assert f"no label '{wrong}'" in refusal(f"sum by ({wrong}) ({selected})", catalogue)
    matched = selected.replace("{", f'{{{wrong}="a"' + ("" if "{}" in selected else ", "), 1)
    assert f"no label '{wrong}'" in refusal(matched, catalogue)


@settings(deadline=None)
@given(text=st.text(alphabet="abc_total{}[]()\"'`\\$:=~!,.+-*/ 15m#\n", max_size=60))
def test_whatever_is_written_is_taken_or_refused(text: str, catalogue: Catalogue) -> None:
    """Nothing but a QueryError comes out, and its message is one that can be printed."""
    try:
        check_query(text, catalogue, where="query")
    except QueryError as error:
        assert str(error).startswith("query: ")


@pytest.mark.programs
def test_prometheus_itself_takes_what_passes(catalogue: Catalogue, tmp_path: Path) -> None:
    """Each usual query of each metric, with values for Grafana's variables, is PromQL to Prometheus's own parser."""
    usual = [declaration.usual().expr for declaration in catalogue]
    rules = "".join(
        f"  - record: checked_{number}\n    expr: |-\n      {without_variables(query)}\n"
        for number, query in enumerate(usual)
    )
    file = tmp_path / "rules.yml"
    file.write_text(f"groups:\n- name: usual\n  rules:\n{rules}", encoding="utf-8")
    done = subprocess.run(
        [find_program("promtool"), "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(usual)} rules found" in done.stdout


@pytest.mark.programs
def test_prometheus_gives_no_label_that_was_not_foreseen(prometheus: PrometheusServer, catalogue: Catalogue) -> None:
    """What a real Prometheus answers to right queries has the labels that the check believes in, or fewer of them."""
    known = KnownSeries(catalogue, recorded={})
    with MonitoringService(resources=False, third_party=False) as monitoring:
        for declaration in (*SHIPPED, *OWN):
            for value in ("a", "b-1"):
                record(monitoring, declaration, value)
        with MetricsServer(monitoring.exposition, port=0) as server:
            job = prometheus.scrape(server.url)
            prometheus.wait_for(f'count_over_time(jobs_total{{job="{job}", queue="a"}}[5m]) > 2')

            def answer(query: str) -> list[Sample]:
                foreseen = labels_within(parse_query(query, where="query"), known.labels_of)
                assert foreseen is not None
                samples = prometheus.query(query)
                for sample in samples:
                    assert set(sample.labels) <= foreseen, query
                return samples

            @settings(deadline=None, max_examples=60)
            @given(data=st.data(), declaration=names)
            def holds(data: st.DataObject, declaration: Declaration) -> None:
                # Other tests record metrics of these names with other labels.
                answer(without_variables(data.draw(queries(declaration))).replace("{", f'{{job="{job}", '))

            holds()
            for declaration in catalogue:
                usual = declaration.usual().expr.replace("$job", job).replace("$instance", ".+")
                assert answer(without_variables(usual)), declaration.name


def record(monitoring: MonitoringService, declaration: Declaration, value: str) -> None:
    closed = declaration.prometheus_values
    attributes = {label: closed.get(prometheus_label(label), (value,))[0] for label in declaration.labels}
    instrument = monitoring.registry.instrument(declaration)
    if isinstance(instrument, Counter | UpDownCounter):
        instrument.add(1, attributes)
    elif isinstance(instrument, Gauge):
        instrument.set(1, attributes)
    else:
        assert isinstance(instrument, Histogram)
        instrument.record(0.3, attributes)
