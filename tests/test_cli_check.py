"""``otel-monitoring check``, run as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

COMMAND = (sys.executable, "-c", "from otel_monitoring.cli import main; main()", "check")
ROOT = Path(__file__).parents[1]
ENDS_WITHIN_SECONDS = 240

RIGHT = """
from otel_monitoring import MonitoringService

monitoring = MonitoringService(resources=False, third_party=False, service_name="shop")
JOBS = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
"""
WRONG = RIGHT + 'monitoring.gauge("waitTime", unit="ms", labels=("queue",))\n'


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )


def test_what_this_project_has_agrees() -> None:
    """The shipped metrics, dashboards and rules, and all documents of this repository."""
    done = check(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(": all agree")


def test_a_service_of_the_user_is_looked_at_with_its_documents(tmp_path: Path) -> None:
    """Its module is found in the current folder, and README.md and docs/ are read."""
    (tmp_path / "shop.py").write_text(RIGHT)
    (tmp_path / "README.md").write_text("We count `jobs_total{queue}`.")
    (tmp_path / "docs" / "more").mkdir(parents=True)
    (tmp_path / "docs" / "more" / "jobs.md").write_text("```promql\nsum by (queue) (rate(jobs_total[5m]))\n```\n")
    done = check(tmp_path, "shop:monitoring")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("2 documents: all agree")


def test_what_does_not_agree_is_listed_and_ends_with_1(tmp_path: Path) -> None:
    """A line for each problem, with document and line where there is one, and one that sums up."""
    (tmp_path / "shop.py").write_text(WRONG)
    (tmp_path / "README.md").write_text("We count `jabs_total`.")
    (tmp_path / "ops.md").write_text("\nAnd `jobs_total{quue}`.")
    done = check(tmp_path, "shop:monitoring", "--document", "ops.md")
    assert done.returncode == 1
    assert done.stderr == ""
    *problems, summary = done.stdout.splitlines()
    assert "metric 'waitTime': the unit is 'ms': Prometheus's names and panels take the base unit, 's'" in problems
    assert "README.md:1: there is no metric 'jabs_total'; did you mean 'jobs_total'?" in problems
    assert "ops.md:2: jobs_total has no label 'quue': it has queue; did you mean 'queue'?" in problems
    assert summary.endswith(f"2 documents: {len(problems)} problems")


def test_a_folder_is_read_without_what_is_installed_in_it(tmp_path: Path) -> None:
    """Documents of other packages, and those in hidden folders, say nothing of these metrics."""
    for folder in ("ops", ".venv", "venv/site-packages/other", "node_modules/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "page.md").write_text("`jabs_total`")
    done = check(tmp_path, "--document", ".")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()][:-1] == ["ops/page.md"]
    assert done.stdout.splitlines()[-1].endswith("1 document: 1 problem")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shop"], "service 'shop': write a module, a colon and a name in it, as myapp.monitoring:monitoring"),
        (["shap:monitoring"], "service 'shap:monitoring': there is no module 'shap' here"),
        (["shop:monitorin"], "there is no 'monitorin' in shop; the service there is 'monitoring'"),
        (["shop:JOBS"], "service 'shop:JOBS' is a Counter, and not a MonitoringService"),
        (["broken:monitoring"], "importing broken fails with ValueError: no way ("),
        (["lacking:monitoring"], "importing lacking fails with ModuleNotFoundError: No module named 'not_there'"),
        (["--document", "nowhere.md"], "there is no document 'nowhere.md': name a file or a folder with --document"),
    ],
    ids=["no-name", "no-module", "no-attribute", "no-service", "broken", "lacking", "no-document"],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    """Without a traceback, and with exit code 1."""
    (tmp_path / "shop.py").write_text(RIGHT)
    (tmp_path / "broken.py").write_text("\n\nraise ValueError('no\\nway')\n")
    (tmp_path / "lacking.py").write_text("import not_there\n")
    done = check(tmp_path, *arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_others_metrics_are_a_setting(tmp_path: Path) -> None:
    """Queries may name them, and labels that Prometheus adds, where the service says so."""
    allowed = RIGHT.replace('"shop"', '"shop", foreign_metrics="node_*", target_labels="team"')
    (tmp_path / "README.md").write_text(
        "```promql\nsum by (team) (node_load1) / sum by (team) (rate(jobs_total[5m]))\n```"
    )
    (tmp_path / "shop.py").write_text(RIGHT)
    assert "there is no metric 'node_load1'" in check(tmp_path, "shop:monitoring").stdout
    (tmp_path / "shop.py").write_text(allowed)
    done = check(tmp_path, "shop:monitoring")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_check_sends_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    """A service that would push and store errors does neither while it is looked at."""
    (tmp_path / "shop.py").write_text(
        RIGHT.replace('"shop"', '"shop", prometheus_push_gateway="http://127.0.0.1:9", store_errors="errors.db"')
        + 'monitoring.log_error("found", error_type="test", component="shop")\n'
    )
    done = check(tmp_path, "shop:monitoring")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["shop.py"]
