"""What a service does with Grafana, as the specification writes it, with async and without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.exceptions import AlertError, ConfigurationError, DashboardError, QueryError
from otel_monitoring.grafana import Alert, Dashboard, Panel, Row
from otel_monitoring.grafana.failures import (
    GrafanaError,
    NewerSchemaError,
    NotFoundError,
    OfflineError,
    ProvisionedError,
    QueryFailedError,
    VersionConflictError,
)
from otel_monitoring.service.from_settings import grafana_connection_of
from otel_monitoring.service.synchronous import run
from otel_monitoring.settings import Settings
from tests.grafana_server import GrafanaServer
from tests.grafana_target import KINDS, Target, rule, target

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.programs

QUIET: dict[str, Any] = {"resources": False, "third_party": False, "offline": False}
ERRORS = 'sum by (component) (rate(system_errors_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))'
OVERVIEW = {"title": "System Overview", "panels": [{"title": "Errors", "targets": [{"expr": "up"}]}]}
HIGH_ERROR_RATE = {
    "name": "High Error Rate",
    "conditions": [{"expr": "vector(1)", "operator": ">", "threshold": 5, "for": "5m"}],
}


def service_of(place: Target, **more: Any) -> MonitoringService:
    """Return a service that puts everything into the folder of the test."""
    connection = place.connection
    given: dict[str, Any] = {
        "grafana_url": connection.url,
        "grafana_api_key": connection.token,
        "grafana_username": connection.username,
        "grafana_password": connection.password,
        "grafana_folder": place.folder_uid,
        "grafana_timeout_seconds": 60,
        **QUIET,
        **more,
    }
    return MonitoringService(given)


@pytest.fixture(params=KINDS)
def grafana(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A Grafana with a folder of its own."""
    yield from target(request.param)


@pytest.fixture
def monitoring(grafana: Target) -> Iterator[MonitoringService]:
    """A service that works on it."""
    with service_of(grafana) as service:
        yield service


@pytest.fixture
def stand_in() -> Iterator[Target]:
    """A stand-in, for what is not to be had on demand."""
    yield from target("resources")


# Dashboards


@pytest.mark.asyncio
async def test_the_specifications_dashboard_works(monitoring: MonitoringService) -> None:
    """Created, read, updated: by its uid, with async."""
    dashboard_uid = await monitoring.create_grafana_dashboard(OVERVIEW)
    dashboard = await monitoring.get_grafana_dashboard(dashboard_uid)
    assert (dashboard["uid"], dashboard["title"], dashboard["version"]) == (dashboard_uid, "System Overview", 1)
    await monitoring.update_grafana_dashboard(dashboard_uid, {**OVERVIEW, "title": "Overview of it all"})
    updated = await monitoring.get_grafana_dashboard(dashboard_uid)
    assert (updated["title"], updated["version"]) == ("Overview of it all", 2)


def test_the_same_works_without_async(monitoring: MonitoringService) -> None:
    """From plain code."""
    uid = monitoring.grafana.create_dashboard(OVERVIEW)
    dashboard = monitoring.grafana.get_dashboard(uid)
    monitoring.grafana.update_dashboard(uid, {**dashboard, "title": "Changed"})
    assert monitoring.grafana.get_dashboard(uid)["title"] == "Changed"
    alert = monitoring.grafana.create_alert(HIGH_ERROR_RATE)
    assert alert in [rule["uid"] for rule in monitoring.grafana.get_alerts()]


@pytest.mark.asyncio
async def test_the_same_works_inside_of_a_running_loop(monitoring: MonitoringService) -> None:
    """A plain function that is called from async code may use it."""
    uid = monitoring.grafana.create_dashboard(OVERVIEW)
    assert (await monitoring.get_grafana_dashboard(uid))["uid"] == uid


def test_a_dashboard_goes_into_the_folder_of_the_settings(stand_in: Target) -> None:
    """Which is made where it is missing, once, and stays the dashboard's when that is updated."""
    server = stand_in.server
    assert server is not None
    with service_of(stand_in, grafana_folder="Made by us") as service:
        uids = [service.grafana.create_dashboard(OVERVIEW) for _ in range(2)]
    (folder,) = [folder for folder in server.state.folders.values() if folder.title == "Made by us"]
    assert folder.uid == "made-by-us"
    assert {server.state.dashboards[uid].folder for uid in uids} == {folder.uid}
    with service_of(stand_in, grafana_folder="Another") as service:
        service.grafana.update_dashboard(uids[0], OVERVIEW)
    assert server.state.dashboards[uids[0]].folder == folder.uid


