"""What has to be done so that a Grafana holds what it shall: worked out from both, asking nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from otel_monitoring.grafana.differences import Difference, differences
from otel_monitoring.grafana.ownership import (
    OWNER_TAG,
    is_as_written_dashboard,
    is_our_dashboard,
    is_our_rule,
    unsigned_dashboard,
    unsigned_rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_monitoring.grafana.desired import Desired, DesiredDashboard, DesiredGroup, Folder
    from otel_monitoring.grafana.found import Found, FoundDashboard, FoundGroup
    from otel_monitoring.grafana.normal_form import Json

RENEWED = "it holds what the code says; only the mark of what was written is renewed"


class Action(StrEnum):
    """What is to be done with one thing."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    PRUNE = "prune"
    LEFT = "left over"
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


def make_plan(desired: Desired, found: Found, *, overwrite: bool = False, prune: bool = False) -> Plan:
    """Compare what shall be with what is there.

    Args:
        desired: what shall be.
        found: what is there.
        overwrite: replace what was changed in Grafana since it was written.
        prune: remove what is ours in the folder and no longer wanted.
    """
    steps = (
        _folder_step(desired.folder, found.folder),
        *(_dashboard_step(one, found.dashboards.get(one.uid), desired.folder) for one in desired.dashboards),
        *(_group_step(one, found, desired.folder) for one in desired.groups),
        *_left_dashboards(desired, found, prune=prune),
        *_left_groups(desired, found, prune=prune),
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


def _overwriting(step: Step) -> Step:
    if not isinstance(step, _ChangedSince):
        return step
    return Step(step.kind, step.uid, step.title, step.otherwise, step.differences, "what was changed there goes")


def _dashboard_step(dashboard: DesiredDashboard, found: FoundDashboard | None, folder: Folder) -> Step:
    named = (Kind.DASHBOARD, dashboard.uid, dashboard.title)
    if found is None:
        return Step(*named, Action.CREATE)
    if refusal := _not_ours(found):
        return Step(*named, Action.REFUSED, reason=refusal)
    differing = differences(_shown(found.folder_uid, found.model), _shown(folder.uid, dashboard.model))
    as_written = is_as_written_dashboard(found.model, folder_uid=found.folder_uid)
    if not differing:
        return Step(*named, Action.UNCHANGED) if as_written else Step(*named, Action.CHANGE, reason=RENEWED)
    if as_written and not found.newer_schema:
        return Step(*named, Action.CHANGE, differing)
    return _ChangedSince(*named, Action.REFUSED, differing, _changed_since("dashboard"))


def _not_ours(found: FoundDashboard) -> str:
    if found.managed_by:
        return f"it is managed by {found.managed_by}: change it there, or give yours another uid"
    if not is_our_dashboard(found.model):
        return (
            f"a dashboard that is not ours has this uid: give yours another, "
            f"or add the tag {OWNER_TAG!r} to that one to hand it over"
        )
    return ""


def _shown(folder_uid: str, model: Mapping[str, object]) -> Json:
    return {"folder": folder_uid, **unsigned_dashboard(model)}


def _changed_since(what: str) -> str:
    return (
        f"somebody changed this {what} in Grafana since it was written: "
        "`pull` keeps that change, `--overwrite` replaces it"
    )


def _group_step(group: DesiredGroup, found: Found, folder: Folder) -> Step:
    named = (Kind.GROUP, group.title, group.title)
    there = found.group(folder.uid, group.title)
    elsewhere = tuple(_elsewhere(group, found, there))
    if refusal := _foreign_rules(group, there, elsewhere):
        return Step(*named, Action.REFUSED, reason=refusal)
    if there is None and not elsewhere:
        return Step(*named, Action.CREATE)
    differing = differences(_found_rules(there, elsewhere), _desired_rules(group, folder))
    written = [one.is_as_written(rule) for one, rule in (*_rules_of(there), *elsewhere) if is_our_rule(rule)]
    if not differing:
        return Step(*named, Action.UNCHANGED) if all(written) else Step(*named, Action.CHANGE, reason=RENEWED)
    if all(written):
        return Step(*named, Action.CHANGE, differing)
    return _ChangedSince(*named, Action.REFUSED, differing, _changed_since("group"))


def _rules_of(group: FoundGroup | None) -> Iterator[tuple[FoundGroup, Mapping[str, object]]]:
    if group is not None:
        for rule in group.rules:
            yield group, rule


def _elsewhere(
    group: DesiredGroup, found: Found, there: FoundGroup | None
) -> Iterator[tuple[FoundGroup, Mapping[str, object]]]:
    """Give the rules that this group shall hold and another holds: a write would move them."""
    wanted = {rule.get("uid") for rule in group.rules}
    for other in found.groups:
        if other is not there:
            yield from ((other, rule) for rule in other.rules if rule.get("uid") in wanted)


def _foreign_rules(
    group: DesiredGroup, there: FoundGroup | None, elsewhere: Iterable[tuple[FoundGroup, Mapping[str, object]]]
) -> str:
    for other, rule in elsewhere:
        if not is_our_rule(rule) or other.from_file:
            return f"the rule {rule.get('uid')!r} is in the group {other.title!r} and not ours: give yours another uid"
    if there is None:
        return ""
    if there.from_file:
        return "it is provisioned from a file: change it there, or give yours another name"
    wanted = {rule.get("uid") for rule in group.rules}
    taken = [str(rule.get("uid")) for rule in there.others if rule.get("uid") in wanted]
    if taken:
        return f"it holds rules that are not ours and have the uids of yours: {', '.join(taken)}"
    if not there.ours:
        return "a group that is not ours has this name in the folder: give yours another name"
    return ""


def _desired_rules(group: DesiredGroup, folder: Folder) -> Json:
    place = group.place(folder.uid)
    rules = {str(rule.get("uid")): {**unsigned_rule(rule), "group": group.title} for rule in group.rules}
    return {"interval": place["interval"], "rules": rules}


def _found_rules(there: FoundGroup | None, elsewhere: Iterable[tuple[FoundGroup, Mapping[str, object]]]) -> Json:
    ours = [*((there, rule) for rule in there.ours), *elsewhere] if there else list(elsewhere)
    rules = {str(rule.get("uid")): {**unsigned_rule(rule), "group": group.title} for group, rule in ours}
    interval = {} if there is None else {"interval": there.interval_seconds}
    return {**interval, "rules": rules}


def _left_dashboards(desired: Desired, found: Found, *, prune: bool) -> Iterator[Step]:
    wanted = {dashboard.uid for dashboard in desired.dashboards}
    for dashboard in found.dashboards.values():
        if dashboard.uid in wanted or _not_ours(dashboard) or dashboard.folder_uid != desired.folder.uid:
            continue
        named = (Kind.DASHBOARD, dashboard.uid, dashboard.title)
        as_written = is_as_written_dashboard(dashboard.model, folder_uid=dashboard.folder_uid)
        yield _left_step(named, as_written=as_written, prune=prune)


def _left_groups(desired: Desired, found: Found, *, prune: bool) -> Iterator[Step]:
    wanted = {group.title for group in desired.groups}
    moved = {rule.get("uid") for group in desired.groups for rule in group.rules}
    for group in found.groups:
        ours = [rule for rule in group.ours if rule.get("uid") not in moved]
        if group.folder_uid != desired.folder.uid or group.title in wanted or group.from_file or not ours:
            continue
        as_written = all(map(group.is_as_written, ours))
        yield _left_step((Kind.GROUP, group.title, group.title), as_written=as_written, prune=prune)


def _left_step(named: tuple[Kind, str, str], *, as_written: bool, prune: bool) -> Step:
    if not prune:
        return Step(*named, Action.LEFT, reason="it is ours and no longer wanted: `--prune` removes it")
    if as_written:
        return Step(*named, Action.PRUNE)
    reason = "somebody changed it in Grafana since it was written: `--overwrite` removes it all the same"
    return _ChangedSince(*named, Action.REFUSED, reason=reason, otherwise=Action.PRUNE)
