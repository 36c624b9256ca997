"""Where each metric is used: the panels that show it and the alerts that read it, through recorded series too."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.promql import metric_name, parse_query, selectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.alert import Alert, RuleGroup
    from otel_monitoring.grafana.dashboard import Dashboard


@dataclass(frozen=True, slots=True)
class Shown:
    """One place where a metric is shown.

    Attributes:
        uid: of the dashboard.
        dashboard: its title.
        panel: the title of the panel.
    """

    uid: str
    dashboard: str
    panel: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses what, by the Prometheus name of the metric.

    Attributes:
        shown: the panels that show it.
        alerts: the alerts that read it.
    """

    shown: Mapping[str, tuple[Shown, ...]]
    alerts: Mapping[str, tuple[Alert, ...]]


def usage_of(catalogue: Catalogue, dashboards: Iterable[Dashboard], groups: Iterable[RuleGroup]) -> Usage:
    """Return where the metrics of a catalogue are used; what is no PromQL uses nothing."""
    all_groups = tuple(groups)
    behind = _behind_records(catalogue, all_groups)
    shown: defaultdict[str, dict[Shown, None]] = defaultdict(dict)
    for place, expr in _panel_queries(dashboards):
        for name in _metrics_in(expr, catalogue, behind):
            shown[name][place] = None
    alerts: defaultdict[str, dict[str, Alert]] = defaultdict(dict)
    for alert in (alert for group in all_groups for alert in group.alerts):
        for name in _metrics_in(alert.expr, catalogue, behind):
            alerts[name].setdefault(alert.name, alert)
    return Usage(
        {name: tuple(places) for name, places in shown.items()},
        {name: tuple(by_name.values()) for name, by_name in alerts.items()},
    )


def _panel_queries(dashboards: Iterable[Dashboard]) -> Iterator[tuple[Shown, str]]:
    for dashboard in dashboards:
        for panel in dashboard.panels:
            place = Shown(dashboard.uid, dashboard.title, panel.title)
            yield from ((place, target.expr) for target in panel.targets)


def _behind_records(catalogue: Catalogue, groups: Iterable[RuleGroup]) -> dict[str, frozenset[str]]:
    """Return the metrics behind each recorded series; a rule may only read what was recorded above it."""
    behind: dict[str, frozenset[str]] = {}
    for record in (record for group in groups for record in group.records):
        behind[record.name] = behind.get(record.name, frozenset()) | _metrics_in(record.expr, catalogue, behind)
    return behind


def _metrics_in(expr: str, catalogue: Catalogue, behind: Mapping[str, frozenset[str]]) -> frozenset[str]:
    try:
        tree = parse_query(expr, where="query")
    except QueryError:
        return frozenset()
    found: set[str] = set()
    for name in filter(None, map(metric_name, selectors(tree))):
        declaration = catalogue.find(name)
        found |= behind.get(name, frozenset()) if declaration is None else {declaration.prometheus_name}
    return frozenset(found)
