"""The shipped rules, run by Prometheus's own programs: what must raise an alert does, and nothing else."""

from __future__ import annotations

import functools
import re
import subprocess
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.catalogue.objective import BURN_RATES, BurnRate, DeclaredObjective, Latency, Objective, Objectives
from otel_monitoring.catalogue.shipped import PROCESSING_TIME, PROSPECT_SCORE_DISTRIBUTION, REQUEST_DURATION
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.alert import identity
from otel_monitoring.grafana.alert_text import labels_named
from otel_monitoring.grafana.check import check_query
from otel_monitoring.grafana.expansion import Definitions
from otel_monitoring.grafana.result_labels import result_labels
from otel_monitoring.grafana.rule_file import rule_file
from otel_monitoring.grafana.shipped_rules import recorded_series, shipped_groups
from otel_monitoring.grafana.shipped_rules.burn_rates import burn_limit
from tests.rule_scenarios import JOB, OBJECTIVES, SCENARIOS, Scenario
from tests.rule_tests import alone, as_test, is_meant, run_promtool, the_alert
from tests.servers import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_monitoring.catalogue.thresholds import ThresholdRow
    from otel_monitoring.grafana import Alert, RuleGroup
    from otel_monitoring.metrics import Registry

ERRORS = {"ComponentErrorRatioHigh", "ComponentErrorBurst", "OperationErrorBudgetBurn"}
RESPONSE_TIME = {
    "RequestLatencyHigh",
    "RequestLatencyBudgetBurn",
    "OperationLatencyBudgetBurn",
    "OperationProcessingSlow",
    "SloIndicatorMissing",
    "PlatformApiLatencyHigh",
    "PlatformApiErrorRatioHigh",
}
RESOURCES = {
    "ComponentMemoryHigh",
    "ComponentMemoryExhaustionForecast",
    "ComponentCpuHigh",
    "ComponentStoppedReporting",
    "ComponentStale",
}
RATE_LIMITS = {"RateLimitExhausted", "RateLimitExhaustionForecast", "RateLimitHitsHigh"}
BUSINESS = {
    "ProspectScoreBelowThreshold",
    "ProspectLowScoreShareHigh",
    "EngagementRateDrop",
    "EngagementVolumeDrop",
    "EngagementStalled",
}
HEALTH = {
    "MonitoringTargetDown",
    "MonitoringTargetAbsent",
    "MonitoringSeriesOverflow",
    "MonitoringExportFailing",
    "Watchdog",
}
OTHER_VALUES = {
    "latency_objective_seconds": (REQUEST_DURATION.buckets[-5],),
    "low_score": (PROSPECT_SCORE_DISTRIBUTION.buckets[4],),
    "success_objective": (0.9897, 0.9903),
    "latency_objective": (0.9485, 0.9515),
}
"""For thresholds that must be buckets another bucket, for shares that are to succeed another share that may fail."""

HOSTILE = 'a "quoted" \\ back\nnew line {{ brace }} $1 %s # ünï 𝄞'

GROUPS = shipped_groups(objectives=OBJECTIVES)
ALERTS = [alert for group in GROUPS for alert in group.alerts]


def alert_id(alert: Alert) -> str:
    return "-".join((alert.name, alert.severity, *(alert.labels.get(name, "") for name in ("slo", "long")))).strip("-")


def together() -> dict[str, list[Scenario]]:
    """Return the scenarios that one run of promtool can take: those of one alert with the same thresholds."""
    found: dict[str, list[Scenario]] = defaultdict(list)
    for scenario in SCENARIOS:
        own = "-".join(f"{name}={value}" for name, value in scenario.thresholds.items())
        which = "-".join(scenario.which.values())
        found["-".join(filter(None, (scenario.alert, which, own)))].append(scenario)
    return dict(found)


@functools.cache
def groups_with(**thresholds: float) -> tuple[RuleGroup, ...]:
    return shipped_groups(Thresholds.read(thresholds), OBJECTIVES)


def run_scenarios(folder: Path, groups: tuple[RuleGroup, ...], scenarios: list[Scenario]) -> str:
    alert = the_alert(groups, scenarios[0])
    tests = [as_test(scenario, alert, Definitions(groups)) for scenario in scenarios]
    return run_promtool(folder, alone(groups, alert), tests, step=scenarios[0].step)


@pytest.mark.programs
@pytest.mark.parametrize("scenarios", together().values(), ids=together().keys())
def test_an_alert_fires_when_it_must_in_that_minute_and_at_no_other_time(
    scenarios: list[Scenario], tmp_path: Path
) -> None:
    groups = groups_with(**scenarios[0].thresholds)
    assert run_scenarios(tmp_path, groups, scenarios) == ""


