"""Rules as Grafana manages them: what is sent, and that its queries give what the rule file's give."""

from __future__ import annotations

import functools
import json
import re
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest

from otel_monitoring import Latency, MonitoringService, Objective
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.cli.grafana_content import Choice, subject_of
from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana import Alert, Record, Reference, RuleGroup
from otel_monitoring.grafana.alert import DURATION
from otel_monitoring.grafana.found import Folder
from otel_monitoring.grafana.managed_rules import managed_group, managed_groups, rule_uid
from otel_monitoring.grafana.rule_file import rule_file
from otel_monitoring.grafana.shipped_rules import recorded_series, shipped_groups
from tests.logging_state import kept_logging
from tests.rule_scenarios import OBJECTIVES
from tests.servers import Sample, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PrometheusServer

WHERE: dict[str, Any] = {"folder_uid": "otel-monitoring", "datasource_uid": "prometheus"}
HOSTILE = 'a "quoted" \\ back\nnew line {{ brace }} $1 ${2} %s # a:b ünï 𝄞'
LIMIT = Record("queue:jobs:limit", "vector(5)", {"queue": "mail"})
OTHER_LIMIT = Record("queue:jobs:limit", "vector(7)", {"queue": 'a "b" $1'})
RATE = Record("queue:jobs:rate5m", "sum by (queue) (rate(jobs_total[5m]))")
SLOW = Alert(
    "JobsSlow",
    "queue:jobs:rate5m < on (queue) queue:jobs:limit",
    keep_firing_for="10m",
    category="application",
    summary="{{ $labels.queue }} is at {{ $value | humanize }} of {{ $reference | humanize }}.",
    reference=Reference("queue:jobs:limit", ("queue",)),
)
GROUP = RuleGroup("own", 30, (LIMIT, OTHER_LIMIT, RATE, SLOW))


