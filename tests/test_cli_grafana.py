"""``otel-monitoring grafana`` as a person runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.grafana_requests import Answer
from tests.grafana_server import ADMIN_TOKEN, VIEWER_TOKEN, GrafanaServer, serving
from tests.servers import wait_until
from tests.test_cli import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.programs

ENDS_WITHIN_SECONDS = 240
"""A command that plans all dashboards takes some seconds of a machine that has nothing else to do."""

SERVICE = """
from otel_monitoring import MonitoringService
from otel_monitoring.grafana import Alert, Dashboard, Row

monitoring = MonitoringService(service_name="mailer", thresholds={"error_ratio": 0.25})
JOBS = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
monitoring.dashboards.add(Dashboard("Mails", [Row("Flow", JOBS.rate(by="queue"))]))
monitoring.alerts.add(Alert("MailsStuck", "sum by (queue) (rate(jobs_total[10m])) == 0", summary="No mails."))
"""


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    """A stand-in for Grafana."""
    with serving() as running:
        yield running


def environment(server: GrafanaServer | None, token: str = ADMIN_TOKEN) -> dict[str, str]:
    """Return the environment of a command."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_MONITORING_")}
    if server is None:
        return clean
    given = {"GRAFANA_URL": server.url, "GRAFANA_API_KEY": token, "GRAFANA_TIMEOUT_SECONDS": "60"}
    return clean | {f"OTEL_MONITORING_{name}": value for name, value in given.items()}


def run(
    *arguments: str,
    server: GrafanaServer | None = None,
    token: str = ADMIN_TOKEN,
    cwd: Path | None = None,
    answer: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, "grafana", *arguments],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
        env=environment(server, token),
        cwd=cwd,
        input=answer,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_plan_apply_plan_have_the_exit_codes_that_scripts_know(server: GrafanaServer) -> None:
    """2 where there is something to do, 0 where there is not; apply says what it does."""
    planned = run("plan", server=server)
    assert planned.returncode == 2, planned.stderr
    assert "+ create    dashboard  System Overview (otel-monitoring-overview)" in planned.stdout
    assert re.search(r"^\d+ to create\.$", planned.stdout, re.MULTILINE)
    applied = run("apply", server=server)
    assert applied.returncode == 0, applied.stderr
    assert re.search(r"(\d+) of \1 rules evaluated", applied.stdout)
    again = run("plan", server=server)
    assert (again.returncode, again.stdout.splitlines()[-1][:13]) == (0, "Nothing to do")


def test_a_change_in_grafana_ends_with_1_and_its_difference(server: GrafanaServer) -> None:
    """The field is shown with both values, and what to do."""
    assert run("apply", "--wait", "0", server=server).returncode == 0
    server.change_dashboard("otel-monitoring-self", title="Mine")
    refused = run("apply", "--wait", "0", server=server)
    assert refused.returncode == 1
    assert '~ title: "Mine" → "Monitoring"' in refused.stdout
    assert "--overwrite" in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("plan", "--nope"), "--nope"), (("plan", "--service", "nope:monitoring"), "no module 'nope'")],
    ids=["option", "module"],
)
def test_a_mistake_is_never_taken_for_changes(arguments: tuple[str, ...], said: str, server: GrafanaServer) -> None:
    """Exit code 2 of plan means changes: what is wrong with the command is 1."""
    done = run(*arguments, server=server)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("name", ["shop", "shop:nothing", "shop:JOBS"], ids=str)
