"""The rule file: what Prometheus reads of it is what was defined, whatever stands in it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.grafana import Alert, Record, Reference, RuleGroup
from otel_monitoring.grafana.rule_file import rule_file
from otel_monitoring.grafana.shipped_rules import shipped_groups
from otel_monitoring.grafana.shipped_rules.terms import quoted
from tests.logging_state import kept_logging
from tests.rule_scenarios import completed, errors, rising
from tests.servers import AlertmanagerServer, PrometheusServer, find_program, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "a \"quoted\" 'one' \\ back\nnew line\t# no: comment, - list: &x *y !z %d @ ` { } [ ] $1 ünï 𝄞 \u2028 \x85 "
WORDS = ["yes", "null", "0x1F", "1e3", "12:30", "~", "- a", "a: b", "#", " lead", "trail ", "\n", "x\n\n", "|", ">"]
STUCK = Alert(
    "JobsStuck",
    "sum by (queue) (rate(jobs_total[10m])) == 0",
    hold="15m",
    keep_firing_for="5m",
    labels={"team": "mail"},
    category="application",
    summary="{{ $labels.queue }} stands still.",
    runbook_url="https://runbooks.example/stuck",
    dashboard="jobs",
)
GROUP = RuleGroup("own", 60, (Record("queue:jobs:rate10m", "sum by (queue) (rate(jobs_total[10m]))"), STUCK))


def test_a_file_is_as_prometheus_documents_it() -> None:
    assert rule_file([GROUP], grafana_url="https://grafana.example/sub/", heading="Made.") == (
        "# Made.\n"
        "groups:\n"
        "  - name: own\n"
        '    interval: "60s"\n'
        "    rules:\n"
        '      - record: "queue:jobs:rate10m"\n'
        '        expr: "sum by (queue) (rate(jobs_total[10m]))"\n'
        "      - alert: JobsStuck\n"
        '        expr: "sum by (queue) (rate(jobs_total[10m])) == 0"\n'
        '        for: "15m"\n'
        '        keep_firing_for: "5m"\n'
        "        labels:\n"
        "          severity: warning\n"
        "          category: application\n"
        "          team: mail\n"
        "        annotations:\n"
        '          summary: "{{ $labels.queue }} stands still."\n'
        '          runbook_url: "https://runbooks.example/stuck"\n'
        '          dashboard_url: "https://grafana.example/sub/d/jobs"\n'
    )


def test_older_servers_get_no_keep_firing_for() -> None:
    assert "keep_firing_for" not in rule_file(shipped_groups(), keep_firing_for=False)
    assert "keep_firing_for" in rule_file(shipped_groups())


def test_a_dashboard_is_linked_with_the_labels_of_the_alert() -> None:
    alert = Alert("A", "sum by (job, component, x) (up) == 0", dashboard="otel-monitoring-overview")
    link = (
        "/d/otel-monitoring-overview?var-job={{ $labels.job | urlquery }}"
        "&var-component={{ $labels.component | urlquery }}"
    )
    assert f'dashboard_url: "{link}"' in rule_file([RuleGroup("g", 60, (alert,))])
    for path in ("/d/x?y=z", "https://elsewhere.example/x"):
        shown = rule_file([RuleGroup("g", 60, (replace(alert, dashboard=path),))])
        assert path in shown


def loaded(prometheus: PrometheusServer) -> dict[str, dict[str, object]]:
    """Return the rules that Prometheus holds, by name."""
    data = cast("dict[str, list[dict[str, list[dict[str, object]]]]]", prometheus.api("rules"))
    return {str(rule["name"]): rule for group in data["groups"] for rule in group["rules"]}


@pytest.mark.programs
@pytest.mark.parametrize("text", [HOSTILE, *WORDS], ids=["hostile", *map(str, range(len(WORDS)))])
def test_prometheus_reads_every_text_as_it_was_written(text: str, prometheus: PrometheusServer, tmp_path: Path) -> None:
    literal = text.replace("{", "(")
    alert = Alert("Hostile", f"vector(1) == {quoted(text)!r:.0}1", labels={"own": literal}, summary=literal, hold="1h")
    record = Record("a:b", f'label_replace(vector(1), "x", {quoted(text)}, "", "")', {"own": text})
    (tmp_path / "rules.yml").write_text(rule_file([RuleGroup(f"g {text}", 60, (record, alert))]), encoding="utf-8")
    prometheus.load(tmp_path / "rules.yml")
    held = wait_until(lambda: loaded(prometheus))
    assert held["a:b"]["labels"] == {"own": text}
    assert held["Hostile"]["labels"] == {"severity": "warning", "own": literal}
    assert held["Hostile"]["annotations"] == {"summary": literal}


@pytest.mark.programs
def test_texts_are_rendered_by_prometheus(tmp_path: Path) -> None:
    """The value is humanised, and the threshold in force is asked for, for a component with quotes in its name."""
    groups = [group for group in shipped_groups() if "errors" in group.name]
    component = 'the \\"best\\" one'
    name = component.replace("\\", "")
    text = f"{name} (otel_monitoring) fails 10% of its operations; its threshold is 5%."
    labels = {"job": "otel_monitoring", "component": name, "severity": "warning", "category": "error"}
    link = "/d/otel-monitoring-overview?var-job=otel_monitoring&var-component=the+%22best%22+one"
    annotations = {
        "summary": f"The error ratio of {name} is above its threshold.",
        "description": text,
        "runbook_url": "docs/runbooks/ComponentErrorRatioHigh.md",
        "dashboard_url": link,
    }
    test = {
        "interval": "1m",
        "input_series": [
            {"series": errors(component), "values": rising(10, 60)},
            {"series": completed(component), "values": rising(100, 60)},
        ],
        "alert_rule_test": [
            {
                "eval_time": "30m",
                "alertname": "ComponentErrorRatioHigh",
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
            }
        ],
    }
    (tmp_path / "rules.yml").write_text(rule_file(groups), encoding="utf-8")
    order = [group.name for group in groups]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "group_eval_order": order, "tests": [test]}
    (tmp_path / "tests.yml").write_text(json.dumps(document), encoding="utf-8")
    command = [find_program("promtool"), "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[AlertmanagerServer]:
    server = AlertmanagerServer(tmp_path)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.mark.programs
def test_alertmanager_receives_what_fires(
    alertmanager: AlertmanagerServer, prometheus: PrometheusServer, tmp_path: Path
) -> None:
    """The whole way: a measurement of the application, a rule of its own, Prometheus, Alertmanager."""
    with kept_logging(), MonitoringService(third_party=False, service_name="outreach", strict=True) as service:
        backlog = service.gauge("job_backlog", labels=("queue",), description="Jobs that wait.")
        job = prometheus.scrape(service.serve(port=0).url)
        own = Alert(
            "BacklogLong",
            f'job_backlog{{job="{job}"}} > 9',
            hold="0s",
            severity="critical",
            summary="{{ $labels.queue }} is long.",
            description="{{ $value | humanize }} jobs wait, where {{ $reference | humanize }} may.",
            reference=Reference("job_backlog:limit"),
        )
        limit = Record("job_backlog:limit", "vector(9)")
        groups = [*shipped_groups(job=job), RuleGroup("own", 10, (limit, own))]
        rules = rule_file(groups).replace('interval: "', 'interval: "1s" # "')
        (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
        prometheus.load(tmp_path / "rules.yml", alertmanager=alertmanager.address)
        backlog.set(12, {"queue": 'the "first"'})

        def arrived() -> dict[str, dict[str, dict[str, str]]]:
            return {alert["labels"]["alertname"]: alert for alert in alertmanager.alerts()}

        wait_until(lambda: arrived().keys() >= {"BacklogLong", "Watchdog"})
        wait_until(lambda: "where 9 may" in arrived()["BacklogLong"]["annotations"]["description"])
        found = arrived()["BacklogLong"]
        assert found["labels"].items() >= {"queue": 'the "first"', "severity": "critical", "job": job}.items()
        assert found["annotations"] == {
            "summary": 'the "first" is long.',
            "description": "12 jobs wait, where 9 may.",
        }