def test_what_a_plain_dashboard_leaves_out_is_filled_in(stand_in: Target) -> None:
    """Panels get places beside each other, numbers, a kind, a datasource, their queries names; what is there stays."""
    server = stand_in.server
    assert server is not None
    own = {"id": 7, "type": "stat", "gridPos": {"x": 6, "y": 0, "w": 6, "h": 4}, "datasource": {"uid": "mine"}}
    panels = [
        {"title": "A", "targets": [{"expr": "up"}, {"expr": "up", "refId": "X"}, {"expr": "up"}]},
        {**own, "targets": [{"expr": "up", "refId": "Z"}]},
        {"title": "B"},
        {"type": "row", "title": "R", "panels": [{"title": "inner", "targets": [{"expr": "up"}]}]},
        {"title": "C"},
    ]
    given = {"title": "T", "panels": panels}
    kept = repr(given)
    with service_of(stand_in) as service:
        uid = service.grafana.create_dashboard(given)
    assert repr(given) == kept
    a, stat, b, row, c = server.state.dashboards[uid].spec["panels"]
    assert [panel["gridPos"] for panel in (a, b, row, c)] == [
        {"x": 0, "y": 4, "w": 12, "h": 8},
        {"x": 12, "y": 4, "w": 12, "h": 8},
        {"x": 0, "y": 12, "w": 24, "h": 1},
        {"x": 0, "y": 13, "w": 12, "h": 8},
    ]
    assert {name: stat[name] for name in own} == own
    assert [panel["id"] for panel in (a, b, row, row["panels"][0], c)] == [1, 2, 3, 4, 5]
    assert a["datasource"] == row["panels"][0]["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert a["type"] == "timeseries"
    assert len({query["refId"] for query in a["targets"]}) == 3


def test_a_dashboard_of_ours_is_built_and_created(monitoring: MonitoringService, grafana: Target) -> None:
    """Its uid is its own, and a second one of it is a conflict."""
    dashboard = Dashboard("Jobs", rows=[Row("Flow", Panel("Errors", ERRORS))], uid=grafana.uid("jobs"))
    assert monitoring.grafana.create_dashboard(dashboard) == grafana.uid("jobs")
    with pytest.raises(VersionConflictError, match=r"already. Update that one"):
        monitoring.grafana.create_dashboard(dashboard)
    monitoring.grafana.update_dashboard(dashboard.uid, dashboard)


def test_a_dashboard_that_asks_for_what_is_not_there_is_not_sent(stand_in: Target) -> None:
    """Grafana would show an empty panel."""
    wrong = Dashboard("Jobs", rows=[Row("Flow", Panel("Errors", ERRORS.replace("errors_total", "error_total")))])
    with service_of(stand_in) as service, pytest.raises(QueryError, match="system_errors_total"):
        service.grafana.create_dashboard(wrong)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "a dashboard's title is None: write text"),
        ({"dashboard": OVERVIEW}, "give what stands in 'dashboard'"),
        ({"title": "T", "panels": {}}, "panels are {}: write a list"),
        ({"title": "T", "panels": ["up"]}, "panel 1: 'up' is no dictionary: write it as {'title'"),
        ("System Overview", "a str is no dashboard: give a Dashboard, or a dictionary"),
    ],
    ids=["nothing", "the body of a request", "panels", "panel", "text"],
)
def test_what_is_no_dashboard_is_refused(stand_in: Target, data: Any, words: str) -> None:
    """With what would be one."""
    with service_of(stand_in) as service, pytest.raises(DashboardError) as refused:
        service.grafana.create_dashboard(data)
    assert words in str(refused.value)


def test_nobodys_change_is_lost_in_an_update(monitoring: MonitoringService) -> None:
    """What was made of an older version is refused; without a version it is saved over what is there."""
    uid = monitoring.grafana.create_dashboard(OVERVIEW)
    mine = monitoring.grafana.get_dashboard(uid)
    monitoring.grafana.update_dashboard(uid, {**mine, "title": "Theirs"})
    with pytest.raises(VersionConflictError, match=r"is version 2 now.*made of version 1.*leave out 'version'"):
        monitoring.grafana.update_dashboard(uid, {**mine, "title": "Mine"})
    del mine["version"]
    monitoring.grafana.update_dashboard(uid, {**mine, "title": "Mine"})
    assert monitoring.grafana.get_dashboard(uid)["title"] == "Mine"


