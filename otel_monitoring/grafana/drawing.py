"""Draws panels with Grafana's foundation SDK; how they look is said here once."""

from __future__ import annotations

from string import ascii_uppercase
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from otel_monitoring.grafana.foundation import (
    bargauge,
    common,
    common_models,
    dashboard_models,
    heatmap,
    heatmap_models,
    prometheus,
    prometheus_models,
    stat,
    statetimeline,
    table,
    timeseries,
)
from otel_monitoring.grafana.foundation import dashboard as builders
from otel_monitoring.grafana.panel import PanelKind
from otel_monitoring.grafana.units import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_monitoring.grafana.panel import Link, Panel, Target

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""What the selection above the dashboard names."""

Override = dashboard_models.DynamicConfigValue

LEGEND_BELOW = ("lastNotNull", "max")
"""What the legend of a panel with several series says of each."""

_DASHED = (Override("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}), Override("custom.fillOpacity", 0))
_SERIES_VALUE = "${__field.labels.%s:percentencode}"
_CELL_VALUE = "${__value.text:percentencode}"


PanelBuilder = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | heatmap.Panel | statetimeline.Panel
B = TypeVar("B", timeseries.Panel, stat.Panel, bargauge.Panel, statetimeline.Panel)


def draw(panel: Panel, *, number: int, place: dashboard_models.GridPos, description: str, step: str) -> PanelBuilder:
    """Return the builder of a panel, with everything but its dashboard set.

    Args:
        panel: what it shows.
        number: its id on the dashboard.
        place: where it is on the grid.
        description: what it tells.
        step: the shortest time between two points; empty leaves it to Grafana.
    """
    builder = _KINDS[panel.shown_as](panel)
    builder.id(number).title(panel.title).description(description).datasource(DATASOURCE).grid_pos(place)
    builder.unit(panel.unit).thresholds(_thresholds(panel))
    if step:
        builder.interval(step)
    if panel.minimum is not None:
        builder.min(panel.minimum)
    if panel.maximum is not None:
        builder.max(panel.maximum)
    if panel.empty:
        builder.no_value(panel.empty)
    if panel.texts:
        builder.mappings([_texts(panel)])
    for ref_id, target in zip(ascii_uppercase, panel.targets, strict=False):
        builder.with_target(_query(panel, target, ref_id))
    for name, color in panel.colors.items():
        builder.override_by_name(name, [_fixed(color)])
    return builder


def _time_series(panel: Panel) -> timeseries.Panel:
    builder = (
        timeseries.Panel()
        .legend(_legend(panel))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .show_points(common_models.VisibilityMode.AUTO)
        .line_width(1)
        .fill_opacity(25 if panel.filled else 0)
    )
    if panel.thresholds:
        builder.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.LINE))
    if panel.stacked:
        builder.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80)
        builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if panel.steps:
        builder.line_interpolation(common_models.LineInterpolation.STEP_AFTER)
    if panel.logarithmic:
        builder.scale_distribution(common.ScaleDistributionConfig().type(common_models.ScaleDistribution.LOG).log(10))
    return _with_overrides(builder, panel)


def _stat(panel: Panel) -> stat.Panel:
    sparkline = not any(_is_instant(panel, target) for target in panel.targets)
    builder = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003 (their signature)
        .graph_mode(common_models.BigValueGraphMode.AREA if sparkline else common_models.BigValueGraphMode.NONE)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .text_mode(common_models.BigValueTextMode.AUTO)
    )
    return _with_overrides(builder, panel)


def _bar_gauge(panel: Panel) -> bargauge.Panel:
    builder = (
        bargauge.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))  # noqa: FBT003 (their signature)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
    )
    return _with_overrides(builder, panel)


def _table(panel: Panel) -> table.Panel:
    builder = table.Panel().filterable(True)  # noqa: FBT003 (their signature)
    several = len(panel.targets) > 1
    if several:
        builder.with_transformation(dashboard_models.DataTransformerConfig("merge", options={}))
    columns = {
        (f"Value #{ref_id}" if several else "Value"): target.legend or "Value"
        for ref_id, target in zip(ascii_uppercase, panel.targets, strict=False)
    }
    organized = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": columns}
    builder.with_transformation(dashboard_models.DataTransformerConfig("organize", options=organized))
    headings = list(columns.values())
    builder.sort_by([common.TableSortByFieldState().display_name(headings[0]).desc(True)])  # noqa: FBT003 (their signature)
    for heading, target in zip(headings, panel.targets, strict=True):
        if target.unit:
            builder.override_by_name(heading, [Override("unit", target.unit)])
    for label, link in panel.links.items():
        builder.override_by_name(label, [_links(link, _CELL_VALUE)])
    return builder


def _heatmap(panel: Panel) -> heatmap.Panel:
    colors = (
        heatmap.HeatmapColorOptions()
        .mode(heatmap_models.HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )
    return (
        heatmap.Panel()
        .calculate(False)  # noqa: FBT003 (their signature)
        .color(colors)
        .cell_gap(1)
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .cell_values(heatmap.CellValues().unit(PLAIN))
    )


def _state_timeline(panel: Panel) -> statetimeline.Panel:
    builder = (
        statetimeline.Panel()
        .show_value(common_models.VisibilityMode.NEVER)
        .merge_values(True)  # noqa: FBT003 (their signature)
        .row_height(0.8)
        .fill_opacity(80)
    )
    return _with_overrides(builder, panel)


_KINDS: Mapping[PanelKind, Callable[[Panel], PanelBuilder]] = MappingProxyType(
    {
        PanelKind.TIME_SERIES: _time_series,
        PanelKind.STAT: _stat,
        PanelKind.TABLE: _table,
        PanelKind.BAR_GAUGE: _bar_gauge,
        PanelKind.HEATMAP: _heatmap,
        PanelKind.STATE_TIMELINE: _state_timeline,
    }
)


def _query(panel: Panel, target: Target, ref_id: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(ref_id).expr(target.expr).datasource(DATASOURCE)
    query.legend_format(target.legend or "__auto").format(_FORMATS.get(panel.shown_as, _TIME_SERIES))
    if _is_instant(panel, target):
        return query.instant()
    query.range()
    if _shows_exemplars(panel, target):
        query.exemplar(True)  # noqa: FBT003 (their signature)
    return query


_TIME_SERIES = prometheus_models.PromQueryFormat.TIME_SERIES
_FORMATS = MappingProxyType(
    {
        PanelKind.TABLE: prometheus_models.PromQueryFormat.TABLE,
        PanelKind.HEATMAP: prometheus_models.PromQueryFormat.HEATMAP,
    }
)


def _is_instant(panel: Panel, target: Target) -> bool:
    # A sum over the selected range means something at the range's end only.
    return panel.shown_as.at_one_time or (panel.shown_as is PanelKind.STAT and "$__range" in target.expr)


def _shows_exemplars(panel: Panel, target: Target) -> bool:
    # All percentiles of a histogram have the same exemplars: once is enough.
    quantiles = [one for one in panel.targets if "histogram_quantile(" in one.expr]
    return panel.shown_as is PanelKind.TIME_SERIES and target in quantiles[:1]


def _legend(panel: Panel) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).placement(common_models.LegendPlacement.BOTTOM)  # noqa: FBT003 (their signature)
    if any("{{" in target.legend or not target.legend for target in panel.targets):
        return legend.display_mode(common_models.LegendDisplayMode.TABLE).calcs(list(LEGEND_BELOW))
    return legend.display_mode(common_models.LegendDisplayMode.LIST).calcs([])


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    lowest = panel.base_color or ("transparent" if panel.shown_as is PanelKind.TIME_SERIES else "green")
    steps = [dashboard_models.Threshold(value=None, color=lowest)]
    steps += [dashboard_models.Threshold(value=value, color=color) for value, color in panel.thresholds.items()]
    return builders.ThresholdsConfig().mode(dashboard_models.ThresholdsMode.ABSOLUTE).steps(steps)


def _texts(panel: Panel) -> dashboard_models.ValueMap:
    shown = enumerate(panel.texts.items())
    return dashboard_models.ValueMap(
        {
            f"{value:g}": dashboard_models.ValueMappingResult(text=text.text, color=text.color, index=index)
            for index, (value, text) in shown
        }
    )


def _properties(panel: Panel, target: Target) -> Iterator[Override]:
    if target.dashed:
        yield from _DASHED
    if target.color:
        yield _fixed(target.color)
    if target.unit:
        yield Override("unit", target.unit)
    for label, link in panel.links.items():
        yield _links(link, _SERIES_VALUE % label)


def _with_overrides(builder: B, panel: Panel) -> B:
    for ref_id, target in zip(ascii_uppercase, panel.targets, strict=False):
        properties = list(_properties(panel, target))
        if properties:
            builder.override_by_query(ref_id, properties)
    return builder


def _links(link: Link, value: str) -> Override:
    return Override("links", [{"title": link.title, "url": link.url.replace("{value}", value)}])


def _fixed(color: str) -> Override:
    return Override("color", {"mode": "fixed", "fixedColor": color})
