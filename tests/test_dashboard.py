"""Dashboards of one's own: rows, selections, links and places, as Grafana reads them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.exceptions import DashboardError, QueryError
from otel_monitoring.grafana import Dashboard, Link, Panel, Row, Target, ValueText, Variable, link_to
from otel_monitoring.grafana.own_metrics import own_metrics_dashboard
from tests.dashboard_linter import everything, findings, panels, queries
from tests.logging_state import kept_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

SELECTED = 'job=~"$job", instance=~"$instance"'


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with kept_logging(), MonitoringService(third_party=False, service_name="outreach", offline=True) as service:
        yield service


@pytest.fixture
def catalogue() -> Catalogue:
    """What comes with the package, and a few metrics of one's own."""
    catalogue = Catalogue()
    for declaration in SHIPPED:
        catalogue.declare(declaration)
    catalogue.declare(Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",), description="Jobs finished."))
    catalogue.declare(Declaration(name="backlog", kind=Kind.GAUGE, labels=("queue",), description="Jobs that wait."))
    wait = Declaration(name="job_wait", kind=Kind.HISTOGRAM, unit="s", labels=("queue",), buckets=(0.1, 1))
    catalogue.declare(wait)
    return catalogue


def one_panel(panel: Panel, catalogue: Catalogue) -> dict[str, Any]:
    """Return the JSON of a panel on a dashboard of its own, which keeps all rules."""
    model: dict[str, Any] = Dashboard("One", [Row("Row", panel)]).build(catalogue)
    assert findings(model, catalogue) == []
    return panels(model)[0]


def variables(model: dict[str, Any]) -> dict[str, str]:
    """Return what each selection asks for, by its name."""
    return {one["name"]: one["query"] for one in model["templating"]["list"]}


def test_a_dashboard_is_written_in_a_few_lines(monitoring: MonitoringService) -> None:
    """As in the documentation: metrics with their usual panels, and PromQL, give all that Grafana needs."""
    jobs = monitoring.counter("jobs", unit="{job}", labels=("queue", "outcome"), description="Jobs finished.")
    wait = monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1, 10))
    backlog = monitoring.gauge("job_backlog", labels=("queue",), description="Jobs that wait.")
    dashboard = Dashboard(
        "Jobs",
        rows=[
            Row("Flow", jobs.rate(by="queue"), wait.quantile(0.95, by="queue"), backlog),
            Row("Own", Panel("Backlog", 'sum by (queue) (job_backlog{job=~"$job"})', unit="short")),
        ],
    )
    catalogue = monitoring.registry.catalogue
    model: dict[str, Any] = dashboard.build(catalogue)
    assert findings(model, catalogue) == []
    assert (model["uid"], model["title"], model["tags"]) == ("jobs", "Jobs", ["otel-monitoring"])
    assert [one["title"] for one in everything(model)] == [
        "Flow",
        "Jobs per second by queue",
        "Job wait, p95 by queue",
        "Job backlog by queue",
        "Own",
        "Backlog",
    ]
    assert [one["fieldConfig"]["defaults"]["unit"] for one in panels(model)] == ["cps", "s", "short", "short"]
    assert panels(model)[3]["description"] == "Jobs that wait."
    assert queries(model)[3] == ("Backlog", 'sum by (queue) (job_backlog{instance=~"$instance", job=~"$job"})')


def test_a_row_has_a_title() -> None:
    with pytest.raises(DashboardError, match=r"a row's title is .*: write Row\('Flow', …\)"):
        Row(Panel("Up", "up"))  # type: ignore[arg-type]


def test_a_metric_stands_for_what_is_usual_for_its_kind(monitoring: MonitoringService) -> None:
    jobs = monitoring.counter("jobs", labels=("queue",))
    wait = monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1))
    assert Row("Row", jobs).panels[0].targets == Row("Row", jobs.usual()).panels[0].targets
    both = Panel("Both", [jobs, wait], unit="short")
    assert [target.expr for target in both.targets] == [jobs.usual().expr, wait.usual().expr]


