"""What a real Prometheus answers of what was recorded: the whole way from a call to a query."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.export.server import MetricsServer
from otel_monitoring.metrics import Counter, Gauge, Histogram, UpDownCounter
from otel_monitoring.metrics.quantile import quantile
from tests.logging_state import kept_logging
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.catalogue import Declaration
    from tests.servers import PrometheusServer, Sample

pytestmark = pytest.mark.programs

HOSTILE = 'a "quoted" \\ back\\nslash\nnew line {brace} %s ünï 𝄞'


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with kept_logging(), MonitoringService(third_party=False, service_name="outreach", strict=True) as service:
        yield service


def record_something(service: MonitoringService, declaration: Declaration) -> None:
    """Record once to a metric, with a label value that tells it."""
    attributes = {label: f"{label} of {declaration.name}" for label in declaration.labels}
    instrument = service.registry.instrument(declaration)
    if isinstance(instrument, Counter | UpDownCounter):
        instrument.add(3, attributes)
    elif isinstance(instrument, Gauge):
        instrument.set(0.25, attributes)
    else:
        assert isinstance(instrument, Histogram)
        instrument.record(0.3, attributes)


def metadata(prometheus: PrometheusServer, family: str) -> set[tuple[str, str]]:
    """Return the types and help texts that Prometheus knows of a family, as soon as it knows it."""

    def look() -> set[tuple[str, str]]:
        found = prometheus.api("metadata", metric=family)
        assert isinstance(found, dict)
        return {(entry["type"], entry["help"]) for entry in found.get(family, ())}

    return wait_until(look)


def the_one(samples: list[Sample]) -> float:
    """Return the value of the only series."""
    assert len(samples) == 1, samples
    return samples[0].value


def test_the_catalogue_predicts_every_name_and_label(
    monitoring: MonitoringService, prometheus: PrometheusServer
) -> None:
    """Every shipped metric, recorded and scraped, shows under exactly the names and labels it declares."""
    for declaration in SHIPPED:
        record_something(monitoring, declaration)
    job = prometheus.scrape(monitoring.serve(port=0).url)
    last = SHIPPED[-1].prometheus_name
    prometheus.wait_for(f'{last}{{job="{job}"}}', bool)

    shown: dict[str, set[str]] = {}
    for sample in prometheus.query(f'{{job="{job}"}}'):
        labels = dict(sample.labels)
        name = labels.pop("__name__")
        shown.setdefault(name, set()).update(labels.keys() - {"job", "instance"})
    own = {name for name in shown if name != "up" and not name.startswith("scrape_")}
    predicted: dict[str, set[str]] = {}
    for declaration in SHIPPED:
        for suffix in declaration.kind.sample_suffixes:
            extra = {"le"} if suffix == "_bucket" else set()
            predicted[declaration.base_name + suffix] = {*declaration.prometheus_labels, *extra}
    assert own == set(predicted)
    assert {name: shown[name] for name in own} == predicted


@pytest.mark.parametrize("accept", ["text", "openmetrics"])
def test_prometheus_answers_what_was_recorded(
    monitoring: MonitoringService, prometheus: PrometheusServer, accept: str
) -> None:
    """Sums, gauges, buckets and label values of any text come back as they were recorded, in either format."""
    jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs\nfinished \\ done.")
    wait = monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1, 10))
    heat = monitoring.gauge("heat", labels=("room",))
    jobs.add(41.5, {"queue": HOSTILE})
    jobs.add(0.5, {"queue": HOSTILE})
    for seconds in (0.05, 0.1, 0.5, 3, 70):
        wait.record(seconds, {"queue": "mail"})
    heat.set(-math.inf, {"room": "cold"})
    heat.set(1e-300, {"room": "warm"})
    # Prometheus asks for OpenMetrics; a server that hears no Accept header gives text.
    render = monitoring.exposition if accept == "openmetrics" else lambda _accept: monitoring.exposition(None)
    with MetricsServer(render, port=0) as server:
        job = prometheus.scrape(server.url)
        prometheus.wait_for(f'jobs_total{{job="{job}"}}', bool)

    found = prometheus.query(f'jobs_total{{job="{job}"}}')
    assert the_one(found) == 42
    assert found[0].labels["queue"] == HOSTILE
    for bound, expected in (("0.1", 2), ("1.0", 3), ("10.0", 4), ("+Inf", 5)):
        assert the_one(prometheus.query(f'job_wait_seconds_bucket{{job="{job}", le="{bound}"}}')) == expected
    assert the_one(prometheus.query(f'job_wait_seconds_sum{{job="{job}"}}')) == pytest.approx(73.65)
    assert the_one(prometheus.query(f'heat{{job="{job}", room="cold"}}')) == -math.inf
    assert the_one(prometheus.query(f'heat{{job="{job}", room="warm"}}')) == 1e-300


def test_histogram_quantiles_agree_with_prometheus(monitoring: MonitoringService, prometheus: PrometheusServer) -> None:
    """histogram_quantile over what was scraped gives what we compute, and lies in the bucket of the true value."""
    bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
    wait = monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=bounds)
    values = [number**2 / 2_000_000 for number in range(1, 3001)]  # up to 4.5
    for value in values:
        wait.record(value, {"queue": "mail"})
    job = prometheus.scrape(monitoring.serve(port=0).url)
    prometheus.wait_for(f'job_wait_seconds_count{{job="{job}"}} == 3000', bool)

    cumulative = [sum(value <= bound for value in values) for bound in (*bounds, math.inf)]
    for share in (0.1, 0.5, 0.9, 0.95, 0.99):
        answered = the_one(prometheus.query(f'histogram_quantile({share}, job_wait_seconds_bucket{{job="{job}"}})'))
        assert answered == pytest.approx(quantile(share, bounds, cumulative))
        true = values[math.ceil(share * len(values)) - 1]
        upper = next(bound for bound in bounds if true <= bound)
        lower = max((bound for bound in bounds if bound < true), default=0.0)
        assert lower <= answered <= upper


def test_nothing_is_lost_or_goes_back_while_threads_record_and_prometheus_scrapes(
    monitoring: MonitoringService, prometheus: PrometheusServer
) -> None:
    """Threads that come and go while it is scraped end in the exact sum, with no reset seen on the way."""
    jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",))
    jobs.labels(queue="mail")
    job = prometheus.scrape(monitoring.serve(port=0).url, interval="100ms")
    prometheus.wait_for(f'jobs_total{{job="{job}"}}', bool)

    def work() -> None:
        for _ in range(2000):
            jobs.add(1, {"queue": "mail"})

    for _ in range(20):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    prometheus.wait_for(f'jobs_total{{job="{job}"}} == {20 * 8 * 2000}', bool)
    assert the_one(prometheus.query(f'resets(jobs_total{{job="{job}"}}[5m])')) == 0


def test_the_demo_is_scraped_and_its_rates_agree_with_its_own_counts(prometheus: PrometheusServer) -> None:
    """The example application under its own traffic: what Prometheus counts is what the application counts."""
    command = [sys.executable, "-c", "from otel_monitoring.cli import main; main()", "demo", "--port", "0"]
    with subprocess.Popen(
        [*command, "--requests-per-second", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        assert process.stdout is not None
        url = next(line.split()[-1] for line in process.stdout if line.rstrip().endswith("/metrics"))
        # What it goes on printing must not fill the pipe.
        reading = threading.Thread(target=process.stdout.read, daemon=True)
        reading.start()
        job = prometheus.scrape(url, interval="250ms")
        selected = f'job="{job}"'
        prometheus.wait_for(f"sum(http_requests_total{{{selected}}}) > 300", bool)
        prometheus.wait_for(f"sum(rate(http_requests_total{{{selected}}}[5s])) > 10", bool)
        by_status = the_one(prometheus.query(f"sum(http_requests_total{{{selected}}})"))
        by_duration = the_one(prometheus.query(f"sum(request_duration_seconds_count{{{selected}}})"))
        assert by_duration == by_status
        p95 = the_one(
            prometheus.query(
                f"histogram_quantile(0.95, sum by (le) (rate(request_duration_seconds_bucket{{{selected}}}[5s])))"
            )
        )
        assert 0 < p95 < 10
        endpoints = {sample.labels["endpoint"] for sample in prometheus.query(f"http_requests_total{{{selected}}}")}
        assert endpoints == {
            "/api/prospects/{query}",
            "/api/prospects/{prospect}/score",
            "/api/prospects/{prospect}/messages",
        }
        operations = prometheus.query(f'sum by (operation) (operations_total{{{selected}, outcome="success"}})')
        assert {sample.labels["operation"] for sample in operations} == {"find", "score", "send"}
        assert all(sample.value > 0 for sample in operations)
        assert the_one(prometheus.query(f"memory_usage_bytes{{{selected}}}")) > 1e6
        assert len(prometheus.query(f"rate_limit_remaining{{{selected}}}")) == 3
        process.send_signal(signal.SIGINT)
        wait_until(lambda: process.poll() is not None)
        assert process.returncode == 0


def test_known_series_begin_at_zero_so_that_rate_sees_the_first_event(
    monitoring: MonitoringService, prometheus: PrometheusServer
) -> None:
    """An operation that has not failed yet has an error series at 0; its first error is an increase."""

    @monitoring.operation("score", component="scorer")
    def score() -> None:
        raise ValueError("no profile")

    job = prometheus.scrape(monitoring.serve(port=0).url)
    errors = f'operations_total{{job="{job}", outcome="error"}}'
    prometheus.wait_for(f"{errors} == 0", bool)
    with pytest.raises(ValueError, match="no profile"):
        score()
    prometheus.wait_for(f"increase({errors}[1m]) > 0", bool)


def test_kinds_are_shown_as_prometheus_knows_them(monitoring: MonitoringService, prometheus: PrometheusServer) -> None:
    """Prometheus's own metadata says counter, gauge and histogram, with our help texts."""
    for declaration in SHIPPED:
        record_something(monitoring, declaration)
    prometheus.scrape(monitoring.serve(port=0).url)
    for declaration in SHIPPED:
        assert metadata(prometheus, declaration.base_name) == {
            (declaration.kind.prometheus_type, declaration.description)
        }
