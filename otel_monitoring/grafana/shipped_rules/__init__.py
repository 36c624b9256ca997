"""The rules that come with the package: the specification's groups of alerts, and what they read."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.objective import Objectives
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.grafana.alert import RuleGroup
from otel_monitoring.grafana.shipped_rules import burn_rates
from otel_monitoring.grafana.shipped_rules.business_rules import business_records, engagement_alerts, score_alerts
from otel_monitoring.grafana.shipped_rules.error_rules import error_alerts, error_records
from otel_monitoring.grafana.shipped_rules.health_rules import (
    component_health_alerts,
    health_records,
    monitoring_alerts,
)
from otel_monitoring.grafana.shipped_rules.performance_rules import (
    latency_alerts,
    performance_records,
    resource_alerts,
)
from otel_monitoring.grafana.shipped_rules.platform_rules import api_alerts, platform_records, rate_limit_alerts
from otel_monitoring.grafana.shipped_rules.terms import Terms, records_with_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JOB = "otel_monitoring"
"""The Prometheus job that is watched where no other is named."""

RUNBOOKS = "docs/runbooks"
"""Where the runbooks are in the repository of this project, for those who publish them nowhere."""


def shipped_groups(
    thresholds: Thresholds | None = None,
    objectives: Objectives | None = None,
    *,
    job: str = JOB,
    runbooks: str = RUNBOOKS,
) -> tuple[RuleGroup, ...]:
    """Return all rules: first what is recorded, then the alerts.

    Args:
        thresholds: the limits; None takes the defaults.
        objectives: what operations promise; None is nothing.
        job: the Prometheus job that is watched.
        runbooks: the URL or the path that the runbooks are below; an alert's is its name and ``.md``. Where
            ``{alert}`` stands in it, the name alone takes its place.
    """
    terms = Terms(
        Thresholds() if thresholds is None else thresholds,
        Objectives() if objectives is None else objectives,
        job=job,
        runbooks=runbooks.rstrip("/"),
    )
    promised = tuple(burn_rates.objective_records(terms))
    burnt = (*burn_rates.component_records(terms), *burn_rates.request_records(terms))
    groups = (
        *error_records(terms),
        *performance_records(terms),
        *platform_records(terms),
        *business_records(terms),
        *health_records(terms),
        RuleGroup("otel_monitoring.objectives", 60, promised),
        RuleGroup("otel_monitoring.slo", 60, burnt),
        RuleGroup("otel_monitoring.alerts.errors", 60, (*error_alerts(terms), *burn_rates.component_alerts(terms))),
        RuleGroup(
            "otel_monitoring.alerts.performance",
            60,
            (*burn_rates.request_alerts(terms), *latency_alerts(terms), *resource_alerts(terms)),
        ),
        RuleGroup("otel_monitoring.alerts.platform", 60, (*rate_limit_alerts(terms), *api_alerts(terms))),
        RuleGroup("otel_monitoring.alerts.business", 60, (*score_alerts(terms), *engagement_alerts(terms))),
        RuleGroup("otel_monitoring.alerts.objectives", 60, tuple(burn_rates.objective_alerts(terms))),
        RuleGroup("otel_monitoring.alerts.health", 60, (*component_health_alerts(terms), *monitoring_alerts(terms))),
    )
    return tuple(group for group in groups if group.rules)


def recorded_series(groups: Iterable[RuleGroup]) -> dict[str, frozenset[str]]:
    """Return the labels of the series that groups record, by name: what ``check_query`` takes as ``recorded``."""
    return records_with_labels(tuple(record for group in groups for record in group.records))


@cache
def shipped_series() -> Mapping[str, frozenset[str]]:
    """Return what the shipped rules record where no operation has an objective; worked out once."""
    return MappingProxyType(recorded_series(shipped_groups()))
