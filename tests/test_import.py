"""What importing the package loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "fastapi",
    "grafana_client",
    "opentelemetry.exporter",
    "opentelemetry.sdk",
    "prometheus_client",
    "psutil",
    "requests",
    "rich",
    "sqlalchemy",
    "starlette",
    "structlog",
    "typer",
    "urllib3",
    "uvicorn",
)


def modules_after(statement: str) -> frozenset[str]:
    """Return what a fresh interpreter has loaded after a statement."""
    script = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(ran.stdout.split())


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    """The modules that ``import otel_monitoring`` loads."""
    return modules_after("import otel_monitoring")


@pytest.mark.parametrize("module", HEAVY)
def test_importing_the_package_leaves_heavy_modules_alone(loaded: frozenset[str], module: str) -> None:
    """What only some features need is loaded when they are used."""
    assert "otel_monitoring" in loaded
    assert module not in loaded


@pytest.mark.parametrize("traced", [False, True])
def test_what_a_running_service_needs_first_is_there_when_it_has_started(traced: bool) -> None:
    """A child that is forked while a thread imports it would wait for it for ever."""
    first = "import opentelemetry.trace\n" if traced else ""
    there = modules_after(f"{first}from otel_monitoring import MonitoringService\nMonitoringService()")
    used = modules_after(f"""{first}from otel_monitoring import MonitoringService
monitoring = MonitoringService()
monitoring.agent(lambda: None)()
monitoring.record_metric("prospect_score", 0.5, {{"platform": "linkedin", "score_type": "fit"}})
monitoring.record_rate_limit("linkedin", "api", 0)
monitoring.record_tokens("m", 1, 1)
monitoring.registry.snapshot()
sys.stdout = sys.__stderr__
monitoring.log_error("no answer")
sys.stdout = sys.__stdout__""")
    assert used - there == set()
    assert ("otel_monitoring.instrument.frame" in there) is traced
