"""The files that render writes, read by the programs that they are for."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from otel_monitoring import MonitoringService
from otel_monitoring.cli.grafana_content import Subject
from otel_monitoring.cli.grafana_render import rendered
from otel_monitoring.cli.rendered_folder import LIST_NAME, list_text, read_made, stale_files, write_folder
from otel_monitoring.exceptions import AlertError, DashboardError, MonitoringError
from otel_monitoring.grafana import Alert, Dashboard, Panel, Row, RuleGroup
from otel_monitoring.grafana.content import Content, shipped_content
from otel_monitoring.grafana.found import Folder
from otel_monitoring.grafana.found import RuleGroup as ManagedGroup
from otel_monitoring.grafana.provisioning import alerting_file
from otel_monitoring.grafana.stack import Stack
from otel_monitoring.metrics import Registry
from otel_monitoring.settings import Settings
from tests.servers import Program, ask, find_program, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JOB = "shop"
PATIENCE_SECONDS = 90.0
"""Prometheus discovers Alertmanager some seconds after its start."""

REPOSITORY = Path(__file__).parents[1]
STUCK = RuleGroup("shop", 60, (Alert("JobsStuck", "up == 0", summary="{{ $labels.job }} stands still."),))
OWN = Dashboard("Jobs", [Row("Flow", Panel("Up", "up"))])


def subject(content: Content | None = None) -> Subject:
    """Return what comes with the package, and what an application adds."""
    shipped = shipped_content(Registry().catalogue, job=JOB, dashboards=[OWN], groups=[STUCK])
    return Subject(Settings.load(None, environ={}), content or shipped, JOB, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that is rendered."""
    place = tmp_path_factory.mktemp("rendered")
    write_folder(place, rendered(subject(), Stack(job=JOB), place))
    return place


def content_of(path: Path) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load(path.read_text())


@pytest.mark.programs
def test_prometheus_takes_its_configuration_and_the_rules(folder: Path) -> None:
    """Promtool finds nothing wrong with prometheus.yml and the rules that it names."""
    done = subprocess.run(
        [find_program("promtool"), "check", "config", str(folder / "prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"SUCCESS: \d\d+ rules found", done.stdout)


@dataclass
class Alertmanager(Program):
    """An Alertmanager with the configuration that is tried."""

    config: Path = Path()

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            find_program("prometheus-alertmanager"),
            f"--config.file={self.config}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]


@pytest.fixture
def alertmanager(folder: Path, tmp_path: Path) -> Iterator[Alertmanager]:
    """The real one, started with what was rendered."""
    server = Alertmanager(tmp_path, config=folder / "alertmanager/alertmanager.yml")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.mark.programs
def test_alertmanager_starts_with_its_configuration(alertmanager: Alertmanager) -> None:
    """It loads the routes and the inhibitions, and says so."""
    running = json.loads(ask(f"{alertmanager.url}/api/v2/status").body)["config"]["original"]
    assert "dead_mans_switch" in running
    assert "inhibit_rules" in running


@pytest.mark.programs
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "Watchdog", "severity": "none"}, {"dead_mans_switch"}),
        ({"alertname": "JobsStuck", "severity": "critical"}, {"pager"}),
        ({"alertname": "JobsStuck", "severity": "warning"}, {"default"}),
        ({"alertname": "EngagementStalled", "severity": "critical", "category": "business"}, {"growth"}),
        ({"alertname": "JobsStuck", "severity": "info"}, {"nobody"}),
    ],
    ids=["watchdog", "critical", "warning", "business", "info"],
)
def test_alerts_reach_those_who_shall_hear_of_them(
    alertmanager: Alertmanager, labels: dict[str, str], receivers: set[str]
) -> None:
    """What is critical pages; business never does; nobody is told of what is for dashboards."""
    sent = ask(
        f"{alertmanager.url}/api/v2/alerts",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=json.dumps([{"labels": labels}]).encode(),
    )
    assert sent.status == 200
    (alert,) = json.loads(ask(f"{alertmanager.url}/api/v2/alerts").body)
    assert {receiver["name"] for receiver in alert["receivers"]} == receivers


@dataclass
class RenderedPrometheus(Program):
    """A Prometheus with the files that were rendered, with addresses of this machine and in a hurry."""

    rendered: Path = Path()
    addresses: Mapping[str, str] = field(default_factory=dict[str, str])

    def command(self) -> list[str]:
        """Return the command line."""
        for path in (self.rendered / "prometheus").rglob("*.yml"):
            text = path.read_text()
            for name, address in self.addresses.items():
                text = text.replace(name, address)
            copy = self.directory / path.relative_to(self.rendered / "prometheus")
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(re.sub(r'interval: "(15|30|60)s"', 'interval: "1s"', text))
        return [
            find_program("prometheus"),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--rules.alert.resend-delay=1s",  # the first comes before Alertmanager is discovered
            "--log.level=warn",
        ]


