"""What a dashboard or a rule is, without what Grafana fills in: equal where nobody would see a difference.

What is filled in was read from the replies of Grafana 12.4; see ``docs/dashboards-as-code.md``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, object]

_NOT_CONTENT = frozenset({"id", "uid", "version", "iteration", "meta", "schemaVersion"})
"""Of a dashboard: what numbers and names it, and the form it is kept in."""

_BUILT_IN_ANNOTATION = "Annotations & Alerts"

_DASHBOARD_DEFAULTS: Mapping[str, object] = {
    "editable": True,
    "fiscalYearStartMonth": 0,
    "graphTooltip": 0,
    "liveNow": False,
    "preload": False,
    "refresh": "",
    "time": {"from": "now-6h", "to": "now"},
    "timezone": "",
    "weekStart": "",
}
_RULE_ADDED = frozenset({"id", "updated", "provenance", "orgID", "orgId", "folderUID", "folderUid", "ruleGroup"})
_RULE_DEFAULTS: Mapping[str, object] = {
    "isPaused": False,
    "keep_firing_for": 0.0,
    "for": 0.0,
    "noDataState": "NoData",
    "execErrState": "Alerting",
}
_QUERY_DEFAULTS: Mapping[str, object] = {"queryType": "", "relativeTimeRange": {"from": 0, "to": 0}}
_MODEL_DEFAULTS: Mapping[str, object] = {"intervalMs": 1000, "maxDataPoints": 43200}
_EMPTY: tuple[object, ...] = (None, {}, [])

_DURATION_PART = re.compile(r"(\d+)(ms|y|w|d|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def normal_dashboard(model: Mapping[str, object]) -> Json:
    """Return what a dashboard shows; what a viewer chose of its variables is no part of it."""
    found = {key: value for key, value in model.items() if key not in _NOT_CONTENT}
    found["annotations"] = _changed_list(found.get("annotations"), _annotation)
    found["templating"] = _changed_list(found.get("templating"), _variable)
    found["panels"] = [_panel(panel) for panel in objects_in(found.get("panels"))]
    return _without(_tidy(found), _DASHBOARD_DEFAULTS)


def normal_rule(rule: Mapping[str, object]) -> Json:
    """Return what a rule does, wherever it stands; durations are seconds."""
    found = {key: value for key, value in rule.items() if key not in _RULE_ADDED}
    for key in ("for", "keep_firing_for"):
        if isinstance(found.get(key), str):
            found[key] = duration_seconds(cast("str", found[key]))
    found["data"] = [_query(query) for query in objects_in(found.get("data"))]
    return _without(_tidy(found), _RULE_DEFAULTS)


def duration_seconds(text: str) -> float | str:
    """Read a duration as Grafana writes them, such as ``1h30m``; what is none stays as it is."""
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return text
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def _changed_list(holder: object, change: Callable[[Json], Json | None]) -> Json:
    """Return an object with a ``list``, each of whose members is changed or, for None, left out."""
    if not isinstance(holder, dict):
        return {}
    given = cast("Json", holder)
    changed = map(change, objects_in(given.get("list")))
    return {**given, "list": [member for member in changed if member is not None]}


def _annotation(annotation: Json) -> Json | None:
    return None if annotation.get("builtIn") and annotation.get("name") == _BUILT_IN_ANNOTATION else annotation


def _variable(variable: Json) -> Json:
    """Return a variable without what is found out when the dashboard opens."""
    found_out = {"options", "current"} if variable.get("type") in {"query", "datasource"} else {"options"}
    return {key: value for key, value in variable.items() if key not in found_out}


def _panel(panel: Json) -> Json:
    found = {key: value for key, value in panel.items() if (key, value) != ("transparent", False)}
    found.pop("pluginVersion", None)
    if "panels" in found:
        found["panels"] = [_panel(inner) for inner in objects_in(found["panels"])]
    if found.get("type") == "row":
        found.pop("id", None)  # the server gives rows one
    return found


def _query(query: Json) -> Json:
    model = query.get("model")
    found = (
        {**query, "model": _without(_tidy(cast("Json", model)), _MODEL_DEFAULTS)} if isinstance(model, dict) else query
    )
    return _without(found, _QUERY_DEFAULTS)


def objects_in(members: object) -> Iterator[Json]:
    """Give the objects of a list, and none of what is no list."""
    if isinstance(members, list):
        for member in cast("list[object]", members):
            if isinstance(member, dict):
                yield cast("Json", member)


def _without(found: Json, defaults: Mapping[str, object]) -> Json:
    return {key: value for key, value in found.items() if key not in defaults or value != defaults[key]}


def _tidy(found: Json) -> Json:
    """Leave out what is empty, at any depth: none of it means more than what is not there."""
    tidied = ((key, _tidy_value(value)) for key, value in found.items())
    return {key: value for key, value in tidied if value not in _EMPTY}


def _tidy_value(value: object) -> object:
    if isinstance(value, dict):
        return _tidy(cast("Json", value))
    if isinstance(value, list | tuple):
        return [_tidy_value(item) for item in cast("list[object]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # JSON does not tell 1.0 from 1
    return value
