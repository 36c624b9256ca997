"""The dashboards that come with the package: they keep all rules, and show all that is measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_monitoring.catalogue import Catalogue
from otel_monitoring.catalogue.objective import Latency, Objective, Objectives
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.grafana.dashboard_link import VARIABLES
from otel_monitoring.grafana.promql import metric_name, parse_query
from otel_monitoring.grafana.promql import selectors as selectors_of
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.grafana.shipped_rules import recorded_series, shipped_groups
from tests.dashboard_linter import everything, findings, panels, queries

Model = dict[str, Any]

UIDS = {
    "otel-monitoring-overview": "System Overview",
    "otel-monitoring-platform": "Platform Metrics",
    "otel-monitoring-business": "Business Metrics",
    "otel-monitoring-self": "Monitoring",
}
ROWS = {
    "otel-monitoring-overview": [
        "Right now",
        "Errors",
        "Traffic and latency",
        "Saturation",
        "Streams and models",
        "Websockets",
        "Objectives",
        "Telemetry health",
    ],
    "otel-monitoring-platform": ["Right now", "Rate limits", "API usage", "Response times"],
    "otel-monitoring-business": ["Selected period", "Prospect scores", "Engagement", "Funnel and conversion"],
    "otel-monitoring-self": ["Right now", "Series", "Losses", "Cost", "Scrapes"],
}


def shipped_catalogue() -> Catalogue:
    catalogue = Catalogue()
    for declaration in SHIPPED:
        catalogue.declare(declaration)
    return catalogue


def build(thresholds: Thresholds | None = None, objectives: Objectives | None = None) -> dict[str, Model]:
    """Return the JSON of all dashboards by uid, after all queries were held to the catalogue and to the rules."""
    recorded = recorded_series(shipped_groups(thresholds, objectives))
    catalogue = shipped_catalogue()
    return {one.uid: one.build(catalogue, recorded=recorded) for one in shipped_dashboards(thresholds, objectives)}


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return build()


def drawn(model: Model, title: str) -> Model:
    """Return a panel by its title."""
    (found,) = [panel for panel in panels(model) if panel["title"] == title]
    return found


def steps(model: Model, title: str) -> list[tuple[float | None, str]]:
    """Return a panel's thresholds."""
    return [
        (step["value"], step["color"]) for step in drawn(model, title)["fieldConfig"]["defaults"]["thresholds"]["steps"]
    ]


def test_there_are_four_with_the_rows_of_their_design(models: dict[str, Model]) -> None:
    assert {uid: model["title"] for uid, model in models.items()} == UIDS
    for uid, model in models.items():
        assert [one["title"] for one in everything(model) if one["type"] == "row"] == ROWS[uid]


@pytest.mark.parametrize("uid", UIDS)
def test_every_rule_for_dashboards_holds(uid: str, models: dict[str, Model]) -> None:
    assert findings(models[uid], shipped_catalogue()) == []


@pytest.mark.parametrize("uid", UIDS)
def test_what_can_be_read_is_written_in_sentences(uid: str, models: dict[str, Model]) -> None:
    assert models[uid]["description"].endswith(".")
    titles = [panel["title"] for panel in panels(models[uid])]
    assert len(set(titles)) == len(titles)
    for panel in panels(models[uid]):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["description"] != f"{panel['title']}."
        assert all(target["legendFormat"] != "__auto" for target in panel["targets"]), panel["title"]


def test_every_metric_is_on_a_panel(models: dict[str, Model]) -> None:
    catalogue = shipped_catalogue()
    exprs = [expr for model in models.values() for _, expr in queries(model)]
    names = {metric_name(selector) for expr in exprs for selector in selectors_of(parse_query(expr, where="it"))}
    shown = {declaration.name for name in names if (declaration := catalogue.find(name or "")) is not None}
    assert shown == {declaration.name for declaration in SHIPPED}


def test_panels_read_what_was_measured_so_that_they_work_without_rules(models: dict[str, Model]) -> None:
    """But those of error budgets and of last week, and lines of thresholds."""
    on_rules = {title for model in models.values() for title, expr in queries(model) if ":" in expr.replace("[5m:", "")}
    lines = {"Error ratio by component", "Processing time p95 by operation", "Mean score by platform"}
    assert on_rules - lines == {
        "Operation error budget burn",
        "Latency budget burn",
        "Engagement per message by platform",
        "Engagement week on week",
    }
    for model in models.values():
        for panel in panels(model):
            if panel["title"] in lines:
                assert ":" not in panel["targets"][0]["expr"]


@pytest.mark.parametrize("uid", UIDS)
def test_what_links_to_a_dashboard_finds_its_variable_there(uid: str, models: dict[str, Model]) -> None:
    """Links of panels, and those of alerts, whose labels are the dashboards' variables."""
    targets = {
        (link["url"].split("/")[2].split("?")[0], part.split("=")[0].removeprefix("var-"))
        for panel in panels(models[uid])
        for override in panel["fieldConfig"]["overrides"]
        for found in override["properties"]
        if found["id"] == "links"
        for link in found["value"]
        if link["url"].startswith("/d/")
        for part in link["url"].split("?")[1].split("&")
        if part.startswith("var-")
    }
    assert targets
    for target, name in targets:
        assert name in {one["name"] for one in models[target]["templating"]["list"]}


