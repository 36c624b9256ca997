"""Dashboards the classic way, for servers before Grafana 12.

Its check of versions is not atomic: of several saves that carry the same version, more than
one may be answered 200.  So what was saved is read back and compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.failures import VersionConflictError
from otel_monitoring.grafana.found import FoundDashboard
from otel_monitoring.grafana.saving import OURS, Draft, bare, refuse_foreign
from otel_monitoring.grafana.shapes import Json, listing, mapping, part, quoted, text, texts, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.transport import Transport

OWNER_TAG = f"{OURS}-owner:"
PAGE = 1000


class Classic:
    """Grafana's dashboards by ``/api/dashboards``.

    Args:
        transport: to the server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def read(self, uid: str) -> FoundDashboard:
        """Return one dashboard.

        Raises:
            NotFoundError: there is none of this uid.
        """
        what = f"reading dashboard {uid!r}"
        found = await self._transport.call(lambda api: api.dashboard.get_dashboard(quoted(uid)), what, repeatable=True)
        return _found(mapping(found, what), uid)

    async def owned(self, owner: str) -> list[FoundDashboard]:
        """Return all dashboards of an owner."""
        return [await self.read(uid) for uid in await self._tagged(OWNER_TAG + owner)]

    async def create(self, draft: Draft) -> FoundDashboard:
        """Save a dashboard that is not there.

        Raises:
            VersionConflictError: there is one of this uid.
            FolderMissingError: there is no such folder.
            RefusedError: Grafana finds something wrong.
        """
        return await self._save(draft, None, overwrite=False)

    async def replace(self, draft: Draft, found: FoundDashboard, *, overwrite: bool) -> FoundDashboard:
        """Save over what was found; raises as ``create``, and where it has changed since, unless ``overwrite``."""
        refuse_foreign(found, draft.what)
        return await self._save(draft, found, overwrite=overwrite)

    async def dry_run(self, draft: Draft, found: FoundDashboard | None) -> dict[str, object]:  # noqa: ARG002 (as resources do)
        """Return the dashboard as it is: the classic way holds what it is given."""
        return bare(draft.spec)

    async def _save(self, draft: Draft, found: FoundDashboard | None, *, overwrite: bool) -> FoundDashboard:
        dashboard = _with_ours(draft, found)
        if found is not None:
            dashboard["version"] = found.version
        body = {
            "dashboard": dashboard,
            "folderUid": draft.folder_uid,
            "message": draft.message,
            "overwrite": overwrite,
        }
        reply = await self._transport.call(
            lambda api: api.dashboard.update_dashboard(body), draft.what, repeatable=False
        )
        saved = mapping(reply, draft.what)
        back = await self.read(text(saved, "uid"))
        if not overwrite:
            _refuse_lost(draft, found, whole(saved, "version"))
        if back.version != whole(saved, "version") or back.spec != bare(draft.spec):
            raise VersionConflictError(
                f"{draft.what}: somebody else saved version {back.version} right after ours, which is version "
                f"{whole(saved, 'version')} in its history. Read it again and repeat the change on what it is now"
            )
        return back

    async def _tagged(self, tag: str) -> list[str]:
        what = "searching dashboards"
        found: list[str] = []
        page = 1
        while True:
            reply = await self._transport.call(
                lambda api, page=page: api.search.search_dashboards(tag=tag, type_="dash-db", limit=PAGE, page=page),  # type: ignore[misc]
                what,
                repeatable=True,
            )
            items = listing(reply, what)
            found += [text(item, "uid") for item in items]
            if len(items) < PAGE:
                return found
            page += 1


def _refuse_lost(draft: Draft, found: FoundDashboard | None, version: int) -> None:
    """Refuse a save that was answered with 200, and went over one that was under way at the same time."""
    if found is not None and version > found.version + 1:
        raise VersionConflictError(
            f"{draft.what}: somebody else saved version {version - 1} while ours was under way, and ours went over it "
            f"as version {version}. Look at both in the dashboard's history, and save what shall stay"
        )


def _with_ours(draft: Draft, found: FoundDashboard | None) -> Json:
    """Return what is saved: the dashboard, with its owner as a tag and its notes in a field of ours."""
    dashboard = bare(draft.spec)
    owner = draft.owner or (found.owner if found is not None else "")
    notes: Mapping[str, str] = {**(found.notes if found is not None else {}), **draft.notes}
    if owner:
        dashboard["tags"] = [*_tags(dashboard), OWNER_TAG + owner]
    if notes:
        dashboard[OURS] = dict(notes)
    if draft.uid:
        dashboard["uid"] = draft.uid
    return dashboard


def _found(reply: Json, uid: str) -> FoundDashboard:
    dashboard, meta = part(reply, "dashboard"), part(reply, "meta")
    spec = bare(dashboard)
    notes = texts(dashboard, OURS)
    spec.pop(OURS, None)
    owners = [tag for tag in _tags(spec) if tag.startswith(OWNER_TAG)]
    if owners:
        spec["tags"] = [tag for tag in _tags(spec) if tag not in owners]
        if not spec["tags"]:
            del spec["tags"]
    return FoundDashboard(
        uid=text(dashboard, "uid") or uid,
        spec=spec,
        folder_uid=text(meta, "folderUid"),
        version=whole(dashboard, "version"),
        provisioned=(text(meta, "provisionedExternalId") or "a file") if meta.get("provisioned") is True else "",
        owner=owners[0].removeprefix(OWNER_TAG) if owners else "",
        notes=notes,
    )


def _tags(spec: Mapping[str, object]) -> list[str]:
    tags = spec.get("tags")
    return [tag for tag in cast("list[object]", tags) if isinstance(tag, str)] if isinstance(tags, list) else []