def test_a_service_that_is_none_is_said(name: str, tmp_path: Path) -> None:
    """What stands after --service is a module and a service in it."""
    (tmp_path / "shop.py").write_text(SERVICE)
    done = run("render", str(tmp_path / "out"), "--service", name, cwd=tmp_path)
    assert done.returncode == 1
    assert f"service '{name}'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_service_brings_its_metrics_its_job_and_its_limits(tmp_path: Path) -> None:
    """Rules watch the service's own job with its own limits; its metrics, dashboards and alerts are there."""
    (tmp_path / "shop.py").write_text(SERVICE)
    done = run("render", "out", "--service", "shop:monitoring", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rules = (tmp_path / "out/prometheus/rules/otel-monitoring.yml").read_text()
    assert 'job="mailer"' in rules
    assert "0.25 *" in rules
    assert "alert: MailsStuck" in rules
    assert "MailsStuck" in (tmp_path / "out/provisioning/alerting/otel-monitoring.yaml").read_text()
    assert (tmp_path / "out/dashboards/mails.json").is_file()
    assert "jobs_total" in (tmp_path / "out/dashboards/mailer-own-metrics.json").read_text()


@pytest.mark.parametrize("given", ["in code", "as option"])
def test_the_address_need_not_stand_beside_the_token(given: str, server: GrafanaServer, tmp_path: Path) -> None:
    """The token comes from the environment, the address from the service or from --url."""
    in_code = given == "in code"
    named = f'service_name="mailer", grafana_url="{server.url}"' if in_code else 'service_name="mailer"'
    (tmp_path / "shop.py").write_text(SERVICE.replace('service_name="mailer"', named))
    done = subprocess.run(
        [*COMMAND, "grafana", "plan", "--service", "shop:monitoring", *([] if in_code else ["--url", server.url])],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
        env=environment(None) | {"OTEL_MONITORING_GRAFANA_API_KEY": ADMIN_TOKEN},
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    assert server.url in done.stdout


def test_render_says_what_it_wrote_and_writes_nothing_twice(tmp_path: Path) -> None:
    """The second run finds all as it shall be; what somebody wrote there stays."""
    first = run("render", "out", cwd=tmp_path)
    assert re.search(r"^1\d files written, 0 unchanged, 0 removed", first.stdout), first.stderr
    second = run("render", "out", cwd=tmp_path)
    assert re.search(r"^0 files written, 1\d unchanged", second.stdout)
    (tmp_path / "out/compose.yaml").write_text("mine")
    refused = run("render", "out", cwd=tmp_path)
    assert refused.returncode == 1
    assert "compose.yaml" in refused.stderr
    assert (tmp_path / "out/compose.yaml").read_text() == "mine"


def test_delete_asks_and_removes_only_when_told(server: GrafanaServer) -> None:
    """No leaves all there; --yes does not ask; what is not ours stays."""
    assert run("apply", "--wait", "0", server=server).returncode == 0
    declined = run("delete", server=server, answer="n\n")
    assert declined.returncode == 1
    assert "otel-monitoring-overview" in server.state.dashboards
    done = run("delete", "--yes", server=server)
    assert done.returncode == 0, done.stderr
    assert set(server.state.dashboards) == {"provisioned-dash"}
    assert set(server.state.rules) == {"rule-from-file"}


def test_pull_writes_what_was_changed(server: GrafanaServer, tmp_path: Path) -> None:
    """A dashboard that somebody changed comes back as JSON."""
    assert run("apply", "--wait", "0", server=server).returncode == 0
    server.change_dashboard("otel-monitoring-self", title="Mine")
    done = run("pull", "changes", server=server, cwd=tmp_path)
    assert done.stdout.split() == ["changes/dashboards/otel-monitoring-self.json"]
    assert json.loads((tmp_path / done.stdout.strip()).read_text())["title"] == "Mine"
    planned = run("plan", "--from", "changes", server=server, cwd=tmp_path)
    assert planned.returncode == 2  # the mark of what was written is renewed
    assert "only the mark" in planned.stdout


def test_annotate_marks_a_deployment(server: GrafanaServer) -> None:
    """The dashboards choose marks by their tag."""
    done = run("annotate", "release 1.4", server=server)
    assert done.returncode == 0
    assert done.stdout == "Marked on the dashboards that choose deployment: release 1.4\n"
    (made,) = server.state.annotations
    assert (made["text"], made["tags"]) == ("release 1.4", ["deployment"])


@pytest.mark.parametrize(
    ("token", "said"),
    [("wrong-token", "grafana_api_key"), (VIEWER_TOKEN, "folders:create")],
    ids=["unknown", "without permission"],
)
def test_who_may_not_is_told_what_is_missing(server: GrafanaServer, token: str, said: str) -> None:
    """One line, without the token in it."""
    done = run("apply", server=server, token=token)
    assert done.returncode == 1
    assert said in done.stderr
    assert token not in done.stderr + done.stdout


def test_without_an_address_it_is_said_which_setting_gives_one() -> None:
    """Nothing is guessed."""
    done = run("plan")
    assert done.returncode == 1
    assert "grafana_url" in done.stderr


def test_a_server_that_is_no_grafana_is_said(server: GrafanaServer) -> None:
    """A page in place of the API is no success."""
    server.misbehave(Answer(200, "<html>hello</html>"), times=99)
    done = run("plan", server=server)
    assert done.returncode == 1
    assert done.stderr.startswith("otel-monitoring: ")


def test_ctrl_c_in_the_middle_leaves_what_the_next_apply_finishes(server: GrafanaServer) -> None:
    """Interrupted while it writes it ends at once, without a traceback; apply again does the rest."""
    server.misbehave(method="PUT", path="rule-groups", slow=True)
    with subprocess.Popen(
        [*COMMAND, "grafana", "apply", "--wait", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(server),
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 (it calls one function of the system)
    ) as process:
        wait_until(lambda: server.asked_for("PUT", "rule-groups"))
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    assert process.returncode not in {0, 2}
    assert "Traceback" not in out + errors
    assert "apply again does the others" in out
    server.go_on.set()
    assert run("apply", "--wait", "0", server=server).returncode == 0
    assert len(server.state.rules) > 20


def test_ctrl_c_while_rules_are_watched_says_that_all_is_written(server: GrafanaServer) -> None:
    """Who does not want to wait knows what was done, and what is not known."""
    server.scheduler = False
    with subprocess.Popen(
        [*COMMAND, "grafana", "apply"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(server),
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 (it calls one function of the system)
    ) as process:
        wait_until(lambda: server.asked_for("GET", "/api/prometheus/grafana/api/v1/rules"))
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    assert process.returncode not in {0, 2}
    assert "All is written" in out, errors
    assert "Traceback" not in out + errors


def _hear_interrupts() -> None:
    """Let SIGINT be heard, which a shell may have told its children to ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