def test_the_same_dashboard_gives_the_same_bytes(catalogue: Catalogue) -> None:
    def made() -> str:
        rows = [Row("Row", Panel("One", "rate(jobs_total[5m])"), Panel("Two", ["up", "backlog"]))]
        return json.dumps(Dashboard("Same", rows, tags=["b", "a"]).build(catalogue))

    first = made()
    assert made() == first
    assert json.dumps(json.loads(first), sort_keys=True) == first


@pytest.mark.parametrize(
    ("title", "uid"),
    [
        ("Jobs", "jobs"),
        ("  Jobs & Queues: all  ", "jobs-queues-all"),
        ("jobs_total/rate", "jobs-total-rate"),
        ("A title that is much longer than forty letters", "a-title-that-is-much-longer-tha-11aeaa93"),
        ("Aufträge", "auftr-ge-317e9451"),
        ("仕事", "fb7db808"),
        ("!?", "8faf838e"),
    ],
)
def test_the_uid_comes_from_the_title(title: str, uid: str) -> None:
    dashboard = Dashboard(title, [Row("Row", Panel("Up", "up"))])
    assert dashboard.uid == uid
    assert len(uid) <= 40


def test_a_uid_of_ones_own_is_kept() -> None:
    assert Dashboard("Jobs", [Row("Row", Panel("Up", "up"))], uid="My_Jobs-2").uid == "My_Jobs-2"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": ""}, "the title is '': write what it is called"),
        ({"rows": []}, r"it has no rows: write rows=\[Row\('Flow', …\)\]"),
        ({"rows": [Panel("Up", "up")]}, r"is no row: write Row\('Flow', …\) around panels"),
        ({"uid": "a b"}, "the uid 'a b' is none: up to 40 letters, digits, '_' and '-'"),
        ({"uid": "a" * 41}, "the uid 'a+' is none"),
        ({"uid": 3}, "the uid 3 is none"),
        ({"description": None}, r"description is None and tags are \[\]: write text"),
        ({"tags": [1]}, r"tags are \[1\]: write text"),
        ({"links": ["https://wiki.example"]}, "'https://wiki.example' is no link: write Link"),
        ({"refresh": "often"}, "refresh is 'often': write a time such as '30s' or '5m', or '' for never"),
        ({"refresh": 30}, "refresh is 30: write a time"),
        ({"step_at_least": "1 hour"}, "step_at_least is '1 hour': write a time such as '1m' or '1h'"),
        ({"start": "yesterday"}, "start is 'yesterday': write how far back, such as 'now-6h'"),
        ({"variables": ["a b"]}, "'a b' is no label"),
        ({"variables": ["job"]}, "the variable 'job' is there already"),
        ({"variables": ["queue", Variable("queue")]}, "the variable 'queue' is there already"),
    ],
    ids=[
        "title",
        "no-rows",
        "no-row",
        "uid",
        "long-uid",
        "uid-number",
        "description",
        "tags",
        "links",
        "refresh",
        "refresh-number",
        "step",
        "start",
        "no-label",
        "job",
        "twice",
    ],
)
def test_a_wrong_dashboard_is_refused_with_what_would_be_right(wrong: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"title": "Bad", "rows": [Row("Row", Panel("Up", "up"))], **wrong}
    with pytest.raises(DashboardError, match=said):
        Dashboard(given.pop("title"), given.pop("rows"), **given)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DashboardError, match=r"^dashboard 'Bad': the uid .*; it has no rows.*; refresh is"):
        Dashboard("Bad", [], uid="a b", refresh="x")


