"""The client, on a stand-in with either API for dashboards, or on a real Grafana (see ``grafana_target``)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.grafana import places
from otel_monitoring.grafana.client import GrafanaClient
from otel_monitoring.grafana.connection import Connection
from otel_monitoring.grafana.failures import (
    FolderMissingError,
    NewerSchemaError,
    NotFoundError,
    ProvisionedError,
    QueryFailedError,
    RefusedError,
    VersionConflictError,
)
from otel_monitoring.grafana.found import FoundDashboard, RuleGroup
from tests.grafana_server import ADMIN_TOKEN, EDITOR_TOKEN, PASSWORD, GrafanaServer
from tests.grafana_target import KINDS, QUICK, Target, rule, target, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.asyncio, pytest.mark.programs]


@pytest.fixture(params=KINDS)
def grafana(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A Grafana with a folder of its own."""
    yield from target(request.param)


@pytest.fixture(params=["resources", "classic"])
def stand_in(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A stand-in, for what a real Grafana does not do on demand."""
    yield from target(request.param)


@pytest.fixture
def with_resources() -> Iterator[Target]:
    """A stand-in that has dashboards as resources."""
    yield from target("resources")


@pytest.fixture
def without_resources() -> Iterator[Target]:
    """A stand-in as servers before Grafana 12 are."""
    yield from target("classic")


def dashboard(uid: str, **more: object) -> dict[str, object]:
    panel = {
        "id": 1,
        "type": "timeseries",
        "title": "Up",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": "up"}],
    }
    return {"uid": uid, "title": f"Title of {uid}", "schemaVersion": 39, "panels": [panel], **more}


async def stored(client: GrafanaClient, place: Target, name: str = "a") -> FoundDashboard:
    return await client.save_dashboard(dashboard(place.uid(name)), folder_uid=place.folder_uid, message="first")


# Places


async def test_health_needs_no_credentials(grafana: Target) -> None:
    """The version is told to anybody."""
    connection = replace(grafana.connection, token=None, username=None, password=None)
    async with GrafanaClient(connection) as client:
        health = await client.health()
    assert str(health["version"])[0].isdigit()


async def test_a_folder_is_made_once(grafana: Target) -> None:
    """A folder that is there is found by its title or its uid, and not made a second time."""
    title = f"{grafana.folder_uid} inner"
    async with grafana.open() as client:
        first = await client.ensure_folder(title, uid=grafana.uid("inner"))
        try:
            assert await client.ensure_folder("any title", uid=first.uid) == first

            async def found() -> bool:
                return await client.find_folder(title) == first

            await until(found)  # servers search in an index, which follows
        finally:
            await client.delete_folder(first.uid)
        with pytest.raises(NotFoundError):
            await client.folder(first.uid)


async def test_a_folder_below_one_that_does_not_exist_is_refused(grafana: Target) -> None:
    """Grafana would make it where nobody sees it."""
    async with grafana.open() as client:
        with pytest.raises(FolderMissingError, match="there is no folder 'nowhere-"):
            await client.ensure_folder("lost", uid=grafana.uid("lost"), parent_uid=grafana.uid("nowhere"))
        with pytest.raises(NotFoundError):
            await client.folder(grafana.uid("lost"))


async def test_a_folder_that_somebody_makes_meanwhile_is_taken(stand_in: Target) -> None:
    """Two that make the same folder at once both get it."""
    server = stand_in.server
    assert server is not None
    async with stand_in.open() as client, stand_in.open() as other:
        server.misbehave(method="POST", path="/api/folders", does=lambda: asyncio.run(_made(stand_in)))
        folder = await client.ensure_folder("Shared", uid="shared")
        assert folder == await other.folder("shared")


async def _made(place: Target) -> None:
    async with place.open() as client:
        await client.ensure_folder("Shared", uid="shared")


async def test_every_page_of_a_search_is_read(stand_in: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is found on the last page too."""
    monkeypatch.setattr(places, "PAGE", 2)
    async with stand_in.open() as client:
        for number in range(5):
            await client.ensure_folder(f"Folder {number}")
        assert await client.find_folder("Folder 4") is not None


async def test_a_datasource_is_found_by_uid_name_or_as_the_default(grafana: Target) -> None:
    """Without a name it is the default Prometheus, and it answers."""
    async with grafana.open() as client:
        usual = await client.datasource()
        assert usual.type == "prometheus"
        assert await client.datasource(usual.uid) == usual
        assert await client.datasource(usual.name) == usual
        await client.check_datasource(usual.uid)
        with pytest.raises(NotFoundError, match=rf"there are .*{usual.uid}.*Set grafana_datasource"):
            await client.datasource("no such thing")


async def test_several_datasources_without_a_default_are_not_guessed_from(stand_in: Target) -> None:
    """The message names them."""
    server = stand_in.server
    assert server is not None
    server.state.datasources["prometheus"]["isDefault"] = False
    server.state.datasources["second"] = {**server.state.datasources["prometheus"], "uid": "second", "name": "Second"}
    async with stand_in.open() as client:
        with pytest.raises(NotFoundError, match=r"which datasource.*prometheus \(Prometheus.*second \(Second"):
            await client.datasource()


async def test_an_annotation_is_made(grafana: Target) -> None:
    """It has an id, and without text there is none."""
    async with grafana.open() as client:
        made = await client.annotate("deployed 1.2", ["deployment", grafana.folder_uid])
        assert made > 0
        grafana.forget_annotation(made)
        with pytest.raises(RefusedError, match="say what happened"):
            await client.annotate("")


# Dashboards


async def test_a_dashboard_is_saved_and_read(grafana: Target) -> None:
    """What is read has the same panels, and lies in its folder."""
    async with grafana.open() as client:
        saved = await stored(client, grafana)
        found = await client.read_dashboard(saved.uid)
    assert found == saved
    assert found.uid == grafana.uid("a")
    assert found.folder_uid == grafana.folder_uid
    assert found.title == f"Title of {found.uid}"
    assert found.spec["panels"] == dashboard("")["panels"]
    assert not {"id", "uid", "version"} & set(found.spec)


async def test_a_dashboard_without_a_uid_gets_one(grafana: Target) -> None:
    """Two of one title are two."""
    async with grafana.open() as client:
        uids = [
            (await client.save_dashboard({"title": "Same", "panels": []}, folder_uid=grafana.folder_uid)).uid
            for _ in range(2)
        ]
    assert len(set(uids)) == 2


async def test_a_dashboard_is_saved_over_what_was_read(grafana: Target) -> None:
    """Its version rises, and it stays where it is told to be."""
    async with grafana.open() as client:
        before = await stored(client, grafana)
        after = await client.save_dashboard(
            {**before.spec, "title": "Second"}, folder_uid=grafana.folder_uid, expected=before
        )
        assert await client.read_dashboard(before.uid) == after
    assert after.version == before.version + 1
    assert after.title == "Second"
    assert after.folder_uid == grafana.folder_uid


async def test_a_dashboard_that_has_changed_since_is_not_saved_over(grafana: Target) -> None:
    """The other's change stays, unless it shall be overwritten."""
    async with grafana.open() as client:
        before = await stored(client, grafana)
        other = await client.save_dashboard(
            {**before.spec, "title": "Other"}, folder_uid=grafana.folder_uid, expected=before
        )
        mine = {**before.spec, "title": "Mine"}
        with pytest.raises(VersionConflictError, match="saving dashboard 'Mine'"):
            await client.save_dashboard(mine, folder_uid=grafana.folder_uid, expected=before)
        assert await client.read_dashboard(before.uid) == other
        await client.save_dashboard(mine, folder_uid=grafana.folder_uid, expected=before, overwrite=True)
        assert (await client.read_dashboard(before.uid)).title == "Mine"


async def test_a_dashboard_that_exists_is_not_created(grafana: Target) -> None:
    """The message says that there is one, and what to do."""
    async with grafana.open() as client:
        first = await stored(client, grafana)
        with pytest.raises(VersionConflictError, match=rf"there is a dashboard '{first.uid}' already. Update that one"):
            await stored(client, grafana)
        spec = {**dashboard(first.uid), "title": "Whatever is there"}
        saved = await client.save_dashboard(spec, folder_uid=grafana.folder_uid, overwrite=True)
    assert saved.title == "Whatever is there"


async def test_of_writers_at_once_none_is_lost_in_silence(grafana: Target) -> None:
    """Of six that save over the same version at most one is told that it did, and that one's stays."""
    async with grafana.open() as client:
        before = await stored(client, grafana)

        async def write(number: int) -> FoundDashboard | None:
            spec = {**before.spec, "title": f"Writer {number}"}
            try:
                return await client.save_dashboard(spec, folder_uid=grafana.folder_uid, expected=before)
            except VersionConflictError:
                return None

        done = [saved for saved in await asyncio.gather(*map(write, range(6))) if saved is not None]
        now = await client.read_dashboard(before.uid)
    assert len(done) <= 1
    assert [saved.title for saved in done] in ([], [now.title])
    if grafana.kind == "resources":
        assert len(done) == 1


async def test_a_dashboard_goes_into_no_folder_that_is_missing(grafana: Target) -> None:
    """The failure says that it is the folder that is missing."""
    async with grafana.open() as client:
        with pytest.raises(FolderMissingError, match="Make the folder first"):
            await client.save_dashboard(dashboard(grafana.uid("a")), folder_uid=grafana.uid("nowhere"))


async def test_a_dashboard_that_is_no_json_is_not_sent(grafana: Target) -> None:
    """The message says what cannot be written."""
    async with grafana.open() as client:
        for wrong in (object(), float("nan"), {1, 2}):
            with pytest.raises(RefusedError, match="is no JSON"):
                await client.save_dashboard({"title": "T", "panels": [{"id": wrong}]}, folder_uid=grafana.folder_uid)
        with pytest.raises(RefusedError, match="its uid is a int, where text is right"):
            await client.save_dashboard({"title": "T", "uid": 5}, folder_uid=grafana.folder_uid)


async def test_a_dashboard_is_deleted(grafana: Target) -> None:
    """Afterwards it is not found, and cannot be deleted."""
    async with grafana.open() as client:
        uid = (await stored(client, grafana)).uid
        await client.delete_dashboard(uid)
        with pytest.raises(NotFoundError, match="does not exist there, or these credentials may not see it"):
            await client.read_dashboard(uid)
        with pytest.raises(NotFoundError):
            await client.delete_dashboard(uid)


@pytest.mark.parametrize("name", ["../folders", "a/b?c#d", "%2e%2e", "ü ☃"], ids=["up", "signs", "quoted", "unicode"])
async def test_names_with_any_characters_stay_one_step_of_the_path(stand_in: Target, name: str) -> None:
    """A name with slashes and question marks names nothing else."""
    async with stand_in.open() as client:
        for look in (client.folder, client.read_dashboard, client.rule, client.check_datasource):
            with pytest.raises(NotFoundError):
                await look(name)
        with pytest.raises(NotFoundError):
            await client.read_rule_group(stand_in.folder_uid, name)


async def test_a_dry_run_stores_nothing(grafana: Target) -> None:
    """It gives what a save would, of a new dashboard and of a changed one."""
    async with grafana.open() as client:
        tried = await client.dry_run(dashboard(grafana.uid("a")), folder_uid=grafana.folder_uid)
        with pytest.raises(NotFoundError):
            await client.read_dashboard(grafana.uid("a"))
        saved = await stored(client, grafana)
        assert saved.spec == tried
        again = await client.dry_run({**saved.spec, "title": "B"}, folder_uid=grafana.folder_uid, expected=saved)
        assert again == {**saved.spec, "title": "B"}
        assert await client.read_dashboard(saved.uid) == saved


async def test_what_is_wrong_in_a_dashboard_is_named(with_resources: Target) -> None:
    """The resource API names the field, and a dry run finds it too; the classic way takes anything."""
    async with with_resources.open() as client:
        spec = {"title": "T", "refresh": 5}
        with pytest.raises(RefusedError, match=r"spec\.refresh"):
            await client.save_dashboard(spec, folder_uid=with_resources.folder_uid)
        with pytest.raises(RefusedError, match=r"spec\.refresh"):
            await client.dry_run(spec, folder_uid=with_resources.folder_uid)


async def test_a_provisioned_dashboard_is_refused_before_anything_is_sent(stand_in: Target) -> None:
    """The resource API would answer 200 and keep nothing."""
    server = stand_in.server
    assert server is not None
    async with stand_in.open() as client:
        found = await client.read_dashboard("provisioned-dash")
        seen = len(server.seen)
        for overwrite in (False, True):
            with pytest.raises(ProvisionedError, match=r"comes from .*prov\.json.*use another uid"):
                await client.save_dashboard({"title": "Mine"}, folder_uid="", expected=found, overwrite=overwrite)
        assert len(server.seen) == seen
        with pytest.raises(ProvisionedError, match="change that file"):
            await client.delete_dashboard("provisioned-dash")


async def test_a_dashboard_of_schema_v2_is_refused(with_resources: Target) -> None:
    """Saving it would store it as v1."""
    stand_in = with_resources
    server = stand_in.server
    assert server is not None
    async with stand_in.open() as client:
        saved = await stored(client, stand_in)
        times = {"autoRefresh": "", "autoRefreshIntervals": [], "fiscalYearStartMonth": 0, "from": "now-1h"}
        spec = {"title": "V2", "editable": True, "liveNow": False, "preload": False}
        server.state.dashboards[saved.uid].spec = {**spec, "timeSettings": {**times, "timezone": "", "to": "now"}}
        server.state.dashboards[saved.uid].stored = "v2beta1"
        found = await client.read_dashboard(saved.uid)
        with pytest.raises(NewerSchemaError, match="stored as v2beta1"):
            await client.save_dashboard(found.spec, folder_uid=stand_in.folder_uid, expected=found)


async def test_a_write_that_lands_while_ours_is_under_way_is_told(stand_in: Target) -> None:
    """Between Grafana's check and its write somebody else saves: a conflict, whichever API."""
    server = stand_in.server
    assert server is not None
    async with stand_in.open() as client:
        before = await stored(client, stand_in)
        server.meanwhile(lambda: server.change_dashboard(before.uid, title="Theirs"))
        with pytest.raises(VersionConflictError) as caught:
            await client.save_dashboard(
                {**before.spec, "title": "Ours"}, folder_uid=stand_in.folder_uid, expected=before
            )
    if stand_in.kind == "classic":
        assert "somebody else saved version 2 while ours was under way" in str(caught.value)
        assert server.state.dashboards[before.uid].history[0]["data"]["title"] == "Ours"
    else:
        assert server.state.dashboards[before.uid].spec["title"] == "Theirs"


async def test_a_write_that_lands_right_after_ours_is_told(without_resources: Target) -> None:
    """The classic way reads back, and sees that ours is not what is there."""
    stand_in = without_resources
    server = stand_in.server
    assert server is not None
    async with stand_in.open() as client:
        before = await stored(client, stand_in)
        server.misbehave(
            method="GET", path="/api/dashboards/uid", does=lambda: server.change_dashboard(before.uid, title="Theirs")
        )
        with pytest.raises(VersionConflictError, match="somebody else saved version 3 right after ours"):
            await client.save_dashboard(
                {**before.spec, "title": "Ours"}, folder_uid=stand_in.folder_uid, expected=before
            )


# Rules


def group(place: Target, *rules: dict[str, object], name: str = "first", interval: int = 10) -> RuleGroup:
    return RuleGroup(folder_uid=place.folder_uid, name=name, interval_seconds=interval, rules=rules)


async def usable(client: GrafanaClient, uid: str, expr: str = "vector(1)", **more: object) -> dict[str, object]:
    datasource = await client.datasource()
    made = rule(uid, expr, **more)
    data = made["data"]
    assert isinstance(data, list)
    data[0]["datasourceUid"] = datasource.uid
    return made


async def test_a_group_is_written_and_read(grafana: Target) -> None:
    """Its rules are there, in their order, with its interval; a name may have slashes."""
    async with grafana.open() as client:
        rules = [await usable(client, grafana.uid(name)) for name in ("b", "a")]
        written = await client.put_rule_group(group(grafana, *rules, name="a b/c", interval=30))
        assert written == await client.read_rule_group(grafana.folder_uid, "a b/c")
        assert [one["uid"] for one in written.rules] == [one["uid"] for one in rules]
        assert written.interval_seconds == 30
        assert [found.name for found in await client.rule_groups(grafana.folder_uid)] == ["a b/c"]
        fewer = await client.put_rule_group(group(grafana, rules[1], name="a b/c", interval=60))
        assert [one["uid"] for one in fewer.rules] == [rules[1]["uid"]]
        await client.delete_rule_group(grafana.folder_uid, "a b/c")
        with pytest.raises(NotFoundError):
            await client.read_rule_group(grafana.folder_uid, "a b/c")
        with pytest.raises(NotFoundError):
            await client.delete_rule_group(grafana.folder_uid, "a b/c")


async def test_groups_that_grafana_would_take_wrongly_are_refused(grafana: Target) -> None:
    """No rules would keep the old ones, and the scheduler knows multiples of ten seconds only."""
    async with grafana.open() as client:
        with pytest.raises(RefusedError, match=r"it holds no rules, and Grafana would keep those it has. Delete"):
            await client.put_rule_group(group(grafana))
        made = await usable(client, grafana.uid("a"))
        with pytest.raises(RefusedError, match="7 s is no multiple of 10 s"):
            await client.put_rule_group(group(grafana, made, interval=7))
        with pytest.raises(FolderMissingError):
            await client.put_rule_group(replace(group(grafana, made), folder_uid=grafana.uid("nowhere")))


@pytest.mark.parametrize(("editable", "provenance"), [(True, ""), (False, "api")], ids=["editable", "read-only"])
async def test_rules_are_editable_where_that_is_wanted(grafana: Target, editable: bool, provenance: str) -> None:
    """What the API makes is read-only in the UI, unless it is told otherwise."""
    async with grafana.open() as client:
        await client.put_rule_group(group(grafana, await usable(client, grafana.uid("a"))), editable=editable)
        (live,) = await client.live_rules(grafana.folder_uid)
    assert live.provenance == provenance
    assert (live.uid, live.title, live.group) == (grafana.uid("a"), grafana.uid("a"), "first")


async def test_the_interval_is_set_apart_from_the_rules(grafana: Target) -> None:
    """Rules stay."""
    async with grafana.open() as client:
        before = await client.put_rule_group(group(grafana, await usable(client, grafana.uid("a"))))
        await client.set_interval(grafana.folder_uid, "first", 120)
        after = await client.read_rule_group(grafana.folder_uid, "first")
    assert after.interval_seconds == 120
    assert [one["uid"] for one in after.rules] == [one["uid"] for one in before.rules]


async def test_a_rule_is_made_read_and_deleted(grafana: Target) -> None:
    """One of its uid is a conflict; deleting it twice does no harm."""
    async with grafana.open() as client:
        made = await usable(client, grafana.uid("a"), folderUID=grafana.folder_uid, ruleGroup="g")
        uid = await client.create_rule(made)
        assert uid == made["uid"]
        assert (await client.rule(uid))["title"] == made["title"]
        assert uid in [one["uid"] for one in await client.rules()]
        with pytest.raises(VersionConflictError, match=rf"there is a rule '{uid}' already"):
            await client.create_rule(made)
        await client.delete_rule(uid)
        await client.delete_rule(uid)
        with pytest.raises(NotFoundError):
            await client.rule(uid)


async def test_rules_that_can_never_work_are_found_out(grafana: Target) -> None:
    """Grafana would take each of them."""
    async with grafana.open() as client:
        good = await usable(client, grafana.uid("good"))
        await client.try_rule(good)
        with pytest.raises(QueryFailedError, match=r"its queries fail: A: .*parse error") as caught:
            await client.try_rule(await usable(client, grafana.uid("bad"), "sum(up"))
        assert set(caught.value.reasons) == {"A", "B"}
        with pytest.raises(QueryFailedError, match="its condition 'Z' is none of its refIds A, B"):
            await client.try_rule({**good, "condition": "Z"})
        with pytest.raises(RefusedError, match="where a list of queries is right"):
            await client.try_rule({**good, "data": "A"})
        with pytest.raises(QueryFailedError, match=r"data ?source not found"):
            await client.try_rule(rule(grafana.uid("lost"), data=[_of_unknown(), *_expressions()]))


def _of_unknown() -> dict[str, object]:
    data = rule("x")["data"]
    assert isinstance(data, list)
    return {**data[0], "datasourceUid": "no-such-datasource"}


def _expressions() -> list[dict[str, object]]:
    data = rule("x")["data"]
    assert isinstance(data, list)
    return list(data[1:])


async def test_each_rule_is_evaluated_before_long(grafana: Target) -> None:
    """The live state says when, how it went, and why it did not; a paused one never is."""
    async with grafana.open() as client:
        rules = [
            await usable(client, grafana.uid("fires")),
            await usable(client, grafana.uid("breaks"), "sum(up"),
            await usable(client, grafana.uid("paused"), isPaused=True),
        ]
        await client.put_rule_group(group(grafana, *rules))

        async def evaluated() -> bool:
            live = await client.live_rules(grafana.folder_uid)
            return len(live) == 3 and all(one.last_evaluation or one.is_paused for one in live)

        await until(evaluated)
        fires, breaks, paused = await client.live_rules(grafana.folder_uid)
    assert (fires.state, fires.health, fires.last_error) == ("firing", "ok", "")
    assert breaks.health == "error"
    assert "parse error" in breaks.last_error
    assert paused.is_paused
    assert not paused.last_evaluation


async def test_rules_from_a_file_are_not_written(stand_in: Target) -> None:
    """Neither the group nor one of its rules in another."""
    async with stand_in.open() as client:
        made = await usable(client, "rule-from-file")
        with pytest.raises(ProvisionedError, match="comes from a file"):
            await client.put_rule_group(group(stand_in, made))
        with pytest.raises(ProvisionedError):
            await client.delete_rule_group("eg57n0zdcfd34b", "from-file")
        with pytest.raises(ProvisionedError):
            await client.delete_rule("rule-from-file")


# Connections


async def test_a_grafana_below_a_path_is_reached() -> None:
    """With and without a slash at the end of its address."""
    with GrafanaServer(prefix="/some/grafana") as server:
        for url in (server.url, server.url + "/"):
            async with GrafanaClient(
                Connection(url=url, token=EDITOR_TOKEN, timeout_seconds=60.0), patience=QUICK
            ) as client:
                assert (await client.find_folder("From files")) is not None
                assert (await client.read_dashboard("provisioned-dash")).title == "Provisioned"


async def test_a_password_signs_in_wherever_it_is_written() -> None:
    """In the settings, or encoded in the address; a token goes first."""
    with GrafanaServer() as server:
        state = server.state
        place = server.url.removeprefix("http://")
        connections = (
            Connection(url=server.url, username="admin", password=PASSWORD),
            Connection(url=f"http://admin:{PASSWORD.replace('-', '%2D')}@{place}"),
            Connection(url=f"http://admin:wrong@{place}", token=ADMIN_TOKEN),
            Connection(url=server.url, username="admin", password="wrong", token=ADMIN_TOKEN),
        )
        for connection in connections:
            async with GrafanaClient(replace(connection, timeout_seconds=60.0), patience=QUICK) as client:
                assert len(await client.rules()) == len(state.rules)


async def test_an_organisation_is_named_in_each_request() -> None:
    """Its dashboards are in a namespace of its own."""
    with GrafanaServer() as server:
        connection = Connection(url=server.url, token=EDITOR_TOKEN, organization_id=7, timeout_seconds=60.0)
        async with GrafanaClient(connection, patience=QUICK) as client:
            with pytest.raises(NotFoundError):
                await client.read_dashboard("a")
        assert {seen.headers.get("x-grafana-org-id") for seen in server.seen} == {"7"}
        assert server.asked_for("GET", "/namespaces/org-7/dashboards/a")
