"""Does what a plan says, one thing after the other; whatever stops it, doing it again finishes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.grafana.differences import differences
from otel_monitoring.grafana.failures import NotFoundError, VersionConflictError
from otel_monitoring.grafana.normal_form import normal_rule
from otel_monitoring.grafana.ownership import is_dashboard_as_written, is_our_rule, signed_dashboard, signed_group
from otel_monitoring.grafana.plan import Action, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from otel_monitoring.grafana.desired import Desired
    from otel_monitoring.grafana.found import Folder, FoundDashboard, RuleGroup
    from otel_monitoring.grafana.normal_form import Json
    from otel_monitoring.grafana.plan import Plan, Step
    from otel_monitoring.grafana.present import Present

MESSAGE = "otel-monitoring grafana apply"
"""What a dashboard's history says of a version of ours."""


class Writable(Protocol):
    """What is asked of a client of Grafana."""

    async def ensure_folder(self, title: str, *, uid: str | None = None) -> Folder:
        """Return a folder, and make it where it is missing."""
        ...

    async def read_dashboard(self, uid: str) -> FoundDashboard:
        """Return a dashboard."""
        ...

    async def save_dashboard(
        self,
        spec: Mapping[str, object],
        *,
        folder_uid: str,
        message: str = "",
        expected: FoundDashboard | None = None,
    ) -> FoundDashboard:
        """Save a dashboard where it is as expected."""
        ...

    async def delete_dashboard(self, uid: str) -> None:
        """Delete a dashboard."""
        ...

    async def read_rule_group(self, folder_uid: str, name: str) -> RuleGroup:
        """Return a group."""
        ...

    async def put_rule_group(self, group: RuleGroup, *, editable: bool = True) -> RuleGroup:
        """Write a group."""
        ...

    async def delete_rule_group(self, folder_uid: str, name: str, *, editable: bool = True) -> None:
        """Delete a group."""
        ...


class Writer:
    """Writes to one Grafana what a plan says.

    Dashboards are written so that a change made meanwhile is never lost.  Grafana's groups of rules have no
    version: each is read again right before it is written, and what is left is the time of one request.

    Args:
        client: of that Grafana.
        desired: what shall be there.
        present: what was there when the plan was made.
        editable: whether rules may be changed in the user interface.
    """

    def __init__(self, client: Writable, desired: Desired, present: Present, *, editable: bool = True) -> None:
        self._client = client
        self._folder = desired.folder
        self._job = desired.job
        self._dashboards = {dashboard.uid: dashboard for dashboard in desired.dashboards}
        self._groups = {group.name: group for group in desired.groups}
        self._present = present
        self._editable = editable

    async def write(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """Take all steps.

        Args:
            plan: nothing in it is refused.
            done: told each step that was taken.

        Raises:
            VersionConflictError: somebody changed something since the plan was made; it is as they left it.
            GrafanaError: Grafana did not do it; the steps before it are taken.
        """
        for step in plan.changes:
            await self._take(step)
            done(step)

    async def _take(self, step: Step) -> None:
        if step.kind is Kind.FOLDER:
            await self._client.ensure_folder(self._folder.title, uid=self._folder.uid)
        elif step.kind is Kind.DASHBOARD:
            await (self._delete_dashboard(step) if step.action is Action.PRUNE else self._save_dashboard(step))
        else:
            await (self._delete_group(step) if step.action is Action.PRUNE else self._put_group(step))

    async def _save_dashboard(self, step: Step) -> None:
        spec = self._dashboards[step.uid].spec
        saved = await self._save_signed(step.uid, spec, self._present.dashboards.get(step.uid))
        if not is_dashboard_as_written(saved):
            # This Grafana fills in more than we know of, and the digest is to be of what is there.
            await self._save_signed(step.uid, saved.spec, saved)

    async def _save_signed(
        self, uid: str, spec: Mapping[str, object], expected: FoundDashboard | None
    ) -> FoundDashboard:
        signed = {**signed_dashboard(spec, folder_uid=self._folder.uid), "uid": uid}
        return await self._client.save_dashboard(
            signed, folder_uid=self._folder.uid, message=MESSAGE, expected=expected
        )

    async def _delete_dashboard(self, step: Step) -> None:
        try:
            now = await self._client.read_dashboard(step.uid)
        except NotFoundError:
            return
        if now != self._present.dashboards[step.uid]:
            raise VersionConflictError(_changed_meanwhile("dashboard", step))
        await self._client.delete_dashboard(step.uid)

    async def _put_group(self, step: Step) -> None:
        there = await self._unchanged_group(step)
        wanted = self._groups[step.uid]
        others = _others(there, {rule.get("uid") for rule in wanted.rules})
        sent = signed_group(wanted, job=self._job, kept=others)
        back = await self._client.put_rule_group(sent, editable=self._editable)
        if differences(_content(sent), _content(back)):
            raise VersionConflictError(
                f"rule group {step.title!r}: somebody else wrote it right after us. Run plan to see what it is now"
            )

    async def _delete_group(self, step: Step) -> None:
        there = await self._unchanged_group(step)
        if there is None:
            return
        if others := _others(there):
            await self._client.put_rule_group(replace(there, rules=others), editable=self._editable)
        else:
            await self._client.delete_rule_group(there.folder_uid, there.name, editable=self._editable)

    async def _unchanged_group(self, step: Step) -> RuleGroup | None:
        """Return a group as it is now, which is as it was when the plan was made."""
        planned = self._present.group(self._folder.uid, step.uid)
        try:
            now = await self._client.read_rule_group(self._folder.uid, step.uid)
        except NotFoundError:
            return None
        if planned is None or differences(_content(planned), _content(now)):
            raise VersionConflictError(_changed_meanwhile("rule group", step))
        return now


def _others(group: RuleGroup | None, wanted: Collection[object] = ()) -> tuple[Mapping[str, object], ...]:
    """Return the rules of a group that somebody else has put into it."""
    rules = () if group is None else group.rules
    return tuple(rule for rule in rules if not is_our_rule(rule) and rule.get("uid") not in wanted)


def _content(group: RuleGroup) -> Json:
    return {
        "interval": group.interval_seconds,
        "rules": {str(rule.get("uid")): normal_rule(rule) for rule in group.rules},
    }


def _changed_meanwhile(what: str, step: Step) -> str:
    return (
        f"{what} {step.title!r}: somebody changed it since the plan was made, and it is as they left it. "
        "Run plan to see what it is now"
    )
