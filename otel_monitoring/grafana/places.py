"""Folders, datasources and annotations on a Grafana."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.failures import FolderMissingError, NotFoundError, RefusedError
from otel_monitoring.grafana.found import Datasource, Folder
from otel_monitoring.grafana.shapes import Json, listing, mapping, quoted, text, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_monitoring.grafana.transport import Transport

PAGE = 1000
NEVER_SEARCHED_PAGES = 100


class WithPlaces:
    """The part of the client that finds where things go."""

    _transport: Transport

    async def health(self) -> dict[str, object]:
        """Return ``version`` and ``database`` of the server; needs no credentials.

        Raises:
            GrafanaError: it does not answer as a Grafana does.
        """
        what = "asking for Grafana's health"
        found = await self._transport.call(lambda api: api.client.GET("/health"), what, repeatable=True)
        return mapping(found, what)

    async def folder(self, uid: str) -> Folder:
        """Return a folder.

        Raises:
            NotFoundError: there is none of this uid.
        """
        what = f"reading folder {uid!r}"
        found = await self._transport.call(lambda api: api.folder.get_folder(quoted(uid)), what, repeatable=True)
        return _folder(mapping(found, what))

    async def find_folder(self, title: str) -> Folder | None:
        """Return the folder of this title at the root; None where there is none that can be seen."""
        for found in await self._search("dash-folder", query=title):
            if text(found, "title") == title and not text(found, "folderUid"):
                return Folder(uid=text(found, "uid"), title=title)
        return None

    async def ensure_folder(self, title: str, *, uid: str | None = None, parent_uid: str | None = None) -> Folder:
        """Return the folder of this uid, or without one of this title, and make it where it is missing.

        Raises:
            FolderMissingError: there is no folder ``parent_uid``.
        """
        found = await (self.find_folder(title) if uid is None else self._folder_or_none(uid))
        if found is not None:
            return found
        if parent_uid is not None and await self._folder_or_none(parent_uid) is None:
            # Grafana would make it all the same, and nobody would ever see it.
            raise FolderMissingError(f"making folder {title!r}: there is no folder {parent_uid!r} to put it into")
        what = f"making folder {title!r}"
        made = await self._transport.call(
            lambda api: api.folder.create_folder(title, uid, parent_uid), what, repeatable=False
        )
        return _folder(mapping(made, what))

    async def delete_folder(self, uid: str, *, with_all_in_it: bool = False) -> None:
        """Delete a folder.

        Args:
            uid: of the folder.
            with_all_in_it: its rules and dashboards, too; without it one that holds any stays.

        Raises:
            NotFoundError: there is none.
            RefusedError: it is not empty.
        """
        await self._transport.call(
            lambda api: api.folder.delete_folder(quoted(uid), "true" if with_all_in_it else "false"),
            f"deleting folder {uid!r}",
            repeatable=False,
        )

    async def datasource(self, name: str | None = None) -> Datasource:
        """Return a datasource.

        Args:
            name: its uid or its name; None takes the default Prometheus, or the only one.

        Raises:
            NotFoundError: there is none; the message names those that there are.
        """
        what = "listing datasources"
        found = await self._transport.call(lambda api: api.datasource.list_datasources(), what, repeatable=True)
        datasources = [_datasource(item) for item in listing(found, what)]
        return _named(datasources, name) if name is not None else _usual(datasources)

    async def check_datasource(self, uid: str) -> None:
        """Have Grafana try whether a datasource answers.

        Raises:
            RefusedError: it does not; the message says why.
            NotFoundError: there is none.
        """
        await self._transport.call(
            lambda api: api.datasource.health(quoted(uid)), f"trying datasource {uid!r}", repeatable=True
        )

    async def annotate(
        self,
        message: str,
        tags: Sequence[str] = (),
        *,
        time_ms: int | None = None,
        until_ms: int | None = None,
        dashboard_uid: str | None = None,
    ) -> int:
        """Mark a moment or a span on the dashboards, and return the annotation's id.

        Args:
            message: to show.
            tags: that dashboards choose by.
            time_ms: when, in milliseconds since 1970; None is now.
            until_ms: the end of a span.
            dashboard_uid: on one dashboard alone.

        Raises:
            RefusedError: the message is empty.
            GrafanaError: Grafana did not take it.
        """
        if not message:
            raise RefusedError("making an annotation: its text is empty; say what happened")
        what = "making an annotation"
        made = await self._transport.call(
            lambda api: api.annotations.add_annotation(
                dashboard_uid=dashboard_uid, time_from=time_ms, time_to=until_ms, tags=list(tags), text=message
            ),
            what,
            repeatable=False,
        )
        return whole(mapping(made, what), "id")

    async def _folder_or_none(self, uid: str) -> Folder | None:
        try:
            return await self.folder(uid)
        except NotFoundError:
            return None

    async def _search(
        self, kind: str, *, query: str | None = None, tag: str | None = None, folder_uid: str | None = None
    ) -> list[Json]:
        """Return all that a search finds, page after page."""
        what = "searching"
        found: list[Json] = []
        for page in range(1, NEVER_SEARCHED_PAGES):
            reply = await self._transport.call(
                lambda api, page=page: api.search.search_dashboards(  # type: ignore[misc]
                    query=query, tag=tag, type_=kind, folder_uids=folder_uid, limit=PAGE, page=page
                ),
                what,
                repeatable=True,
            )
            items = listing(reply, what)
            found += items
            if len(items) < PAGE:
                break
        return found


def _folder(found: Json) -> Folder:
    return Folder(uid=text(found, "uid"), title=text(found, "title"), parent_uid=text(found, "parentUid"))


def _datasource(found: Json) -> Datasource:
    return Datasource(
        uid=text(found, "uid"),
        name=text(found, "name"),
        type=text(found, "type"),
        is_default=found.get("isDefault") is True,
    )


def _named(datasources: list[Datasource], name: str) -> Datasource:
    for wanted in ("uid", "name"):
        for datasource in datasources:
            if getattr(datasource, wanted) == name:
                return datasource
    raise NotFoundError(
        f"there is no datasource {name!r} that can be seen; {_those(datasources)}. Set grafana_datasource"
    )


def _usual(datasources: list[Datasource]) -> Datasource:
    prometheus = [found for found in datasources if found.type == "prometheus"]
    default = [found for found in prometheus if found.is_default]
    if len(prometheus) == 1 or default:
        return (default or prometheus)[0]
    kind = "several are of type prometheus" if prometheus else "none is of type prometheus"
    raise NotFoundError(
        f"which datasource is meant? {kind}; {_those(datasources)}. Set grafana_datasource to one's uid"
    )


def _those(datasources: list[Datasource]) -> str:
    names = ", ".join(f"{found.uid} ({found.name}, {found.type})" for found in datasources)
    return f"there are {names}" if names else "there are none"
