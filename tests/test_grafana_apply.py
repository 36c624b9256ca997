"""Plan and apply against a Grafana: the stand-in, or the real one that GRAFANA_URL names."""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from otel_monitoring.cli.grafana_content import Subject
from otel_monitoring.cli.grafana_session import Wishes, annotate, apply, delete, plan, pull
from otel_monitoring.cli.rendered_folder import write_files
from otel_monitoring.exceptions import GrafanaError
from otel_monitoring.grafana import Alert, Dashboard, Panel, Row, RuleGroup
from otel_monitoring.grafana.apply import Writer
from otel_monitoring.grafana.client import GrafanaClient
from otel_monitoring.grafana.content import Content
from otel_monitoring.grafana.dashboard import uid_of
from otel_monitoring.grafana.evaluation import wait_until_evaluated
from otel_monitoring.grafana.failures import NotAGrafanaError, NotFoundError, UnauthorizedError, VersionConflictError
from otel_monitoring.grafana.found import LiveRule
from otel_monitoring.grafana.found import RuleGroup as ManagedGroup
from otel_monitoring.grafana.plan import make_plan
from otel_monitoring.grafana.pulled import Pulled, read_pulled
from otel_monitoring.grafana.reading import as_held, folder_of, read_present
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.metrics import Registry
from otel_monitoring.settings import Settings
from tests import grafana_dashboards
from tests.grafana_requests import Answer
from tests.grafana_server import ADMIN_TOKEN, GrafanaServer, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

    from otel_monitoring.grafana.desired import Desired
    from otel_monitoring.grafana.found import FoundDashboard
    from otel_monitoring.grafana.present import Present

T = TypeVar("T")
DATASOURCE = "prometheus"
QUICK = Wishes(wait_seconds=0)
PATIENCE_SECONDS = 60.0
REAL_URL = os.environ.get("GRAFANA_URL")

pytestmark = pytest.mark.programs


@dataclass
class Place:
    """A Grafana, a folder in it that is the test's own, and what is said.

    Attributes:
        settings: where it is, how to sign in, which folder.
        server: the stand-in; None where the Grafana is a real one.
        said: the lines of the last command.
    """

    settings: Settings
    server: GrafanaServer | None = None
    said: list[str] = field(default_factory=list[str])

    @property
    def title(self) -> str:
        """The title of the folder."""
        return self.settings.grafana_folder

    @property
    def uid(self) -> str:
        """The uid of the folder."""
        return uid_of(self.title)

    def name(self, text: str) -> str:
        """Return a uid that no other test has."""
        return f"{self.uid}-{text}"[:40]

    def subject(self, content: Content, pulled: Pulled | None = None) -> Subject:
        """Return what a command works with."""
        return Subject(self.settings, content, "shop", pulled)

    def say(self, line: str) -> None:
        """Keep a line."""
        self.said.append(line)

    def plan(self, content: Content, wishes: Wishes = QUICK, pulled: Pulled | None = None) -> int:
        """Return the exit code of plan."""
        self.said.clear()
        return asyncio.run(plan(self.subject(content, pulled), wishes, self.say))

    def apply(self, content: Content, wishes: Wishes = QUICK, pulled: Pulled | None = None) -> int:
        """Return the exit code of apply."""
        self.said.clear()
        return asyncio.run(apply(self.subject(content, pulled), wishes, self.say))

    def ask(self, work: Callable[[GrafanaClient], Coroutine[object, object, T]]) -> T:
        """Return what somebody else gets done in this Grafana."""

        async def act() -> T:
            async with GrafanaClient(self.subject(content()).connection) as client:
                return await work(client)

        return asyncio.run(act())

    def dashboard(self, uid: str) -> FoundDashboard:
        """Return a dashboard as it is there."""
        return self.ask(lambda client: client.read_dashboard(uid))

    def edit(self, uid: str, **fields: object) -> None:
        """Change a dashboard as somebody does in the user interface."""

        async def save(client: GrafanaClient) -> None:
            found = await client.read_dashboard(uid)
            await client.save_dashboard({**found.spec, **fields}, folder_uid=found.folder_uid, expected=found)

        self.ask(save)

    def group(self, name: str = "jobs") -> ManagedGroup:
        """Return a group of rules as it is there."""
        return self.ask(lambda client: client.read_rule_group(self.uid, name))

    def edit_group(self, change: Callable[[ManagedGroup], ManagedGroup], name: str = "jobs") -> None:
        """Change a group of rules as somebody does in the user interface."""

        async def write(client: GrafanaClient) -> None:
            await client.put_rule_group(change(await client.read_rule_group(self.uid, name)))

        self.ask(write)

    def clean(self) -> None:
        """Remove the folder with all in it."""

        async def remove(client: GrafanaClient) -> None:
            await client.delete_folder(self.uid, with_all_in_it=True)

        with suppress(NotFoundError):
            self.ask(remove)