def test_a_change_while_an_update_is_under_way_is_a_conflict(stand_in: Target) -> None:
    """Somebody saves in the UI between our reading and our writing."""
    server = stand_in.server
    assert server is not None
    with service_of(stand_in) as service:
        uid = service.grafana.create_dashboard(OVERVIEW)
        server.meanwhile(lambda: server.change_dashboard(uid, title="Theirs"))
        with pytest.raises(VersionConflictError):
            service.grafana.update_dashboard(uid, {**OVERVIEW, "title": "Ours"})
    assert server.state.dashboards[uid].spec["title"] == "Theirs"


def test_what_only_others_can_change_is_refused(stand_in: Target) -> None:
    """A dashboard from a file, one of schema v2, one that is not there."""
    server = stand_in.server
    assert server is not None
    with service_of(stand_in) as service:
        with pytest.raises(ProvisionedError):
            service.grafana.update_dashboard("provisioned-dash", OVERVIEW)
        uid = service.grafana.create_dashboard(OVERVIEW)
        times = {"autoRefresh": "", "autoRefreshIntervals": [], "fiscalYearStartMonth": 0, "from": "now-1h"}
        spec = {"title": "V2", "editable": True, "liveNow": False, "preload": False}
        server.state.dashboards[uid].spec = {**spec, "timeSettings": {**times, "timezone": "", "to": "now"}}
        server.state.dashboards[uid].stored = "v2beta1"
        with pytest.raises(NewerSchemaError):
            service.grafana.update_dashboard(uid, OVERVIEW)
        with pytest.raises(NotFoundError):
            service.grafana.update_dashboard("no-such", OVERVIEW)
        with pytest.raises(NotFoundError):
            service.grafana.get_dashboard("no-such")


# Alerts


@pytest.mark.asyncio
async def test_the_specifications_alert_works(monitoring: MonitoringService, grafana: Target) -> None:
    """It is among the alerts, in the folder and the group of the settings, editable."""
    alert_uid = await monitoring.create_grafana_alert(HIGH_ERROR_RATE)
    alerts = await monitoring.get_grafana_alerts()
    (rule,) = [rule for rule in alerts if rule["uid"] == alert_uid]
    assert (rule["title"], rule["for"]) == ("High Error Rate", "5m")
    assert (rule["folderUID"], rule["ruleGroup"]) == (grafana.folder_uid, "otel-monitoring")
    assert not rule.get("provenance")


def test_an_alert_of_ours_is_created(monitoring: MonitoringService) -> None:
    """Its summary names its labels."""
    stuck = Alert(
        "ErrorsRise",
        "sum by (component) (rate(system_errors_total[10m])) > 0.5",
        hold="15m",
        summary="{{ $labels.component }} fails.",
    )
    uid = monitoring.grafana.create_alert(stuck)
    (rule,) = [rule for rule in monitoring.grafana.get_alerts() if rule["uid"] == uid]
    assert (rule["title"], rule["for"]) == ("ErrorsRise", "15m")
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["summary"] == "{{ $labels.component }} fails."
    with pytest.raises(VersionConflictError, match="there is a rule"):
        monitoring.grafana.create_alert(stuck)
    with pytest.raises(QueryError, match=r"alert .Rise.*system_errors_total"):
        monitoring.grafana.create_alert(Alert("Rise", "sum(rate(system_error_total[5m])) > 0"))


def test_a_full_rule_stays_as_it_is(stand_in: Target) -> None:
    """With its own folder and group, and settings for what it does not say."""
    server = stand_in.server
    assert server is not None
    with service_of(stand_in, grafana_editable=False) as service:
        service.grafana.create_alert({**rule("mine"), "ruleGroup": "own", "folderUID": "fg57n0zfmu0hsa"})
        service.grafana.create_alert(rule("ours"))
    mine, ours = server.state.rules["mine"], server.state.rules["ours"]
    assert (mine.folder, mine.group, mine.provenance) == ("fg57n0zfmu0hsa", "own", "api")
    assert (ours.folder, ours.group, ours.provenance) == (stand_in.folder_uid, "otel-monitoring", "api")


