"""Runbooks are made of the alerts, and what is written in them by hand stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.grafana import Alert, Record, RuleGroup
from otel_monitoring.grafana.runbook import HAND_BEGIN, HAND_END, Runbooks, hand_written
from otel_monitoring.grafana.shipped_rules import shipped_groups

PAGES = Path(__file__).parents[1] / "docs" / "runbooks"
JOBS = Declaration(name="jobs", kind=Kind.COUNTER, unit="{job}", labels=("queue",), description="Jobs finished.")
RATE = Record("queue:jobs:rate5m", "sum by (queue) (rate(jobs_total[5m]))")
MEAN = Record("jobs:rate5m", "sum(queue:jobs:rate5m)")
WARNING = Alert(
    "JobsStuck",
    "queue:jobs:rate5m / scalar(jobs:rate5m) < 0.1",
    hold="15m",
    dashboard="jobs",
    summary="{{ $labels.queue }} stands still.",
    description="Only {{ $value | humanizePercentage }} of all jobs.",
)
CRITICAL = Alert(
    "JobsStuck", "queue:jobs:rate5m == 0", hold="0s", severity="critical", keep_firing_for="5m", summary="No jobs."
)


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    catalogue = Catalogue()
    catalogue.declare(JOBS)
    limits = {"JobsStuck": [row for row in Thresholds.table() if row.name in {"error_ratio", "stale_seconds"}]}
    return Runbooks(catalogue, (RuleGroup("jobs", 60, (RATE, MEAN, WARNING, CRITICAL)),), limits, {"jobs": "All jobs"})


def test_a_page_tells_what_an_alert_asks_and_what_to_do(runbooks: Runbooks) -> None:
    """All severities of a name, their queries, what these read, the limits and the first steps."""
    page = runbooks.page("JobsStuck")
    for part in (
        "# JobsStuck\n\n*queue* stands still.\n",
        "| warning | after 15m | Only *value* of all jobs. |",
        "| critical | at once, and for 5m longer |",
        f"`warning` after 15m:\n\n```promql\n{WARNING.expr}\n```",
        f"`queue:jobs:rate5m` is recorded:\n\n```promql\n{RATE.expr}\n```",
        f"`jobs:rate5m` is recorded:\n\n```promql\n{MEAN.expr}\n```",
        "It reads `jobs_total`; see [Metrics](../metrics.md).",
        "| `error_ratio` | 0.05 | share |",
        "`error_ratio=0.05`; `error_ratio.<component>` for one alone.",
        "1. Open the dashboard All jobs (`/d/jobs`)",
        "the alert carries `queue`",
    ):
        assert part in page


def test_what_is_written_by_hand_is_kept(runbooks: Runbooks) -> None:
    """A page that is made anew is the same, and so is one whose alert has changed since but for what is made."""
    fresh = runbooks.page("JobsStuck")
    assert "Nothing has been written yet." in hand_written(fresh)
    edited = fresh.replace("Nothing has been written yet.", "Ask the queue's owner.")
    assert runbooks.page("JobsStuck", before=edited) == edited
    outdated = edited.replace("queue:jobs:rate5m == 0", "queue:jobs:rate5m == 1")
    assert runbooks.page("JobsStuck", before=outdated) == edited


def test_a_page_without_marks_has_nothing_by_hand() -> None:
    """What somebody wrote outside of the marks cannot be told from what is made."""
    assert hand_written("# JobsStuck\n") == ""
    assert hand_written(f"{HAND_BEGIN}\nno end") == ""
    assert hand_written(f"a\n{HAND_BEGIN}\nb\n{HAND_END}\nc") == "b\n"


def test_the_list_links_to_each_page_once(runbooks: Runbooks) -> None:
    """With all its severities."""
    assert "| [JobsStuck](JobsStuck.md) | warning, critical | *queue* stands still. |" in runbooks.index()
    assert runbooks.index().count("JobsStuck.md") == 1


@pytest.mark.parametrize("name", sorted({alert.name for group in shipped_groups() for alert in group.alerts}))
def test_each_shipped_alert_has_a_runbook_that_somebody_has_written(name: str) -> None:
    """Its page is where the alert links to, and says more than what is made."""
    by_hand = hand_written((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    assert by_hand.startswith("## Causes and remedies\n")
    assert by_hand.count("\n- ") > 1


def test_runbooks_are_made_of_the_whole_catalogue() -> None:
    """Every shipped alert has a page, whatever it reads."""
    catalogue = Catalogue()
    for declaration in SHIPPED:
        catalogue.declare(declaration)
    runbooks = Runbooks(catalogue, shipped_groups(), {}, {})
    for name in runbooks.by_name():
        assert runbooks.page(name).startswith("<!-- Made by")
