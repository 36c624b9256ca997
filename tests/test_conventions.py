"""What a metric is called by convention, and what must be said of it."""

from __future__ import annotations

from typing import Any

import pytest

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.catalogue.conventions import convention_problems
from otel_monitoring.catalogue.shipped import SHIPPED


def problems(**changes: Any) -> list[str]:
    given: dict[str, Any] = {
        "name": "jobs",
        "kind": Kind.COUNTER,
        "unit": "{job}",
        "labels": ("queue",),
        "description": "Jobs finished.",
    }
    return list(convention_problems(Declaration(**{**given, **changes})))


@pytest.mark.parametrize("declaration", SHIPPED, ids=lambda one: one.name)
def test_what_comes_with_the_package_keeps_to_the_conventions(declaration: Declaration) -> None:
    """Name, unit, labels and help are as they should be."""
    assert not list(convention_problems(declaration))


@pytest.mark.parametrize(
    "name", ["jobs", "job.wait", "http.server.request_2xx", "cpu_usage"], ids=["word", "dots", "digits", "words"]
)
def test_small_letters_between_underscores_and_dots_are_the_convention(name: str) -> None:
    """OpenTelemetry's names and Prometheus's both pass."""
    assert not problems(name=name)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "jobsDone"}, "'jobs_done'"),
        ({"name": "Jobs-Done"}, "'jobs_done'"),
        ({"name": "jobs__done"}, "'jobs_done'"),
        ({"name": "jobsDone_total"}, "counters alone end in it, by themselves: 'jobs_done'"),
        ({"name": "jobs_count", "kind": Kind.GAUGE}, "the series of a histogram end in it: 'jobs'"),
        ({"name": "job_wait_seconds", "unit": "ms"}, "the name ends in the unit 'seconds', and its unit is 'ms'"),
        ({"name": "job_wait_seconds", "unit": ""}, "give unit=…"),
        ({"unit": "ms"}, "the base unit, 's'"),
        ({"unit": "MiBy"}, "the base unit, 'By'"),
        ({"kind": Kind.HISTOGRAM, "unit": "", "buckets": (1,)}, "a histogram without a unit says little"),
        ({"labels": ("queueName",)}, "'queue_name'"),
        ({"labels": ("user_id",)}, "the label 'user_id' has a new value each time"),
        ({"description": " "}, "it has no description"),
    ],
    ids=[
        "camel",
        "capitals",
        "doubled",
        "total",
        "count",
        "unit",
        "no-unit",
        "milliseconds",
        "mebibytes",
        "histogram",
        "label",
        "unbounded",
        "help",
    ],
)
def test_what_breaks_a_convention_is_said_with_what_would_be_right(changes: dict[str, Any], says: str) -> None:
    """Each message says what is wrong and how it is done."""
    assert any(says in problem for problem in problems(**changes))


def test_a_unit_in_a_name_that_is_the_unit_is_no_fault() -> None:
    """Prometheus's name does not double it."""
    assert not problems(name="job_wait_seconds", unit="s", kind=Kind.GAUGE)
