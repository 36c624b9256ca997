"""What has to be done so that a Grafana holds what it shall: worked out from both, asking nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from otel_monitoring.grafana.differences import Difference, differences
from otel_monitoring.grafana.ownership import (
    OWNER_TAG,
    is_dashboard_as_written,
    is_our_dashboard,
    is_our_rule,
    is_rule_as_written,
    is_written_dashboard,
    job_of_rule,
    unsigned_dashboard,
    unsigned_rule,
)
from otel_monitoring.grafana.shipped_rules.terms import BUSINESS, ITSELF, OVERVIEW, PLATFORM

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from otel_monitoring.grafana.desired import Desired, DesiredDashboard
    from otel_monitoring.grafana.found import Folder, FoundDashboard, RuleGroup
    from otel_monitoring.grafana.normal_form import Json
    from otel_monitoring.grafana.present import Present

SHARED = frozenset({OVERVIEW, PLATFORM, BUSINESS, ITSELF})
"""The dashboards that come with the package: each shows the jobs of all services, by its variable."""

RENEWED = "it holds what the code says; only the mark of what was written is renewed"


class Action(StrEnum):
    """What is to be done with one thing."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    PRUNE = "prune"
    LEFT = "left over"
    SHARED = "shared"
    REFUSED = "refused"


class Kind(StrEnum):
    """What a thing is."""

    FOLDER = "folder"
    DASHBOARD = "dashboard"
    GROUP = "rule group"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one thing.

    Attributes:
        kind: what it is.
        uid: what it is called in Grafana: a uid, or a group's title.
        title: what people call it.
        action: what is to be done.
        differences: from what is there to what shall be.
        reason: why it is refused or left, or what else should be known; may be empty.
    """

    kind: Kind
    uid: str
    title: str
    action: Action
    differences: tuple[Difference, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in the order in which they are taken."""

    steps: tuple[Step, ...]

    @property
    def refused(self) -> tuple[Step, ...]:
        """What may not be done."""
        return tuple(step for step in self.steps if step.action is Action.REFUSED)

    @property
    def changes(self) -> tuple[Step, ...]:
        """What is to be done."""
        return tuple(step for step in self.steps if step.action in {Action.CREATE, Action.CHANGE, Action.PRUNE})

    def count(self, action: Action) -> int:
        """Return how many steps are of one kind."""
        return sum(step.action is action for step in self.steps)


def make_plan(desired: Desired, present: Present, *, overwrite: bool = False, prune: bool = False) -> Plan:
    """Compare what shall be with what is there.

    Args:
        desired: what shall be.
        present: what is there.
        overwrite: replace what was changed in Grafana since it was written.
        prune: remove what we wrote in the folder and is no longer wanted.
    """
    steps = (
        _folder_step(desired.folder, present.folder),
        *(_dashboard_step(one, present.dashboards.get(one.uid), desired.folder) for one in desired.dashboards),
        *(_group_step(one, present, desired.job) for one in desired.groups),
        *_left_dashboards(desired, present, prune=prune),
        *_left_groups(desired, present, prune=prune),
    )
    return Plan(tuple(_overwriting(step) if overwrite else step for step in steps))


def _folder_step(folder: Folder, found: Folder | None) -> Step:
    if found is None:
        return Step(Kind.FOLDER, folder.uid, folder.title, Action.CREATE)
    # A folder's title is for those who look after it: it is theirs to change.
    return Step(Kind.FOLDER, folder.uid, found.title, Action.UNCHANGED)


@dataclass(frozen=True, slots=True)
class _ChangedSince(Step):
    """A step that is refused because somebody changed in Grafana what it would replace."""

    otherwise: Action = Action.CHANGE
    overwrites: str = "what was changed there goes"


@dataclass(frozen=True, slots=True)
class _OfOthers(_ChangedSince):
    """A step that is not taken because it would replace what was written for another service."""

    overwrites: str = "what was written for another service goes"


def _overwriting(step: Step) -> Step:
    if not isinstance(step, _ChangedSince):
        return step
    return Step(step.kind, step.uid, step.title, step.otherwise, step.differences, step.overwrites)


