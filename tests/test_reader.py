"""The families of the OpenTelemetry SDK, as text that servers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otel_monitoring.export.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter

Labels = tuple[tuple[str, str], ...]


class Sdk:
    """A provider, our reader of it, and what the reader left out."""

    def __init__(self, *views: View) -> None:
        self.left_out: list[tuple[str, str]] = []
        self.provider = MeterProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False, views=views)
        self.reader = Reader(lambda name, reason: self.left_out.append((name, reason)))
        self.provider.add_metric_reader(self.reader)

    def meter(self, scope: str) -> Meter:
        """Return the meter of a library."""
        return self.provider.get_meter(scope, "1.0")

    def text(self, *taken: str) -> str:
        """Return text 0.0.4, without families of names that are taken."""
        return self.reader.text(frozenset(taken), openmetrics=False)

    def samples(self, name: str) -> dict[Labels, float]:
        """Return the series of one name, checked in both formats."""
        openmetrics = self.reader.text(frozenset(), openmetrics=True)
        assert "# EOF" not in openmetrics
        list(parse_openmetrics(openmetrics + "# EOF\n"))  # type: ignore[no-untyped-call]
        found = [sample for family in parse_text(self.text()) for sample in family.samples if sample.name == name]
        series = {tuple(sorted(sample.labels.items())): sample.value for sample in found}
        assert len(series) == len(found)
        return series


def always(value: float) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return a callback for a gauge: of those that are set, the SDK before 1.45 forgets the value once read."""
    return lambda _: [Observation(value)]


@pytest.fixture
def sdk(promtool: Callable[[bytes | str], list[str]]) -> Iterator[Sdk]:
    """With whatever a test records, promtool finds nothing wrong but help that a test did not give."""
    sdk = Sdk()
    yield sdk
    assert [line for line in promtool(sdk.text()) if "no help text" not in line] == []


def test_all_kinds_of_instruments_are_shown(sdk: Sdk) -> None:
    meter = sdk.meter("library")
    meter.create_counter("jobs", "{job}", "Jobs.").add(3, {"queue.name": 'a"\\\n'})
    meter.create_up_down_counter("open", "{job}", "Open.").add(-2)
    meter.create_histogram("wait", "s", "Wait.", explicit_bucket_boundaries_advisory=[0.1, 1]).record(0.5)
    meter.create_observable_gauge("heat", [always(21.5)], "Cel", "Heat.")
    assert sdk.samples("jobs_total") == {(("queue_name", 'a"\\\n'),): 3}
    assert sdk.samples("open") == {(): -2}
    assert sdk.samples("wait_seconds_bucket")[("le", "1.0"),] == 1
    assert sdk.samples("heat_celsius") == {(): 21.5}
    assert sdk.samples("target_info") == {(("service_name", "shop"),): 1}


def test_scopes_are_not_shown(sdk: Sdk) -> None:
    sdk.meter("library").create_counter("jobs").add(1)
    assert "otel_scope" not in sdk.text()


def test_what_two_libraries_count_is_added_up(sdk: Sdk) -> None:
    for scope in ("requests", "httpx"):
        meter = sdk.meter(scope)
        meter.create_counter("calls", description=f"Calls of {scope}.").add(2, {"host": "a"})
        meter.create_up_down_counter("calls.open", description="Open.").add(1)
        meter.create_histogram("call", "s", "Time.", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
    assert sdk.samples("calls_total") == {(("host", "a"),): 4}
    assert sdk.samples("calls_open") == {(): 2}
    assert sdk.samples("call_seconds_bucket") == {(("le", "1.0"),): 0, (("le", "2.0"),): 2, (("le", "+Inf"),): 2}
    assert sdk.samples("call_seconds_sum") == {(): 3}
    assert sdk.left_out == []


def test_libraries_with_other_labels_keep_their_own(sdk: Sdk) -> None:
    """The exporter alone gives the second one's values the first one's label names."""
    sdk.meter("requests").create_counter("calls", description="Calls.").add(1, {"host": "a"})
    sdk.meter("httpx").create_counter("calls", description="Calls.").add(2, {"port": "1", "verb": "GET"})
    assert sdk.samples("calls_total") == {
        (("host", "a"), ("port", ""), ("verb", "")): 1,
        (("host", ""), ("port", "1"), ("verb", "GET")): 2,
    }


def test_of_two_gauges_and_of_two_scales_the_first_stays(sdk: Sdk) -> None:
    for value, scope in enumerate(("first", "second"), 1):
        sdk.meter(scope).create_observable_gauge("heat", [always(value)], description="Heat.")
        bounds = [float(value), 10.0]
        sdk.meter(scope).create_histogram("wait", description="W.", explicit_bucket_boundaries_advisory=bounds).record(
            5
        )
    assert sdk.samples("heat") == {(): 1}
    assert sdk.samples("wait_count") == {(): 1}


def test_of_two_kinds_of_one_name_the_first_stays(sdk: Sdk) -> None:
    sdk.meter("first").create_up_down_counter("jobs_open", description="Jobs.").add(1)
    sdk.meter("second").create_histogram("jobs.open", description="Jobs.").record(1)
    sdk.meter("second").create_counter("jobs", description="Jobs.").add(1)
    sdk.meter("third").create_up_down_counter("jobs", description="Jobs.").add(1)
    assert sdk.samples("jobs_open") == {(): 1}
    assert sdk.samples("jobs_total") == {(): 1}
    assert {name for name, _ in sdk.left_out} == {"jobs_open", "jobs"}


def test_a_family_whose_name_is_taken_is_left_out(sdk: Sdk) -> None:
    sdk.meter("library").create_histogram("wait", "s", "Wait.").record(1)
    sdk.meter("library").create_counter("jobs", description="Jobs.").add(1)
    text = sdk.text("wait_seconds_bucket")
    assert "wait" not in text
    assert "jobs_total 1.0" in text
    assert sdk.left_out == [("wait_seconds", "its name is shown already")]


def test_a_broken_callback_costs_its_own_metric_only(sdk: Sdk, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError("broken")

    sdk.meter("bad").create_observable_gauge("bad", [broken])
    sdk.meter("good").create_observable_gauge("good", [always(1)], description="Good.")
    assert sdk.samples("good") == {(): 1}
    assert "bad" not in sdk.text()
    assert "Callback failed" in caplog.text


def test_exponential_histograms_are_left_out_and_the_rest_stays() -> None:
    """The exporter alone fails the whole scrape."""
    sdk = Sdk(View(instrument_name="wait", aggregation=ExponentialBucketHistogramAggregation()))
    sdk.meter("library").create_histogram("wait", "s").record(1)
    sdk.meter("library").create_counter("jobs").add(1)
    assert sdk.samples("jobs_total") == {(): 1}
    assert "wait" not in sdk.text()
    assert sdk.left_out[0][0] == "wait_seconds"


def test_flushing_the_provider_shows_no_series_twice(sdk: Sdk) -> None:
    sdk.meter("library").create_counter("jobs", description="Jobs.").add(1)
    sdk.provider.force_flush()
    sdk.provider.force_flush()
    assert sdk.samples("jobs_total") == {(): 1}


def test_without_instruments_there_is_nothing(sdk: Sdk) -> None:
    assert "TYPE" not in sdk.text().replace("# TYPE target_info gauge", "")
