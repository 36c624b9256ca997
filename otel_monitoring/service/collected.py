"""The dashboards and alerts that an application has added, each checked when it is added."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from otel_monitoring.exceptions import AlertError, DashboardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.dashboard import Dashboard

T = TypeVar("T")


class Collected(Generic[T]):
    """What has been added, in its order; safe to use from several threads.

    Args:
        catalogue: the metrics that queries may name.
        examine: refuses what is of a wrong type or asks for what is not there, and returns what
            no two may have in common, with words for it.
        refusal: what a second one with the same is refused with.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        examine: Callable[[T, Catalogue], tuple[str, str]],
        refusal: type[DashboardError | AlertError],
    ) -> None:
        self._catalogue = catalogue
        self._examine = examine
        self._refusal = refusal
        self._lock = threading.Lock()
        self._members: dict[str, T] = {}

    def add(self, member: T) -> T:
        """Add one and return it; one that equals it is not added twice.

        Raises:
            DashboardError: it is no dashboard, or another one has its uid.
            AlertError: it is no alert, or another one has its name and labels.
            QueryError: a query names what the catalogue does not hold.
        """
        identity, words = self._examine(member, self._catalogue)
        with self._lock:
            there = self._members.setdefault(identity, member)
        if there != member:
            raise self._refusal(f"{words} is taken by another that was added before: give this one another")
        return member

    def __iter__(self) -> Iterator[T]:
        """Go through them in the order in which they were added."""
        with self._lock:
            return iter(tuple(self._members.values()))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._members)

    def __repr__(self) -> str:
        """Name them."""
        return f"<{len(self)} added: {', '.join(self._members)}>"


def collected_dashboards(catalogue: Catalogue) -> Collected[Dashboard]:
    """Return where dashboards are added to; no two have the same uid."""
    return Collected(catalogue, _examine_dashboard, DashboardError)


def collected_alerts(catalogue: Catalogue) -> Collected[Alert]:
    """Return where alerts are added to; no two have the same name and labels."""
    return Collected(catalogue, _examine_alert, AlertError)


def _examine_dashboard(dashboard: Dashboard, catalogue: Catalogue) -> tuple[str, str]:
    from otel_monitoring.grafana.dashboard import Dashboard

    if not isinstance(dashboard, Dashboard):
        raise DashboardError(
            f"{_shown(dashboard)} is no dashboard: write Dashboard('Jobs', rows=[…]), or give a dictionary to "
            f"create_grafana_dashboard()"
        )
    for panel in dashboard.panels:
        for target in panel.targets:
            where = f"dashboard {dashboard.title!r}, panel {panel.title!r}"
            check_asked(target.expr, catalogue, where=where)
    return dashboard.uid, f"the uid {dashboard.uid!r} of dashboard {dashboard.title!r}"


def _examine_alert(alert: Alert, catalogue: Catalogue) -> tuple[str, str]:
    from otel_monitoring.grafana.alert import Alert, identity

    if not isinstance(alert, Alert):
        raise AlertError(
            f"{_shown(alert)} is no alert: write Alert('JobsStuck', 'promql'), or give a dictionary to "
            f"create_grafana_alert()"
        )
    check_asked(alert.expr, catalogue, where=f"alert {alert.name!r}")
    return identity(alert), f"the identity {identity(alert)} of an alert"


def check_asked(expr: str, catalogue: Catalogue, *, where: str) -> None:
    """Hold a query to the catalogue, and to what the rules of the package record.

    Raises:
        QueryError: it is no PromQL, or names what is not there; the message begins with ``where``.
        ExtraMissingError: otel-monitoring[grafana] is not installed.
    """
    from otel_monitoring.grafana.extra import needing_extra

    with needing_extra("checking a query"):
        from otel_monitoring.grafana.check import check_query
        from otel_monitoring.grafana.shipped_rules import shipped_series
    check_query(expr, catalogue, where=where, recorded=shipped_series())


def _shown(value: object) -> str:
    return f"a {type(value).__name__}"
