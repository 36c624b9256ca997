"""A dashboard of the metrics that the user has declared, which nobody has to write."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.grafana.dashboard import Dashboard, Row, uid_of
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.units import grafana_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.catalogue import Catalogue, Declaration

OWN = "otel-monitoring-own"
"""The uid of the dashboard where no service is named."""

SERIES_AT_MOST = 20
"""What a panel shows of a metric with many series: the largest of the whole range."""

_ROWS: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {
        "Rates": (Kind.COUNTER,),
        "Distributions": (Kind.HISTOGRAM,),
        "Values": (Kind.GAUGE, Kind.UP_DOWN_COUNTER),
    }
)
_SHIPPED = frozenset(declaration.name for declaration in SHIPPED)
_WINDOW = "[$__rate_interval]"


def own_metrics_dashboard(catalogue: Catalogue, service: str | None = None) -> Dashboard | None:
    """Return a dashboard with a panel for each metric that does not come with the package.

    Args:
        catalogue: what is declared.
        service: whose metrics they are; it tells the dashboards of several services in one Grafana apart.

    Returns:
        None where nothing is declared besides what comes with the package.
    """
    own = [declaration for declaration in catalogue if declaration.name not in _SHIPPED]
    rows = [_row(title, own, kinds) for title, kinds in _ROWS.items()]
    shown = [row for row in rows if row.panels]
    if not shown:
        return None
    title, uid = (
        ("Own metrics", OWN) if service is None else (f"Own metrics of {service}", uid_of(f"{service} own metrics"))
    )
    return Dashboard(title, shown, uid=uid, description="Every metric that the application declares itself.")


def _row(title: str, declared: Iterable[Declaration], kinds: tuple[Kind, ...]) -> Row:
    return Row(title, *(_panel(declaration) for declaration in declared if declaration.kind in kinds))


def _panel(declaration: Declaration) -> Panel:
    usual = declaration.usual()
    target = Target(_largest(usual.expr, declaration.prometheus_labels), usual.legend)
    return Panel(usual.title, target, unit=grafana_unit(usual.unit), description=usual.description)


def _largest(expr: str, labels: tuple[str, ...]) -> str:
    if not labels:
        return expr
    at_end = expr.replace(_WINDOW, "[$__range] @ end()") if _WINDOW in expr else expr.replace("}", "} @ end()")
    return f"{expr} and on ({', '.join(labels)}) topk({SERIES_AT_MOST}, {at_end})"