@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_each_alert_has_what_must_raise_it_and_what_must_not(alert: Alert) -> None:
    about = [scenario for scenario in SCENARIOS if is_meant(alert, scenario)]
    assert any(scenario.since is not None for scenario in about)
    assert alert.name == "Watchdog" or any(scenario.since is None for scenario in about)


@pytest.mark.programs
@pytest.mark.heavy
@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_another_limit_or_another_hold_of_an_alert_is_found(alert: Alert, tmp_path: Path) -> None:
    """The scenarios are tight: with a threshold three in a hundred off, or held a step longer or shorter, one fails."""
    batches = [batch for batch in together().values() if is_meant(alert, batch[0])]
    for what, hold, threshold in otherwise(alert, batches[0][0].step):
        assert any(is_noticed(tmp_path, batch, hold, threshold) for batch in batches), f"{what} goes unnoticed"


def otherwise(alert: Alert, step: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Go through what may be otherwise: how long it is held, and each threshold that its rules read."""
    minutes = {"0s": 0, "1h": 60, "3h": 180}.get(alert.hold) or int(alert.hold.rstrip("ms"))
    if alert.name != "Watchdog":
        yield from ((f"held {other}m", f"{other}m", {}) for other in (minutes - step, minutes + step) if other >= 0)
    for row in Thresholds.table():
        for value in other_values(row.name, row.default):
            if exprs(groups_with(**{row.name: value}), alert) != exprs(GROUPS, alert):
                yield f"{row.name}={value}", alert.hold, {row.name: value}


def is_noticed(folder: Path, batch: list[Scenario], hold: str, threshold: dict[str, float]) -> bool:
    """Tell whether a scenario of a batch fails, the first ones first: these lie beside the limits."""
    groups = groups_with(**batch[0].thresholds, **threshold)
    alert = the_alert(groups, batch[0])
    changed = put_in_place(groups, alert, replace(alert, hold=hold))
    return any(run_scenarios(folder, changed, part) for part in (batch[:4], batch[4:]) if part)


def put_in_place(groups: tuple[RuleGroup, ...], alert: Alert, other: Alert) -> tuple[RuleGroup, ...]:
    return tuple(
        replace(group, rules=tuple(other if rule == alert else rule for rule in group.rules)) for group in groups
    )


def other_values(name: str, default: float) -> tuple[float, ...]:
    return OTHER_VALUES.get(name, (default * 0.97, default * 1.03))


def exprs(groups: tuple[RuleGroup, ...], alert: Alert) -> list[str]:
    """Return the queries that an alert and what it reads have in these groups."""
    rules = {identity(rule): rule.expr for group in groups for rule in group.rules}
    return [rules[name] for name in read_by(alert_id(alert))]


@functools.cache
def read_by(alert: str) -> tuple[str, ...]:
    (found,) = [one for one in ALERTS if alert_id(one) == alert]
    return tuple(identity(rule) for group in alone(GROUPS, found) for rule in group.rules)


@pytest.mark.programs
def test_nothing_fires_where_nothing_is_measured(tmp_path: Path) -> None:
    """A target that shows no metrics yet raises nothing but what always fires."""
    quiet: dict[str, object] = {
        "interval": "10m",
        "input_series": [{"series": f'up{{job="{JOB}",instance="a"}}', "values": "1+0x30"}],
        "promql_expr_test": [
            {"expr": 'count_over_time(ALERTS{alertname!="Watchdog"}[5h])', "eval_time": "300m", "exp_samples": []}
        ],
    }
    assert run_promtool(tmp_path, GROUPS, [quiet], step=10) == ""


def test_the_alerts_are_those_that_runbooks_know() -> None:
    names = {alert.name for alert in ALERTS}
    assert names == ERRORS | RESPONSE_TIME | RESOURCES | RATE_LIMITS | BUSINESS | HEALTH


@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_each_alert_says_how_bad_for_whom_what_and_where_to_look(alert: Alert) -> None:
    assert alert.category in {"error", "performance", "platform", "business", "meta"}
    assert alert.summary.endswith(".")
    assert alert.runbook_url == f"docs/runbooks/{alert.name}.md"
    assert alert.dashboard.startswith("otel-monitoring-")
    if alert.name not in {"Watchdog", "MonitoringTargetAbsent", "ComponentStoppedReporting"}:
        assert "$value |" in alert.description


@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_texts_name_only_labels_that_the_result_has(alert: Alert, registry: Registry) -> None:
    recorded = recorded_series(GROUPS)

    def labels_of(name: str) -> frozenset[str] | None:
        declared = registry.catalogue.find(name)
        if declared is None:
            return recorded.get(name, frozenset({"job", "instance"}))
        return frozenset({*declared.prometheus_labels, "job", "instance", "le"})

    there = result_labels(alert.expr, labels_of)
    assert there is not None
    for text in alert.texts.values():
        assert set(labels_named(text)) <= there
    if alert.reference is not None:
        assert set(alert.reference.labels) <= there
        assert set(alert.reference.labels) == recorded[alert.reference.series]


def test_each_query_names_only_what_the_catalogue_or_a_rule_holds(registry: Registry) -> None:
    recorded = recorded_series(GROUPS)
    for group in GROUPS:
        for rule in group.rules:
            check_query(rule.expr, registry.catalogue, where=rule.name, recorded=recorded)


def test_a_record_stands_above_those_that_read_it() -> None:
    seen: set[str] = set()
    recorded = set(recorded_series(GROUPS))
    for group in GROUPS:
        for rule in group.rules:
            read = {name for name in recorded if name in rule.expr and f"{name}_" not in rule.expr}
            assert read <= seen, rule
            if rule in group.records:
                seen.add(rule.name)


@pytest.mark.programs
def test_promtool_takes_the_rules_whatever_the_names_are(tmp_path: Path) -> None:
    hostile = Objectives(
        [
            DeclaredObjective(HOSTILE, HOSTILE, Objective(success=0.99, latency=Latency(seconds=bound, share=0.95)))
            for bound in PROCESSING_TIME.buckets[:1]
        ]
    )
    thresholds = Thresholds.read({f"error_ratio.{HOSTILE}": 0.5, f"prospect_score.{HOSTILE}.b": 0.1})
    rules = rule_file(shipped_groups(thresholds, hostile, job=HOSTILE, runbooks="https://runbooks.example/"))
    (tmp_path / "rules.yml").write_text(rules, encoding="utf-8")
    done = subprocess.run(
        [find_program("promtool"), "check", "rules", "--lint-fatal", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_job_that_is_named_is_watched() -> None:
    groups = shipped_groups(objectives=OBJECTIVES, job="outreach")
    rules = [rule for group in groups for rule in group.rules]
    assert not any(f'"{JOB}"' in rule.expr or JOB in rule.labels.values() for rule in rules)
    selectors = [found for rule in rules for found in re.findall(r"[a-z_]+\{[^}]*\}", rule.expr)]
    assert selectors
    assert all('{job="outreach"' in selector for selector in selectors)


def test_a_limit_is_written_to_its_last_digit() -> None:
    text = rule_file(shipped_groups(Thresholds.read({"error_ratio": 0.999_999_9, "stale_seconds": 1_234_567.25})))
    assert "0.9999999 * group" in text
    assert "1234567.25 * group" in text


def test_without_objectives_there_are_no_rules_about_them() -> None:
    plain = shipped_groups()
    assert not any("objectives" in group.name for group in plain)
    assert "operation_success" not in rule_file(plain)


def test_the_windows_and_factors_are_those_of_the_workbook() -> None:
    assert [(rate.factor, rate.long, rate.short) for rate in BURN_RATES] == [
        (14.4, "1h", "5m"),
        (6, "6h", "30m"),
        (3, "1d", "2h"),
        (1, "3d", "6h"),
    ]


@pytest.mark.parametrize(
    ("factor", "budget", "limit"),
    [(14.4, 0.01, "0.144"), (6, 0.05, "0.3"), (1, 0.0001, "0.0001"), (14.4, 0.001, "0.0144")],
)
def test_a_burn_limit_is_what_decimal_fractions_give(factor: float, budget: float, limit: str) -> None:
    assert burn_limit(BurnRate(factor=factor, long="1h", short="5m", hold="2m", severity="critical"), budget) == limit


def test_a_burn_rate_that_can_never_be_reached_is_refused() -> None:
    with pytest.raises(QueryError, match=r"cannot burn 14\.4 times too fast: 1\.44 of all would have to fail"):
        burn_limit(BURN_RATES[0], 0.1)


def test_rules_are_the_same_each_time() -> None:
    assert shipped_groups(objectives=OBJECTIVES) == GROUPS
    assert rule_file(shipped_groups(objectives=OBJECTIVES)) == rule_file(GROUPS)


@pytest.mark.parametrize("row", Thresholds.table(), ids=lambda row: row.name)
def test_every_threshold_is_read_by_a_rule(row: ThresholdRow) -> None:
    value, *_ = other_values(row.name, row.default)
    assert rule_file(shipped_groups(Thresholds.read({row.name: value}))) != rule_file(shipped_groups())
