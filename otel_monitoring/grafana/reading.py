"""Reads from a Grafana what concerns what shall be there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.grafana.dashboard import uid_of
from otel_monitoring.grafana.failures import NotFoundError
from otel_monitoring.grafana.found import Folder
from otel_monitoring.grafana.ownership import OWNER_TAG, is_ours_to_write
from otel_monitoring.grafana.present import Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.grafana.desired import Desired, DesiredDashboard
    from otel_monitoring.grafana.found import FoundDashboard, LiveRule, RuleGroup


class Readable(Protocol):
    """What is asked of a client of Grafana."""

    async def folder(self, uid: str) -> Folder:
        """Return a folder."""
        ...

    async def find_folder(self, title: str) -> Folder | None:
        """Return a folder by its title."""
        ...

    async def read_dashboard(self, uid: str) -> FoundDashboard:
        """Return a dashboard."""
        ...

    async def tagged_dashboards(self, tag: str, folder_uid: str) -> list[str]:
        """Return the uids of a folder's dashboards that have a tag."""
        ...

    async def dry_run(
        self, spec: Mapping[str, object], *, folder_uid: str, expected: FoundDashboard | None = None
    ) -> dict[str, object]:
        """Return a dashboard as the server would hold it."""
        ...

    async def rules(self) -> list[dict[str, object]]:
        """Return all rules."""
        ...

    async def read_rule_group(self, folder_uid: str, name: str) -> RuleGroup:
        """Return a group."""
        ...

    async def live_rules(self, folder_uid: str) -> list[LiveRule]:
        """Return the state of a folder's rules."""
        ...


async def folder_of(client: Readable, title: str) -> Folder:
    """Return the folder of a title, or the one that is to be made: its uid comes from the title."""
    found = await client.find_folder(title)
    return found if found is not None else Folder(uid=uid_of(title), title=title)


async def read_present(client: Readable, desired: Desired) -> Present:
    """Read what is there of what shall be, and what else we wrote in the folder."""
    folder = await _folder_or_none(client, desired.folder.uid)
    uids = dict.fromkeys(dashboard.uid for dashboard in desired.dashboards)
    if folder is not None:
        uids |= dict.fromkeys(await client.tagged_dashboards(OWNER_TAG, folder.uid))
    found = [await _dashboard_or_none(client, uid) for uid in uids]
    groups, from_files = await _groups(client, desired)
    return Present(folder, {one.uid: one for one in found if one is not None}, groups, from_files)


async def as_held(client: Readable, desired: Desired, present: Present) -> Desired:
    """Return what shall be in the form in which the server would hold it, as far as it is there already."""
    dashboards = [await _held(client, one, desired.folder, present) for one in desired.dashboards]
    return replace(desired, dashboards=tuple(dashboards))


async def _held(client: Readable, dashboard: DesiredDashboard, folder: Folder, present: Present) -> DesiredDashboard:
    found = present.dashboards.get(dashboard.uid)
    if present.folder is None or found is None or not is_ours_to_write(found):
        return dashboard
    spec = {**dashboard.spec, "uid": dashboard.uid}
    return replace(dashboard, spec=await client.dry_run(spec, folder_uid=folder.uid, expected=found))


async def _folder_or_none(client: Readable, uid: str) -> Folder | None:
    try:
        return await client.folder(uid)
    except NotFoundError:
        return None


async def _dashboard_or_none(client: Readable, uid: str) -> FoundDashboard | None:
    try:
        return await client.read_dashboard(uid)
    except NotFoundError:
        return None


async def _groups(client: Readable, desired: Desired) -> tuple[tuple[RuleGroup, ...], frozenset[str]]:
    wanted = {str(rule.get("uid")) for group in desired.groups for rule in group.rules}
    places = _places(await client.rules(), wanted, desired.folder.uid)
    groups = [await client.read_rule_group(folder_uid, name) for folder_uid, name in places]
    live = [rule for uid in dict.fromkeys(uid for uid, _ in places) for rule in await client.live_rules(uid)]
    return tuple(groups), frozenset(rule.uid for rule in live if rule.provenance == "file")


def _places(rules: Iterable[Mapping[str, object]], wanted: set[str], folder_uid: str) -> list[tuple[str, str]]:
    """Return the folders and names of the groups that are of interest."""
    places = {
        (str(rule.get("folderUID")), str(rule.get("ruleGroup")))
        for rule in rules
        if rule.get("folderUID") == folder_uid or rule.get("uid") in wanted
    }
    return sorted(places)
