"""Scenarios as ``promtool test rules`` runs them: one alert with what it reads, in a folder of its own."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_monitoring.grafana.rule_file import rule_file
from tests.servers import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from otel_monitoring.grafana import Alert, RuleGroup
    from otel_monitoring.grafana.expansion import Definitions
    from tests.rule_scenarios import Scenario


def is_meant(alert: Alert, scenario: Scenario) -> bool:
    """Tell whether a scenario is about an alert."""
    return alert.name == scenario.alert and scenario.which.items() <= alert.all_labels.items()


def the_alert(groups: Iterable[RuleGroup], scenario: Scenario) -> Alert:
    """Return the alert that a scenario is about."""
    (found,) = [alert for group in groups for alert in group.alerts if is_meant(alert, scenario)]
    return found


def alone(groups: Sequence[RuleGroup], alert: Alert) -> tuple[RuleGroup, ...]:
    """Return the groups with one alert, and with what it reads."""
    needed = {alert.expr} | ({alert.reference.series} if alert.reference else set())
    kept: list[RuleGroup] = []
    for group in reversed(groups):
        rules = []
        for rule in reversed(group.rules):
            name = getattr(rule, "name", "")
            if rule == alert or (rule in group.records and any(_names(text, name) for text in needed)):
                rules.append(rule)
                needed.add(rule.expr)
        if rules:
            kept.append(replace(group, rules=tuple(reversed(rules))))
    return tuple(reversed(kept))


def _names(text: str, series: str) -> bool:
    return re.search(rf"(?<![\w:]){re.escape(series)}(?![\w:])", text) is not None


def run_promtool(
    folder: Path, groups: Sequence[RuleGroup], tests: Sequence[dict[str, object]], *, step: int = 1
) -> str:
    """Run tests of rules; return what is wrong, nothing where all is well."""
    (folder / "rules.yml").write_text(rule_file(groups), encoding="utf-8")
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{step}m",
        "group_eval_order": [group.name for group in groups],
        "tests": tests,
    }
    (folder / "tests.yml").write_text(json.dumps(document), encoding="utf-8")
    command = [find_program("promtool"), "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def as_test(scenario: Scenario, alert: Alert, definitions: Definitions) -> dict[str, object]:
    """Return a scenario as promtool reads it.

    Where it fires, the query that needs no recorded series gives exactly the same.
    """
    own = "".join(f',{name}="{value}"' for name, value in sorted(alert.all_labels.items()))
    firing = f'ALERTS{{alertname="{alert.name}",alertstate="firing"{own}}}'
    labels = {"alertname": alert.name, "alertstate": "firing", **scenario.labels, **alert.all_labels}
    told = "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
    checks: list[dict[str, object]] = []

    def expect(minute: int, expr: str, *samples: dict[str, object]) -> None:
        checks.append({"expr": expr, "eval_time": f"{minute}m", "exp_samples": list(samples)})

    before = scenario.until if scenario.since is None else scenario.since - scenario.step
    if before >= scenario.quiet_from:
        expect(before, f"count_over_time({firing}[{before - scenario.quiet_from + 1}m])")
    if scenario.since is not None:
        expect(scenario.since, firing, {"labels": told, "value": 1})
        plain = definitions.expanded(alert.expr, where=alert.name)
        expect(scenario.since, f"({alert.expr}) unless (({alert.expr}) == ({plain}))")
        expect(scenario.since, f"({plain}) unless ({alert.expr})")
    if scenario.ends is not None:
        expect(scenario.ends - scenario.step, firing, {"labels": told, "value": 1})
        expect(scenario.ends, firing)
    given = [{"series": name, "values": values} for name, values in scenario.series.items()]
    return {"name": scenario.id, "interval": f"{scenario.step}m", "input_series": given, "promql_expr_test": checks}
