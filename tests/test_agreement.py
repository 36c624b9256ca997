"""Catalogue, dashboards, rules and documents are held to each other, and each metric is known by where it is used."""

from __future__ import annotations

import dataclasses

import pytest

from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.grafana import Alert, Dashboard, Panel, Record, Row, RuleGroup, Target
from otel_monitoring.grafana.agreement import Agreement, agreement_of
from otel_monitoring.grafana.documents import Document
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.grafana.shipped_rules import shipped_groups
from otel_monitoring.grafana.usage import Shown, usage_of

JOBS = Declaration(
    name="jobs", kind=Kind.COUNTER, unit="{job}", labels=("queue", "outcome"), description="Jobs finished."
)
BACKLOG = Declaration(name="backlog", kind=Kind.GAUGE, unit="{job}", labels=("queue",), description="Jobs waiting.")
SHOWN = Dashboard("Jobs", [Row("Flow", JOBS, BACKLOG)], uid="jobs")
RATE = Record("queue:jobs:rate5m", "sum by (queue) (rate(jobs_total[5m]))")
STUCK = Alert("JobsStuck", "queue:jobs:rate5m == 0", summary="{{ $labels.queue }} stands still.")


def catalogue_of(*declarations: Declaration) -> Catalogue:
    catalogue = Catalogue()
    for declaration in declarations:
        catalogue.declare(declaration)
    return catalogue


def agreement(
    *dashboards: Dashboard, rules: tuple[Alert | Record, ...] = (), documents: tuple[Document, ...] = ()
) -> Agreement:
    groups = (RuleGroup("jobs", 60, rules),) if rules else ()
    return agreement_of(catalogue_of(JOBS, BACKLOG), dashboards, groups, documents)


def test_what_comes_with_the_package_agrees() -> None:
    """Every shipped metric has a panel and a help text; every shipped panel and rule names what is there."""
    found = agreement_of(catalogue_of(*SHIPPED), shipped_dashboards(), shipped_groups())
    assert found.problems == ()
    assert found.summary.endswith(": all agree")
    assert (found.metrics, found.dashboards) == (len(SHIPPED), 4)
    assert found.panels > 60
    assert found.rules > 50


def test_the_summary_counts_what_was_looked_at() -> None:
    """One line, in the singular and the plural, whether it agrees or not."""
    assert agreement(SHOWN, rules=(RATE, STUCK), documents=(Document("README.md", "`jobs_total`"),)).summary == (
        "2 metrics, 1 dashboard with 2 panels, 2 rules and 1 document: all agree"
    )
    assert agreement().summary == "2 metrics, 0 dashboards with 0 panels, 0 rules and 0 documents: 2 problems"


def test_a_metric_without_a_panel_is_found() -> None:
    """One that an alert reads, but that no panel shows, is not to be seen when the alert fires."""
    only_backlog = Dashboard("Jobs", [Row("Flow", BACKLOG)])
    assert agreement(only_backlog, rules=(RATE, STUCK)).problems == (
        "metric 'jobs': no panel shows jobs_total: add one, Row(…, metric) does",
    )


def test_a_panel_of_a_recorded_series_shows_the_metrics_behind_it() -> None:
    """Through records of records, too."""
    twice = Record("jobs:rate5m", "sum(queue:jobs:rate5m)")
    dashboard = Dashboard("Jobs", [Row("Flow", Panel("Rate", "jobs:rate5m"), BACKLOG)], uid="jobs")
    assert agreement(dashboard, rules=(RATE, twice)).problems == ()
    groups = [RuleGroup("jobs", 60, (RATE, twice, STUCK))]
    usage = usage_of(catalogue_of(JOBS, BACKLOG), [dashboard], groups)
    assert usage.shown["jobs_total"] == (Shown("jobs", "Jobs", "Rate"),)
    assert usage.alerts == {"jobs_total": (STUCK,)}


def test_a_panel_is_listed_once_however_often_it_asks() -> None:
    """Two queries of one panel are one place, and two alerts of one name are one."""
    panel = Panel("Both", ["sum(rate(jobs_total[5m]))", "sum(increase(jobs_total[5m]))"])
    again = dataclasses.replace(STUCK, severity="critical")
    usage = usage_of(
        catalogue_of(JOBS),
        [Dashboard("Jobs", [Row("Flow", panel)], uid="jobs")],
        [RuleGroup("jobs", 60, (RATE, STUCK, again))],
    )
    assert usage.shown == {"jobs_total": (Shown("jobs", "Jobs", "Both"),)}
    assert [alert.severity for alert in usage.alerts["jobs_total"]] == ["warning"]


@pytest.mark.parametrize(
    ("panel", "says"),
    [
        (Panel("Rate", "rate(jabs_total[5m])"), "there is no metric 'jabs_total'; did you mean 'jobs_total'?"),
        (Panel("Rate", "sum by (quue) (rate(jobs_total[5m]))"), "has no label 'quue'"),
        (
            Panel("Rate", Target("sum by (queue) (rate(jobs_total[5m]))", "{{quue}}")),
            "the legend names the label 'quue', which the result does not have; did you mean 'queue'?",
        ),
        (
            Panel("Rate", Target("sum(rate(jobs_total[5m]))", "{{ queue }}")),
            "the legend names the label 'queue', which the result does not have",
        ),
    ],
    ids=["metric", "label", "legend", "lost"],
)
def test_a_panel_that_names_what_is_not_there_is_found(panel: Panel, says: str) -> None:
    """The message says which panel of which dashboard."""
    (problem,) = agreement(SHOWN, Dashboard("More", [Row("Flow", panel)])).problems
    assert problem.startswith("dashboard 'More', panel 'Rate': ")
    assert says in problem


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Alert("Down", "jabs > 1", summary="Down."), "alert 'Down': there is no metric 'jabs'"),
        (Alert("Down", "backlog > 1", summary="{{ $labels.outcome }}"), "alert 'Down': summary names"),
        (Alert("Down", "backlog > 1"), "alert 'Down': it has no summary"),
        (Record("a:b", "rate(backlog[5m])"), "record 'a:b': backlog falls too"),
    ],
    ids=["metric", "text", "summary", "record"],
)
def test_a_rule_that_names_what_is_not_there_is_found(rule: Alert | Record, says: str) -> None:
    """Its query, and the labels that its texts name."""
    (problem,) = agreement(SHOWN, rules=(rule,)).problems
    assert problem.startswith(says)


def test_a_document_that_names_what_is_not_there_is_found() -> None:
    """With the line where it does."""
    documents = (Document("README.md", "One.\n`jabs_total`"),)
    assert agreement(SHOWN, documents=documents).problems == (
        "README.md:2: there is no metric 'jabs_total'; did you mean 'jobs_total'?",
    )


def test_a_metric_that_breaks_a_convention_is_found() -> None:
    """What is declared is looked at, whether or not anything uses it."""
    dumb = Declaration(name="waitTime", kind=Kind.GAUGE, unit="ms")
    found = agreement_of(catalogue_of(dumb), (Dashboard("Waits", [Row("Flow", dumb)]),), ())
    assert len(found.problems) == 3
    assert all(problem.startswith("metric 'waitTime': ") for problem in found.problems)
