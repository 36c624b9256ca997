"""The row of the System Overview on error budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue.objective import BURN_RATES, budget_of
from otel_monitoring.grafana.dashboard import Row
from otel_monitoring.grafana.panel import Panel, Target
from otel_monitoring.grafana.shipped_dashboards.overview_series import ONLY_COMPONENT
from otel_monitoring.grafana.shipped_rules.burn_rates import LATENCY_BUDGET, SUCCESS_BUDGET
from otel_monitoring.grafana.shipped_rules.terms import number

if TYPE_CHECKING:
    from otel_monitoring.catalogue.objective import Objectives
    from otel_monitoring.catalogue.thresholds import Thresholds

BURN_WINDOWS = tuple(rate.long for rate in BURN_RATES)
BURN_COLORS = dict(
    zip(sorted(rate.factor for rate in BURN_RATES), ("yellow", "orange", "red", "dark-red"), strict=True)
)

NO_RULES = "No data: are the recording rules loaded?"


def objectives_row(thresholds: Thresholds, objectives: Objectives) -> Row:
    """Return the row on error budgets."""
    success, latency = budget_of(thresholds.success_objective), budget_of(thresholds.latency_objective)
    panels = [
        _burning(
            "Operation error budget burn",
            f'max(job_component:operation_errors:ratio_rate%s{{component=~"$component"}}) / {number(success)}',
            "1 spends the budget exactly in 30 days; 14.4 spends it in 50 hours, and alerts at once.",
        ),
        _burning(
            "Latency budget burn",
            f"max(job:slow_requests:ratio_rate%s) / {number(latency)}",
            f"The same for requests slower than {thresholds.latency_objective_seconds:g} s.",
        ),
    ]
    if any(one.objective.success is not None for one in objectives):
        panels.append(_promised("Success", "job_component_operation:operation_errors:ratio_rate1h", SUCCESS_BUDGET))
    if any(one.objective.latency is not None for one in objectives):
        panels.append(_promised("Latency", "job_component_operation:slow_operations:ratio_rate1h", LATENCY_BUDGET))
    return Row("Objectives", *panels)


def _burning(title: str, expr: str, description: str) -> Panel:
    return Panel(
        title,
        [Target(expr % window, window) for window in BURN_WINDOWS],
        minimum=0,
        thresholds=BURN_COLORS,
        empty=NO_RULES,
        description=description,
    )


def _promised(what: str, ratio: str, budget: str) -> Panel:
    selected = 'job=~"$job", component=~"$component"'
    on = "job, component, operation"
    return Panel(
        f"{what} budget burn by operation",
        Target(
            f"max by (component, operation) ({ratio}{{{selected}}} / on ({on}) {budget}{{{selected}}})",
            "{{component}}/{{operation}}",
        ),
        minimum=0,
        thresholds=BURN_COLORS,
        links=ONLY_COMPONENT,
        empty=NO_RULES,
        description="Over the last hour, of the operations that have an objective of their own.",
    )