def _dashboard_step(dashboard: DesiredDashboard, found: FoundDashboard | None, folder: Folder) -> Step:
    named = (Kind.DASHBOARD, dashboard.uid, dashboard.title)
    if found is None:
        return Step(*named, Action.CREATE)
    if refusal := _not_ours(found):
        return Step(*named, Action.REFUSED, reason=refusal)
    differing = differences(_shown(found.folder_uid, found.spec), _shown(folder.uid, dashboard.spec))
    as_written = is_dashboard_as_written(found)
    if not differing:
        return Step(*named, Action.UNCHANGED) if as_written else Step(*named, Action.CHANGE, reason=RENEWED)
    if as_written and found.folder_uid != folder.uid:
        return _in_another_folder(named, found, differing)
    if as_written:
        return Step(*named, Action.CHANGE, differing)
    return _ChangedSince(*named, Action.REFUSED, differing, _changed_since("dashboard"))


def _in_another_folder(named: tuple[Kind, str, str], found: FoundDashboard, differing: tuple[Difference, ...]) -> Step:
    """Leave a dashboard where apply wrote it for another service; one of the package shows the jobs of all."""
    if found.uid in SHARED:
        reason = (
            f"it is in the folder {found.folder_uid!r}, which apply wrote for another service, and shows all jobs: "
            "`--overwrite` makes it yours"
        )
        return _OfOthers(*named, Action.SHARED, reason=reason)
    reason = (
        f"apply wrote one of this uid in the folder {found.folder_uid!r}: give yours another uid, "
        "or `--overwrite` puts yours in its place"
    )
    return _OfOthers(*named, Action.REFUSED, differing, reason)


def _not_ours(found: FoundDashboard) -> str:
    if found.stored_schema:
        return (
            f"it is stored as {found.stored_schema}, and a write from here would take from it: give yours another uid"
        )
    if found.provisioned:
        return f"it is managed by {found.provisioned}: change it there, or give yours another uid"
    if not is_our_dashboard(found.spec):
        return (
            f"a dashboard that is not ours has this uid: give yours another, "
            f"or add the tag {OWNER_TAG!r} to that one to hand it over"
        )
    return ""


def _shown(folder_uid: str, spec: Mapping[str, object]) -> Json:
    return {"folder": folder_uid, **unsigned_dashboard(spec)}


def _changed_since(what: str) -> str:
    return (
        f"somebody changed this {what} in Grafana since it was written: "
        "`pull` keeps that change, `--overwrite` replaces it"
    )


Placed = tuple["RuleGroup", "Mapping[str, object]"]
"""A rule, after the group that it is in."""


def _group_step(group: RuleGroup, present: Present, job: str) -> Step:
    named = (Kind.GROUP, group.name, group.name)
    there = present.group(group.folder_uid, group.name)
    ours = (*_our_rules(there, _uids(group)), *_elsewhere(group, present))
    if refusal := _foreign(group, there, ours, present):
        return Step(*named, Action.REFUSED, reason=refusal)
    if there is None and not ours:
        return Step(*named, Action.CREATE)
    differing = differences(_rules(there, ours), _rules(group, ((group, rule) for rule in group.rules)))
    if differing and (watched := _watched_besides(job, ours)):
        return _OfOthers(*named, Action.REFUSED, differing, _of_another_job(watched))
    as_written = all(is_rule_as_written(rule, one) for one, rule in ours)
    if not differing:
        return Step(*named, Action.UNCHANGED) if as_written else Step(*named, Action.CHANGE, reason=RENEWED)
    if as_written:
        return Step(*named, Action.CHANGE, differing)
    return _ChangedSince(*named, Action.REFUSED, differing, _changed_since("group"))


def _watched_besides(job: str, rules: Iterable[Placed]) -> list[str]:
    """Return the jobs that rules of ours watch, where it is another than the one that they shall watch."""
    return sorted({job_of_rule(rule) for _, rule in rules} - {job, ""}) if job else []


