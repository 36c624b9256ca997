"""What is ours in a Grafana, and whether it still is as we wrote it.

What plan and apply write carries a digest of itself, a dashboard in a tag, a rule in an annotation: both survive
being saved in the user interface, and a change made there is seen.  A dashboard with the tag ``otel-monitoring``
alone is ours too, yet nobody knows what was written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.dashboard import TAG
from otel_monitoring.grafana.normal_form import Json, normal_dashboard, normal_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_monitoring.grafana.found import FoundDashboard, RuleGroup

OWNER_TAG = TAG
WRITTEN_TAG = "written:"
WRITTEN_ANNOTATION = "__otel_monitoring_written__"
"""Grafana shows no annotation whose name is framed by underscores, neither in its pages nor in messages."""

JOB_ANNOTATION = "__otel_monitoring_job__"
"""The Prometheus job that a rule of ours watches."""

_MARKS = frozenset({WRITTEN_ANNOTATION, JOB_ANNOTATION})
_DIGEST_DIGITS = 12


def is_our_dashboard(spec: Mapping[str, object]) -> bool:
    """Tell whether a dashboard has our tag."""
    return OWNER_TAG in _tags(spec)


def is_ours_to_write(found: FoundDashboard) -> bool:
    """Tell whether a dashboard is ours, of no file, and stored in the form that we write."""
    return is_our_dashboard(found.spec) and not found.provisioned and not found.stored_schema


def is_written_dashboard(spec: Mapping[str, object]) -> bool:
    """Tell whether a dashboard was written by apply, whatever became of it since."""
    return is_our_dashboard(spec) and any(tag.startswith(WRITTEN_TAG) for tag in _tags(spec))


def is_our_rule(rule: Mapping[str, object]) -> bool:
    """Tell whether a rule was written by apply, whatever became of it since."""
    return WRITTEN_ANNOTATION in _annotations(rule)


def job_of_rule(rule: Mapping[str, object]) -> str:
    """Return the Prometheus job that a rule of ours watches; empty where it does not say."""
    return str(_annotations(rule).get(JOB_ANNOTATION, ""))


def signed_dashboard(spec: Mapping[str, object], *, folder_uid: str) -> Json:
    """Return a dashboard with our tags, the digest of itself among them."""
    digest = _dashboard_digest(spec, folder_uid)
    return {**spec, "tags": [*unsigned_tags(spec), OWNER_TAG, f"{WRITTEN_TAG}{digest}"]}


def signed_group(group: RuleGroup, *, job: str = "", kept: Sequence[Mapping[str, object]] = ()) -> RuleGroup:
    """Return a group whose rules carry our mark.

    Args:
        group: as it shall be.
        job: the Prometheus job that it watches; empty is not written.
        kept: rules that others have added to it; they follow, as they are.
    """
    watched = {JOB_ANNOTATION: job} if job else {}
    signed = (
        {**rule, "annotations": {**_annotations(rule), WRITTEN_ANNOTATION: _rule_digest(rule, group), **watched}}
        for rule in group.rules
    )
    return replace(group, rules=(*signed, *kept))


def is_dashboard_as_written(dashboard: FoundDashboard) -> bool:
    """Tell whether a dashboard is as we left it."""
    written = [tag.removeprefix(WRITTEN_TAG) for tag in _tags(dashboard.spec) if tag.startswith(WRITTEN_TAG)]
    return written == [_dashboard_digest(dashboard.spec, dashboard.folder_uid)]


def is_rule_as_written(rule: Mapping[str, object], group: RuleGroup) -> bool:
    """Tell whether a rule is as we left it, and where."""
    return _annotations(rule).get(WRITTEN_ANNOTATION) == _rule_digest(rule, group)


def unsigned_dashboard(spec: Mapping[str, object]) -> Json:
    """Return what a dashboard shows, without our tags."""
    return normal_dashboard({**spec, "tags": sorted(unsigned_tags(spec))})


def unsigned_rule(rule: Mapping[str, object]) -> Json:
    """Return what a rule does, without our mark."""
    return normal_rule({**rule, "annotations": unsigned_annotations(rule)})


def unsigned_tags(spec: Mapping[str, object]) -> list[str]:
    """Return the tags of a dashboard that are not ours."""
    return [tag for tag in _tags(spec) if tag != OWNER_TAG and not tag.startswith(WRITTEN_TAG)]


def unsigned_annotations(rule: Mapping[str, object]) -> Json:
    """Return the annotations of a rule that are not ours."""
    return {name: text for name, text in _annotations(rule).items() if name not in _MARKS}


def _dashboard_digest(spec: Mapping[str, object], folder_uid: str) -> str:
    return _digest([folder_uid, unsigned_dashboard(spec)])


def _rule_digest(rule: Mapping[str, object], group: RuleGroup) -> str:
    return _digest([group.folder_uid, group.name, group.interval_seconds, unsigned_rule(rule)])


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def _tags(spec: Mapping[str, object]) -> list[str]:
    tags = spec.get("tags")
    return [tag for tag in cast("list[object]", tags) if isinstance(tag, str)] if isinstance(tags, list) else []


def _annotations(rule: Mapping[str, object]) -> Json:
    annotations = rule.get("annotations")
    return cast("Json", annotations) if isinstance(annotations, dict) else {}
