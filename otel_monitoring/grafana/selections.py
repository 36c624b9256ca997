"""The variables of a dashboard: what can be selected above its panels, and where the values come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Kind
from otel_monitoring.exceptions import DashboardError
from otel_monitoring.grafana.dashboard import ALWAYS_THERE, Variable
from otel_monitoring.grafana.drawing import DATASOURCE
from otel_monitoring.grafana.foundation import dashboard as builders
from otel_monitoring.grafana.foundation import dashboard_models
from otel_monitoring.grafana.selectors import SCOPE, find_selectors, named_variables, narrowed, variables_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.dashboard import Dashboard

FOUND_BY = "monitoring_series"
"""Every service of ours shows it, and nothing else does: where jobs and instances are found."""

ALL_TARGETS = ".+"
ALL_VALUES = ".*"
"""What All stands for; of a label it takes in what does not have it, as what a metric adds up when it overflows."""


def dashboard_variables(
    dashboard: Dashboard, catalogue: Catalogue
) -> Iterator[builders.DatasourceVariable | builders.QueryVariable]:
    """Give the builders of all variables, in their order.

    Raises:
        DashboardError: a query names one that is not there, or where its values come from cannot be known.
    """
    yield builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield _values("job", f"label_values({FOUND_BY}, job)")
    yield _values("instance", f'label_values({FOUND_BY}{{job=~"$job"}}, instance)')
    selections = list(_selections(dashboard, catalogue))
    _refuse_undefined(dashboard, {*SCOPE, *(variable.label for variable in selections)})
    for variable in selections:
        yield _values(variable.label, _values_of(variable), title=variable.title)


def _refuse_undefined(dashboard: Dashboard, defined: set[str]) -> None:
    for panel in dashboard.panels:
        for name in sorted({name for target in panel.targets for name in named_variables(target.expr)} - defined):
            raise DashboardError(
                f"dashboard {dashboard.title!r}: panel {panel.title!r} uses ${name}, which is none of its variables: "
                f'{", ".join(sorted(defined))}; only a label can be one: {name}=~"${name}"'
            )


def _values(label: str, query: str, *, title: str = "") -> builders.QueryVariable:
    return (
        builders.QueryVariable(label)
        .label(title or label.replace("_", " ").capitalize())
        .datasource(DATASOURCE)
        .query(query)
        .definition(query)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(ALL_TARGETS if label in SCOPE else ALL_VALUES)
        .current(dashboard_models.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_models.VariableSort.NATURAL_ASC)
    )


def _values_of(variable: Variable) -> str:
    names = variable.metrics
    series = names[0] if len(names) == 1 else f'{{__name__=~"{"|".join(names)}"}}'
    return f"label_values({narrowed(series)}, {variable.label})"


def _selections(dashboard: Dashboard, catalogue: Catalogue) -> Iterator[Variable]:
    """Name the variables besides those of jobs and instances: those asked for, then those only used."""
    used = _used(dashboard, catalogue)
    asked = [Variable(one) if isinstance(one, str) else one for one in dashboard.variables]
    labels = {variable.label for variable in asked}
    for variable in (*asked, *(Variable(label) for label in used if label not in labels)):
        metrics = variable.metrics or tuple(used.get(variable.label, ()))
        if not metrics:
            raise DashboardError(
                f"dashboard {dashboard.title!r}: nothing says where the values of ${variable.label} come from: "
                f'compare a label with it in a query, {variable.label}=~"${variable.label}", or name the metrics: '
                f"Variable({variable.label!r}, ('jobs_total',))"
            )
        yield replace(variable, metrics=metrics)


def _used(dashboard: Dashboard, catalogue: Catalogue) -> dict[str, list[str]]:
    """Return the labels that queries compare with a variable of their name, and of which metrics."""
    used: dict[str, list[str]] = {}
    targets = (target for panel in dashboard.panels for target in panel.targets)
    for selector in (selector for target in targets for selector in find_selectors(target.expr)):
        for label, _, value in selector.matchers:
            if label in variables_in(value) and label not in ALWAYS_THERE:
                used.setdefault(label, []).append(_one_sample_name(selector.metric, catalogue))
    return {label: _sources(metrics) for label, metrics in used.items()}


def _sources(metrics: Sequence[str]) -> list[str]:
    # What rules record has the same values, later and without the instance.
    once = [metric for metric in dict.fromkeys(metrics) if metric]
    return [metric for metric in once if ":" not in metric] or once[:1]


def _one_sample_name(metric: str, catalogue: Catalogue) -> str:
    declaration = catalogue.find(metric)
    if declaration is None or declaration.kind is not Kind.HISTOGRAM:
        return metric
    return f"{declaration.prometheus_name}_count"