def test_the_group_is_evaluated_as_often_as_the_settings_want(stand_in: Target) -> None:
    """The rules that are in it already stay."""
    server = stand_in.server
    assert server is not None
    settings = {"grafana_alert_group": "ours", "grafana_alert_interval_seconds": 120}
    with service_of(stand_in, **settings) as service:
        uids = [service.grafana.create_alert(HIGH_ERROR_RATE) for _ in range(2)]
    assert server.state.intervals[stand_in.folder_uid, "ours"] == 120
    assert set(uids) <= set(server.state.rules)


def test_an_alert_that_can_never_work_is_not_written(stand_in: Target) -> None:
    """Its queries are tried first, since Grafana would take it."""
    server = stand_in.server
    assert server is not None
    broken = rule("broken", "sum(up")
    with service_of(stand_in) as service:
        with pytest.raises(QueryFailedError, match=r"would never work, its queries fail: A: .*parse error"):
            service.grafana.create_alert(broken)
        with pytest.raises(QueryFailedError, match="condition 'Z'"):
            service.grafana.create_alert({**rule("broken"), "condition": "Z"})
        with pytest.raises(QueryError, match="no PromQL"):
            service.grafana.create_alert({**HIGH_ERROR_RATE, "conditions": [{"expr": "sum(up", "operator": ">"}]})
        with pytest.raises(AlertError, match="a list is no alert"):
            service.grafana.create_alert([])  # type: ignore[arg-type] # what somebody may write
    assert not server.asked_for("POST", "alert-rules")


def test_nothing_is_sent_offline_or_without_an_address() -> None:
    """The failures say which setting it is."""
    with GrafanaServer() as server:
        service = MonitoringService({**QUIET, "offline": True}, grafana_url=server.url)
        with service, pytest.raises(OfflineError, match="offline is set"):
            service.grafana.get_alerts()
        assert not server.seen
    with MonitoringService(**QUIET) as service, pytest.raises(ConfigurationError, match="grafana_url is not set"):
        service.grafana.get_alerts()


def test_settings_reach_the_connection() -> None:
    """Timeouts, TLS, the organisation."""
    settings = Settings.load(
        {"grafana_url": "https://grafana/x", "grafana_api_key": "t", "grafana_ca_file": "/ca.pem"},
        grafana_timeout_seconds=3,
        grafana_organization_id=4,
        environ={},
    )
    connection = grafana_connection_of(settings)
    assert (connection.verify, connection.timeout_seconds, connection.organization_id) == ("/ca.pem", 3.0, 4)
    unchecked = Settings.load({"grafana_url": "https://grafana"}, grafana_verify_tls="off", environ={})
    assert grafana_connection_of(unchecked).verify is False


# What is added to a service


def test_dashboards_and_alerts_are_collected() -> None:
    """In their order; an equal one is there once."""
    with MonitoringService(**QUIET) as service:
        jobs = Dashboard("Jobs", rows=[Row("Flow", Panel("Errors", ERRORS))])
        stuck = Alert("JobsStuck", "sum by (component) (rate(system_errors_total[10m])) > 0")
        assert service.dashboards.add(jobs) is jobs
        service.dashboards.add(Dashboard("Jobs", rows=[Row("Flow", Panel("Errors", ERRORS))]))
        service.alerts.add(stuck)
        assert (list(service.dashboards), list(service.alerts)) == ([jobs], [stuck])
        assert (len(service.dashboards), len(service.alerts)) == (1, 1)
        assert "jobs" in repr(service.dashboards)


def test_what_is_added_is_checked() -> None:
    """Wrong types, names that are taken, queries that name what is not there."""
    with MonitoringService(**QUIET) as service:
        add_dashboard: Any = service.dashboards.add
        add_alert: Any = service.alerts.add
        with pytest.raises(DashboardError, match=r"a dict is no dashboard: write Dashboard\('Jobs'"):
            add_dashboard(OVERVIEW)
        with pytest.raises(AlertError, match=r"a dict is no alert: write Alert\('JobsStuck'"):
            add_alert(HIGH_ERROR_RATE)
        service.dashboards.add(Dashboard("Jobs", rows=[Row("Flow", Panel("Errors", ERRORS))]))
        with pytest.raises(DashboardError, match="the uid 'jobs' of dashboard 'Jobs' is taken"):
            service.dashboards.add(Dashboard("Jobs", rows=[Row("Other", Panel("Errors", ERRORS))]))
        service.alerts.add(Alert("Rise", "sum(rate(system_errors_total[5m])) > 1"))
        with pytest.raises(AlertError, match=r"Rise.* is taken"):
            service.alerts.add(Alert("Rise", "sum(rate(system_errors_total[5m])) > 2"))
        with pytest.raises(QueryError, match=r"dashboard 'New', panel 'P'.*system_errors_total"):
            service.dashboards.add(Dashboard("New", rows=[Row("R", Panel("P", "sum(rate(system_error_total[5m]))"))]))
        with pytest.raises(QueryError, match=r"alert 'New'.*system_errors_total"):
            service.alerts.add(Alert("New", "sum(rate(system_error_total[5m])) > 1"))
        assert (len(service.dashboards), len(service.alerts)) == (1, 1)