def test_alerts_link_to_dashboards_that_can_be_narrowed_to_what_they_are_about(models: dict[str, Model]) -> None:
    for group in shipped_groups():
        for alert in group.alerts:
            if alert.dashboard:
                assert alert.dashboard in models, alert.name
    assert set(VARIABLES) <= {one["name"] for model in models.values() for one in model["templating"]["list"]}


def test_rows_of_tables_lead_further(models: dict[str, Model]) -> None:
    tables = [panel for model in models.values() for panel in panels(model) if panel["type"] == "table"]
    assert len(tables) >= 5
    for table in tables:
        linked = [one for one in table["fieldConfig"]["overrides"] if one["properties"][0]["id"] == "links"]
        assert linked, table["title"]


def test_the_first_row_says_at_a_glance_whether_something_is_wrong(models: dict[str, Model]) -> None:
    for model in models.values():
        first = [one for one in model["panels"] if one["type"] != "row"][:6]
        assert {one["type"] for one in first} == {"stat"}


def test_the_overview_leads_to_alerts_that_grafana_evaluates_itself(models: dict[str, Model]) -> None:
    """Prometheus has no series of those."""
    links = [link["url"] for link in models["otel-monitoring-overview"]["links"] if link["type"] == "link"]
    assert links == ["/alerting/list"]


def test_latency_panels_lead_to_traces(models: dict[str, Model]) -> None:
    marked = {
        panel["title"]
        for model in models.values()
        for panel in panels(model)
        if any(target.get("exemplar") for target in panel["targets"])
    }
    assert {
        "Latency",
        "Processing time p95 by operation",
        "Response time p95 by platform",
        "Time to first item p95",
        "Model calls p95",
    } <= marked


def test_thresholds_are_the_alerts_own() -> None:
    """Another limit moves the line, the colour and the text."""
    limits = Thresholds(
        error_ratio=0.2,
        request_latency_seconds=5.0,
        latency_objective_seconds=0.5,
        latency_objective=0.94,
        success_objective=0.95,
        cpu_percent=70.0,
        memory_ratio=0.5,
        stale_seconds=600.0,
        api_latency_seconds=2.0,
        api_error_ratio=0.3,
        prospect_score=0.3,
        low_score=0.2,
        engagement_rate_ratio=0.8,
    )
    models = build(limits)
    overview, platform = models["otel-monitoring-overview"], models["otel-monitoring-platform"]
    business = models["otel-monitoring-business"]
    assert steps(overview, "Error ratio")[-1] == (0.2, "red")
    assert steps(overview, "Latency") == [(None, "transparent"), (5.0, "red")]
    assert steps(overview, "CPU by component")[-1] == (70.0, "red")
    assert steps(overview, "Memory share of limit")[-1] == (0.5, "red")
    assert steps(overview, "Time since last success")[-1] == (600.0, "red")
    assert steps(platform, "API p95")[-1] == (2.0, "red")
    assert steps(platform, "API error ratio by platform")[-1] == (0.3, "red")
    assert steps(business, "Engagement week on week")[-1] == (0.8, "transparent")
    texts = dict(queries(overview))
    assert 'le="0.5"' in texts["Latency budget left"]
    assert texts["Latency budget left"].endswith("/ 0.06")
    assert texts["Operation budget left"].endswith("/ 0.05")
    assert texts["Operation error budget burn"].endswith("/ 0.05")
    assert 'le="0.2"' in dict(queries(business))["Share of prospects above 0.2"]
    for model in models.values():
        assert findings(model, shipped_catalogue()) == []


def test_operations_with_objectives_of_their_own_show_their_own_budgets() -> None:
    objectives = Objectives()
    objectives.declare("draft", "writer", Objective(success=0.999, latency=Latency(seconds=2.5, share=0.95)))
    model = build(objectives=objectives)["otel-monitoring-overview"]
    assert findings(model, shipped_catalogue()) == []
    titles = [panel["title"] for panel in panels(model)]
    assert "Success budget burn by operation" in titles
    assert "Latency budget burn by operation" in titles


def test_a_whole_number_as_a_bound_finds_its_bucket_in_every_version_of_prometheus() -> None:
    limits = Thresholds(latency_objective_seconds=1.0)
    assert 'le=~"1|1[.]0"' in dict(queries(build(limits)["otel-monitoring-overview"]))["Latency budget left"]


def test_they_are_the_same_bytes_each_time(models: dict[str, Model]) -> None:
    again = build()
    for uid, model in models.items():
        text = json.dumps(model, indent=2)
        assert json.dumps(again[uid], indent=2) == text
        assert json.dumps(json.loads(text), indent=2, sort_keys=True) == text
