"""Puts a dashboard together: its selections, marks and links, and where each panel stands."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Kind
from otel_monitoring.exceptions import DashboardError
from otel_monitoring.grafana.dashboard import TAG, Variable
from otel_monitoring.grafana.drawing import DATASOURCE, draw
from otel_monitoring.grafana.foundation import (
    JSONEncoder,
    common_models,
    dashboard_models,
    prometheus,
)
from otel_monitoring.grafana.foundation import dashboard as builders
from otel_monitoring.grafana.panel import GRID_COLUMNS, PanelKind
from otel_monitoring.grafana.selectors import SCOPE, find_selectors, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.dashboard import Dashboard, Row
    from otel_monitoring.grafana.panel import Link, Panel

DEPLOYMENT_TAG = "deployment"
"""Of the annotations in Grafana that say that a version went out."""

FOUND_BY = "monitoring_series"
"""Every service of ours shows it, and nothing else does: where jobs and instances are found."""

ALL_VALUES = ".+"

WIDTHS = {PanelKind.STAT: 4, PanelKind.STATE_TIMELINE: GRID_COLUMNS}
HEIGHTS = {PanelKind.STAT: 4}
WIDTH = 12
HEIGHT = 8
"""In columns of 24 and in units of 30 pixels."""

Place = dashboard_models.GridPos


def assemble(dashboard: Dashboard, catalogue: Catalogue) -> dict[str, object]:
    """Return a dashboard's classic JSON model, with sorted keys and without ``id`` and ``version``.

    Raises:
        DashboardError: where a variable's values come from cannot be known.
    """
    builder = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(sorted({TAG, *dashboard.tags}))
        .readonly()
        .timezone("browser")
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .time(dashboard.start, "now")
        .refresh(dashboard.refresh)
        .variables([*_variables(dashboard, catalogue)])
        .annotations([_deployments(), _alerts()])
        .links([_others(), *map(_link, dashboard.links)])
    )
    _lay_out(builder, dashboard, catalogue)
    model: dict[str, object] = json.loads(
        JSONEncoder(sort_keys=True).encode(builder.build()), object_pairs_hook=_without_placement
    )
    return model


def _without_placement(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # The builders put links and marks into a menu; without a word on it they stand above the panels.
    return dict(pair for pair in pairs if pair != ("placement", "inControlsMenu"))


def _variables(
    dashboard: Dashboard, catalogue: Catalogue
) -> Iterator[builders.DatasourceVariable | builders.QueryVariable]:
    yield builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield _values("job", f"label_values({FOUND_BY}, job)")
    yield _values("instance", f'label_values({FOUND_BY}{{job=~"$job"}}, instance)')
    for variable in _selections(dashboard, catalogue):
        yield _values(variable.label, _values_of(variable), title=variable.title)


def _values(label: str, query: str, *, title: str = "") -> builders.QueryVariable:
    return (
        builders.QueryVariable(label)
        .label(title or label.replace("_", " ").capitalize())
        .datasource(DATASOURCE)
        .query(query)
        .definition(query)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(ALL_VALUES)
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
            if value in {f"${label}", f"${{{label}}}"} and label not in SCOPE:
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


def _deployments() -> builders.AnnotationQuery:
    tagged = builders.AnnotationTarget().limit(100).match_any(match_any=False).tags([DEPLOYMENT_TAG]).type("tags")
    return (
        builders.AnnotationQuery()
        .name("Deployments")
        .datasource(common_models.DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .enable(enable=True)
        .hide(hide=False)
        .icon_color("blue")
        .target(tagged)  # type: ignore[arg-type]  # Grafana's own annotations are asked for by tags
    )


def _alerts() -> builders.AnnotationQuery:
    firing = (
        prometheus.Dataquery()
        .ref_id("Anno")
        .expr('max by (alertname, severity, component, platform) (ALERTS{job=~"$job", alertstate="firing"})')
        .range()
        .interval("1m")
    )
    return (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .hide(hide=False)
        .icon_color("red")
        .target(firing)
        .title_format("{{alertname}}")
        .text_format("{{severity}} {{component}} {{platform}}")
        .tag_keys("severity,component,platform")
    )


def _others() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Dashboards")
        .type(dashboard_models.DashboardLinkType.DASHBOARDS)
        .icon("external link")
        .tags([TAG])
        .as_dropdown(as_dropdown=False)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
        .target_blank(target_blank=False)
    )


def _link(link: Link) -> builders.DashboardLink:
    return (
        builders.DashboardLink(link.title)
        .type(dashboard_models.DashboardLinkType.LINK)
        .icon("external link")
        .url(link.url)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
        .target_blank(target_blank=False)
    )


def _lay_out(builder: builders.Dashboard, dashboard: Dashboard, catalogue: Catalogue) -> None:
    number, top = 1, 0
    for row in dashboard.rows:
        heading = builders.Row(row.title).id(number).collapsed(row.collapsed)
        heading.grid_pos(Place(x=0, y=top, w=GRID_COLUMNS, h=1))
        places = list(_places(row, top=top + 1))
        panels = [
            draw(
                panel,
                number=number + 1 + index,
                place=place,
                description=panel.description or _help(panel, catalogue),
                step=dashboard.step_at_least,
            )
            for index, (panel, place) in enumerate(zip(row.panels, places, strict=True))
        ]
        for panel in panels if row.collapsed else ():
            heading.with_panel(panel)
        builder.with_row(heading)
        for panel in () if row.collapsed else panels:
            builder.with_panel(panel)
        number += 1 + len(panels)
        top = max((place.y + place.h for place in places), default=top + 1)


def _places(row: Row, *, top: int) -> Iterator[Place]:
    """Give each panel its place: from left to right, and each line as wide as the dashboard."""
    for line in _lines(row.panels):
        widths = [_width(panel) for panel in line]
        edges = [round(GRID_COLUMNS * edge / sum(widths)) for edge in accumulate(widths, initial=0)]
        height = max(panel.height or HEIGHTS.get(panel.shown_as, HEIGHT) for panel in line)
        for left, right in pairwise(edges):
            yield Place(x=left, y=top, w=right - left, h=height)
        top += height


def _lines(panels: Sequence[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if line and sum(map(_width, line)) + _width(panel) > GRID_COLUMNS:
            yield line
            line = []
        line.append(panel)
    if line:
        yield line


def _width(panel: Panel) -> int:
    return panel.width or WIDTHS.get(panel.shown_as, WIDTH)


def _help(panel: Panel, catalogue: Catalogue) -> str:
    """Return what the catalogue says of the metrics that a panel reads, or else the panel's title."""
    selectors = [selector for target in panel.targets for selector in find_selectors(target.expr)]
    found = [declaration for selector in selectors if (declaration := catalogue.find(selector.metric)) is not None]
    said = dict.fromkeys(declaration.description for declaration in found if declaration.description)
    return " ".join(said) or f"{panel.title}."
