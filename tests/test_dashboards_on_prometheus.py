"""Every query of every dashboard on a real Prometheus, fed by the real pipeline."""

from __future__ import annotations

import math
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.catalogue.objective import Latency, Objective, Objectives
from otel_monitoring.catalogue.shipped import (
    API_REQUESTS,
    COMPONENT_LAST_SUCCESS,
    CPU_USAGE,
    HTTP_REQUESTS,
    MEMORY_LIMIT,
    MEMORY_USAGE,
    MONITORING_OVERFLOW,
    MONITORING_SERIES,
    OPERATIONS,
    OUTREACH_ATTEMPTS,
    RATE_LIMIT_QUOTA,
    RATE_LIMIT_REMAINING,
    RATE_LIMIT_RESET,
    SHIPPED,
)
from otel_monitoring.grafana import Alert, Dashboard, Panel, Row, RuleGroup
from otel_monitoring.grafana.own_metrics import own_metrics_dashboard
from otel_monitoring.grafana.rule_file import rule_file
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.grafana.shipped_rules import recorded_series, shipped_groups
from tests.dashboard_linter import findings, panels
from tests.logging_state import kept_logging
from tests.servers import PrometheusServer, find_program, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.programs, pytest.mark.heavy]

JOB = "job0"
"""What PrometheusServer calls the first job."""

WEEK = 7 * 86_400
PATIENCE = 120.0
PAUSE_SECONDS = 0.05
QUOTA = 100_000.0

RANGE = {"rate_interval": "4s", "interval": "4s", "range": "5s"}
"""What Grafana would put in for a dashboard that shows five seconds."""

BY_ITSELF = (MEMORY_USAGE, MEMORY_LIMIT, CPU_USAGE, MONITORING_SERIES, MONITORING_OVERFLOW)
"""What the service records without being asked to."""

OUTCOMES = {
    OPERATIONS.name: ("outcome", ("success", "error", "cancelled")),
    API_REQUESTS.name: ("outcome", ("success", "rate_limited", "server_error")),
    OUTREACH_ATTEMPTS.name: ("outcome", ("sent", "failed")),
    HTTP_REQUESTS.name: ("status", ("2xx", "5xx")),
}
OVERFLOWING = Declaration(name="overflowing", kind=Kind.COUNTER, labels=("label",), max_series=2)
ALWAYS = RuleGroup("always", 10, (Alert("Always", "up == 1", hold="0s", severity="info", summary="It fires."),))


def record_round(service: MonitoringService, number: int) -> None:
    """Record once to everything that comes with the package, and to a few metrics of one's own."""
    for declaration in SHIPPED:
        if declaration not in BY_ITSELF:
            label, values = OUTCOMES.get(declaration.name, ("", ("",)))
            for value in values:
                labels = {name: f"any {name}" for name in declaration.labels} | ({label: value} if label else {})
                service.record_metric(declaration.name, reading(declaration, number), labels)
    operation = "promised" if number % 2 else "other"
    labels = {"operation": operation, "component": "scorer"}
    service.record_metric("processing_time_seconds", 0.2, labels)
    service.record_metric("operations_total", 1, {**labels, "outcome": "success"})
    for queue in ("mail", "post"):
        service.record_metric("jobs_total", 1, {"queue": queue})
        service.record_metric("job_wait_seconds", 0.5, {"queue": queue})
        service.record_metric("backlog", number, {"queue": queue})
    service.record_metric("open", 1)


def reading(declaration: Declaration, number: int) -> float:
    """Return a value that a metric may have."""
    if declaration is RATE_LIMIT_REMAINING:
        return QUOTA - 10 * number
    if declaration is RATE_LIMIT_QUOTA:
        return QUOTA
    if declaration in (RATE_LIMIT_RESET, COMPONENT_LAST_SUCCESS):
        return time.time() + (3600 if declaration is RATE_LIMIT_RESET else 0)
    return 1.0 if declaration.kind is Kind.COUNTER else 0.3


