"""Dashboards as resources: Grafana 12's API, whose saves are atomic and which can try without saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.failures import ForbiddenError, NotAGrafanaError, NotFoundError
from otel_monitoring.grafana.found import FoundDashboard
from otel_monitoring.grafana.saving import OURS, Draft, bare, refuse_foreign
from otel_monitoring.grafana.shapes import Json, listing, mapping, part, quoted, text, texts, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.transport import Transport

GROUP = "dashboard.grafana.app"
OWNER_LABEL = f"{OURS}/owner"
PAGE = 100
_SERVERS_OWN = frozenset({"creationTimestamp", "generation", "managedFields", "uid", "resourceVersion"})


class Resources:
    """Grafana's dashboards as resources.

    Args:
        transport: to the server.
        version: of the API group, as ``v1beta1``.
        namespace: ``default`` for organisation 1, ``org-N`` for others.
    """

    def __init__(self, transport: Transport, version: str, namespace: str) -> None:
        self._transport = transport
        self._kind = {"apiVersion": f"{GROUP}/{version}", "kind": "Dashboard"}
        self._path = f"/apis/{GROUP}/{version}/namespaces/{quoted(namespace)}/dashboards"

    async def read(self, uid: str) -> FoundDashboard:
        """Return one dashboard.

        Raises:
            NotFoundError: there is none of this uid.
        """
        what = f"reading dashboard {uid!r}"
        found = await self._transport.resource("GET", self._at(uid), what, repeatable=True)
        return _found(mapping(found, what))

    async def owned(self, owner: str) -> list[FoundDashboard]:
        """Return all dashboards of an owner."""
        what = f"looking for the dashboards of {owner!r}"
        params = {"labelSelector": f"{OWNER_LABEL}={owner}", "limit": PAGE}
        found: list[FoundDashboard] = []
        following = ""
        while True:
            reply = await self._transport.resource(
                "GET",
                self._path,
                what,
                params={**params, "continue": following} if following else params,
                repeatable=True,
            )
            items = listing(mapping(reply, what).get("items") or [], what)
            found += map(_found, items)
            following = text(part(mapping(reply, what), "metadata"), "continue")
            # The last page names a next one, too, and that is empty.
            if not following or len(items) < PAGE:
                return found

    async def create(self, draft: Draft) -> FoundDashboard:
        """Save a dashboard that is not there.

        Raises:
            VersionConflictError: there is one of this uid.
            FolderMissingError: there is no such folder.
            RefusedError: something in it is of a wrong type; the message names the field.
        """
        saved = await self._transport.resource(
            "POST", self._path, draft.what, body=self._body(draft, None), repeatable=False
        )
        return _found(mapping(saved, draft.what))

    async def replace(self, draft: Draft, found: FoundDashboard, *, overwrite: bool) -> FoundDashboard:
        """Save over what was found; raises as ``create``, and where it has changed since, unless ``overwrite``."""
        refuse_foreign(found, draft.what)
        body = self._body(draft, found)
        if not overwrite:
            body["metadata"] = {**part(body, "metadata"), "resourceVersion": found.resource_version}
        saved = await self._transport.resource("PUT", self._at(found.uid), draft.what, body=body, repeatable=overwrite)
        return _found(mapping(saved, draft.what))

    async def dry_run(self, draft: Draft, found: FoundDashboard | None) -> dict[str, object]:
        """Return the dashboard as the server would hold it; raises as the save would."""
        what = draft.what.replace("saving", "trying")
        body = self._body(draft, found)
        method, path = ("POST", self._path) if found is None else ("PUT", self._at(found.uid))
        tried = await self._transport.resource(method, path, what, body=body, params={"dryRun": "All"}, repeatable=True)
        return _found(mapping(tried, what)).spec

    def _at(self, uid: str) -> str:
        return f"{self._path}/{quoted(uid)}"

    def _body(self, draft: Draft, found: FoundDashboard | None) -> Json:
        return {**self._kind, "metadata": _metadata(draft, found), "spec": bare(draft.spec)}


async def open_resources(transport: Transport) -> Resources | None:
    """Return the server's dashboards as resources, or None where it does not have them so."""
    what = "asking how dashboards are saved"
    try:
        group = mapping(await transport.resource("GET", f"/apis/{GROUP}/", what, repeatable=True), what)
    except (NotFoundError, NotAGrafanaError, ForbiddenError):
        return None
    versions = [text(version, "version") for version in listing(group.get("versions") or [], what)]
    version = _version(text(part(group, "preferredVersion"), "version"), versions)
    return Resources(transport, version, await _namespace(transport)) if version else None


def _version(preferred: str, versions: list[str]) -> str:
    """Choose the version of schema v1, which our dashboards are in."""
    fitting = [version for version in versions if version == "v1" or version.startswith(("v1alpha", "v1beta"))]
    if preferred in fitting:
        return preferred
    return "v1" if "v1" in fitting else max(fitting, default="")


async def _namespace(transport: Transport) -> str:
    organization = transport.connection.organization_id
    if organization is None:
        what = "asking for the organisation"
        try:
            found = mapping(await transport.call(lambda api: api.client.GET("/org"), what, repeatable=True), what)
        except ForbiddenError:
            return "default"
        organization = whole(found, "id")
    return "default" if organization in {0, 1} else f"org-{organization}"


def _metadata(draft: Draft, found: FoundDashboard | None) -> Json:
    before: Mapping[str, object] = found.metadata if found is not None else {}
    labels: dict[str, str] = texts(before, "labels")
    annotations = texts(before, "annotations")
    if draft.owner:
        labels[OWNER_LABEL] = draft.owner
    annotations |= {f"{OURS}/{name}": note for name, note in draft.notes.items()}
    annotations |= {"grafana.app/folder": draft.folder_uid, "grafana.app/message": draft.message}
    kept = {name: value for name, value in before.items() if name not in _SERVERS_OWN}
    named = {"name": draft.uid} if draft.uid else {"generateName": "d"}
    return kept | named | {"labels": labels, "annotations": {name: note for name, note in annotations.items() if note}}


def _found(resource: Json) -> FoundDashboard:
    metadata = part(resource, "metadata")
    labels, annotations = texts(metadata, "labels"), texts(metadata, "annotations")
    stored = text(part(part(resource, "status"), "conversion"), "storedVersion")
    manager = annotations.get("grafana.app/managedBy", "")
    return FoundDashboard(
        uid=text(metadata, "name"),
        spec=bare(part(resource, "spec")),
        folder_uid=annotations.get("grafana.app/folder", ""),
        version=whole(metadata, "generation"),
        resource_version=text(metadata, "resourceVersion"),
        provisioned=annotations.get("grafana.app/sourcePath", "") or manager,
        stored_schema=stored if stored.startswith("v2") else "",
        owner=labels.get(OWNER_LABEL, ""),
        notes={
            name.removeprefix(f"{OURS}/"): note for name, note in annotations.items() if name.startswith(f"{OURS}/")
        },
        metadata=metadata,
    )
