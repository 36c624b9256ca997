"""What is ours in a Grafana, and whether it still is as we wrote it.

A dashboard of ours has the tag ``otel-monitoring``, a rule an annotation; beside it stands a digest of what was
written, so that a change made in the user interface since is seen.  Tags and annotations survive being saved there.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.normal_form import Json, normal_dashboard, normal_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER_TAG = "otel-monitoring"
WRITTEN_TAG = "written:"
WRITTEN_ANNOTATION = "__otel_monitoring_written__"
"""Grafana shows no annotation whose name is framed by underscores, neither in its pages nor in messages."""

_DIGEST_DIGITS = 12


def is_our_dashboard(model: Mapping[str, object]) -> bool:
    """Tell whether a dashboard has our tag."""
    return OWNER_TAG in _tags(model)


def is_our_rule(rule: Mapping[str, object]) -> bool:
    """Tell whether a rule has our mark."""
    return WRITTEN_ANNOTATION in _annotations(rule)


def signed_dashboard(model: Mapping[str, object], *, folder_uid: str) -> Json:
    """Return a dashboard with our tags, the digest of itself among them."""
    digest = dashboard_digest(model, folder_uid=folder_uid)
    return {**model, "tags": [*unsigned_tags(model), OWNER_TAG, f"{WRITTEN_TAG}{digest}"]}


def signed_rule(rule: Mapping[str, object], *, place: object) -> Json:
    """Return a rule with our mark.

    Args:
        rule: as it shall be.
        place: what says where it stands and how often it is evaluated.
    """
    digest = rule_digest(rule, place=place)
    return {**rule, "annotations": {**_annotations(rule), WRITTEN_ANNOTATION: digest}}


def is_as_written_dashboard(model: Mapping[str, object], *, folder_uid: str) -> bool:
    """Tell whether a dashboard is as we left it."""
    written = [tag.removeprefix(WRITTEN_TAG) for tag in _tags(model) if tag.startswith(WRITTEN_TAG)]
    return written == [dashboard_digest(model, folder_uid=folder_uid)]


def is_as_written_rule(rule: Mapping[str, object], *, place: object) -> bool:
    """Tell whether a rule is as we left it, and where."""
    return _annotations(rule).get(WRITTEN_ANNOTATION) == rule_digest(rule, place=place)


def dashboard_digest(model: Mapping[str, object], *, folder_uid: str) -> str:
    """Return the digest of a dashboard and the folder it is in, whatever digest it carries."""
    return _digest([folder_uid, unsigned_dashboard(model)])


def rule_digest(rule: Mapping[str, object], *, place: object) -> str:
    """Return the digest of a rule and its place, whatever digest it carries."""
    return _digest([place, unsigned_rule(rule)])


def unsigned_dashboard(model: Mapping[str, object]) -> Json:
    """Return what a dashboard shows, without our tags."""
    return normal_dashboard({**model, "tags": sorted(unsigned_tags(model))})


def unsigned_rule(rule: Mapping[str, object]) -> Json:
    """Return what a rule does, without our mark."""
    kept = {name: text for name, text in _annotations(rule).items() if name != WRITTEN_ANNOTATION}
    return normal_rule({**rule, "annotations": kept})


def unsigned_tags(model: Mapping[str, object]) -> list[str]:
    """Return the tags of a dashboard that are not ours."""
    return [tag for tag in _tags(model) if tag != OWNER_TAG and not tag.startswith(WRITTEN_TAG)]


def _tags(model: Mapping[str, object]) -> list[str]:
    tags = model.get("tags")
    return [tag for tag in cast("list[object]", tags) if isinstance(tag, str)] if isinstance(tags, list) else []


def _annotations(rule: Mapping[str, object]) -> Json:
    annotations = rule.get("annotations")
    return cast("Json", annotations) if isinstance(annotations, dict) else {}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]