@pytest.mark.programs
def test_what_starts_together_works_together(tmp_path: Path) -> None:
    """The service is scraped, no rule fails, and what always fires reaches who shall hear that it does."""
    places = {name: tmp_path / name for name in ("rendered", "alertmanager", "prometheus")}
    for place in places.values():
        place.mkdir()
    with MonitoringService(service_name=JOB) as monitoring, ExitStack() as stack:
        address = f"127.0.0.1:{monitoring.serve(port=0).port}"
        own = Subject(monitoring.settings, shipped_content(monitoring.registry.catalogue, job=JOB), JOB, None)
        write_folder(places["rendered"], rendered(own, Stack(job=JOB, targets=(address,)), places["rendered"]))
        told = Alertmanager(places["alertmanager"], config=places["rendered"] / "alertmanager/alertmanager.yml")
        stack.callback(told.stop)
        addresses = {"host.docker.internal": "127.0.0.1", "alertmanager:9093": told.address}
        scraping = RenderedPrometheus(places["prometheus"], rendered=places["rendered"], addresses=addresses)
        stack.callback(scraping.stop)
        told.start()
        scraping.start()
        wait_until(lambda: _heard(told), PATIENCE_SECONDS)
        groups = wait_until(lambda: _evaluated(scraping), PATIENCE_SECONDS)
    wrong = [(rule["name"], rule["lastError"]) for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    assert wrong == []


def _heard(alertmanager: Alertmanager) -> bool:
    """Tell whether the alert that always fires has reached its receiver."""
    alerts = json.loads(ask(f"{alertmanager.url}/api/v2/alerts").body)
    return any(
        alert["labels"]["alertname"] == "Watchdog" and alert["receivers"] == [{"name": "dead_mans_switch"}]
        for alert in alerts
    )


def _evaluated(prometheus: Program) -> list[dict[str, Any]]:
    """Return the groups of rules once each was evaluated."""
    groups: list[dict[str, Any]] = json.loads(ask(f"{prometheus.url}/api/v1/rules").body)["data"]["groups"]
    done = all(rule["health"] != "unknown" for group in groups for rule in group["rules"])
    return groups if done else []


def test_all_that_compose_mounts_is_there(folder: Path) -> None:
    """Each folder that a container sees exists, and holds what its command line names."""
    services = content_of(folder / "compose.yaml")["services"]
    assert set(services) == {"example", "collector", "alertmanager", "prometheus", "grafana"}
    for service in services.values():
        for mount in service.get("volumes", []):
            source, inside, *_ = mount.split(":")
            if source.startswith("."):
                assert (folder / source).is_dir(), mount
                for option in service.get("command", []):
                    _, _, path = option.partition("=")
                    if path.startswith(f"{inside}/"):
                        assert (folder / source / path.removeprefix(f"{inside}/")).is_file(), option


def test_compose_pins_its_images_and_listens_on_this_machine_alone(folder: Path) -> None:
    """No image is `latest`, no port is open to the network, and no password stands there but the default."""
    text = (folder / "compose.yaml").read_text()
    services = content_of(folder / "compose.yaml")["services"]
    for service in services.values():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service.get("image", "built/example:0.0.0"))
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.findall(r"PASSWORD: (.*)", text) == ['"${GRAFANA_ADMIN_PASSWORD:-admin}"']