def _of_another_job(watched: Iterable[str]) -> str:
    return (
        f"it watches the job {', '.join(map(repr, watched))}: give each service a folder of its own "
        "with `--folder` or grafana_folder, or `--overwrite` puts yours in its place"
    )


def _our_rules(group: RuleGroup | None, wanted: Collection[object] = ()) -> Iterator[Placed]:
    """Give the rules of a group that carry our mark, and those that are wanted under their uid.

    One of those without a mark has lost it, or somebody hands it over: it counts as changed since.
    """
    if group is not None:
        yield from ((group, rule) for rule in group.rules if is_our_rule(rule) or rule.get("uid") in wanted)


def _elsewhere(group: RuleGroup, present: Present) -> Iterator[Placed]:
    """Give the rules that this group shall hold and another holds: a write would move them."""
    wanted = _uids(group)
    for other in present.groups:
        if (other.folder_uid, other.name) != (group.folder_uid, group.name):
            yield from ((other, rule) for rule in other.rules if rule.get("uid") in wanted)


def _foreign(group: RuleGroup, there: RuleGroup | None, ours: Collection[Placed], present: Present) -> str:
    """Say what is not ours to replace."""
    for other, rule in ours:
        if rule.get("uid") in present.from_files or not (is_our_rule(rule) or other.folder_uid == group.folder_uid):
            return f"the rule {rule.get('uid')!r} is in the group {other.name!r} and not ours: give yours another uid"
    if there is None:
        return ""
    if present.is_from_file(there):
        return "it is provisioned from a file: change it there, or give yours another name"
    # Rules of others stay beside ours, but how often they are evaluated is not ours to say.
    if all(one is not there for one, _ in ours) and there.interval_seconds != group.interval_seconds:
        return (
            f"a group that is not ours has this name in the folder, and is evaluated every {there.interval_seconds} s: "
            f"give yours another name, or the same interval"
        )
    return ""


def _uids(group: RuleGroup) -> set[object]:
    return {rule.get("uid") for rule in group.rules}


def _rules(group: RuleGroup | None, rules: Iterable[Placed]) -> Json:
    interval = {} if group is None else {"interval": group.interval_seconds}
    return {**interval, "rules": {str(rule.get("uid")): _placed(one, rule) for one, rule in rules}}


def _placed(group: RuleGroup, rule: Mapping[str, object]) -> Json:
    return {**unsigned_rule(rule), "folder": group.folder_uid, "group": group.name}


def _left_dashboards(desired: Desired, present: Present, *, prune: bool) -> Iterator[Step]:
    wanted = {dashboard.uid for dashboard in desired.dashboards}
    for found in present.dashboards.values():
        ours = is_written_dashboard(found.spec) and not found.provisioned and found.folder_uid == desired.folder.uid
        if ours and found.uid not in wanted:
            named = (Kind.DASHBOARD, found.uid, found.title)
            yield _left_step(named, as_written=is_dashboard_as_written(found), prune=prune)


def _left_groups(desired: Desired, present: Present, *, prune: bool) -> Iterator[Step]:
    wanted = {group.name for group in desired.groups}
    moved = {uid for group in desired.groups for uid in _uids(group)}
    for group in present.groups:
        ours = [rule for _, rule in _our_rules(group) if rule.get("uid") not in moved]
        left = group.folder_uid == desired.folder.uid and group.name not in wanted
        if left and ours and not present.is_from_file(group):
            as_written = all(is_rule_as_written(rule, group) for rule in ours)
            yield _left_step((Kind.GROUP, group.name, group.name), as_written=as_written, prune=prune)


def _left_step(named: tuple[Kind, str, str], *, as_written: bool, prune: bool) -> Step:
    if not prune:
        return Step(*named, Action.LEFT, reason="we wrote it and it is no longer wanted: `--prune` removes it")
    if as_written:
        return Step(*named, Action.PRUNE)
    reason = "somebody changed it in Grafana since it was written: `--overwrite` removes it all the same"
    return _ChangedSince(*named, Action.REFUSED, reason=reason, otherwise=Action.PRUNE)
