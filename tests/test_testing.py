"""The test kit: what a user's tests see of the application, run by a pytest of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]

APPLICATION = """
from otel_monitoring import MonitoringService

monitoring = MonitoringService(
    service_name="outreach",
    prometheus_push_gateway="http://127.0.0.1:9",
    store_errors="{folder}/errors.db",
)
JOBS = monitoring.counter("jobs", unit="{{job}}", labels=("queue",), description="Jobs finished.")
DEPTH = monitoring.gauge("depth", labels=("queue",), description="Jobs that wait.")
JOBS.add(1000, {{"queue": "mail"}})
DEPTH.set(7, {{"queue": "old"}})

@monitoring.operation("send", component="sender")
def send(to):
    if not to:
        raise LookupError("nobody, password=hunter2")
    monitoring.record_metric("engagement_total", 1, {{"platform": to, "metric_type": "reply"}})

def misspell():
    try:
        monitoring.record_metric("engagment_total", 1)
    except Exception:
        pass
"""

WITHOUT = [f"-pno:{plugin}" for plugin in ("anyio", "asyncio", "cacheprovider", "hypothesispytest")]
"""What costs time and is not needed."""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], pytest.RunResult]:
    """Runs tests of the application, in a process of their own, with the plugin as installing the package brings it."""
    pytester.makeini("[pytest]")  # else it finds ours, where the temporary folder lies within the project
    pytester.makepyfile(application=APPLICATION.format(folder=pytester.path))

    def run_tests(tests: str) -> pytest.RunResult:
        pytester.makepyfile(test_application=f"import pytest\nfrom application import *\n{tests}")
        return pytester.runpytest_subprocess("-W", "error", *WITHOUT)

    return run_tests


def test_a_change_is_seen_in_the_application_s_own_service(run: Callable[[str], pytest.RunResult]) -> None:
    """What was recorded before the test does not count, and labels that are left out are added up."""
    ran = run("""
def test_change(metrics):
    with metrics.assert_change("engagement_total", {"platform": "linkedin"}, by=1):
        send("linkedin")
    with metrics.assert_change("engagement_total", by=2):
        send("linkedin")
        send("github")
    with metrics.assert_change("jobs_total", by=0), metrics.assert_change("depth", {"queue": "mail"}, by=3):
        DEPTH.set(3, {"queue": "mail"})
    assert metrics.value("engagement_total") == 3
    assert metrics.value("engagement", {"metric_type": "reply"}) == 3
    assert metrics.value("jobs_total", {"queue": "mail"}) == 0
    assert metrics.value("depth", {"queue": "mail"}) == 3
    assert metrics.value("depth", {"queue": "old"}) is None
    assert metrics.value("processing_time_seconds", {"operation": "send"}) == 3
    assert 0 < metrics.value("processing_time_seconds_sum") < 60
    assert metrics.errors == []

def test_anew(metrics):
    assert metrics.value("engagement_total") == 0
    assert metrics.value("depth", {"queue": "mail"}) is None
    JOBS.add(2, {"queue": "mail"})
    assert metrics.value("jobs_total") == 2
""")
    ran.assert_outcomes(passed=2)


def test_another_change_fails_and_says_what_did_change(run: Callable[[str], pytest.RunResult]) -> None:
    ran = run("""
def test_change(metrics):
    with metrics.assert_change("engagement_total", {"platform": "linkedin"}, by=2):
        send("linkedin")
        send("github")

def test_none(metrics):
    with metrics.assert_change("jobs_total"):
        pass

def test_its_own_failure(metrics):
    with metrics.assert_change("jobs_total"):
        raise KeyError("its own")
""")
    ran.assert_outcomes(failed=3)
    ran.stdout.fnmatch_lines(
        [
            "*AssertionError: engagement_total{platform='linkedin'} changed by 1, not by 2; *github* by 1*",
            "*AssertionError: jobs_total changed by 0, not by 1; changed were: none of its series",
            "*KeyError: 'its own'",
        ]
    )


def test_errors_are_captured_scrubbed_and_for_each_test(run: Callable[[str], pytest.RunResult]) -> None:
    ran = run("""
def test_errors(metrics):
    with pytest.raises(LookupError):
        send("")
    monitoring.log_error("no answer", error_type="timeout", component="reader", context={"prospect_id": "123"})
    first, second = metrics.errors
    assert (first.error_type, first.component) == ("LookupError", "sender")
    assert "hunter2" not in first.message
    assert (second.error_type, second.message, second.context["prospect_id"]) == ("timeout", "no answer", "123")

def test_none(metrics):
    assert metrics.errors == []