def rules_of(group: dict[str, object]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", group["rules"])


def queries_of(rule: dict[str, Any]) -> dict[str, str]:
    """Return the PromQL of a rule by the refs of its queries."""
    return {query["refId"]: query["model"]["expr"] for query in rule["data"] if "expr" in query["model"]}


def managed(*rules: Alert | Record) -> dict[str, Any]:
    (rule,) = rules_of(managed_group(RuleGroup("g", 60, rules), **WHERE))
    return rule


def test_a_rule_is_as_grafanas_api_takes_it() -> None:
    body = managed_group(GROUP, **WHERE, grafana_url="https://grafana.example")
    (rule,) = rules_of(body)
    limit = (
        '(label_replace(vector(5), "queue", "mail", "", "")\nor\n'
        'label_replace(vector(7), "queue", "a \\"b\\" $$1", "", ""))'
    )
    assert body == {"title": "own", "folderUid": "otel-monitoring", "interval": 30, "rules": [rule]}
    assert rule == {
        "uid": rule_uid(SLOW, "otel-monitoring"),
        "title": "JobsSlow",
        "folderUID": "otel-monitoring",
        "ruleGroup": "own",
        "condition": "C",
        "data": [
            query("A", f"(sum by (queue) (rate(jobs_total[5m]))) < on (queue) {limit}"),
            query("T", f"max by (queue) ({limit})"),
            expression("B", {"type": "reduce", "expression": "A", "reducer": "last"}),
            expression(
                "C",
                {
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": {"type": "gt", "params": [-1e300]}}],
                },
            ),
        ],
        "for": "5m",
        "keep_firing_for": "10m",
        "noDataState": "OK",
        "execErrState": "KeepLast",
        "labels": {"severity": "warning", "category": "application"},
        "annotations": {
            "summary": "{{ $labels.queue }} is at {{ $values.A.Value | humanize }} of "
            "{{ with $values.T }}{{ .Value | humanize }}{{ end }}."
        },
        "isPaused": False,
    }


def query(ref: str, expr: str) -> dict[str, object]:
    return {
        "refId": ref,
        "datasourceUid": "prometheus",
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": {"refId": ref, "expr": expr, "instant": True, "range": False},
    }


def expression(ref: str, model: dict[str, object]) -> dict[str, object]:
    times = {"from": 0, "to": 0}
    return {"refId": ref, "datasourceUid": "__expr__", "relativeTimeRange": times, "model": {"refId": ref, **model}}


def test_the_shipped_rules_keep_within_what_grafana_takes() -> None:
    """What it would refuse, and what it would take though it can never work."""
    bodies = managed_groups(shipped_groups(objectives=OBJECTIVES), **WHERE)
    rules = [rule for body in bodies for rule in rules_of(body)]
    assert len({rule["uid"] for rule in rules}) == len(rules) > 35
    assert len({(rule["ruleGroup"], rule["title"]) for rule in rules}) == len(rules)
    recorded = recorded_series(shipped_groups(objectives=OBJECTIVES))
    for rule in rules:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", rule["uid"])
        assert 0 < len(rule["title"]) <= 190
        assert DURATION.fullmatch(rule["for"])
        assert rule["condition"] in {one["refId"] for one in rule["data"]}
        assert rule["noDataState"] == "OK"
        assert rule["execErrState"] in {"OK", "KeepLast", "Error"}
        assert not any(name in expr for expr in queries_of(rule).values() for name in recorded)
        for text in rule["annotations"].values():
            assert not re.search(r"\$value\b|\$reference|\bquery\b", text)
            assert ("$values.T" in text) <= ("T" in queries_of(rule))
    assert all(cast("int", body["interval"]) % 10 == 0 for body in bodies)
    json.dumps(bodies)


def test_the_title_says_the_name_and_what_tells_it_from_others() -> None:
    bodies = managed_groups(shipped_groups(), **WHERE)
    titles = [rule["title"] for body in bodies for rule in rules_of(body)]
    assert "RateLimitExhausted" in titles
    assert "ComponentErrorRatioHigh (critical)" in titles
    assert "OperationErrorBudgetBurn (critical, 14.4, 1h, 5m, operations)" in titles


def test_a_uid_stays_whatever_is_adjusted() -> None:
    uid = rule_uid(SLOW, "folder")
    assert uid == rule_uid(replace(SLOW, expr="up", hold="1h", summary="Other.", category="x"), "folder")
    assert uid != rule_uid(SLOW, "another")
    assert uid != rule_uid(replace(SLOW, severity="critical"), "folder")
    assert uid == "jobs-slow-" + uid[-12:]
    assert len(rule_uid(Alert("A" * 190, "up"), "folder")) <= 40


def test_groups_that_only_record_give_no_rules() -> None:
    """An empty list would delete nothing and only set the interval."""
    records = RuleGroup("records", 60, (RATE, LIMIT))
    alerts = RuleGroup("alerts", 60, (SLOW,))
    (body,) = managed_groups((records, alerts), **WHERE)
    assert body["title"] == "alerts"
    assert "sum by (queue) (rate(jobs_total[5m]))" in queries_of(rules_of(body)[0])["A"]
    with pytest.raises(QueryError, match="group 'records' has no alerts"):
        managed_group(records, **WHERE)


@pytest.mark.parametrize(
    ("expr", "expanded"),
    [
        ("a:b > 1", "(sum(up)) > 1"),
        ("a:b {} > 1", "(sum(up)) > 1"),
        ("sum by (job) (up) > on () a:b", "sum by (job) (up) > on () (sum(up))"),
        ('up{job="a:b"} > 1', 'up{job="a:b"} > 1'),
        ('label_replace(up, "x", "a:b", "", "")', 'label_replace(up, "x", "a:b", "", "")'),
        ("a:b:c > 1", "a:b:c > 1"),
        ("xa:b > 1", "xa:b > 1"),
        ("rate(x[5m]) > a:b # a:b", "rate(x[5m]) > (sum(up))"),
    ],
)
def test_a_recorded_series_is_replaced_where_it_is_one(expr: str, expanded: str) -> None:
    asked = queries_of(managed(Record("a:b", "sum(up) # of all"), Alert("A", expr)))["A"]
    assert asked == expanded


@pytest.mark.parametrize(
    "expr", ['a:b{job="x"} > 1', "a:b offset 5m > 1", "max_over_time(a:b[5m]) > 1", "a:b @ end()", '{__name__="a:b"}']
)
def test_what_cannot_be_replaced_is_refused(expr: str) -> None:
    with pytest.raises(QueryError, match="alert 'A': 'a:b' is a recorded series"):
        managed(Record("a:b", "sum(up)"), Alert("A", expr))


def test_records_may_read_each_other_in_any_order() -> None:
    asked = queries_of(managed(Record("a:b", "c:d * 2"), Record("c:d", "sum(up)"), Alert("A", "a:b > 1")))["A"]
    assert asked == "((sum(up)) * 2) > 1"


def test_a_record_that_reads_itself_is_refused() -> None:
    with pytest.raises(QueryError, match="record 'a:b' reads itself, through a:b and c:d"):
        managed(Record("a:b", "c:d * 2"), Record("c:d", "a:b"), Alert("A", "a:b > 1"))


@pytest.mark.programs
def test_what_a_record_is_labelled_with_is_the_same_to_the_letter(prometheus: PrometheusServer) -> None:
    rule = managed(Record("a:b", "vector(1)", {"own": HOSTILE}), Alert("A", "a:b > 0"))
    (found,) = prometheus.query(queries_of(rule)["A"])
    assert found.labels == {"own": HOSTILE}


def test_labels_that_are_called_as_a_series_is_are_left_alone() -> None:
    asked = queries_of(managed(Record("queue", "vector(1)"), Alert("A", "sum by (queue) (up) > on (queue) up")))["A"]
    assert asked == "sum by (queue) (up) > on (queue) up"


def test_a_text_that_grafana_cannot_fill_is_refused() -> None:
    with pytest.raises(QueryError, match=r"alert 'A': .*Grafana's templates cannot tell that"):
        managed(Alert("A", "up", summary='{{ with query "up" }}{{ . | first | value }}{{ end }}'))


def test_what_shows_that_alerts_arrive_stops_where_nothing_can_be_asked() -> None:
    bodies = managed_groups(shipped_groups(), **WHERE)
    states = {rule["title"]: rule["execErrState"] for body in bodies for rule in rules_of(body)}
    assert states["Watchdog"] == "OK"
    assert states["MonitoringTargetDown"] == "Error"
    assert states["RateLimitExhausted"] == "KeepLast"


# The whole way, from measurements of an application to the queries of both kinds of rules.

EAGER = {
    "error_ratio": 1e-6,
    "error_ratio.worker": 2e-6,
    "error_ratio_critical_most": 1e-5,
    "operations_minimum": 0.01,
    "budget_errors_minimum": 0.01,
    "budget_requests_minimum": 0.01,
    "requests_minimum": 0.01,
    "processing_minimum": 0.01,
    "processing_time_seconds": 1,
    "memory_ratio": 1e-9,
    "cpu_percent": 1e-9,
    "stale_seconds": 1e-3,
    "rate_limit_hits": 0.01,
    "rate_limit_ratio": 0.999,
    "api_requests_minimum": 0.01,
    "prospect_score": 0.9,
    "scores_minimum": 0.01,
    "outreach_minimum": 0.01,
    "export_failures": 0.01,
}
NOT_AT_ONCE = {
    "ComponentErrorBurst",  # only where nothing is completed
    "ComponentMemoryExhaustionForecast",  # looks half an hour back
    "EngagementRateDrop",  # looks a week back
    "EngagementVolumeDrop",
    "ComponentStoppedReporting",  # there
    "MonitoringTargetDown",  # up
    "MonitoringTargetAbsent",
    "SloIndicatorMissing",  # the bound is there
}
NEEDS_A_WEEK = {"job_platform_metric_type:engagement_per_sent:ratio6h_1w_ago"}


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with kept_logging(), MonitoringService(third_party=False, service_name="worker", max_series=20) as service:
        yield service


def work(service: MonitoringService, number: int) -> None:
    """Do a little of everything that is measured, and most of it badly."""
    scores = {"platform": "linkedin", "score_type": "fit"}
    objective = Objective(success=0.99, latency=Latency(seconds=2.5, share=0.95))
    with suppress(ZeroDivisionError), service.operation("draft", component="writer", objective=objective):
        _ = 1 / 0
    with service.operation("draft", component="writer"):
        pass
    with suppress(ZeroDivisionError), service.operation("fetch"):
        _ = 1 / 0
    with service.operation("fetch"):
        pass
    service.record_metric("request_duration_seconds", 9.0, {"endpoint": "/a", "method": "GET"})
    for component in ("writer", "worker"):
        for _ in range(10):
            service.record_metric("processing_time_seconds", 70.0, {"operation": "draft", "component": component})
    service.record_rate_limit("x", "api", max(0, 5 - number), 4_000_000_000, limit=1000)
    service.record_rate_limit("y", "api", 900_000 - number * 9000, 4_000_000_000, limit=1_000_000)
    service.record_metric("api_requests_total", 1, {"platform": "x", "outcome": "timeout"})
    service.record_metric("api_request_duration_seconds", 100.0, {"platform": "x"})
    service.record_metric("prospect_score", 0.1 + number % 2 / 10, scores)
    service.record_metric("outreach_attempts_total", 1, {"platform": "x", "outcome": "sent"})
    service.record_metric("outreach_attempts_total", 1, {"platform": "z", "outcome": "sent"})
    service.record_metric("engagement_total", 1, {"platform": "z", "metric_type": "reply"})
    service.record_metric("monitoring_export_failures_total", 1, {"exporter": "pushgateway"})
    service.record_metric("conversions_total", 1, {"platform": f"p{number}", "conversion_type": "signup"})


@pytest.mark.programs
def test_every_query_gives_data_where_there_should_be_and_the_same_in_both_kinds_of_rules(
    monitoring: MonitoringService, prometheus: PrometheusServer, tmp_path: Path
) -> None:
    work(monitoring, 0)
    job = prometheus.scrape(monitoring.serve(port=0).url, interval="500ms")
    groups = shipped_groups(Thresholds.read(dict(EAGER)), monitoring.objectives, job=job)
    (tmp_path / "rules.yml").write_text(
        rule_file(groups).replace('interval: "', 'interval: "1s" # "'), encoding="utf-8"
    )
    prometheus.load(tmp_path / "rules.yml")
    done = threading.Event()

    def go_on() -> None:
        for number in count(1):
            work(monitoring, number)
            if done.wait(0.05):
                return

    worker = threading.Thread(target=go_on)
    worker.start()
    try:
        for name in recorded_series(groups):
            if name not in NEEDS_A_WEEK and not name.startswith("otel_monitoring:error_ratio"):
                prometheus.wait_for(f'{name}{{job="{job}"}}')
        rules = [rule for body in managed_groups(groups, **WHERE) for rule in rules_of(body)]
        alerts = [alert for group in groups for alert in group.alerts]
        for alert, rule in zip(alerts, rules, strict=True):
            wait_until(functools.partial(agree, prometheus, alert, queries_of(rule)))
    finally:
        done.set()
        worker.join()
        prometheus.forget()


def agree(prometheus: PrometheusServer, alert: Alert, asked: dict[str, str]) -> bool:
    """Tell whether both queries of an alert are about the same things, about any where there should be some.

    Each of them has its reference, where the texts name one.
    """
    found = things(prometheus.query(asked["A"]))
    references = prometheus.query(asked["T"]) if "T" in asked else [Sample({}, 0)]
    return (
        found == things(prometheus.query(alert.expr))
        and bool(found) == (alert.name not in NOT_AT_ONCE)
        and all(matches(thing, references) for thing in found)
    )


def things(samples: list[Sample]) -> set[frozenset[tuple[str, str]]]:
    """Return what a result is about, without the names of recorded series."""
    return {frozenset((key, value) for key, value in one.labels.items() if key != "__name__") for one in samples}


def matches(thing: frozenset[tuple[str, str]], references: list[Sample]) -> bool:
    """Tell whether Grafana finds a reference for a thing: one whose labels are among the thing's."""
    return any(frozenset(one.labels.items()) <= thing for one in references)


@pytest.mark.parametrize(
    ("runbooks", "annotation", "link"),
    [
        (None, "runbook", "docs/runbooks/Watchdog.md"),
        ("https://git.example/runbooks", "runbook_url", "https://git.example/runbooks/Watchdog.md"),
        ("https://wiki.example/{alert}", "runbook_url", "https://wiki.example/Watchdog"),
    ],
    ids=["unknown", "below", "placeholder"],
)
def test_an_alert_links_to_its_runbook_where_that_is_published(
    runbooks: str | None, annotation: str, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting says where; a path in the repository is no link, which Grafana would make of it."""
    if runbooks is not None:
        monkeypatch.setenv("OTEL_MONITORING_RUNBOOKS_URL", runbooks)
    content = subject_of(Choice()).content
    (desired,) = [
        one for one in content.desired(Folder(uid="f", title="F"), datasource_uid="p").groups if "health" in one.name
    ]
    (watchdog,) = [rule for rule in desired.rules if rule["title"] == "Watchdog"]
    annotations = cast("dict[str, str]", watchdog["annotations"])
    assert {name: text for name, text in annotations.items() if "runbook" in name} == {annotation: link}
    written = content.rule_file(grafana_url="")
    assert re.search(rf'runbook_url: "?{re.escape(link)}"?$', written, re.MULTILINE)
