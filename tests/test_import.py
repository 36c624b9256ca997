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
