"""Dashboards and groups of rules as JSON files: what is taken out of a Grafana, and handed back to it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from otel_monitoring.exceptions import MonitoringError
from otel_monitoring.grafana.found import RuleGroup
from otel_monitoring.grafana.ownership import unsigned_annotations, unsigned_tags
from otel_monitoring.grafana.saving import bare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from otel_monitoring.grafana.found import FoundDashboard
    from otel_monitoring.grafana.normal_form import Json

DASHBOARDS = "dashboards"
RULES = "rules"
_SERVERS_OWN = frozenset({"id", "updated", "provenance", "orgID", "folderUID", "ruleGroup"})
_UNWANTED_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Pulled:
    """What files hold.

    Attributes:
        dashboards: by uid.
        groups: by name; where they are said to be is not looked at.
    """

    dashboards: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    groups: Mapping[str, RuleGroup] = field(default_factory=dict[str, RuleGroup])


def dashboard_file(found: FoundDashboard) -> tuple[str, str]:
    """Return the path and the text of the file of a dashboard."""
    spec = {**bare(found.spec), "uid": found.uid, "tags": unsigned_tags(found.spec)}
    return f"{DASHBOARDS}/{found.uid}.json", json_text(spec)


def group_file(group: RuleGroup) -> tuple[str, str]:
    """Return the path and the text of the file of a group of rules."""
    rules = [
        {
            **{key: value for key, value in rule.items() if key not in _SERVERS_OWN},
            "annotations": unsigned_annotations(rule),
        }
        for rule in group.rules
    ]
    content = {"title": group.name, "interval": group.interval_seconds, "rules": rules}
    name = _UNWANTED_IN_NAMES.sub("_", group.name).lstrip(".") or "_"
    return f"{RULES}/{name}.json", json_text(content)


def json_text(content: object) -> str:
    """Return JSON for people and for version control: indented, its keys in order."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_pulled(folder: Path) -> Pulled:
    """Return what the files of a folder hold.

    Raises:
        MonitoringError: one cannot be read, or is not what it should be; the message names it.
    """
    if not folder.is_dir():
        raise MonitoringError(f"{folder} is no folder")
    dashboards: dict[str, Json] = {}
    for path in sorted((folder / DASHBOARDS).glob("*.json")):
        spec = _read(path, ("uid", "title"))
        dashboards[str(spec["uid"])] = spec
    groups: dict[str, RuleGroup] = {}
    for path in sorted((folder / RULES).glob("*.json")):
        group = _group(path)
        groups[group.name] = group
    if not dashboards and not groups:
        raise MonitoringError(f"{folder} holds neither {DASHBOARDS}/*.json nor {RULES}/*.json")
    return Pulled(dashboards, groups)


def _group(path: Path) -> RuleGroup:
    content = _read(path, ("title",))
    interval, rules = content.get("interval"), content.get("rules")
    listed = cast("list[object]", rules) if isinstance(rules, list) else []
    found = [cast("Json", rule) for rule in listed if isinstance(rule, dict)]
    if type(interval) is not int or not found or len(found) < len(listed):
        raise MonitoringError(f"{path} is no group of rules: it has a title, an interval in seconds, and rules")
    if not all(rule.get("uid") for rule in found):
        raise MonitoringError(f"{path}: each rule has a uid")
    return RuleGroup(folder_uid="", name=str(content["title"]), interval_seconds=interval, rules=tuple(found))


def _read(path: Path, texts: tuple[str, ...]) -> Json:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MonitoringError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise MonitoringError(f"{path} holds no object")
    found = cast("Json", content)
    for name in texts:
        if not isinstance(found.get(name), str) or not found[name]:
            raise MonitoringError(f"{path} has no {name}")
    return found
