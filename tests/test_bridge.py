"""Third-party OpenTelemetry instruments, whichever MeterProvider the application has set.

OpenTelemetry lets a process set a provider once, so each case runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import otel_monitoring
from otel_monitoring.export.bridge import ThirdParty
from otel_monitoring.metrics import Registry

PROLOGUE = """
import logging, sys, threading
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s", stream=sys.stdout)
from opentelemetry import metrics as otel
from otel_monitoring.export.bridge import ThirdParty
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Registry

registry = Registry(strict=True)
third_party = ThirdParty(registry.catalogue, {"service.name": "shop"})

def shown(name):
    lines = third_party.render(openmetrics=False).splitlines()
    return [line for line in lines if line.startswith(name)]
"""


def run(script: str) -> list[str]:
    """Run a script in an interpreter of its own; return the lines it printed or logged."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROLOGUE + script],
        env={**os.environ, "PYTHONPATH": str(Path(otel_monitoring.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_where_no_provider_is_set_one_is() -> None:
    """Instruments made earlier deliver too."""
    lines = run("""
earlier = otel.get_meter("library").create_counter("jobs")
print(third_party.attach(), third_party.attach(), third_party.attached)
earlier.add(2, {"queue": "mail"})
print(*shown("jobs_total"), *shown("target_info"))
""")
    assert lines[0] == "True True True"
    assert lines[1].startswith('jobs_total{queue="mail"} 2.0 target_info{')
    assert 'service_name="shop"' in lines[1]


def test_a_provider_that_the_application_has_set_is_used_and_kept() -> None:
    lines = run("""
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
theirs = InMemoryMetricReader()
provider = MeterProvider(metric_readers=[theirs])
otel.set_meter_provider(provider)
jobs = otel.get_meter("library").create_counter("jobs")
jobs.add(1)
print(third_party.attach(), otel.get_meter_provider() is provider)
jobs.add(2)
print(*shown("jobs_total"))
print(theirs.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].value)
print(third_party.shutdown(), third_party.attached, third_party.render(openmetrics=False) == "")
jobs.add(4)
print(theirs.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].value)
""")
    assert lines == ["True True", "jobs_total 2.0", "3", "True False True", "7"]


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("otel.NoOpMeterProvider()", "NoOpMeterProvider"),
        ("type('Foreign', (otel.MeterProvider,), {'get_meter': lambda *_, **__: otel.NoOpMeter('x')})()", "Foreign"),
    ],
)
def test_a_provider_of_another_make_is_left_alone_and_the_log_says_so_once(provider: str, name: str) -> None:
    lines = run(f"""
otel.set_meter_provider({provider})
print(third_party.attach(), third_party.attach(), third_party.render(openmetrics=True) == "", third_party.shutdown())
print(type(otel.get_meter_provider()).__name__)
""")
    assert len(lines) == 3
    assert lines[0].startswith("otel_monitoring INFO third-party instruments are not shown")
    assert lines[1:] == ["False False True True", name]


def test_who_comes_later_finds_our_provider_alive() -> None:
    lines = run("""
third_party.attach()
third_party.shutdown()
third_party = ThirdParty(registry.catalogue)
print(third_party.attach())
otel.get_meter("library").create_counter("jobs").add(1)
print(*shown("jobs_total"))
""")
    assert lines == ["True", "jobs_total 1.0"]


def test_what_our_catalogue_shows_is_left_out_and_the_log_says_so_once() -> None:
    lines = run("""
third_party.attach()
meter = otel.get_meter("library")
meter.create_histogram("request_duration", "s").record(1)
meter.create_counter("request_duration").add(1)
print(len(shown("request_duration_seconds")), len(shown("request_duration_total")), len(shown("request_duration")))
""")
    assert lines[-1] == "0 1 1"
    assert len(lines) == 2
    assert "the third-party metric request_duration_seconds is left out: its name is shown already" in lines[0]


def test_it_goes_with_our_own_in_one_exposition() -> None:
    lines = run("""
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS
registry.counter(SYSTEM_ERRORS).add(1, {"error_type": "a", "component": "b"})
third_party.attach()
otel.get_meter("library").create_counter("jobs").add(1)
body, _ = Exposition(registry, third_party).render("application/openmetrics-text")
families = {family.name for family in text_string_to_metric_families(body.decode())}
print(families >= {"system_errors", "jobs", "target"})
""")
    assert lines == ["True"]


def test_scrapes_at_the_same_time_do_not_mix() -> None:
    lines = run("""
third_party.attach()
jobs = otel.get_meter("library").create_counter("jobs")
for number in range(200):
    jobs.add(1, {"number": number})
seen = set()
threads = [threading.Thread(target=lambda: seen.add(len(shown("jobs_total")))) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(seen)
""")
    assert lines == ["{200}"]


def test_a_callback_that_hangs_does_not_hang_the_end() -> None:
    lines = run("""
third_party.attach()
begun, go_on = threading.Event(), threading.Event()
def hang(options):
    begun.set()
    go_on.wait(60)
    return []
otel.get_meter("library").create_observable_gauge("stuck", [hang])
scrape = threading.Thread(target=shown, args=("stuck",), daemon=True)
scrape.start()
begun.wait(60)
print(third_party.shutdown(timeout=0.01))
go_on.set()
scrape.join()
print(third_party.shutdown(timeout=60))
""")
    assert lines == ["False", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_during_a_scrape_does_not_wait_for_it() -> None:
    lines = run("""
import os
third_party.attach()
third_party._lock.acquire()  # as a thread of the parent does that the child has not
child = os.fork()
if child == 0:
    third_party.shutdown(0)
    os._exit(0 if not third_party.attached else 1)
print(os.waitpid(child, 0)[1])
""")
    assert lines == ["0"]


def test_before_it_is_attached_there_is_nothing() -> None:
    third_party = ThirdParty(Registry(strict=True).catalogue)
    assert third_party.render(openmetrics=False) == ""
    assert third_party.shutdown()
