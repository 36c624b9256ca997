"""What the checklist says of what is installed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.settings import Settings
from otel_monitoring.zero_code.checklist import checklist
from otel_monitoring.zero_code.instrumentors import Enabled

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:9464/metrics"


def lines(enabled: Enabled | None = None, *, url: str | None = URL, **settings: object) -> dict[str, str]:
    """Return the checklist, what it says by what it is about."""
    loaded = Settings.load(settings, environ={})
    first, *rest = checklist(loaded, enabled or Enabled(), url=url)
    return {"first": first, **{line[2:18].strip(): line[20:] for line in rest}}


def test_it_says_who_serves_where() -> None:
    """The name of the service and the address of its page."""
    assert lines(service_name="outreach")["first"] == f"service 'outreach', metrics at {URL}"
    assert lines(service_name="outreach", url=None)["first"].endswith("metrics not served by this process")


def test_a_service_without_a_name_is_told_how_to_get_one() -> None:
    """And one that has a name is not."""
    assert "OTEL_SERVICE_NAME" in lines()["unnamed"]
    assert "unnamed" not in lines(service_name="outreach")


def test_it_lists_what_is_installed_with_its_version() -> None:
    """Frameworks and clients, in lines of their own."""
    shown = lines()
    assert f"fastapi {version('fastapi')}" in shown["web applications"]
    assert f"requests {version('requests')}" in shown["HTTP clients"]


@pytest.mark.parametrize("disabled", ["fastapi", "*"])
def test_what_is_switched_off_is_not_listed_as_instrumented(disabled: str) -> None:
    """It stands in the line of what is switched off."""
    shown = lines(disabled_instrumentations=disabled)
    assert "fastapi" not in shown["web applications"]
    assert shown["switched off"] == disabled


def test_instrumentors_are_listed_by_what_has_become_of_them() -> None:
    """Enabled, failed with the reason, or switched off."""
    enabled = Enabled(names=["celery", "redis"], refused={"pika": "LookupError: no"}, disabled=["kafka"])
    shown = lines(enabled)
    assert shown["by OpenTelemetry"] == "celery, redis"
    assert shown["not instrumented"] == "pika: LookupError: no"
    assert shown["switched off"] == "kafka"


def test_what_could_be_added_is_one_line_to_paste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only libraries that are there, without an instrumentor, and not switched off."""
    for name in ("aiopg", "pika", "tornado", "opentelemetry_instrumentation_pika"):
        info = tmp_path / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = lines(disabled_instrumentations="tornado")
    assert "aiopg 9.9" in shown["not yet"]
    assert "pika 9.9" not in shown["not yet"]
    assert "tornado" not in shown["not yet"]
    assert "pip install " in shown["to add them"]
    assert "opentelemetry-instrumentation-aiopg" in shown["to add them"]
    assert "not yet" not in lines(disabled_instrumentations="*")


def test_what_is_added_fits_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names what has to stay of one release, so that pip does not put newer parts below it."""
    for name, entry in (("celery", ""), ("opentelemetry_instrumentation_pika", "pika = some:Instrumentor")):
        info = tmp_path / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 9.9\n")
        (info / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{entry}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/a folder/python")
    line = lines()["to add them"]
    assert "'/a folder/python' " in line
    assert {"opentelemetry-instrumentation-pika", "opentelemetry-sdk"} < set(line.split())


def test_it_says_how_to_be_silent() -> None:
    """The last line, always."""
    *_, last = checklist(Settings.load(environ={}), Enabled(), url=None)
    assert "--quiet" in last
    assert "OTEL_MONITORING_ZERO_CODE_CHECKLIST=false" in last
