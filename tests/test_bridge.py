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

PROLOGUE = """
import logging, sys, threading
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s", stream=sys.stdout)
from opentelemetry import metrics as otel
from otel_monitoring.export.bridge import ThirdParty
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Registry

registry = Registry(strict=True)
third_party = ThirdParty({"service.name": "shop"})

def shown(name, *taken):
    lines = third_party.render(frozenset(taken), openmetrics=False).splitlines()
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
print(third_party.shutdown(), third_party.attached, third_party.render(frozenset(), openmetrics=False) == "")
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
print(third_party.attach(), third_party.attach(), shown("") == [], third_party.shutdown())
print(type(otel.get_meter_provider()).__name__)
""")
    assert len(lines) == 3
    assert lines[0].startswith("otel_monitoring INFO third-party instruments are not shown")
    assert lines[1:] == ["False False True True", name]


def test_who_comes_later_finds_our_provider_alive() -> None:
    lines = run("""
third_party.attach()
third_party.shutdown()
third_party = ThirdParty()
print(third_party.attach())
otel.get_meter("library").create_counter("jobs").add(1)
print(*shown("jobs_total"))
""")
    assert lines == ["True", "jobs_total 1.0"]


def test_what_we_show_already_is_left_out_and_the_log_says_so_once() -> None:
    lines = run("""
third_party.attach()
meter = otel.get_meter("library")
meter.create_histogram("request_duration", "s").record(1)
meter.create_counter("request_duration").add(1)
taken = "request_duration_seconds", "request_duration_seconds_count"
print(len(shown("request_duration_seconds", *taken)), len(shown("request_duration_seconds", *taken)))
print(*shown("request_duration_total", *taken))
""")
    assert lines[-2:] == ["0 0", "request_duration_total 1.0"]
    assert len(lines) == 3
    assert "the third-party metric request_duration_seconds is left out: its name is shown already" in lines[0]


def test_what_we_declare_and_do_not_record_is_left_to_others() -> None:
    """A metric of the catalogue without a series does not hide one of that name which somebody else fills."""
    lines = run("""
from otel_monitoring.catalogue.shipped import RATE_LIMIT_WAIT
otel.get_meter("library").create_histogram("rate_limit_wait", "s")
third_party.attach()
exposition = Exposition(registry, third_party)
def counts():
    lines = exposition.render()[0].decode().splitlines()
    return [line for line in lines if line.startswith("rate_limit_wait_seconds_count")]
otel.get_meter("library").create_histogram("rate_limit_wait", "s").record(1, {"platform": "theirs"})
print(counts())
registry.histogram(RATE_LIMIT_WAIT).record(1, {"platform": "ours"})
print(counts())
""")
    assert lines[0] == "['rate_limit_wait_seconds_count{platform=\"theirs\"} 1.0']"
    assert lines[-1] == "['rate_limit_wait_seconds_count{platform=\"ours\"} 1']"


def test_none_is_made_where_the_application_may_still_set_its_own() -> None:
    """Asked to make none, it attaches only to a provider that is there."""
    lines = run("""
print(third_party.attach(make=False), type(otel.get_meter_provider()).__name__)
from opentelemetry.sdk.metrics import MeterProvider
print(third_party.attach(make=False))
otel.set_meter_provider(MeterProvider())
print(third_party.attach(make=False))
""")
    assert lines == ["False _ProxyMeterProvider", "False", "True"]


def test_what_clients_choose_makes_no_series() -> None:
    """Of the attributes of HTTP metrics those are kept that are few, by the stable and the old names."""
    lines = run("""
third_party.attach()
meter = otel.get_meter("library")
for number in range(50):
    for side in ("client", "server"):
        host = {"server.address": f"h{number}.example", "http.host": "h", "user_agent.original": f"u{number}"}
        kept = {"http.request.method": "GET", "http.route": "/items", "http.status_code": 200}
        meter.create_counter(f"http.{side}.calls").add(1, {**host, **kept})
meter.create_counter("jobs").add(1, {"server.address": "h.example"})
print(*shown("http_client_calls_total"), *shown("http_server_calls_total"), *shown("jobs_total"), sep="\\n")
""")
    kept = '{http_request_method="GET",http_route="/items",http_status_code="200"}'
    assert lines == [
        f"http_client_calls_total{kept} 50.0",
        f"http_server_calls_total{kept} 50.0",
        'jobs_total{server_address="h.example"} 1.0',
    ]


def test_a_scope_that_is_left_to_us_measures_nothing() -> None:
    """An instrumentation that asks for its meter after it was left to us shows nothing, others do."""
    lines = run("""
third_party.leave_to_us("framework")
third_party.attach()
otel.get_meter("framework").create_counter("requests").add(1)
otel.get_meter("library").create_counter("jobs").add(1)
print(shown("requests_total"), shown("jobs_total"))
""")
    assert lines == ["[] ['jobs_total 1.0']"]


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
    third_party = ThirdParty()
    assert third_party.render(frozenset(), openmetrics=False) == ""
    assert third_party.shutdown()
    assert not third_party.attach()