def store_last_week(data: Path) -> None:
    """Put into a Prometheus, before it starts, what was sent and what came back a week ago."""
    now = time.time()
    times = [now - WEEK - minutes * 60 for minutes in range(60, 0, -1)]
    own = f'job="{JOB}",instance="old",platform="any platform"'
    lines = ["# TYPE engagement counter"]
    lines += [f'engagement_total{{{own},metric_type="any metric_type"}} {n} {at:.3f}' for n, at in enumerate(times)]
    lines += ["# TYPE outreach_attempts counter"]
    lines += [f'outreach_attempts_total{{{own},outcome="sent"}} {2 * n} {at:.3f}' for n, at in enumerate(times)]
    text = data.parent / "last-week.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)]
    subprocess.run([find_program(made[0]), *made[1:]], check=True, timeout=60, capture_output=True)


def write_rules(path: Path, objectives: Objectives) -> Path:
    """Write the shipped rules, evaluated each second, and an alert that always fires."""
    groups = (*shipped_groups(None, objectives, job=JOB), ALWAYS)
    path.write_text(re.sub(r'interval: "\d+s"', 'interval: "1s"', rule_file(groups)))
    return path


@dataclass
class Grafana:
    """Asks a Prometheus as Grafana does: variables filled in, at one time or over a range."""

    prometheus: PrometheusServer
    all_values: dict[str, str]

    def expr(self, written: str, **chosen: str) -> str:
        """Return a query with all variables filled in; what is not chosen is All."""
        with_range = re.sub(r"\$__(rate_interval|interval|range)", lambda found: RANGE[found[1]], written)
        return re.sub(r"\$\{?(\w+)\}?", lambda found: (self.all_values | chosen)[found[1]], with_range)

    def values(self, target: dict[str, Any], **chosen: str) -> list[float]:
        """Return every number that a panel's query gives now."""
        expr = self.expr(target["expr"], **chosen)
        if target["instant"]:
            return [sample.value for sample in self.prometheus.query(expr)]
        now = time.time()
        data: Any = self.prometheus.api("query_range", query=expr, start=f"{now - 5}", end=f"{now}", step="1s")
        return [float(value) for series in data["result"] for _, value in series["values"]]

    def shows(self, target: dict[str, Any], **chosen: str) -> bool:
        """Tell whether a panel's query gives a number now."""
        return any(not math.isnan(value) for value in self.values(target, **chosen))

    def choices(self, variable: dict[str, Any], **chosen: str) -> list[str]:
        """Return the values that a variable offers."""
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
        assert asked is not None
        found: Any = self.prometheus.api(f"label/{asked[2]}/values", **{"match[]": self.expr(asked[1], **chosen)})
        assert isinstance(found, list)
        return found


@dataclass
class Fed:
    """A Prometheus that goes on being fed, and the dashboards on what it is fed with."""

    grafana: Grafana
    models: dict[str, dict[str, Any]]
    instance: str


def dashboards(monitoring: MonitoringService, objectives: Objectives) -> dict[str, dict[str, Any]]:
    """Return the JSON of the shipped dashboards, of that on one's own metrics, and of one's own."""
    catalogue = monitoring.registry.catalogue
    own = own_metrics_dashboard(catalogue)
    assert own is not None
    jobs = monitoring.counter("jobs", labels=("queue",))
    composed = Dashboard(
        "Jobs",
        [Row("Flow", jobs.rate(by="queue"), Panel("Backlog", 'sum by (queue) (backlog{queue=~"$queue"})'))],
    )
    recorded = recorded_series(shipped_groups(None, objectives))
    made = (*shipped_dashboards(None, objectives), own, composed)
    models: dict[str, dict[str, Any]] = {one.uid: one.build(catalogue, recorded=recorded) for one in made}
    assert all(findings(model, catalogue) == [] for model in models.values())
    return models


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    directory = tmp_path_factory.mktemp("dashboards")
    objectives = Objectives()
    objectives.declare("promised", "scorer", Objective(success=0.99, latency=Latency(seconds=2.5, share=0.95)))
    store_last_week(directory / "data")
    server = PrometheusServer(directory)
    stopped = threading.Event()
    with kept_logging(), MonitoringService(third_party=False, service_name="outreach") as monitoring:
        monitoring.counter("jobs", labels=("queue",))
        monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1))
        monitoring.gauge("backlog", labels=("queue",))
        monitoring.up_down_counter("open")
        monitoring.registry.counter(OVERFLOWING)

        def go_on() -> None:
            number = 0
            while not stopped.wait(PAUSE_SECONDS):
                number += 1
                record_round(monitoring, number)
                monitoring.record_metric("overflowing", 1, {"label": str(number)})

        feeding = threading.Thread(target=go_on)
        feeding.start()
        try:
            server.start()
            url = monitoring.serve(port=0).url
            job = server.scrape(url, interval="500ms", rules=write_rules(directory / "rules.yml", objectives))
            assert job == JOB
            instance = url.removeprefix("http://").partition("/")[0]
            models = dashboards(monitoring, objectives)
            variables = [one for model in models.values() for one in model["templating"]["list"]]
            all_values = {one["name"]: one["allValue"] for one in variables if one["type"] == "query"}
            yield Fed(Grafana(server, all_values), models, instance)
        finally:
            stopped.set()
            feeding.join()
            server.stop()