def test_what_starts_is_probed_where_its_image_can_be(folder: Path) -> None:
    """All but the Collector, whose image holds nothing to ask with, say when they are well."""
    services = content_of(folder / "compose.yaml")["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"collector"}


def test_all_containers_may_read_the_files(folder: Path) -> None:
    """The programs run as users of their own."""
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_a_service_of_ones_own_takes_the_place_of_the_example(tmp_path: Path) -> None:
    """Its targets are scraped, those on this machine as containers reach it."""
    stack = Stack(job=JOB, targets=("localhost:9464", "shop.internal:9464"))
    write_folder(tmp_path, rendered(subject(), stack, tmp_path))
    assert "example" not in content_of(tmp_path / "compose.yaml")["services"]
    (job,) = [
        one for one in content_of(tmp_path / "prometheus/prometheus.yml")["scrape_configs"] if one["job_name"] == JOB
    ]
    assert job["static_configs"] == [{"targets": ["host.docker.internal:9464", "shop.internal:9464"]}]


def test_a_webhook_hears_all_but_what_nobody_does(tmp_path: Path) -> None:
    """An address given is told by each receiver."""
    stack = Stack(job=JOB, webhook="http://hook.internal/alerts")
    write_folder(tmp_path, rendered(subject(), stack, tmp_path))
    receivers = content_of(tmp_path / "alertmanager/alertmanager.yml")["receivers"]
    assert [one["name"] for one in receivers if "webhook_configs" not in one] == ["nobody"]


# Grafana's own provisioning


def test_dashboards_are_found_where_the_provider_looks(folder: Path) -> None:
    """The provider's path is the folder that compose mounts, and each file in it is a dashboard of ours."""
    (provider,) = content_of(folder / "provisioning/dashboards/otel-monitoring.yaml")["providers"]
    mounts = content_of(folder / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./dashboards:{provider['options']['path']}:ro" in mounts
    found = {path.stem: json.loads(path.read_text()) for path in (folder / "dashboards").glob("*.json")}
    assert {"otel-monitoring-overview", "jobs"} <= found.keys()
    for uid, spec in found.items():
        assert spec["uid"] == uid
        assert "otel-monitoring" in spec["tags"]
        assert not {"id", "version"} & spec.keys()


def test_rules_ask_the_data_source_that_is_provisioned(folder: Path) -> None:
    """Each query of a rule goes to the Prometheus of the data source file."""
    (prometheus, _) = content_of(folder / "provisioning/datasources/otel-monitoring.yaml")["datasources"]
    groups = content_of(folder / "provisioning/alerting/otel-monitoring.yaml")["groups"]
    asked = {query["datasourceUid"] for group in groups for rule in group["rules"] for query in rule["data"]}
    assert asked == {prometheus["uid"], "__expr__"}
    assert "JobsStuck" in {rule["title"] for group in groups for rule in group["rules"]}


def test_provisioned_rules_are_written_as_grafana_reads_them() -> None:
    """Dollars in titles and labels are doubled and those in annotations not; durations are text."""
    rule = {
        "uid": "a",
        "title": "costs $5",
        "for": 300,
        "keep_firing_for": "10m",
        "labels": {"price": "$5"},
        "annotations": {"summary": "{{ $labels.job }}"},
        "folderUID": "f",
        "ruleGroup": "g",
    }
    group = ManagedGroup(folder_uid="f", name="g$", interval_seconds=60, rules=(rule,))
    written = alerting_file([group], Folder(uid="f", title="F"), removed=["gone"])
    assert written == {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": "g$$",
                "folder": "F",
                "interval": "60s",
                "rules": [
                    {
                        "uid": "a",
                        "title": "costs $$5",
                        "for": "300s",
                        "keepFiringFor": "10m",
                        "labels": {"price": "$$5"},
                        "annotations": {"summary": "{{ $labels.job }}"},
                    }
                ],
            }
        ],
        "deleteRules": [{"orgId": 1, "uid": "gone"}],
    }


def test_a_rule_that_is_no_longer_made_is_named_to_be_deleted_and_stays_so(tmp_path: Path) -> None:
    """Grafana keeps provisioned rules until a file says that they go, and a second render says it again."""
    write_folder(tmp_path, rendered(subject(), Stack(job=JOB), tmp_path))
    (stuck,) = [uid for uid in read_made(tmp_path).rules if uid.startswith("jobs-stuck")]
    without = subject(shipped_content(Registry().catalogue, job=JOB))
    for _ in range(2):
        write_folder(tmp_path, rendered(without, Stack(job=JOB), tmp_path))
        file = content_of(tmp_path / "provisioning/alerting/otel-monitoring.yaml")
        assert file["deleteRules"] == [{"orgId": 1, "uid": stuck}]
    write_folder(tmp_path, rendered(subject(), Stack(job=JOB), tmp_path))
    assert "deleteRules" not in content_of(tmp_path / "provisioning/alerting/otel-monitoring.yaml")


# the folder


def test_a_second_render_changes_no_byte(folder: Path, tmp_path: Path) -> None:
    """The same definitions give the same files, here and elsewhere."""
    again = write_folder(folder, rendered(subject(), Stack(job=JOB), folder))
    assert again.written == again.removed == again.kept == ()
    write_folder(tmp_path, rendered(subject(), Stack(job=JOB), tmp_path))
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def listed(**files: str) -> dict[str, str]:
    """Return files with their list."""
    named = {name.replace("_", "/"): text for name, text in files.items()}
    return {**named, LIST_NAME: list_text(named, rules=[], removed_rules=[])}