""")
    ran.assert_outcomes(passed=2)


def test_names_outside_the_catalogue_fail_the_test(run: Callable[[str], pytest.RunResult]) -> None:
    """Whether the test or the application says them, and though the application catches what that raises."""
    ran = run("""
def test_asked(metrics):
    metrics.value("engagment_total")

def test_label(metrics):
    metrics.value("engagement_total", {"plattform": "linkedin"})

def test_recorded(metrics):
    monitoring.record_metric("engagment_total", 1)

def test_caught(metrics):
    misspell()

def test_expected(metrics):
    misspell()
    metrics.expect_dropped()

def test_without_the_fixture():
    misspell()
    monitoring.record_metric("engagment_total", 1)
""")
    ran.assert_outcomes(failed=4, passed=2)
    ran.stdout.fnmatch_lines_random(
        [
            "*no metric is called 'engagment_total'; did you mean 'engagement_total'?",
            "*engagement_total has no label 'plattform'; its labels are ('platform', 'metric_type')",
            "*measurements did not fit the catalogue: 1 of unknown_metric;*",
        ]
    )


def test_services_that_the_test_makes_are_seen_too(run: Callable[[str], pytest.RunResult]) -> None:
    """A service of its own for code that is handed one; and one that code under test makes itself."""
    ran = run("""
def test_own(metrics):
    jobs = metrics.service.counter("tries", labels=("queue",))
    jobs.add(2, {"queue": "mail"})
    assert metrics.value("tries_total") == 2
    metrics.service.log_error("no answer")
    assert [error.message for error in metrics.errors] == ["no answer"]

def test_made_meanwhile(metrics):
    with MonitoringService() as other:
        other.record_metric("engagement_total", 5, {"platform": "x", "metric_type": "like"})
        send("github")
    assert metrics.value("engagement_total") == 6
    assert other.settings.offline

def test_fresh(metrics):
    with pytest.raises(Exception, match="no metric is called 'tries_total'"):
        metrics.value("tries_total")
    assert metrics.value("engagement_total") == 0
""")
    ran.assert_outcomes(passed=3)


def test_several_series_of_a_gauge_are_not_added_up(run: Callable[[str], pytest.RunResult]) -> None:
    ran = run("""
def test_gauge(metrics):
    DEPTH.set(1, {"queue": "a"})
    DEPTH.set(2, {"queue": "b"})
    assert metrics.value("depth", {"queue": "b"}) == 2
    with pytest.raises(ValueError, match="2 series of depth were set"):
        metrics.value("depth")
""")
    ran.assert_outcomes(passed=1)


def test_nothing_is_sent_or_kept_under_pytest(
    run: Callable[[str], pytest.RunResult], pytester: pytest.Pytester
) -> None:
    """Neither is with the fixture or without: no push is tried, no file is made, though the settings say so."""
    ran = run("""
import threading

def test_offline():
    assert monitoring.push() is True
    monitoring.log_error("no answer")
    with pytest.raises(ValueError, match="offline"):
        monitoring.errors
    points = monitoring.registry.snapshot().points()
    assert [point for point in points if point.metric.name == "monitoring_export_failures" and point.value] == []
    assert threading.active_count() == 1
""")
    ran.assert_outcomes(passed=1)
    assert not list(pytester.path.glob("errors.db*"))


def test_who_says_so_is_not_offline(run: Callable[[str], pytest.RunResult], pytester: pytest.Pytester) -> None:
    ran = run("""
def test_store(tmp_path):
    with MonitoringService(store_errors=f"{tmp_path}/errors.db", offline=False) as other:
        other.log_error("no answer")
    assert (tmp_path / "errors.db").exists()

def test_environment(monkeypatch):
    monkeypatch.setenv("OTEL_MONITORING_OFFLINE", "false")
    assert not MonitoringService().settings.offline
""")
    ran.assert_outcomes(passed=2)


def test_a_conftest_s_service_is_offline_too(run: Callable[[str], pytest.RunResult], pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import application\nassert application.monitoring.settings.offline")
    ran = run("""
def test_seen(metrics):
    send("linkedin")
    assert metrics.value("engagement_total") == 1
""")
    ran.assert_outcomes(passed=1)


def test_outside_of_pytest_nothing_is_different() -> None:
    program = "from otel_monitoring import MonitoringService as M; print(M().settings.offline, M.watchers)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False ()"


def test_starting_pytest_loads_nothing_heavy() -> None:
    program = """
import sys
import otel_monitoring.testing.plugin
heavy = ("opentelemetry.sdk", "prometheus_client", "psutil", "rich", "sqlalchemy", "structlog", "typer")
print([name for name in heavy if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