def settings(url: str, **credentials: object) -> Settings:
    """Return settings for a Grafana, with a folder of the test's own."""
    folder = f"Test {uuid.uuid4().hex[:8]}"
    patience = {"grafana_timeout_seconds": PATIENCE_SECONDS}
    given = {"grafana_url": url, "grafana_folder": folder, "offline": False, **patience, **credentials}
    return Settings.load(given, environ={})


def real_settings() -> Settings:
    """Return settings for the Grafana that the environment names."""
    assert REAL_URL is not None
    names = {"GRAFANA_TOKEN": "grafana_api_key", "GRAFANA_USERNAME": "grafana_username"}
    names["GRAFANA_PASSWORD"] = "grafana_password"
    return settings(
        REAL_URL, **{name: os.environ[variable] for variable, name in names.items() if variable in os.environ}
    )


@contextmanager
def opened(**how: Any) -> Iterator[Place]:
    """Give a place in a stand-in of its own."""
    with serving(**how) as server:
        yield Place(settings(server.url, grafana_api_key=ADMIN_TOKEN), server)


@pytest.fixture
def grafana() -> Iterator[Place]:
    """A place in a Grafana: the real one where GRAFANA_URL names one."""
    if REAL_URL is None:
        with opened() as place:
            yield place
        return
    place = Place(real_settings())
    try:
        yield place
    finally:
        place.clean()