@pytest.mark.parametrize("wrong", ["up", None, 3])
def test_a_row_takes_panels_and_queries_only(wrong: Any) -> None:
    with pytest.raises(DashboardError, match=r"^row 'Row': .* is no panel: write Panel\('Backlog', 'promql'\)"):
        Row("Row", wrong)


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("rate(job_total[5m])", r"there is no metric 'job_total'; did you mean 'jobs_total'\?"),
        ('rate(jobs_total{que="a"}[5m])', r"que"),
        ("jobs_total", r"jobs_total"),
        ("rate(backlog[5m])", r"backlog"),
        ("histogram_quantile(0.9, sum(rate(job_wait_seconds_bucket[5m])))", r"needs the label 'le'"),
    ],
)
def test_names_are_checked_when_the_dashboard_is_built(expr: str, said: str, catalogue: Catalogue) -> None:
    """Not before: the metric may be declared later."""
    dashboard = Dashboard("Jobs", [Row("Row", Panel("Mine", expr))])
    with pytest.raises(QueryError, match=rf"^dashboard 'Jobs', panel 'Mine': .*{said}"):
        dashboard.build(catalogue)


def test_recorded_series_may_be_named_where_rules_make_them(catalogue: Catalogue) -> None:
    dashboard = Dashboard("Jobs", [Row("Row", Panel("Mine", "job_queue:jobs:rate5m"))])
    with pytest.raises(QueryError, match="there is no metric 'job_queue:jobs:rate5m'"):
        dashboard.build(catalogue)
    model: dict[str, Any] = dashboard.build(catalogue, recorded={"job_queue:jobs:rate5m": frozenset({"job", "queue"})})
    assert queries(model) == [("Mine", 'job_queue:jobs:rate5m{job=~"$job"}')]
    assert findings(model, catalogue) == []


# Selections


def test_a_label_that_is_compared_with_its_variable_can_be_selected(catalogue: Catalogue) -> None:
    """Its values come from the metrics that use it."""
    one = Panel("One", 'sum by (queue) (backlog{queue=~"$queue"})')
    two = Panel(
        "Two",
        Target(
            'histogram_quantile(0.9, sum by (le) (rate(job_wait_seconds_bucket{queue=~"${queue}"}[$__rate_interval])))'
        ),
    )
    model: dict[str, Any] = Dashboard("Jobs", [Row("Row", one)]).build(catalogue)
    assert variables(model)["queue"] == f"label_values(backlog{{{SELECTED}}}, queue)"
    model = Dashboard("Jobs", [Row("Row", one, two)]).build(catalogue)
    names = '__name__=~"backlog|job_wait_seconds_count"'
    assert variables(model)["queue"] == f"label_values({{{SELECTED}, {names}}}, queue)"
    assert findings(model, catalogue) == []


def test_a_label_may_be_compared_with_more_than_its_variable(catalogue: Catalogue) -> None:
    panel = Panel("One", 'sum by (queue) (backlog{queue=~"$queue|${queue}-old|other"})')
    model: dict[str, Any] = Dashboard("Jobs", [Row("Row", panel)]).build(catalogue)
    assert variables(model)["queue"] == f"label_values(backlog{{{SELECTED}}}, queue)"
    assert findings(model, catalogue) == []


def test_selections_stand_in_the_order_asked_for_then_as_they_are_used(catalogue: Catalogue) -> None:
    panel = Panel("One", 'rate(system_errors_total{error_type=~"$error_type", component=~"$component"}[5m])')
    asked: list[Variable | str] = [Variable("queue", ("backlog",), title="Which queue"), "component"]
    model: dict[str, Any] = Dashboard("Jobs", [Row("Row", panel)], variables=asked).build(catalogue)
    assert list(variables(model)) == ["datasource", "job", "instance", "queue", "component", "error_type"]
    labels = {one["name"]: one["label"] for one in model["templating"]["list"]}
    assert (labels["queue"], labels["error_type"]) == ("Which queue", "Error type")


def test_a_selection_whose_values_come_from_nowhere_is_refused(catalogue: Catalogue) -> None:
    dashboard = Dashboard("Jobs", [Row("Row", Panel("One", "backlog"))], variables=["queue"])
    with pytest.raises(DashboardError, match=r"values of \$queue come from: compare .* queue=~\"\$queue\""):
        dashboard.build(catalogue)


