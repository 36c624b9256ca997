"""The queries that a metric gives by itself: what they ask, how they want to be shown, and what is refused."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue import Catalogue, Declaration, Kind, Query
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.exceptions import QueryError
from otel_monitoring.export.server import MetricsServer
from otel_monitoring.grafana.check import check_query
from otel_monitoring.grafana.documents import blocks_of
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import PrometheusServer, Sample

JOBS = Declaration(
    name="jobs", kind=Kind.COUNTER, unit="{job}", labels=("queue", "outcome"), description="Jobs finished."
)
WAIT = Declaration(
    name="job.wait",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("job.queue",),
    description="Time in the queue.",
    buckets=(0.1, 1, 10),
)
BACKLOG = Declaration(name="backlog", kind=Kind.GAUGE, unit="{job}", labels=("queue",), description="Jobs that wait.")
RUNNING = Declaration(name="running", kind=Kind.UP_DOWN_COUNTER, unit="{job}", labels=("queue",))
BUSY = Declaration(name="busy", kind=Kind.COUNTER, unit="s")
MAILS = Declaration(name="mails", kind=Kind.COUNTER, labels=("state",), values=(("state", ("sent", "bounced")),))
DONE = Declaration(name="done_timestamp", kind=Kind.GAUGE, unit="s", labels=("queue",), description="When it ended.")
MADE = (DONE, MAILS, JOBS, WAIT, BACKLOG, RUNNING, BUSY)
jobs: Any = JOBS  # for what no type checker lets through
wait: Any = WAIT
backlog: Any = BACKLOG
running: Any = RUNNING
SCOPE = 'job=~"$job", instance=~"$instance"'


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(QueryError) as caught:
        ask()
    return str(caught.value)


@pytest.mark.parametrize(
    ("query", "expr"),
    [
        (JOBS.rate(), f"sum(rate(jobs_total{{{SCOPE}}}[$__rate_interval]))"),
        (JOBS.rate(by="queue"), f"sum by (queue) (rate(jobs_total{{{SCOPE}}}[$__rate_interval]))"),
        (
            JOBS.rate(by=("queue", "job"), over="10m"),
            f"sum by (queue, job) (rate(jobs_total{{{SCOPE}}}[10m]))",
        ),
        (JOBS.increase(over="$__range"), f"sum(increase(jobs_total{{{SCOPE}}}[$__range]))"),
        (WAIT.rate(), f"sum(rate(job_wait_seconds_count{{{SCOPE}}}[$__rate_interval]))"),
        (
            WAIT.quantile(0.5, by="job.queue"),
            (
                "histogram_quantile(0.5, sum by (le, job_queue) "
                f"(rate(job_wait_seconds_bucket{{{SCOPE}}}[$__rate_interval])))"
            ),
        ),
        (
            WAIT.average(),
            (
                f"sum(rate(job_wait_seconds_sum{{{SCOPE}}}[$__rate_interval])) / "
                f"sum(rate(job_wait_seconds_count{{{SCOPE}}}[$__rate_interval]))"
            ),
        ),
        (BACKLOG.last(), f"backlog{{{SCOPE}}}"),
        (BACKLOG.last(by="queue"), f"max by (queue) (backlog{{{SCOPE}}})"),
        (BACKLOG.last(by="queue", combine="min"), f"min by (queue) (backlog{{{SCOPE}}})"),
        (BACKLOG.average(by="queue"), f"avg by (queue) (backlog{{{SCOPE}}})"),
        (DONE.age(by="queue"), f"time() - max by (queue) (done_timestamp_seconds{{{SCOPE}}})"),
        (RUNNING.last(), f"sum(running{{{SCOPE}}})"),
    ],
    ids=lambda value: "" if isinstance(value, Query) else value,
)
def test_a_metric_gives_its_usual_queries(query: Query, expr: str) -> None:
    """The PromQL holds the dashboard's variables and Grafana's window, and splits by the labels asked for."""
    assert query.expr == expr


@pytest.mark.parametrize(
    ("query", "title", "unit", "legend"),
    [
        (JOBS.rate(by="queue"), "Jobs per second by queue", "{job}/s", "{{queue}}"),
        (JOBS.rate(), "Jobs per second", "{job}/s", "per second"),
        (
            JOBS.increase(by=("queue", "outcome")),
            "Jobs, increase by queue and outcome",
            "{job}",
            "{{queue}} {{outcome}}",
        ),
        (WAIT.quantile(0.95, by="job.queue"), "Job wait, p95 by job queue", "s", "{{job_queue}}"),
        (WAIT.quantile(0.999), "Job wait, p99.9", "s", "p99.9"),
        (WAIT.rate(), "Job wait, recordings per second", "1/s", "recordings per second"),
        (BACKLOG.last(), "Backlog", "{job}", "{{queue}} {{instance}}"),
        (BACKLOG.average(), "Backlog, average", "{job}", "average"),
        (DONE.usual(), "Done timestamp, age by queue", "s", "{{queue}}"),
        (BUSY.rate(), "Busy per second", "1", "per second"),
        (
            JOBS.rate(where={"outcome": ("failed", "lost")}),
            "Jobs per second (outcome failed or lost)",
            "{job}/s",
            "per second",
        ),
    ],
    ids=lambda value: value.expr if isinstance(value, Query) else "",
)
def test_a_query_knows_how_it_wants_to_be_shown(query: Query, title: str, unit: str, legend: str) -> None:
    """Title, unit and legend come from the declaration, so that a panel is made of the query as it stands."""
    assert (query.title, query.unit, query.legend) == (title, unit, legend)


def test_a_query_brings_the_help_and_the_name_of_its_metric() -> None:
    """The description is the metric's, and the metric is named as Prometheus shows it."""
    query = WAIT.quantile()
    assert (query.description, query.metric) == ("Time in the queue.", "job_wait_seconds")


