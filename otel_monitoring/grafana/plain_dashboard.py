"""Dashboards as plain dictionaries: what people leave out is filled in, what they write stays."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import count
from string import ascii_uppercase
from typing import TYPE_CHECKING, cast

from otel_monitoring.exceptions import DashboardError

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, object]

PANEL_WIDTH = 12
PANEL_HEIGHT = 8
ROW_HEIGHT = 1
FULL_WIDTH = 24
SCHEMA_VERSION = 39
"""The newest form that all servers since Grafana 11 know."""


def completed(spec: Mapping[str, object], *, datasource_uid: str) -> Json:
    """Return a dashboard in which each panel has a place, a kind, a number and a datasource.

    Args:
        spec: the dashboard, as Grafana's JSON model.
        datasource_uid: the Prometheus for panels that name none.

    Raises:
        DashboardError: it has no title, or something in it is no panel.
    """
    _refuse_misfit(spec)
    dashboard = copy.deepcopy(dict(spec))
    dashboard.setdefault("schemaVersion", SCHEMA_VERSION)
    panels = cast("list[Json]", dashboard.setdefault("panels", []))
    _number(panels)
    _place(panels)
    for panel in _every(panels):
        _complete(panel, {"type": "prometheus", "uid": datasource_uid})
    return dashboard


def _refuse_misfit(spec: Mapping[str, object]) -> None:
    title = spec.get("title")
    if not isinstance(title, str) or not title.strip():
        wrapped = isinstance(spec.get("dashboard"), Mapping)
        right = "give what stands in 'dashboard'" if wrapped else "write text, as {'title': 'System Overview', …}"
        raise DashboardError(f"a dashboard's title is {title!r}: {right}")
    panels = spec.get("panels", [])
    if not isinstance(panels, list | tuple):
        raise DashboardError(f"dashboard {title!r}: panels are {panels!r}: write a list of dictionaries")
    for number, panel in enumerate(cast("list[object]", panels), 1):
        if not isinstance(panel, Mapping):
            raise DashboardError(
                f"dashboard {title!r}, panel {number}: {panel!r} is no dictionary: write it as "
                f"{{'title': 'Errors', 'targets': [{{'expr': 'sum(rate(system_errors_total[5m]))'}}]}}"
            )


def _every(panels: list[Json]) -> Iterator[Json]:
    for panel in panels:
        yield panel
        inner = panel.get("panels")
        if isinstance(inner, list):
            yield from (one for one in cast("list[Json]", inner) if isinstance(one, dict))


def _number(panels: list[Json]) -> None:
    taken = {panel["id"] for panel in _every(panels) if isinstance(panel.get("id"), int) and panel["id"]}
    free = (number for number in count(1) if number not in taken)
    for panel in _every(panels):
        if not panel.get("id"):
            panel["id"] = next(free)


def _place(panels: list[Json]) -> None:
    """Put panels without a place below those that have one, two beside each other."""
    top = max((_bottom(panel) for panel in panels), default=0)
    left = 0
    for panel in panels:
        if isinstance(panel.get("gridPos"), dict):
            continue
        if panel.get("type") == "row":
            top, left = top + (PANEL_HEIGHT if left else 0), 0
            panel["gridPos"] = {"x": 0, "y": top, "w": FULL_WIDTH, "h": ROW_HEIGHT}
            top += ROW_HEIGHT
            continue
        panel["gridPos"] = {"x": left, "y": top, "w": PANEL_WIDTH, "h": PANEL_HEIGHT}
        left += PANEL_WIDTH
        if left >= FULL_WIDTH:
            top, left = top + PANEL_HEIGHT, 0


def _bottom(panel: Json) -> int:
    place = panel.get("gridPos")
    if not isinstance(place, dict):
        return 0
    sides = cast("Json", place)
    return sum(side for name in ("y", "h") if isinstance(side := sides.get(name), int))


def _complete(panel: Json, datasource: Json) -> None:
    panel.setdefault("type", "timeseries")
    if panel["type"] == "row":
        return
    targets = panel.get("targets")
    if not isinstance(targets, list):
        return
    panel.setdefault("datasource", dict(datasource))
    letters = iter(ascii_uppercase)
    for target in cast("list[object]", targets):
        if isinstance(target, dict):
            cast("Json", target).setdefault("refId", next(letters, "A"))