def test_what_is_no_longer_made_goes_and_its_folder_with_it(tmp_path: Path) -> None:
    """A file of ours is removed where it is as we wrote it."""
    write_folder(tmp_path, listed(a="1", deep_b="2"))
    outcome = write_folder(tmp_path, listed(a="1"))
    assert (outcome.removed, outcome.unchanged) == (("deep/b",), ("a",))
    assert sorted(path.name for path in tmp_path.iterdir()) == [LIST_NAME, "a"]


def test_what_somebody_changed_is_kept(tmp_path: Path) -> None:
    """A file that is no longer made stays where somebody has put something else into it."""
    write_folder(tmp_path, listed(a="1", b="2"))
    (tmp_path / "b").write_text("mine")
    outcome = write_folder(tmp_path, listed(a="1"))
    assert outcome.kept == ("b",)
    assert (tmp_path / "b").read_text() == "mine"


@pytest.mark.parametrize("made_before", [False, True], ids=["foreign", "changed"])
def test_what_others_wrote_is_not_replaced_unless_told(tmp_path: Path, made_before: bool) -> None:
    """Before anything is written, the files that would be lost are named."""
    if made_before:
        write_folder(tmp_path, listed(a="1", b="2"))
    (tmp_path / "b").write_text("mine")
    with pytest.raises(MonitoringError, match="changed since: b"):
        write_folder(tmp_path, listed(a="new", b="3"))
    assert (tmp_path / "b").read_text() == "mine"
    assert not (tmp_path / "a").exists() or (tmp_path / "a").read_text() == "1"
    write_folder(tmp_path, listed(a="new", b="3"), overwrite=True)
    assert (tmp_path / "b").read_text() == "3"


def test_a_render_that_was_interrupted_is_finished_by_the_next(tmp_path: Path) -> None:
    """Files that were written without the list being so are ours where they hold what they shall."""
    (tmp_path / "a").write_text("1")
    write_folder(tmp_path, listed(a="1", b="2"))
    assert (tmp_path / "b").read_text() == "2"


def test_a_list_cannot_name_files_outside(tmp_path: Path) -> None:
    """A list that somebody tampered with removes nothing elsewhere."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_text("1")
    write_folder(folder, listed(a="1"))
    content = json.loads((folder / LIST_NAME).read_text())
    content["files"]["../outside"] = content["files"]["a"]
    (folder / LIST_NAME).write_text(json.dumps(content))
    write_folder(folder, listed(a="1"))
    assert outside.exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"files": 5, "rules": "x"}'], ids=["broken", "list", "wrong types"])
def test_a_broken_list_is_said_or_empty(tmp_path: Path, text: str) -> None:
    """What is no JSON is named; what holds nothing of ours is as none."""
    (tmp_path / LIST_NAME).write_text(text)
    if text == "{":
        with pytest.raises(MonitoringError, match="cannot be read"):
            read_made(tmp_path)
    else:
        assert read_made(tmp_path).files == {}


def test_stale_files_are_named(tmp_path: Path) -> None:
    """What is missing, differs or is no longer made is what a check complains of."""
    write_folder(tmp_path, listed(a="1", b="2", c="3"))
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_text("x")
    assert stale_files(tmp_path, {"a": "1", "b": "2"}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"dashboards": [OWN, OWN]}, "uid jobs"),
        ({"groups": [STUCK, STUCK]}, "name shop"),
        ({"groups": [STUCK, replace(STUCK, name="other")]}, "alert is called JobsStuck"),
    ],
    ids=["dashboards", "groups", "alerts"],
)
def test_two_of_one_name_are_refused(added: dict[str, Any], said: str) -> None:
    """One would go over the other, each time anew."""
    twice = shipped_content(Registry().catalogue, job=JOB, **added)
    with pytest.raises((DashboardError, AlertError), match=said):
        twice.desired(Folder(uid="f", title="F"), datasource_uid="prometheus")


def test_two_alerts_of_one_name_and_labels_are_refused() -> None:
    """Grafana would move the one from group to group, and only one would be there."""
    own = RuleGroup("own", 60, (Alert("MonitoringTargetDown", "up == 0", severity="critical"),))
    twice = shipped_content(Registry().catalogue, job=JOB, groups=[own])
    with pytest.raises(AlertError, match="more than one alert is called MonitoringTargetDown"):
        twice.desired(Folder(uid="f", title="F"), datasource_uid="prometheus")


def test_the_committed_folder_is_as_the_code_has_it() -> None:
    """`nox -s generate` was run after the last change; it reads nothing of the environment."""
    folder = REPOSITORY / "grafana"
    shipped = shipped_content(Registry().catalogue, job="otel_monitoring")
    made = Subject(Settings.load(None, environ={}), shipped, "otel_monitoring", None)
    assert stale_files(folder, rendered(made, Stack(job="otel_monitoring", source=".."), folder)) == []
