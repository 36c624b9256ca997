"""Runbooks: for each alert a page on what it means and what to do, most of it made from the alert itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_monitoring.grafana.alert_text import labels_named
from otel_monitoring.grafana.promql import metric_name, parse_query, selectors
from otel_monitoring.grafana.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.catalogue.thresholds import ThresholdRow
    from otel_monitoring.grafana.alert import Alert, Record, RuleGroup

HAND_BEGIN = "<!-- by hand: begin -->"
HAND_END = "<!-- by hand: end -->"
"""What stands between the two is kept when a page is made anew."""

NOTE = "<!-- Made by `nox -s generate` from the code; only what stands between the marks is written by hand. -->"

_HAND = re.compile(f"{re.escape(HAND_BEGIN)}\n(.*?){re.escape(HAND_END)}", re.DOTALL)
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_NOTHING_YET = "## Causes and remedies\n\nNothing has been written yet.\n"


@dataclass(frozen=True, slots=True)
class Runbooks:
    """What the runbooks are made of.

    Args:
        catalogue: the metrics.
        groups: all rules.
        thresholds: the limits that each alert depends on, by its name.
        dashboards: titles of the dashboards, by uid.
    """

    catalogue: Catalogue
    groups: tuple[RuleGroup, ...]
    thresholds: Mapping[str, Sequence[ThresholdRow]]
    dashboards: Mapping[str, str]

    def by_name(self) -> dict[str, tuple[Alert, ...]]:
        """Return the alerts by name, in their order: one name may have several severities."""
        names: dict[str, tuple[Alert, ...]] = {}
        for alert in (alert for group in self.groups for alert in group.alerts):
            names[alert.name] = (*names.get(alert.name, ()), alert)
        return names

    def page(self, name: str, *, before: str = "") -> str:
        """Return the runbook of an alert.

        Args:
            name: of the alert.
            before: the page as it was, from which the part that is written by hand is kept.
        """
        alerts = self.by_name()[name]
        parts = [
            NOTE,
            f"# {name}",
            _readable(alerts[0].summary),
            _severities(alerts),
            "## What it asks",
            *self._queries(alerts),
            self._metrics(alerts),
            *self._limits(name),
            "## First steps",
            self._steps(alerts),
            f"{HAND_BEGIN}\n{hand_written(before) or _NOTHING_YET}{HAND_END}",
        ]
        return "\n\n".join(filter(None, parts)) + "\n"

    def index(self) -> str:
        """Return the page that lists all runbooks."""
        rows = [
            f"| [{name}]({name}.md) | {', '.join(dict.fromkeys(one.severity for one in alerts))} "
            f"| {_readable(alerts[0].summary)} |"
            for name, alerts in self.by_name().items()
        ]
        head = "| Alert | Severity | Says |\n| --- | --- | --- |\n"
        return f"{NOTE}\n\n# Runbooks\n\nWhat each alert means, and what to do.\n\n{head}" + "\n".join(rows) + "\n"

    def _queries(self, alerts: tuple[Alert, ...]) -> Iterator[str]:
        exprs = dict.fromkeys(alert.expr.strip() for alert in alerts)
        for expr in exprs:
            told = [f"`{one.severity}` after {one.hold}" for one in alerts if one.expr.strip() == expr]
            yield (f"{', '.join(told)}:\n\n" if len(exprs) > 1 else "") + _block(expr)
        for record in self._records(exprs):
            yield f"`{record.name}` is recorded:\n\n{_block(record.expr.strip())}"

    def _records(self, exprs: Iterable[str]) -> list[Record]:
        """Return the recorded series that queries read, and those behind them."""
        recorded = {record.name: record for group in self.groups for record in group.records}
        wanted: dict[str, Record] = {}
        waiting = list(exprs)
        while waiting:
            for selector in selectors(parse_query(waiting.pop(0), where="rule")):
                record = recorded.get(metric_name(selector) or "")
                if record is not None and record.name not in wanted:
                    wanted[record.name] = record
                    waiting.append(record.expr)
        return list(wanted.values())

    def _metrics(self, alerts: tuple[Alert, ...]) -> str:
        readers = usage_of(self.catalogue, (), self.groups).alerts
        names = [metric for metric, found in readers.items() if any(one.name == alerts[0].name for one in found)]
        shown = ", ".join(f"`{name}`" for name in sorted(names))
        return f"It reads {shown}; see [Metrics](../metrics.md)." if shown else ""

    def _limits(self, name: str) -> Iterator[str]:
        rows = self.thresholds.get(name, ())
        if not rows:
            return
        yield "## Limits"
        yield "| Threshold | Default | Unit | Meaning |\n| --- | --- | --- | --- |\n" + "\n".join(
            f"| `{row.name}` | {row.default:g} | {row.unit} | {row.meaning} |" for row in rows
        )
        scoped = next((row for row in rows if row.scope), None)
        single = (
            f"; `{'.'.join((scoped.name, *(f'<{label}>' for label in scoped.scope)))}` for one alone" if scoped else ""
        )
        yield f"They are given in the setting `thresholds`: `{rows[0].name}={rows[0].default:g}`{single}."

    def _steps(self, alerts: tuple[Alert, ...]) -> str:
        alert = alerts[0]
        named = dict.fromkeys(label for text in alert.texts.values() for label in labels_named(text))
        title = self.dashboards.get(alert.dashboard, "")
        steps = []
        if title:
            steps.append(f"Open the dashboard {title} (`/d/{alert.dashboard}`), with the time at which it began.")
        if named:
            steps.append(f"See whom it is about: the alert carries {', '.join(f'`{label}`' for label in named)}.")
        steps.append("Run the query above without its comparison, over some hours: since when is it so?")
        if "component" in named:
            steps.append("List what failed: `otel-monitoring errors list --since 2h --component <component>`.")
        return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def hand_written(page: str) -> str:
    """Return the part of a page that is written by hand, empty where it has none."""
    found = _HAND.search(page)
    return found[1] if found else ""


def _severities(alerts: tuple[Alert, ...]) -> str:
    rows = [f"| {one.severity} | {_after(one)} | {_readable(one.description)} |" for one in alerts]
    return "| Severity | Fires | Says |\n| --- | --- | --- |\n" + "\n".join(rows)


def _after(alert: Alert) -> str:
    begins = "at once" if alert.hold in {"0", "0s"} else f"after {alert.hold}"
    return f"{begins}, and for {alert.keep_firing_for} longer" if alert.keep_firing_for else begins


def _readable(template: str) -> str:
    """Return a template with words in italics in the place of what is filled in."""

    def word(action: re.Match[str]) -> str:
        named = labels_named(action[0])
        if named:
            return f"*{named[0]}*"
        return "*limit*" if "$reference" in action[1] else "*value*"

    return _ACTION.sub(word, template)


def _block(expr: str) -> str:
    return f"```promql\n{expr}\n```"
