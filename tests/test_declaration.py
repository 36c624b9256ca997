"""Declarations: what is derived, what is refused, and how the refusal helps."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from otel_monitoring.catalogue import SECONDS, Declaration, Kind
from otel_monitoring.exceptions import DeclarationError, MonitoringError


def declared(**changes: Any) -> Declaration:
    given: dict[str, Any] = {"name": "jobs", "kind": Kind.COUNTER, "labels": ("queue",), **changes}
    return Declaration(**given)


def refusal(**changes: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        declared(**changes)
    return str(caught.value)


def histogram_refusal(buckets: Any) -> str:
    return refusal(name="wait", kind=Kind.HISTOGRAM, buckets=buckets)


def test_a_declaration_knows_what_prometheus_shows() -> None:
    wait = declared(name="job.wait", kind=Kind.HISTOGRAM, unit="s", labels=("job.queue",), buckets=(0.1, 1, 10))
    assert wait.prometheus_name == "job_wait_seconds"
    assert wait.prometheus_labels == ("job_queue",)
    assert wait.unit_suffix == "seconds"
    assert wait.buckets == (0.1, 1.0, 10.0)
    assert all(type(bound) is float for bound in wait.buckets)


def test_a_counter_family_is_headed_without_total_in_openmetrics() -> None:
    assert declared(name="jobs").prometheus_name == "jobs_total"
    assert declared(name="jobs").base_name == "jobs"


def test_every_line_that_a_family_can_show_is_known() -> None:
    assert declared().sample_names == {"jobs", "jobs_total", "jobs_created"}
    assert declared(kind=Kind.GAUGE).sample_names == {"jobs"}
    assert declared(kind=Kind.UP_DOWN_COUNTER).sample_names == {"jobs"}
    assert declared(name="wait", kind=Kind.HISTOGRAM, buckets=(1,)).sample_names == {
        "wait",
        "wait_bucket",
        "wait_sum",
        "wait_count",
        "wait_created",
    }


def test_an_up_down_counter_is_a_gauge_to_prometheus() -> None:
    assert [kind.prometheus_type for kind in Kind] == ["counter", "gauge", "gauge", "histogram"]


def test_lists_and_tuples_declare_the_same() -> None:
    assert declared(labels=["a", "b"]) == declared(labels=("a", "b"))
    assert hash(declared(labels=["a", "b"])) == hash(declared(labels=("a", "b")))


def test_labels_and_buckets_may_be_any_iterable() -> None:
    made = Declaration(
        name="wait",
        kind=Kind.HISTOGRAM,
        labels=(name for name in ("a", "b")),  # type: ignore[arg-type]
        buckets=(2.0**power for power in range(3)),  # type: ignore[arg-type]
    )
    assert made.labels == ("a", "b")
    assert made.buckets == (1.0, 2.0, 4.0)


def test_a_declaration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        declared().name = "other"  # type: ignore[misc]


def test_a_refusal_is_a_value_error_and_names_the_metric() -> None:
    assert issubclass(DeclarationError, ValueError)
    assert issubclass(DeclarationError, MonitoringError)
    assert refusal(name="1jobs").startswith("metric '1jobs': '1jobs' is no metric name")


def test_every_problem_is_listed_at_once() -> None:
    message = refusal(name="jobs done", unit="s s", labels=("le", "a-b"), max_series=0)
    for part in (
        "'jobs done' is no metric name",
        "'s s' is no unit",
        "'le' is reserved",
        "'a-b' is no label",
        "max_series is 0",
    ):
        assert part in message


@pytest.mark.parametrize("name", ["jobs done", "", "_jobs", None])
def test_a_bad_name_is_refused(name: object) -> None:
    assert "is no metric name: it starts with a letter" in refusal(name=name)


@pytest.mark.parametrize(
    ("name", "unit"), [("up", ""), ("target.info", ""), ("scrape.duration", "s"), ("scrape/samples", "")]
)
def test_a_name_that_prometheus_itself_shows_is_refused(name: str, unit: str) -> None:
    assert "belongs to Prometheus itself" in refusal(name=name, unit=unit, kind=Kind.GAUGE)


@pytest.mark.parametrize("label", ["le", "quantile", "job", "instance", "__x", "otel_metric_overflow"])
def test_a_reserved_label_is_refused(label: str) -> None:
    assert f"the label {label!r} is reserved" in refusal(labels=(label,))


def test_labels_given_as_one_string_are_refused_with_the_tuple_to_write() -> None:
    assert "labels is one string: write a tuple, labels=('queue',)" in refusal(labels="queue")


@pytest.mark.parametrize("labels", [None, 5])
def test_labels_that_are_no_sequence_are_refused(labels: object) -> None:
    assert "labels" in refusal(labels=labels)


@pytest.mark.parametrize("labels", [("a", "a"), ("a.b", "a_b")])
def test_labels_that_are_one_in_prometheus_are_refused(labels: tuple[str, ...]) -> None:
    assert f"the label {labels[-1]!r} is there more than once" in refusal(labels=labels)


def test_a_description_must_be_text() -> None:
    assert "description is None: write one sentence" in refusal(description=None)


def test_a_description_that_utf8_cannot_carry_is_refused() -> None:
    assert "description" in refusal(description="a lone \udcff")


def test_buckets_that_do_not_rise_are_refused_with_those_that_do() -> None:
    assert "buckets (1, 0.5, 1) do not rise: write (0.5, 1)" in histogram_refusal((1, 0.5, 1))
    assert "do not rise" in histogram_refusal((1, 1.0))


@pytest.mark.parametrize("bound", [math.inf, math.nan, "1", None, True])
def test_a_bound_that_is_no_finite_number_is_refused(bound: object) -> None:
    assert "are not all finite numbers: leave infinity out, it is added" in histogram_refusal((0.1, bound))


def test_a_histogram_without_buckets_is_refused_with_an_example() -> None:
    assert "needs at least one bucket bound, for instance buckets=(0.1, 1, 10)" in histogram_refusal(())


@pytest.mark.parametrize("kind", [Kind.COUNTER, Kind.GAUGE, Kind.UP_DOWN_COUNTER])
def test_buckets_belong_to_histograms(kind: Kind) -> None:
    assert f"a {kind.value} has no buckets: leave them out or declare a histogram" in refusal(
        kind=kind, buckets=SECONDS
    )


@pytest.mark.parametrize("budget", [0, -1, 1.5, "10", True])
def test_a_budget_is_a_whole_number_of_series(budget: object) -> None:
    assert f"max_series is {budget!r}: a whole number of series above 0" in refusal(max_series=budget)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "10", True])
def test_an_expiry_is_a_number_of_seconds(seconds: object) -> None:
    message = refusal(kind=Kind.GAUGE, expire_after_seconds=seconds)
    assert f"expire_after_seconds is {seconds!r}: a number of seconds above 0" in message


@pytest.mark.parametrize("kind", [Kind.COUNTER, Kind.UP_DOWN_COUNTER, Kind.HISTOGRAM])
def test_only_gauges_expire(kind: Kind) -> None:
    buckets = (1,) if kind is Kind.HISTOGRAM else ()
    message = refusal(kind=kind, buckets=buckets, expire_after_seconds=10)
    assert f"only gauges expire, and this is a {kind.value}: leave expire_after_seconds out" in message


def test_the_few_values_of_a_label_are_known_under_its_name_in_prometheus() -> None:
    """They are of the declaration, and so of what makes two of them equal."""
    outcome = (("job.outcome", ("done", "failed")),)
    jobs = declared(labels=("job.outcome",), values=outcome)
    assert jobs.prometheus_values == {"job_outcome": ("done", "failed")}
    assert jobs != declared(labels=("job.outcome",))
    assert len({jobs, declared(labels=("job.outcome",), values=outcome)}) == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"queue": ("a",)}, "write pairs of a label and its values"),
        ("queue", "write pairs of a label and its values"),
        (5, "write pairs of a label and its values"),
        ((("queue",),), "write pairs of a label and its values"),
        ((("quue", ("a",)),), "values are given for 'quue', which is none of its labels; did you mean 'queue'?"),
        ((("queue", ()),), "the values of 'queue' are (): write a tuple of texts, ('done', 'lost')"),
        ((("queue", "a"),), "the values of 'queue' are 'a': write a tuple of texts"),
        ((("queue", (1,)),), "the values of 'queue' are (1,): write a tuple of texts"),
    ],
    ids=["mapping", "text", "number", "lone", "unknown", "none", "one", "numbers"],
)
def test_values_that_do_not_fit_are_refused(values: Any, says: str) -> None:
    """The message says how they are written."""
    assert says in refusal(values=values)