def test_what_a_selection_takes_its_values_from_is_checked(catalogue: Catalogue) -> None:
    rows = [Row("Row", Panel("One", "backlog"))]
    dashboard = Dashboard("Jobs", rows, variables=[Variable("queue", ("jobs_total", "backlogs"))])
    with pytest.raises(QueryError, match="variable 'queue': there is no metric 'backlogs'; did you mean 'backlog'"):
        dashboard.build(catalogue)
    with pytest.raises(QueryError, match=r"variable 'que': .*que"):
        Dashboard("Jobs", rows, variables=[Variable("que", ("jobs_total",))]).build(catalogue)


def test_values_come_from_what_is_recorded_only_where_nothing_else_has_them(catalogue: Catalogue) -> None:
    """Rules lose the instance and come later."""
    recorded = {"job_queue:jobs:rate5m": frozenset({"job", "queue"})}
    by_rule = Panel("One", 'job_queue:jobs:rate5m{queue=~"$queue"}')
    raw = Panel("Two", 'backlog{queue=~"$queue"}')
    model: dict[str, Any] = Dashboard("Jobs", [Row("Row", by_rule, raw)]).build(catalogue, recorded=recorded)
    assert variables(model)["queue"] == f"label_values(backlog{{{SELECTED}}}, queue)"
    model = Dashboard("Jobs", [Row("Row", by_rule)]).build(catalogue, recorded=recorded)
    assert variables(model)["queue"] == 'label_values(job_queue:jobs:rate5m{job=~"$job"}, queue)'


def test_a_variable_that_nobody_defines_is_refused(catalogue: Catalogue) -> None:
    dashboard = Dashboard("Jobs", [Row("Row", Panel("One", "topk($count, backlog)"))])
    with pytest.raises(DashboardError, match=r"panel 'One' uses \$count, which is none of its variables"):
        dashboard.build(catalogue)


# Places


def test_panels_stand_side_by_side_and_fill_their_line(catalogue: Catalogue) -> None:
    stats = [Panel(f"Stat {number}", "up", kind="stat") for number in range(5)]
    lines = [Panel(f"Line {number}", "up") for number in range(3)]
    model: dict[str, Any] = Dashboard("Jobs", [Row("A", *stats, *lines), Row("B", lines[0])]).build(catalogue)
    assert findings(model, catalogue) == []
    placed = [tuple(one["gridPos"][key] for key in "xywh") for one in everything(model)]
    assert placed == [
        (0, 0, 24, 1),
        *[(0, 1, 5, 4), (5, 1, 5, 4), (10, 1, 4, 4), (14, 1, 5, 4), (19, 1, 5, 4)],
        *[(0, 5, 12, 8), (12, 5, 12, 8), (0, 13, 24, 8)],
        (0, 21, 24, 1),
        (0, 22, 24, 8),
    ]


def test_widths_and_heights_can_be_given(catalogue: Catalogue) -> None:
    row = Row("A", Panel("A", "up", width=18, height=5), Panel("B", "up", width=6), Panel("C", "up", width=24))
    model: dict[str, Any] = Dashboard("Jobs", [row]).build(catalogue)
    places = [tuple(one["gridPos"][key] for key in "xywh") for one in panels(model)]
    assert places == [(0, 1, 18, 8), (18, 1, 6, 8), (0, 9, 24, 8)]


def test_a_collapsed_row_holds_its_panels(catalogue: Catalogue) -> None:
    rows = [Row("A", Panel("A", "up"), collapsed=True), Row("B", Panel("B", "up"))]
    model: dict[str, Any] = Dashboard("Jobs", rows).build(catalogue)
    assert findings(model, catalogue) == []
    assert [(one["title"], one.get("collapsed")) for one in model["panels"]] == [("A", True), ("B", False), ("B", None)]
    assert [one["title"] for one in model["panels"][0]["panels"]] == ["A"]


# Panels as Grafana reads them


