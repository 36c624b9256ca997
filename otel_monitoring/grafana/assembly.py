"""Puts a dashboard together: its marks and links, and where each panel stands."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import DEPLOYMENT_TAG, FIRING, TAG
from otel_monitoring.grafana.drawing import DATASOURCE, draw
from otel_monitoring.grafana.foundation import (
    JSONEncoder,
    common_models,
    dashboard_models,
)
from otel_monitoring.grafana.foundation import dashboard as builders
from otel_monitoring.grafana.panel import GRID_COLUMNS, PanelKind
from otel_monitoring.grafana.selections import dashboard_variables
from otel_monitoring.grafana.selectors import find_selectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_monitoring.catalogue import Catalogue
    from otel_monitoring.grafana.dashboard import Dashboard, Row
    from otel_monitoring.grafana.panel import Link, Panel

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
        .variables([*dashboard_variables(dashboard, catalogue)])
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
    # As a target the query is no valid dashboard: the schema wants there what Grafana's own annotations have.
    return (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .hide(hide=False)
        .icon_color("red")
        .expr(f"max by (alertname, severity, component, platform) ({FIRING})")
        .step("60s")
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