@pytest.fixture(params=["resources", "classic"])
def standin(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place in a stand-in, which has dashboards as resources, and in one that does not."""
    with opened(resources=request.param == "resources") as place:
        yield place


def server_of(place: Place) -> GrafanaServer:
    """Return the stand-in."""
    assert place.server is not None
    return place.server


def content(*dashboards: Dashboard, alerts: tuple[Alert, ...] = (), name: str = "jobs") -> Content:
    """Return what the code says."""
    groups = (RuleGroup(name, 10, alerts),) if alerts else ()
    return Content(Registry().catalogue, dashboards, groups)


def jobs(place: Place, expr: str = "vector(1)", title: str = "Jobs") -> Dashboard:
    """Return a dashboard."""
    return Dashboard(title, [Row("Flow", Panel("Finished", expr))], uid=place.name("jobs"))


def stuck(expr: str = "vector(0) > 1", **changes: Any) -> Alert:
    """Return an alert that stays silent."""
    given: dict[str, Any] = {"hold": "0s", "summary": "Jobs stand still.", **changes}
    return Alert("JobsStuck", expr, **given)


def both(place: Place, **changes: Any) -> Content:
    """Return a dashboard and an alert."""
    return content(jobs(place, **changes), alerts=(stuck(),))


def tags_of(place: Place) -> list[str]:
    """Return the tags of the dashboard."""
    tags: Any = place.dashboard(place.name("jobs")).spec["tags"]
    return list(tags)


def test_plan_apply_plan_apply_is_2_0_0_0(grafana: Place) -> None:
    """What is missing is planned, then made, then there, and then left alone."""
    shown = both(grafana)
    waiting = Wishes()
    assert grafana.plan(shown) == 2
    assert any("+ create" in line for line in grafana.said)
    assert grafana.apply(shown, waiting) == 0
    made = grafana.dashboard(grafana.name("jobs"))
    assert grafana.plan(shown) == 0
    assert grafana.apply(shown, waiting) == 0
    assert grafana.dashboard(grafana.name("jobs")) == made
    assert "otel-monitoring" in tags_of(grafana)


def test_a_second_apply_writes_nothing(standin: Place) -> None:
    """Neither dashboards nor rules are sent again where they are as they shall be."""
    server = server_of(standin)
    assert standin.apply(both(standin)) == 0
    server.seen.clear()
    assert standin.apply(both(standin)) == 0
    assert not [
        seen
        for seen in server.seen
        if seen.method in {"POST", "PUT", "DELETE"} and "dryRun=All" not in seen.path and "/eval" not in seen.path
    ]


def test_what_comes_with_the_package_is_applied_and_then_left_alone() -> None:
    """All shipped dashboards and rules go through plan and apply, and the second time nothing differs."""
    from otel_monitoring.grafana.content import shipped_content

    with opened() as place:
        shipped = shipped_content(Registry().catalogue, job="shop")
        assert place.plan(shipped) == 2
        assert place.apply(shipped) == 0
        assert place.plan(shipped) == 0


def test_two_services_in_one_grafana_keep_what_is_theirs() -> None:
    """In one folder the second is refused; in its own it finds the package's dashboards and takes nothing."""
    from otel_monitoring.grafana.content import shipped_content

    shop, crawler = (shipped_content(Registry().catalogue, job=job) for job in ("shop", "crawler"))
    with opened() as place:
        assert place.apply(shop) == 0
        assert place.apply(crawler) == 1
        assert any("watches the job 'shop'" in line for line in place.said), place.said
        own = Place(replace(place.settings, grafana_folder="Crawler"), place.server)
        assert own.apply(crawler) == 0
        assert [one.plan(content) for one, content in ((own, crawler), (place, shop))] == [0, 0]
        assert own.plan(crawler, Wishes(overwrite=True)) == 2
        assert sum("~ change" in line for line in own.said) == len(shipped_dashboards())


def test_a_change_of_the_code_is_shown_by_field_and_made(grafana: Place) -> None:
    """Plan names the field with what it was and will be; apply makes it so."""
    assert grafana.apply(both(grafana)) == 0
    changed = content(jobs(grafana, expr="vector(2)"), alerts=(stuck(hold="1m"),))
    assert grafana.plan(changed) == 2
    assert any('"vector(1)" → "vector(2)"' in line for line in grafana.said), grafana.said
    assert any(line.endswith(".for: 60") for line in grafana.said), grafana.said
    assert grafana.apply(changed) == 0
    assert grafana.plan(changed) == 0


def test_a_change_made_in_grafana_is_refused_shown_and_overwritten_when_told(grafana: Place) -> None:
    """Nothing at all is written until somebody has decided."""
    assert grafana.apply(both(grafana)) == 0
    grafana.edit(grafana.name("jobs"), title="Mine")
    edited = grafana.dashboard(grafana.name("jobs"))
    assert grafana.plan(both(grafana)) == 1
    assert grafana.apply(content(jobs(grafana), alerts=(stuck(hold="2m"),))) == 1
    assert any('"Mine" → "Jobs"' in line for line in grafana.said), grafana.said
    assert grafana.said[-1] == "Nothing was written."
    assert grafana.dashboard(grafana.name("jobs")) == edited
    assert grafana.group().rules[0].get("for") in {"0s", "0"}
    assert grafana.apply(both(grafana), Wishes(wait_seconds=0, overwrite=True)) == 0
    assert grafana.dashboard(grafana.name("jobs")).title == "Jobs"
    assert grafana.plan(both(grafana)) == 0


def test_a_rule_paused_in_grafana_stays_paused_until_told_otherwise(grafana: Place) -> None:
    """A rule that somebody silenced is not switched on again by the next release."""
    assert grafana.apply(both(grafana)) == 0
    grafana.edit_group(lambda group: replace(group, rules=tuple({**rule, "isPaused": True} for rule in group.rules)))
    assert grafana.apply(both(grafana)) == 1
    assert any("isPaused" in line for line in grafana.said), grafana.said
    assert grafana.group().rules[0]["isPaused"] is True


def test_a_rule_whose_mark_somebody_took_away_is_written_again_when_told(grafana: Place) -> None:
    """It is one rule afterwards, with its mark, and nothing is left to do."""
    assert grafana.apply(both(grafana)) == 0
    bare = {"annotations": {"summary": "Mine."}}
    grafana.edit_group(lambda group: replace(group, rules=tuple({**rule, **bare} for rule in group.rules)))
    assert grafana.apply(both(grafana)) == 1
    assert grafana.apply(both(grafana), Wishes(wait_seconds=0, overwrite=True)) == 0
    assert [rule["title"] for rule in grafana.group().rules] == ["JobsStuck"]
    assert grafana.plan(both(grafana)) == 0


def test_a_rule_that_somebody_added_survives_a_change(grafana: Place) -> None:
    """Grafana deletes what a group's write leaves out: other people's rules are put in again."""
    assert grafana.apply(both(grafana)) == 0

    def add(group: ManagedGroup) -> ManagedGroup:
        own = {key: value for key, value in group.rules[0].items() if key in {"condition", "data", "for"}}
        states = {"noDataState": "OK", "execErrState": "OK"}
        return replace(group, rules=(*group.rules, {**own, **states, "uid": grafana.name("own"), "title": "Own"}))

    grafana.edit_group(add)
    assert grafana.plan(both(grafana)) == 0
    assert grafana.apply(content(jobs(grafana), alerts=(stuck(hold="1m"),))) == 0
    assert {rule["title"] for rule in grafana.group().rules} == {"JobsStuck", "Own"}
    assert grafana.apply(content(jobs(grafana)), Wishes(wait_seconds=0, prune=True)) == 0
    assert {rule["title"] for rule in grafana.group().rules} == {"Own"}


def test_what_is_not_ours_is_never_touched(grafana: Place) -> None:
    """A dashboard with our uid and without our tag is somebody else's, whatever the options say."""
    grafana.ask(lambda client: client.ensure_folder(grafana.title, uid=grafana.uid))
    spec = {"uid": grafana.name("jobs"), "title": "Theirs", "panels": [], "schemaVersion": 39}
    grafana.ask(lambda client: client.save_dashboard(spec, folder_uid=grafana.uid))
    everything = Wishes(wait_seconds=0, overwrite=True, prune=True)
    assert grafana.apply(both(grafana), everything) == 1
    assert any("not ours" in line for line in grafana.said), grafana.said
    assert grafana.apply(content(alerts=(stuck(),)), everything) == 0
    assert grafana.dashboard(grafana.name("jobs")).title == "Theirs"


def test_pruning_removes_what_is_no_longer_wanted_and_only_when_told(grafana: Place) -> None:
    """Without --prune it is named and left, and nothing is to be done."""
    assert grafana.apply(both(grafana)) == 0
    other = content(Dashboard("Other", [Row("Flow", Panel("One", "vector(1)"))], uid=grafana.name("other")))
    assert grafana.apply(other) == 0
    assert grafana.plan(other) == 0
    assert sum("left over" in line for line in grafana.said) == 3  # two, and the sum
    pruning = Wishes(wait_seconds=0, prune=True)
    assert grafana.plan(other, pruning) == 2
    assert grafana.apply(other, pruning) == 0
    with pytest.raises(NotFoundError):
        grafana.dashboard(grafana.name("jobs"))
    with pytest.raises(NotFoundError):
        grafana.group()
    assert grafana.dashboard(grafana.name("other")).title == "Other"


def test_what_was_changed_in_grafana_is_pulled_and_handed_back(grafana: Place, tmp_path: Path) -> None:
    """Pull writes what was changed; applying that keeps it, and afterwards nothing differs."""
    assert grafana.apply(both(grafana)) == 0
    assert asyncio.run(pull(grafana.subject(both(grafana)), everything=False)) == {}
    grafana.edit(grafana.name("jobs"), title="Mine", tags=[*tags_of(grafana), "own"])
    grafana.edit_group(lambda group: replace(group, rules=tuple({**rule, "for": "7m"} for rule in group.rules)))
    files = asyncio.run(pull(grafana.subject(both(grafana)), everything=False))
    assert set(files) == {f"dashboards/{grafana.name('jobs')}.json", "rules/jobs.json"}
    assert all("written" not in text for text in files.values())
    write_files(tmp_path, files)
    pulled = read_pulled(tmp_path)
    assert grafana.apply(both(grafana), pulled=pulled) == 0
    assert grafana.dashboard(grafana.name("jobs")).title == "Mine"
    assert grafana.group().rules[0]["for"] == "7m"
    assert grafana.plan(both(grafana), pulled=pulled) == 0
    assert grafana.plan(both(grafana)) == 2  # now the code's own would be a change like any other


def test_delete_removes_what_apply_wrote_and_nothing_else(grafana: Place) -> None:
    """Somebody else's dashboard in the folder stays, and the folder with it."""
    assert grafana.apply(both(grafana)) == 0
    spec = {"uid": grafana.name("own"), "title": "Own", "tags": ["otel-monitoring"], "panels": []}
    grafana.ask(lambda client: client.save_dashboard(spec, folder_uid=grafana.uid))
    grafana.said.clear()
    assert asyncio.run(delete(grafana.subject(content()), QUICK, grafana.say, lambda: True)) == 0
    assert sum("- prune" in line for line in grafana.said) == 2, grafana.said
    assert grafana.said[-1].endswith("stays.")
    assert grafana.dashboard(grafana.name("own")).title == "Own"
    with pytest.raises(NotFoundError):
        grafana.dashboard(grafana.name("jobs"))
    assert grafana.ask(lambda client: client.folder(grafana.uid)).title == grafana.title


@pytest.mark.parametrize("why", ["declined", "changed"])
def test_delete_removes_nothing_unasked(standin: Place, why: str) -> None:
    """Somebody said no, or somebody changed something that would go."""
    assert standin.apply(both(standin)) == 0
    if why == "changed":
        standin.edit(standin.name("jobs"), title="Mine")
    assert asyncio.run(delete(standin.subject(content()), QUICK, standin.say, lambda: why == "changed")) == 1
    assert standin.said[-1] == "Nothing was removed."
    assert standin.dashboard(standin.name("jobs")).title in {"Jobs", "Mine"}
    assert standin.group().rules


def test_delete_removes_the_folder_that_apply_made_once_it_is_empty(grafana: Place) -> None:
    """Nothing is left, and a second delete has nothing to do."""
    assert grafana.apply(both(grafana)) == 0
    subject = grafana.subject(content())
    for _ in range(2):
        assert asyncio.run(delete(subject, QUICK, grafana.say, lambda: True)) == 0
        assert grafana.ask(lambda client: client.find_folder(grafana.title)) is None


def test_a_deployment_is_marked_once_all_is_well(standin: Place) -> None:
    """--annotate marks the moment after the writes; `annotate` marks one by itself."""
    assert standin.apply(both(standin), Wishes(wait_seconds=0, annotation="release 1.4")) == 0
    asyncio.run(annotate(standin.subject(content()), "rolled back", ("deployment", "shop"), standin.say))
    found = server_of(standin).state.annotations
    assert [(one["text"], one["tags"]) for one in found] == [
        ("release 1.4", ["deployment"]),
        ("rolled back", ["deployment", "shop"]),
    ]


def test_a_grafana_that_fills_in_more_than_we_know_of_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newer server adds to a dashboard is neither planned away nor taken for somebody's change."""
    monkeypatch.setitem(grafana_dashboards.FILLED, "fromTheFuture", {"mode": 1})
    with opened() as place:
        for shown in (both(place), both(place, title="New")):
            assert [place.plan(shown), place.apply(shown), place.plan(shown)] == [2, 0, 0]


# rules that cannot work


def broken(place: Place, expr: str = "sum(", datasource: str = DATASOURCE) -> Pulled:
    """Return a group with a rule that Grafana takes and that can never work."""
    query = {"refId": "A", "datasourceUid": datasource, "relativeTimeRange": {"from": 600, "to": 0}}
    rule = {
        "uid": place.name("broken"),
        "title": "Broken",
        "condition": "A",
        "data": [{**query, "model": {"refId": "A", "expr": expr, "instant": True}}],
        "for": "0s",
        "noDataState": "OK",
        "execErrState": "KeepLast",
        "labels": {},
        "annotations": {},
    }
    return Pulled({}, {"broken": ManagedGroup(folder_uid="", name="broken", interval_seconds=10, rules=(rule,))})


def test_a_rule_that_cannot_work_is_found_before_anything_is_written(grafana: Place) -> None:
    """Its queries are run first, and Grafana's reason is said."""
    assert grafana.apply(both(grafana), pulled=broken(grafana)) == 1
    assert any("Broken" in line and "parse error" in line for line in grafana.said), grafana.said
    assert grafana.ask(lambda client: client.find_folder(grafana.title)) is None


def test_a_rule_that_fails_when_it_is_evaluated_fails_the_apply(grafana: Place) -> None:
    """Written without being tried, it is reported with Grafana's reason once it was evaluated."""
    assert grafana.apply(both(grafana), Wishes(try_queries=False), pulled=broken(grafana)) == 1
    assert any("rule Broken does not work" in line and "parse error" in line for line in grafana.said), grafana.said
    assert grafana.apply(both(grafana), Wishes(), pulled=broken(grafana)) == 1  # nothing to write, and still broken


def test_a_panel_that_cannot_work_is_found_before_anything_is_written(grafana: Place) -> None:
    """A panel's queries are run as well, with everything selected; the panel is named."""
    spec: dict[str, object] = {
        "title": "Hand made",
        "uid": grafana.name("made"),
        "templating": {"list": [{"name": "job", "type": "query"}]},
        "panels": [
            {
                "id": 1,
                "title": "Wrong",
                "type": "timeseries",
                "datasource": {"type": "prometheus", "uid": DATASOURCE},
                "targets": [{"refId": "A", "expr": 'sum(rate(up{job=~"$job"}[$__rate_interval])'}],
            }
        ],
    }
    assert grafana.apply(content(), pulled=Pulled({grafana.name("made"): spec}, {})) == 1
    assert any("panel 'Wrong'" in line for line in grafana.said), grafana.said


def test_waiting_for_an_evaluation_has_an_end() -> None:
    """A scheduler that stands still is reported, rule by rule, and the apply fails."""
    with opened(scheduler=False) as place:
        assert place.apply(both(place), Wishes(wait_seconds=0.1)) == 1
        assert any("JobsStuck was not evaluated in time" in line for line in place.said), place.said
        assert any("0 of 1 rule evaluated" in line for line in place.said), place.said


def test_paused_rules_are_not_waited_for() -> None:
    """Grafana never evaluates them."""
    with opened(scheduler=False) as place:
        paused = broken(place, "vector(1)")
        rules = tuple({**rule, "isPaused": True} for rule in paused.groups["broken"].rules)
        group = replace(paused.groups["broken"], rules=rules)
        assert place.apply(content(), Wishes(wait_seconds=0.1), pulled=Pulled({}, {"broken": group})) == 0


def test_a_rule_of_others_that_does_not_work_is_not_ours_to_report(grafana: Place) -> None:
    """What somebody put into a group of ours is evaluated with it, and is their affair."""
    assert grafana.apply(both(grafana)) == 0
    (theirs,) = broken(grafana).groups["broken"].rules
    grafana.edit_group(lambda group: replace(group, rules=(*group.rules, theirs)))
    assert grafana.apply(both(grafana), Wishes()) == 0


def test_an_evaluation_from_before_the_write_does_not_count() -> None:
    """A rule is waited for until Grafana has evaluated what was written."""

    class Clock:
        """Says that a rule was evaluated, first before it was written and then after."""

        def __init__(self) -> None:
            self.moments = ["2026-11-29T20:00:10Z", "2026-11-29T20:00:20Z"]

        async def live_rules(self, folder_uid: str) -> list[LiveRule]:
            told = LiveRule(
                uid="a",
                title="A",
                group="g",
                state="inactive",
                health="ok",
                last_error="",
                last_evaluation=self.moments.pop(0),
                provenance="",
                is_paused=False,
            )
            return [told]

    rule = {"uid": "a", "title": "A", "updated": "2026-11-29T20:00:10.638081303Z"}
    group = ManagedGroup(folder_uid="f", name="g", interval_seconds=10, rules=(rule,))
    looks: list[tuple[int, int]] = []
    found = asyncio.run(
        wait_until_evaluated(Clock(), [group], within_seconds=60, looked=lambda *look: looks.append(look))
    )
    assert looks == [(0, 1), (1, 1)]
    assert not found.waiting


# what happens meanwhile


async def prepared(client: GrafanaClient, place: Place, shown: Content) -> tuple[Desired, Present]:
    """Return what shall be and what is there."""
    folder = await folder_of(client, place.title)
    desired = shown.desired(folder, datasource_uid=DATASOURCE)
    present = await read_present(client, desired)
    return await as_held(client, desired, present), present


def write_after(place: Place, shown: Content, meanwhile: Callable[[], object]) -> None:
    """Plan, let something happen, and write what was planned."""

    async def act() -> None:
        async with GrafanaClient(place.subject(shown).connection) as client:
            desired, present = await prepared(client, place, shown)
            await asyncio.to_thread(meanwhile)
            await Writer(client, desired, present).write(make_plan(desired, present), lambda _: None)

    asyncio.run(act())


@pytest.mark.parametrize("way", ["resources", "classic"])
def test_a_dashboard_changed_between_plan_and_write_is_not_lost(way: str) -> None:
    """Somebody saves after the plan was made: theirs stays, and the write is a conflict."""
    with opened(resources=way == "resources") as place:
        assert place.apply(both(place)) == 0
        edited = lambda: place.edit(place.name("jobs"), title="Mine")  # noqa: E731 (it is what happens)
        with pytest.raises(VersionConflictError):
            write_after(place, content(jobs(place, title="Ours"), alerts=(stuck(),)), edited)
        assert place.dashboard(place.name("jobs")).title == "Mine"


@pytest.mark.parametrize("way", ["resources", "classic"])
def test_a_dashboard_changed_while_it_is_written_is_not_lost_unseen(way: str) -> None:
    """Somebody saves in the middle of our write: the resource way keeps theirs, the classic one says what happened."""
    with opened(resources=way == "resources") as place:
        server = server_of(place)
        assert place.apply(both(place)) == 0
        server.meanwhile(lambda: server.change_dashboard(place.name("jobs"), title="Mine"))
        with pytest.raises(VersionConflictError):
            place.apply(both(place, title="Ours"))
        if way == "resources":
            assert place.dashboard(place.name("jobs")).title == "Mine"
            assert place.plan(both(place, title="Ours")) == 1


def test_a_dashboard_made_between_plan_and_write_is_not_replaced(standin: Place) -> None:
    """Somebody makes one of the same uid after the plan was made."""
    standin.ask(lambda client: client.ensure_folder(standin.title, uid=standin.uid))
    spec = {"uid": standin.name("jobs"), "title": "Theirs", "panels": []}
    with pytest.raises(VersionConflictError):
        write_after(
            standin,
            both(standin),
            lambda: standin.ask(lambda client: client.save_dashboard(spec, folder_uid=standin.uid)),
        )
    assert standin.dashboard(standin.name("jobs")).title == "Theirs"


def test_a_group_changed_between_plan_and_write_is_not_lost(grafana: Place) -> None:
    """Groups have no version: they are read again right before the write."""
    assert grafana.apply(both(grafana)) == 0

    def pause() -> None:
        grafana.edit_group(
            lambda group: replace(group, rules=tuple({**rule, "isPaused": True} for rule in group.rules))
        )

    with pytest.raises(VersionConflictError, match="somebody changed it"):
        write_after(grafana, content(jobs(grafana), alerts=(stuck(hold="1m"),)), pause)
    assert grafana.group().rules[0]["isPaused"] is True


def test_what_was_changed_between_plan_and_pruning_is_not_deleted(grafana: Place) -> None:
    """A dashboard is read again right before it is deleted."""
    assert grafana.apply(both(grafana)) == 0

    async def act() -> None:
        async with GrafanaClient(grafana.subject(content()).connection) as client:
            desired, present = await prepared(client, grafana, content())
            await asyncio.to_thread(lambda: grafana.edit(grafana.name("jobs"), title="Mine"))
            await Writer(client, desired, present).write(make_plan(desired, present, prune=True), lambda _: None)

    with pytest.raises(VersionConflictError):
        asyncio.run(act())
    assert grafana.dashboard(grafana.name("jobs")).title == "Mine"


# what goes wrong


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "POST", "path": "/api/folders"},
        {"method": "POST", "path": "dashboards(/db)?$"},
        {"method": "PUT", "path": "rule-groups"},
    ],
    ids=["folder", "dashboard", "rules"],
)
@pytest.mark.parametrize(
    "how",
    [{"answer": Answer(500, {"message": "no"})}, {"drop": "before"}, {"drop": "after"}],
    ids=["500", "before", "after"],
)
def test_an_apply_that_failed_half_way_is_finished_by_the_next(
    wrong: Mapping[str, Any], how: Mapping[str, Any]
) -> None:
    """Whatever failed, and whether or not it took effect: apply again ends with all as it shall be."""
    with opened() as place:
        server_of(place).misbehave(**wrong, **how)
        try:
            place.apply(both(place))
        except GrafanaError:
            assert any("apply again" in line for line in place.said), place.said
        assert place.apply(both(place)) == 0
        assert place.plan(both(place)) == 0


@pytest.mark.parametrize(
    "answer", [Answer(200, "<html>Sign in</html>"), Answer(302, "", {"location": "/login"})], ids=["page", "redirect"]
)
def test_a_page_instead_of_an_answer_is_no_success(standin: Place, answer: Answer) -> None:
    """A proxy's sign-in page in the middle of an apply is said, and nothing is taken as done."""
    server_of(standin).misbehave(answer, method="PUT", path="rule-groups", times=9)
    with pytest.raises((NotAGrafanaError, UnauthorizedError)):
        standin.apply(both(standin))
    assert not any("rule group jobs" in line and "[" in line for line in standin.said)


def test_an_unreachable_data_source_stops_before_anything_is_written() -> None:
    """Its health is asked for, and Grafana's reason is said."""
    with opened() as place:
        server_of(place).misbehave(Answer(400, {"message": "connection refused"}), path="/health", times=9)
        with pytest.raises(GrafanaError, match="connection refused"):
            place.apply(both(place))
        assert place.ask(lambda client: client.find_folder(place.title)) is None