def test_stats_of_the_whole_range_are_asked_for_once(catalogue: Catalogue) -> None:
    """Others come with a sparkline of the range."""
    whole = one_panel(Panel("One", "sum(increase(jobs_total[$__range]))", kind="stat"), catalogue)
    now = one_panel(Panel("One", "sum(rate(jobs_total[$__rate_interval]))", kind="stat"), catalogue)
    assert (whole["targets"][0]["instant"], whole["options"]["graphMode"]) == (True, "none")
    assert (now["targets"][0]["range"], now["options"]["graphMode"]) == (True, "area")


@pytest.mark.parametrize("kind", ["timeseries", "stat", "table", "bargauge", "heatmap", "state-timeline"])
def test_every_kind_carries_what_is_common(kind: str, catalogue: Catalogue) -> None:
    panel = one_panel(
        Panel(
            "Any",
            Target("backlog", "{{queue}}", unit="ms", color="blue"),
            kind=kind,
            unit="s",
            description="About it.",
            thresholds={1: "yellow", 2: "red"},
            base_color="blue",
            minimum=0,
            maximum=3,
            texts={0: ValueText("none", "green")},
            empty="Nothing waits.",
        ),
        catalogue,
    )
    defaults = panel["fieldConfig"]["defaults"]
    assert (panel["type"], panel["title"], panel["description"]) == (kind, "Any", "About it.")
    assert (defaults["unit"], defaults["min"], defaults["max"], defaults["noValue"]) == ("s", 0, 3, "Nothing waits.")
    steps = [{"value": None, "color": "blue"}, {"value": 1, "color": "yellow"}, {"value": 2, "color": "red"}]
    assert defaults["thresholds"] == {"mode": "absolute", "steps": steps}
    assert defaults["mappings"] == [{"type": "value", "options": {"0": {"text": "none", "color": "green", "index": 0}}}]
    assert panel["targets"][0]["instant"] is (kind in {"table", "bargauge"})
    assert panel["targets"][0]["format"] == {"table": "table", "heatmap": "heatmap"}.get(kind, "time_series")


@pytest.mark.parametrize(("base", "style"), [("", "line"), ("red", "area")])
def test_thresholds_are_lines_and_where_low_is_bad_areas(base: str, style: str, catalogue: Catalogue) -> None:
    panel = one_panel(Panel("One", "backlog", thresholds={1: "transparent"}, base_color=base), catalogue)
    assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] == {"mode": style}


