"""Where Alertmanager sends what fires, and what it keeps back: its configuration."""

from __future__ import annotations

DAY = "24h"
RECEIVERS = ("default", "pager", "growth", "dead_mans_switch")
"""Who is told: of what nobody else takes, at once, of the business, and that alerting works at all."""

NOBODY = "nobody"


def alertmanager_config(webhook: str | None = None) -> dict[str, object]:
    """Return Alertmanager's configuration; its matchers need version 0.22.

    Args:
        webhook: an address that all who are told are told by; without it alerts are shown, and sent nowhere.
    """
    receivers = [_receiver(name, webhook) for name in RECEIVERS]
    return {"route": _route(), "inhibit_rules": _inhibitions(), "receivers": [*receivers, {"name": NOBODY}]}


def _receiver(name: str, webhook: str | None) -> dict[str, object]:
    sent = {"webhook_configs": [{"url": webhook, "send_resolved": True}]} if webhook else {}
    return {"name": name, **sent}


def _route() -> dict[str, object]:
    return {
        "receiver": "default",
        # Not by component or endpoint: one failure is one message.
        "group_by": ["alertname", "job", "platform"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [
            _branch('alertname="Watchdog"', "dead_mans_switch", group_wait="0s", repeat_interval="5m"),
            _branch('category="business"', "growth", repeat_interval=DAY),  # pages nobody, whatever its severity
            _branch('severity="critical"', "pager", repeat_interval="1h"),
            _branch('severity="info"', NOBODY),  # for dashboards only
        ],
    }


def _branch(matcher: str, receiver: str, **times: str) -> dict[str, object]:
    return {"matchers": [matcher], "receiver": receiver, **times}


def _inhibitions() -> list[dict[str, object]]:
    return [
        # Of a job that is not seen nothing else can be judged.
        _inhibition(
            ['alertname="MonitoringTargetAbsent"'], ['alertname!~"MonitoringTarget.*|Watchdog"'], equal=["job"]
        ),
        # Of one thing that is wrong the worse alert is enough.
        _inhibition(
            ['severity="critical"'],
            ['severity=~"warning|info"'],
            equal=["alertname", "job", "component", "operation", "slo"],
        ),
        # A burning budget is the symptom; that the ratio is high adds nothing.
        _inhibition(
            ['alertname="OperationErrorBudgetBurn"', 'severity="critical"'],
            ['alertname="ComponentErrorRatioHigh"'],
            equal=["job", "component"],
        ),
        # An empty quota explains what is held back, what was forecast, and what nobody reacts to.
        _inhibition(
            ['alertname="RateLimitExhausted"'],
            ['alertname=~"RateLimitExhaustionForecast|RateLimitHitsHigh|Engagement.*"'],
            equal=["job", "platform"],
        ),
        _inhibition(['alertname="PlatformApiErrorRatioHigh"'], ['category="business"'], equal=["job", "platform"]),
    ]


def _inhibition(source: list[str], target: list[str], *, equal: list[str]) -> dict[str, object]:
    return {"source_matchers": source, "target_matchers": target, "equal": equal}