def test_an_added_dashboard_may_ask_for_the_applications_own_metrics() -> None:
    """And for what the package's rules record."""
    with MonitoringService(**QUIET) as service:
        jobs = service.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
        service.dashboards.add(Dashboard("Jobs", rows=[Row("Flow", jobs.rate(by="queue"))]))
        service.alerts.add(Alert("JobsStuck", "sum by (queue) (rate(jobs_total[10m])) == 0"))


# Without async


def test_what_is_raised_is_raised_here() -> None:
    """With its class and its message."""

    async def fail() -> None:
        raise GrafanaError("no")

    with pytest.raises(GrafanaError, match="no"):
        run(fail())


def test_no_thread_and_no_loop_is_left_behind() -> None:
    """After each call."""
    before = threading.active_count()

    async def where() -> str:
        return threading.current_thread().name

    assert run(where()) == "otel-monitoring-grafana"
    assert threading.active_count() == before


def test_who_is_interrupted_cancels_what_is_under_way() -> None:
    """The coroutine hears of it before the caller goes on."""
    program = """
import asyncio, signal, threading
from otel_monitoring.service.from_settings import grafana_connection_of
from otel_monitoring.service.synchronous import run
from otel_monitoring.settings import Settings
async def wait():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    try:
        await asyncio.sleep(600)
    finally:
        print("cancelled", flush=True)
try:
    run(wait())
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["cancelled", "interrupted"], done.stderr


@pytest.mark.asyncio
async def test_each_loop_opens_its_own_client(stand_in: Target) -> None:
    """Nothing of one call lives on in the next, whichever loop that runs in."""
    with service_of(stand_in) as service:
        counts = await asyncio.gather(*[asyncio.to_thread(service.grafana.get_alerts) for _ in range(3)])
        assert {len(found) for found in counts} == {1}
        assert len(await service.get_grafana_alerts()) == 1


def test_grafana_client_is_imported_without_a_warning() -> None:
    """Even where warnings are errors and nothing is compiled yet, and not before it is used."""
    program = """
import sys
import otel_monitoring
service = otel_monitoring.MonitoringService(offline=False, grafana_url="http://127.0.0.1:9", resources=False)
assert "grafana_client" not in sys.modules and "niquests" not in sys.modules
try:
    service.grafana.get_alerts()
except otel_monitoring.exceptions.GrafanaError as failure:
    print(type(failure).__name__)
"""
    arguments = [sys.executable, "-W", "error", "-B", "-X", "pycache_prefix=/nonexistent", "-c", program]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["UnreachableError"], done.stderr


def test_without_the_extra_each_method_names_it() -> None:
    """Before anything else, an address or a rule that is wrong."""
    program = """
import asyncio, sys
sys.modules["grafana_client"] = None
from otel_monitoring import MonitoringService
from otel_monitoring.exceptions import ExtraMissingError
service = MonitoringService(offline=False, resources=False)
face = service.grafana
for call in (
    lambda: asyncio.run(service.create_grafana_dashboard({})),
    lambda: asyncio.run(service.update_grafana_dashboard("uid", {})),
    lambda: asyncio.run(service.get_grafana_dashboard("uid")),
    lambda: asyncio.run(service.create_grafana_alert({})),
    lambda: asyncio.run(service.get_grafana_alerts()),
    lambda: face.create_dashboard({}),
    lambda: face.get_alerts(),
):
    try:
        call()
    except ExtraMissingError as missing:
        assert "pip install 'otel-monitoring[grafana]'" in str(missing)
        print("missing")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["missing"] * 7, done.stderr
