"""What works without any extra, from a wheel: recording, exposition, logging, the command line."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.exceptions import ExtraMissingError

EXTRAS = ("fastapi", "grafana_client", "nicegui", "opentelemetry.exporter.otlp", "psycopg", "starlette", "uvicorn")


@pytest.mark.parametrize("module", EXTRAS)
def test_no_extra_is_there(module: str) -> None:
    """These tests would show nothing where an extra is installed."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(module)


def test_the_package_is_that_of_the_wheel() -> None:
    """The checkout is not what is tested here."""
    spec = importlib.util.find_spec("otel_monitoring")
    assert spec is not None
    assert spec.origin is not None
    assert Path(sys.prefix) in Path(spec.origin).parents
    assert (Path(spec.origin).parent / "py.typed").exists()


def test_what_is_recorded_is_shown() -> None:
    """A counter of one's own and an error come out in Prometheus's text."""
    with MonitoringService() as monitoring:
        jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
        jobs.add(2, {"queue": "mail"})
        monitoring.log_error(error_message="no", error_type="processing_error", component="mailer")
        body, content_type = monitoring.exposition(None)
    assert content_type.startswith("text/plain")
    assert 'jobs_total{queue="mail"} 2' in body.decode()
    assert 'system_errors_total{error_type="processing_error",component="mailer"} 1' in body.decode()


@pytest.mark.asyncio
async def test_what_needs_an_extra_says_which() -> None:
    """The message names the extra to install."""
    service = MonitoringService(grafana_url="http://127.0.0.1:9")
    with service as monitoring, pytest.raises(ExtraMissingError, match=r"otel-monitoring\[grafana\]"):
        await monitoring.create_grafana_dashboard({"title": "System Overview"})


def test_the_command_line_explains_itself() -> None:
    """Help needs no extra."""
    program = Path(sys.executable).with_name("otel-monitoring")
    ran = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert "demo" in ran.stdout


@pytest.mark.parametrize(
    "arguments", [("grafana", "plan"), ("grafana", "render", "out"), ("check",)], ids=["plan", "render", "check"]
)
def test_a_command_that_needs_an_extra_says_which(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """One line, and no traceback."""
    program = Path(sys.executable).with_name("otel-monitoring")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 1
    assert "otel-monitoring[grafana]" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_errors_are_kept_and_asked_for(tmp_path: Path) -> None:
    """SQLite comes with Python, so keeping errors needs no extra either."""
    with MonitoringService(store_errors=tmp_path / "errors.db") as monitoring:
        monitoring.log_error("no", component="mailer", context={"password": "hunter2"})
        (group,) = monitoring.errors.groups(unresolved=True)
        (event,) = monitoring.errors.events(group.fingerprint)
    assert (group.title, group.component, group.count) == ("no", "mailer", 1)
    assert event.context == {"password": "***"}


def test_postgresql_needs_its_extra() -> None:
    """The message names the extra to install."""
    with pytest.raises(ExtraMissingError, match=r"otel-monitoring\[postgres\]"):
        MonitoringService(store_errors="postgresql://db.example/errors")


def test_a_program_is_run_without_a_changed_line() -> None:
    """Neither a framework nor an instrumentor needs to be there."""
    program = Path(sys.executable).with_name("otel-monitoring")
    ran = subprocess.run(
        [program, "run", "--port", "0", "--", sys.executable, "-c", "print('done')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "done\n"
    assert "metrics at http://127.0.0.1:" in ran.stderr
    assert "web applications  none" in ran.stderr