@pytest.mark.parametrize(
    ("where", "matcher"),
    [
        ({"outcome": "failed"}, 'outcome="failed"'),
        ({"outcome": ("a.b", "c")}, 'outcome=~"a\\\\.b|c"'),
        ({"queue": "$queue"}, 'queue=~"$queue"'),
        ({"queue": "${queue:regex}"}, 'queue=~"${queue:regex}"'),
        ({"queue": 'a"b\\c\nd'}, 'queue="a\\"b\\\\c\\nd"'),
        ({"queue": "mail", "outcome": "done"}, 'queue="mail", outcome="done"'),
    ],
    ids=["one", "several", "variable", "format", "hostile", "two"],
)
def test_a_query_is_narrowed_to_values_of_labels(where: dict[str, Any], matcher: str) -> None:
    """One value is compared as it is, several and variables as a pattern, and nothing in them ends the text."""
    query = JOBS.rate(where=where)
    assert f"jobs_total{{{SCOPE}, {matcher}}}" in query.expr
    check_query(query.expr, _catalogue(), where="query")


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda: jobs.rate(by="quue"),
            "has no label 'quue': it has queue, outcome, job, instance; did you mean 'queue'?",
        ),
        (lambda: jobs.rate(by=("queue", "le")), "has no label 'le'"),
        (lambda: jobs.rate(where={"outcom": "x"}), "did you mean 'outcome'?"),
        (lambda: jobs.rate(where={"outcome": ()}), "no value is given for the label 'outcome'"),
        (lambda: jobs.rate(where={"outcome": 5}), "5 is no value of the label 'outcome': write text"),
        (lambda: jobs.rate(by=5), "metric 'jobs': 5 names no label"),
        (lambda: jobs.rate(by=(5,)), "5 names no label"),
        (
            lambda: MAILS.rate(where={"state": "send"}),
            "is never 'send': it is one of sent, bounced; did you mean 'sent'?",
        ),
        (lambda: MAILS.rate(where={"state": ("sent", "lost")}), "the label 'state' is never 'lost'"),
        (lambda: jobs.rate(over="ten minutes"), "'ten minutes' is no window: write a duration such as '5m'"),
        (backlog.rate, "is a gauge, which falls too: rate() would take each fall for a restart; use last()"),
        (running.increase, "is an up-down-counter, which falls too"),
        (jobs.quantile, "is a counter and has no quantile(): use rate() or increase()"),
        (backlog.quantile, "is a gauge and has no quantile(): use last()"),
        (jobs.average, "is a counter and has no average()"),
        (backlog.age, "is a gauge in '{job}': moments are gauges in seconds, 's'"),
        (BUSY.age, "is a counter in 's': moments are gauges"),
        (jobs.last, "use rate() or increase()"),
        (wait.last, "use quantile(), average() or rate()"),
        (lambda: wait.quantile(95), "95 is no quantile, which is a number from 0 to 1: write 0.95"),
        (lambda: wait.quantile(float("nan")), "nan is no quantile"),
        (lambda: wait.quantile(True), "True is no quantile"),
        (lambda: wait.quantile("0.5"), "'0.5' is no quantile"),
        (lambda: backlog.last(combine="mean"), "'mean' combines no series: use one of avg, max, min, sum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_asked_is_refused_with_what_can(ask: Any, says: str) -> None:
    """The message names the metric, what does not fit and what would."""
    message = refusal(ask)
    assert message.startswith("metric '")
    assert says in message


@pytest.mark.parametrize("declaration", [*SHIPPED, *MADE], ids=lambda one: one.name)
def test_every_metric_has_a_usual_query_that_fits_the_catalogue(declaration: Declaration) -> None:
    """Rates for counters, the p95 for histograms, values for gauges; each split by the metric's labels."""
    query = declaration.usual()
    check_query(query.expr, _catalogue(), where=declaration.name)
    asked = {Kind.COUNTER: "rate(", Kind.HISTOGRAM: "histogram_quantile(0.95"}.get(declaration.kind, declaration.name)
    assert asked in query.expr
    assert all(label in query.legend for label in declaration.prometheus_labels)


def test_instruments_give_the_queries_of_their_declaration() -> None:
    """A counter, an up-down counter, a gauge and a histogram of a service are asked as their declarations are."""
    with MonitoringService(resources=False, third_party=False) as monitoring:
        jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
        wait = monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1, 10))
        backlog = monitoring.gauge("backlog", labels=("queue",))
        running = monitoring.up_down_counter("running", labels=("queue",))
        assert jobs.rate(by="queue") == jobs.declaration.rate(by="queue")
        assert wait.quantile(0.95, by="queue") == wait.declaration.quantile(0.95, by="queue")
        assert backlog.usual() == backlog.declaration.last(by="queue")
        assert running.last() == running.declaration.last()


