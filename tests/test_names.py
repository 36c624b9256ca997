"""Names: what Prometheus shows of OpenTelemetry's, and what is refused."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry

from otel_monitoring.catalogue import did_you_mean, prometheus_label, prometheus_name
from otel_monitoring.catalogue.names import label_name_problem, metric_name_problem, nearest, unit_problem, unit_suffix

SHOWN = [
    ("jobs", "{job}", True, "jobs_total"),
    ("jobs.total", "{job}", True, "jobs_total"),
    ("jobs_total", "", True, "jobs_total"),
    ("jobs", "1", False, "jobs"),
    ("score", "{score}", False, "score"),
    ("memory_usage", "By", False, "memory_usage_bytes"),
    ("cpu_usage", "%", False, "cpu_usage_percent"),
    ("job.wait", "s", False, "job_wait_seconds"),
    ("job_wait_seconds", "s", False, "job_wait_seconds"),
    ("job_wait_seconds", "s", True, "job_wait_seconds_total"),
    ("job-wait/long", "ms", False, "job_wait_long_milliseconds"),
    ("job--wait", "", False, "job_wait"),
    ("sent", "By", True, "sent_bytes_total"),
    ("sent", "By/s", False, "sent_bytes_per_second"),
    ("sent", "{packet}/s", False, "sent_per_second"),
    ("gen_ai.client.token.usage", "{token}", False, "gen_ai_client_token_usage"),
    ("heat", "Cel", False, "heat_celsius"),
    ("length", "widget", False, "length_widget"),
]


@pytest.mark.parametrize(("name", "unit", "counter", "shown"), SHOWN)
def test_a_name_and_its_unit_become_the_name_that_prometheus_shows(
    name: str, unit: str, counter: bool, shown: str
) -> None:
    assert prometheus_name(name, unit, counter=counter) == shown


@pytest.mark.parametrize(("name", "unit", "counter", "shown"), SHOWN)
def test_the_stock_exporter_shows_the_same_name(name: str, unit: str, counter: bool, shown: str) -> None:
    collected = CollectorRegistry()
    reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=collected)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    meter = provider.get_meter("names")
    if counter:
        meter.create_counter(name, unit=unit).add(1)
    else:
        meter.create_up_down_counter(name, unit=unit).add(1)
    samples = [sample.name for family in collected.collect() for sample in family.samples]
    provider.shutdown()
    assert samples == [shown]


@pytest.mark.parametrize(
    ("unit", "word"),
    [
        ("s", "seconds"),
        ("By", "bytes"),
        ("%", "percent"),
        ("1", ""),
        ("", ""),
        ("{job}", ""),
        ("m/s", "meters_per_second"),
    ],
)
def test_a_unit_becomes_a_word(unit: str, word: str) -> None:
    assert unit_suffix(unit) == word


def test_dots_of_an_attribute_become_underscores() -> None:
    assert prometheus_label("gen_ai.request.model") == "gen_ai_request_model"


@pytest.mark.parametrize(
    "name", ["", "1jobs", "_jobs", "jobs done", "jobs\n", "größe", "a" * 256, "jobs:rate", None, 7]
)
def test_a_name_that_opentelemetry_does_not_allow_is_refused_with_an_example(name: object) -> None:
    problem = metric_name_problem(name)
    assert problem is not None
    assert f"{name!r} is no metric name: it starts with a letter" in problem
    assert "for instance 'jobs'" in problem


@pytest.mark.parametrize("name", ["jobs", "a", "a" * 255, "Jobs.done-now/2", "j_1"])
def test_every_name_that_opentelemetry_allows_is_allowed(name: str) -> None:
    assert metric_name_problem(name) is None


@pytest.mark.parametrize("name", ["up", "ALERTS", "ALERTS_FOR_STATE", "target_info", "scrape_duration_seconds"])
def test_a_name_of_prometheus_itself_is_refused_with_another(name: str) -> None:
    assert metric_name_problem(name) == (
        f"the name {name!r} belongs to Prometheus itself: choose another, such as 'app_{name}'"
    )


@pytest.mark.parametrize("unit", ["s s", "größe", "a" * 64, "\n", None, 1])
def test_a_unit_that_opentelemetry_does_not_allow_is_refused_with_examples(unit: object) -> None:
    problem = unit_problem(unit)
    assert problem is not None
    assert f"{unit!r} is no unit" in problem
    assert "'s', 'By', '%'" in problem
    assert "'{job}'" in problem


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\n", "é", ".a", "a" * 129, None, 3])
def test_a_label_that_prometheus_cannot_show_is_refused_with_an_example(name: object) -> None:
    problem = label_name_problem(name)
    assert problem is not None
    assert f"{name!r} is no label name" in problem
    assert "for instance 'queue'" in problem


@pytest.mark.parametrize("name", ["le", "quantile", "job", "instance", "otel_metric_overflow", "otel.metric.overflow"])
def test_a_reserved_label_is_refused_with_another(name: str) -> None:
    problem = label_name_problem(name)
    assert problem is not None
    assert f"the label {name!r} is reserved" in problem
    assert f"such as 'app_{prometheus_label(name)}'" in problem


@pytest.mark.parametrize("name", ["__x", "__name__", "_.x", "__"])
def test_a_label_of_prometheus_own_is_refused(name: str) -> None:
    problem = label_name_problem(name)
    assert problem is not None
    assert f"the label {name!r} is reserved" in problem
    assert "drop the underscores" in problem


@pytest.mark.parametrize("name", ["queue", "_x", "gen_ai.request.model", "A1", "jobs"])
def test_other_labels_are_allowed(name: str) -> None:
    assert label_name_problem(name) is None


def test_the_nearest_known_word_is_proposed() -> None:
    assert nearest("engagment_total", ["engagement_total", "jobs_total"]) == "engagement_total"
    assert did_you_mean("quue", ["queue", "outcome"]) == "; did you mean 'queue'?"


def test_nothing_is_proposed_where_nothing_comes_close() -> None:
    assert nearest("zzz", ["queue"]) is None
    assert did_you_mean("zzz", ["queue"]) == ""