def overrides(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is set for some fields only, by the option of their matcher."""
    found: dict[str, dict[str, Any]] = {}
    for one in panel["fieldConfig"]["overrides"]:
        found.setdefault(one["matcher"]["options"], {}).update({p["id"]: p["value"] for p in one["properties"]})
    return found


def test_series_of_one_query_can_look_otherwise(catalogue: Catalogue) -> None:
    given = [Target("backlog", "{{queue}}"), Target("backlog * 2", "limit", unit="ms", dashed=True, color="red")]
    found = overrides(one_panel(Panel("One", given, colors={"mail": "green"}), catalogue))
    assert found == {
        "B": {
            "custom.lineStyle": {"fill": "dash", "dash": [8, 8]},
            "custom.fillOpacity": 0,
            "unit": "ms",
            "color": {"mode": "fixed", "fixedColor": "red"},
        },
        "mail": {"color": {"mode": "fixed", "fixedColor": "green"}},
    }


def test_a_table_has_a_column_for_each_label_and_each_query(catalogue: Catalogue) -> None:
    given = [Target("sum by (queue) (backlog)", "Waiting"), Target("sum by (queue) (backlog)", "For", unit="s")]
    panel = one_panel(Panel("One", given, kind="table"), catalogue)
    assert [one["id"] for one in panel["transformations"]] == ["merge", "organize"]
    renamed = panel["transformations"][1]["options"]["renameByName"]
    assert renamed == {"Value #A": "Waiting", "Value #B": "For"}
    assert overrides(panel) == {"For": {"unit": "s"}}
    alone = one_panel(Panel("One", given[0], kind="table"), catalogue)
    assert [one["id"] for one in alone["transformations"]] == ["organize"]
    assert alone["transformations"][0]["options"]["renameByName"] == {"Value": "Waiting"}


def test_a_metrics_own_query_heads_its_column_with_its_title(monitoring: MonitoringService) -> None:
    jobs = monitoring.counter("jobs", labels=("queue",), description="Jobs finished.")
    panel = one_panel(
        Panel("One", jobs.increase(by="queue", over="$__range"), kind="table"), monitoring.registry.catalogue
    )
    assert panel["transformations"][0]["options"]["renameByName"] == {"Value": "Jobs, increase by queue"}


def test_two_columns_of_one_heading_are_refused() -> None:
    with pytest.raises(DashboardError, match="two queries have the heading 'Waiting'"):
        Panel("One", [Target("a", "Waiting"), Target("b", "Waiting")], kind="table")


def test_a_link_goes_with_the_value_that_was_clicked_on(catalogue: Catalogue) -> None:
    """And keeps the range, the data source and what is selected."""
    links = {"queue": link_to("jobs", "queue")}
    kept = "&${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
    table = one_panel(Panel("One", Target("backlog", "Waiting"), kind="table", links=links), catalogue)
    lines = one_panel(Panel("One", "backlog", links=links), catalogue)
    in_cell = "/d/jobs?var-queue=${__value.text:percentencode}" + kept
    at_line = "/d/jobs?var-queue=${__field.labels.queue:percentencode}" + kept
    assert overrides(table)["queue"]["links"] == [{"title": "Only this queue", "url": in_cell}]
    assert overrides(lines)["A"]["links"] == [{"title": "Only this queue", "url": at_line}]


def test_several_links_of_a_series_are_all_there(catalogue: Catalogue) -> None:
    links = {"queue": link_to("jobs", "queue"), "instance": Link("Its log", "https://logs.example/{value}")}
    panel = one_panel(Panel("One", "backlog", links=links), catalogue)
    assert [link["title"] for link in overrides(panel)["A"]["links"]] == ["Only this queue", "Its log"]


def test_exemplars_are_marked_once_beside_quantiles(catalogue: Catalogue) -> None:
    """All quantiles of a histogram have the same ones."""
    given = [
        Target(
            f"histogram_quantile({share}, sum by (le) (rate(job_wait_seconds_bucket[$__rate_interval])))", f"p{share}"
        )
        for share in (0.5, 0.9)
    ]
    panel = one_panel(Panel("One", [Target("backlog", "b"), *given]), catalogue)
    assert [target.get("exemplar", False) for target in panel["targets"]] == [False, True, False]


def test_a_heatmap_has_its_unit_on_the_axis(catalogue: Catalogue) -> None:
    given = Target("sum by (le) (increase(job_wait_seconds_bucket[$__rate_interval]))", "{{le}}")
    panel = one_panel(Panel("One", given, kind="heatmap", unit="s"), catalogue)
    assert panel["options"]["yAxis"]["unit"] == "s"
    assert panel["options"]["calculate"] is False


def test_dashboards_link_to_each_other_and_to_what_is_given(catalogue: Catalogue) -> None:
    rows = [Row("Row", Panel("Up", "up"))]
    model: dict[str, Any] = Dashboard("A", rows, links=[Link("Runbook", "https://wiki.example/jobs")]).build(catalogue)
    others, runbook = model["links"]
    assert (others["type"], others["tags"], others["includeVars"], others["keepTime"]) == (
        "dashboards",
        ["otel-monitoring"],
        True,
        True,
    )
    assert (runbook["type"], runbook["title"], runbook["url"]) == ("link", "Runbook", "https://wiki.example/jobs")
    assert "placement" not in json.dumps(model["links"])  # else they hide in a menu


def test_deployments_and_alerts_are_marked(catalogue: Catalogue) -> None:
    model: dict[str, Any] = Dashboard("A", [Row("Row", Panel("Up", "up"))]).build(catalogue)
    deployments, alerts = model["annotations"]["list"]
    assert deployments["target"]["tags"] == ["deployment"]
    assert deployments["datasource"]["uid"] == "-- Grafana --"
    assert 'ALERTS{job=~"$job", alertstate="firing", severity!="none"}' in alerts["expr"]
    assert alerts["datasource"]["uid"] == "${datasource}"


def test_the_codes_of_the_documentation_run() -> None:
    text = (Path(__file__).parent.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    there: dict[str, Any] = {}
    with kept_logging():
        exec("\n".join(blocks), there)
        there["monitoring"].shutdown()
    model, catalogue = there["model"], there["monitoring"].registry.catalogue
    assert findings(model, catalogue) == []
    assert findings(there["own"].build(catalogue), catalogue) == []
    assert there["dashboards"][0].title == "System Overview"


# Own metrics


def test_each_metric_of_ones_own_gets_a_panel_without_any(monitoring: MonitoringService) -> None:
    monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
    monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1), description="Time in the queue.")
    monitoring.gauge("heat", unit="Cel", description="Of the room.")
    monitoring.up_down_counter("open", labels=("kind",), description="What is open.")
    catalogue = monitoring.registry.catalogue
    dashboard = own_metrics_dashboard(catalogue)
    assert dashboard is not None
    model: dict[str, Any] = dashboard.build(catalogue)
    assert findings(model, catalogue) == []
    assert [(row.title, [panel.unit for panel in row.panels]) for row in dashboard.rows] == [
        ("Rates", ["cps"]),
        ("Distributions", ["s"]),
        ("Values", ["celsius", "short"]),
    ]
    assert [panel.description for panel in dashboard.panels][:2] == ["Jobs finished.", "Time in the queue."]


def test_without_metrics_of_ones_own_there_is_no_such_dashboard(monitoring: MonitoringService) -> None:
    assert own_metrics_dashboard(monitoring.registry.catalogue) is None


def test_the_own_metrics_of_two_services_are_two_dashboards(monitoring: MonitoringService) -> None:
    monitoring.counter("jobs", description="Jobs finished.")
    catalogue = monitoring.registry.catalogue
    named = [own_metrics_dashboard(catalogue, service) for service in (None, "shop", "crawler")]
    assert [(one.uid, one.title) for one in named if one is not None] == [
        ("otel-monitoring-own", "Own metrics"),
        ("shop-own-metrics", "Own metrics of shop"),
        ("crawler-own-metrics", "Own metrics of crawler"),
    ]


# What must be installed


def without(libraries: str, code: str) -> str:
    """Run code where some libraries are not installed, and return what it prints."""
    hide = f"import sys\nfor name in {libraries.split()!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", hide + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DEFINED = """
from otel_monitoring import MonitoringService
from otel_monitoring.grafana import Dashboard, Panel, Row
monitoring = MonitoringService(offline=True, third_party=False)
jobs = monitoring.counter("jobs", labels=("queue",))
dashboard = Dashboard("Jobs", rows=[Row("Flow", jobs.rate(by="queue"), Panel("Own", "rate(jobs_total[5m])"))])
"""
BUILT = """
try:
    dashboard.build(monitoring.registry.catalogue)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_dashboards_are_defined_without_the_extra_and_built_with_it() -> None:
    """A production install runs the same modules without Grafana's libraries."""
    said = without("promql_parser grafana_foundation_sdk grafana_client", DEFINED + BUILT)
    assert said.startswith("ExtraMissingError ")
    assert "pip install 'otel-monitoring[grafana]'" in said
    assert without("grafana_foundation_sdk", DEFINED + BUILT).startswith("ExtraMissingError ")


def test_building_warns_of_nothing_and_leaves_other_warnings_alone() -> None:
    code = DEFINED + (
        "import warnings\n"
        "before = list(warnings.filters)\n"
        "dashboard.build(monitoring.registry.catalogue)\n"
        "assert list(warnings.filters) == before\n"
        "print('built')\n"
    )
    assert without("", code) == "built\n"
