"""Each example runs alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parent.parent / "examples"


pytestmark = pytest.mark.usefixtures("kept")


def load(name: str) -> ModuleType:
    """Import an example without running it as a program."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_metrics_prints_what_prometheus_would_see() -> None:
    """The example of one's own metrics prints them with their Prometheus names."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "own_metrics.py"], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'jobs_total{queue="mail",outcome="done"} 3.0' in done.stdout
    assert 'job_wait_seconds_bucket{queue="mail",le="1.0"} 2' in done.stdout


def test_the_fastapi_application_shows_its_requests() -> None:
    """The FastAPI example answers, and its metrics show route templates, errors and scores."""
    example = load("fastapi_app")
    with TestClient(example.app, raise_server_exceptions=False) as client:
        assert client.get("/prospects/anna/score").status_code == 200
        assert client.get("/prospects/unknown/score").status_code == 500
        text = client.get("/metrics").text
    example.monitoring.shutdown()
    shown = 'endpoint="/prospects/{prospect_id}/score",method="GET"'
    assert f"request_duration_seconds_count{{{shown}}} 2" in text
    assert f'http_requests_total{{{shown},status="5xx"}} 1.0' in text
    assert 'system_errors_total{error_type="LookupError",component="scorer"} 1.0' in text
    assert 'operations_total{operation="score",component="scorer",outcome="success"} 1.0' in text


def test_the_flask_application_shows_its_requests() -> None:
    """The Flask example answers, and its metrics show rules, errors counted once, and scores."""
    example = load("flask_app")
    client = example.app.test_client()
    assert client.get("/prospects/anna/score").status_code == 200
    assert client.get("/prospects/unknown/score").status_code == 500
    text = client.get("/metrics").text
    example.monitoring.shutdown()
    shown = 'endpoint="/prospects/<prospect_id>/score",method="GET"'
    assert f"request_duration_seconds_count{{{shown}}} 2" in text
    assert f'http_requests_total{{{shown},status="5xx"}} 1.0' in text
    assert 'system_errors_total{error_type="LookupError",component="scorer"} 1.0' in text