def missing(fed: Fed, look: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Return the queries that show nothing, as soon as there are none, or when patience ends."""
    left = [
        (f"{uid}: {panel['title']} {target['refId']}: {target['expr']}", target)
        for uid, model in fed.models.items()
        for panel in panels(model)
        for target in panel["targets"]
    ]
    assert len(left) > 120

    def all_seen() -> bool:
        left[:] = [(name, target) for name, target in left if not look(target)]
        return not left

    try:
        wait_until(all_seen, PATIENCE)
    except AssertionError:
        return [name for name, _ in left]
    return []


def test_every_query_of_every_panel_gives_data(fed: Fed) -> None:
    """With All selected, and with one job and instance selected."""
    assert missing(fed, fed.grafana.shows) == []
    chosen = {"job": JOB, "instance": f"({re.escape(fed.instance)}|old)".replace("\\", "\\\\")}
    assert missing(fed, lambda target: fed.grafana.shows(target, **chosen)) == []


def test_every_variable_offers_the_values_that_are_there(fed: Fed) -> None:
    expected = {
        "job": {JOB},
        "instance": {fed.instance},
        "component": {"any component", "scorer"},
        "endpoint": {"any endpoint"},
        "platform": {"any platform"},
        "queue": {"mail", "post"},
    }
    offered: dict[str, set[str]] = {}
    for model in fed.models.values():
        for variable in model["templating"]["list"]:
            if variable["type"] == "query":
                found = wait_until(partial(fed.grafana.choices, variable), PATIENCE)
                offered.setdefault(variable["name"], set()).update(found)
    assert "request_duration_seconds" in offered.pop("metric")
    for name, values in expected.items():
        assert values <= offered[name], name


def test_firing_alerts_are_marked_on_every_dashboard(fed: Fed) -> None:
    for model in fed.models.values():
        (alerts,) = [one for one in model["annotations"]["list"] if one["name"] == "Alerts"]
        wait_until(partial(fed.grafana.shows, {"expr": alerts["expr"], "instant": False}), PATIENCE)


def test_all_values_of_a_label_take_in_what_overflows(fed: Fed) -> None:
    """A metric that has spent its budget adds the rest up in a series without its labels."""
    target = {"expr": 'overflowing_total{job=~"$job", label=~"$label"}', "instant": True}
    everything = fed.grafana.values(target, label=fed.grafana.all_values["queue"])
    assert len(everything) == 3
    assert sum(everything) > len(everything)


def test_what_is_not_selected_is_not_shown(fed: Fed) -> None:
    """Each query narrows to the job that is selected: of another, there is nothing."""
    for uid, model in fed.models.items():
        for panel in panels(model):
            for target in panel["targets"]:
                shown = [value for value in fed.grafana.values(target, job="another") if not math.isnan(value)]
                assert shown == [], (uid, panel["title"], target["expr"])