@pytest.mark.programs
def test_prometheus_answers_each_usual_query(prometheus: PrometheusServer) -> None:
    """Of what a real service records, each gives the series that its legend names, with values that are right."""
    with MonitoringService(resources=False, third_party=False, service_name="shop") as monitoring:
        jobs, wait = monitoring.registry.counter(JOBS), monitoring.registry.histogram(WAIT)
        monitoring.registry.gauge(BACKLOG).set(7, {"queue": "mail"})
        monitoring.registry.up_down_counter(RUNNING).add(2, {"queue": "mail"})
        with MetricsServer(monitoring.exposition, port=0) as server:
            job = prometheus.scrape(server.url)

            def ask(query: Query) -> list[Sample]:
                jobs.add(1, {"queue": "mail", "outcome": "done"})
                wait.record(0.5, {"job.queue": "mail"})
                concrete = query.expr.replace("$job", job).replace("$instance", ".+").replace("$__rate_interval", "10m")
                return [sample for sample in prometheus.query(concrete) if sample.value > 0]

            queries = {
                JOBS.rate(by=("queue", "outcome")): (0, 1e6),
                JOBS.increase(where={"outcome": ("done", "lost")}): (0, 1e6),
                WAIT.rate(by="job.queue"): (0, 1e6),
                WAIT.quantile(0.5): (0.1, 1),
                WAIT.average(by="job.queue"): (0.5, 0.5),
                BACKLOG.last(): (7, 7),
                BACKLOG.average(by="queue"): (7, 7),
                RUNNING.last(by="queue"): (2, 2),
            }
            for query, (least, most) in queries.items():
                (sample,) = wait_until(partial(ask, query))
                assert least <= sample.value <= most, query.title
                assert all(label in sample.labels for label in re.findall(r"{{(\w+)}}", query.legend))


def test_the_page_on_queries_does_what_it_shows() -> None:
    """Its Python runs, and the queries are those that it names beside them."""
    page = (Path(__file__).parents[1] / "docs" / "queries.md").read_text(encoding="utf-8")
    code = "\n".join(block.code for block in blocks_of(page) if block.language == "python")
    names: dict[str, Any] = {}
    exec(code, names)
    with names["monitoring"]:
        query = names["query"]
        for shown in (query.title, query.unit, query.legend):
            assert f"  # {shown}\n" in page
        assert query.expr.startswith(page.split("query.expr  # ")[1].split(", …")[0])


def _catalogue() -> Catalogue:
    catalogue = Catalogue()
    for declaration in (*SHIPPED, *MADE):
        catalogue.declare(declaration)
    return catalogue
