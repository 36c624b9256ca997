"""The limits behind each alert are found by changing them."""

from __future__ import annotations

from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.grafana import Alert, Record, RuleGroup
from otel_monitoring.grafana.sensitivity import thresholds_behind
from otel_monitoring.grafana.shipped_rules import shipped_groups


def test_each_limit_is_behind_an_alert() -> None:
    """A threshold that no alert depends on, through whatever is recorded, could be left out."""
    behind = thresholds_behind(shipped_groups)
    used = {row.name for rows in behind.values() for row in rows}
    assert used == {row.name for row in Thresholds.table()}
    assert [row.name for row in behind["PlatformApiLatencyHigh"]] == ["api_latency_seconds", "api_requests_minimum"]
    assert "error_ratio" in {row.name for row in behind["ComponentErrorRatioHigh"]}, "through the recorded threshold"
    assert "Watchdog" not in behind


def test_a_limit_may_stand_in_a_text_alone() -> None:
    """An alert that only tells of a limit depends on it as well; one that shares nothing does not."""

    def groups(thresholds: Thresholds) -> list[RuleGroup]:
        told = Alert("Told", "up == 0", summary=f"More than {thresholds.cpu_percent} %.")
        limit = Record("limit", f"vector({thresholds.error_burst})")
        return [RuleGroup("all", 60, (limit, told, Alert("Reads", "limit > 1"), Alert("Free", "up == 1")))]

    names = {name: [row.name for row in rows] for name, rows in thresholds_behind(groups).items()}
    assert names == {"Told": ["cpu_percent"], "Reads": ["error_burst"]}
