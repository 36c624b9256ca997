"""The catalogue: one declaration a name, and no two that show the same in Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from otel_monitoring.metrics import Registry


def counter(name: str, **changes: Any) -> Declaration:
    return Declaration(name=name, kind=Kind.COUNTER, **changes)


def gauge(name: str, **changes: Any) -> Declaration:
    return Declaration(name=name, kind=Kind.GAUGE, **changes)


def histogram(name: str, **changes: Any) -> Declaration:
    given: dict[str, Any] = {"buckets": (0.1, 1), **changes}
    return Declaration(name=name, kind=Kind.HISTOGRAM, **given)


COLLISIONS = [
    (counter("jobs"), counter("jobs.total"), "jobs"),
    (counter("jobs"), counter("jobs_total"), "jobs"),
    (counter("jobs", unit="{job}"), gauge("jobs.total"), "jobs_total"),
    (counter("jobs"), gauge("jobs"), "jobs"),
    (counter("jobs"), gauge("jobs_created"), "jobs_created"),
    (histogram("x"), gauge("x_count"), "x_count"),
    (histogram("x"), gauge("x_sum"), "x_sum"),
    (histogram("x"), gauge("x.bucket"), "x_bucket"),
    (histogram("x"), counter("x_count"), "x_count"),
    (histogram("x", unit="s"), histogram("x_seconds"), "x_seconds"),
    (gauge("a.b"), gauge("a_b"), "a_b"),
    (gauge("a-b"), gauge("a/b"), "a_b"),
]


@pytest.mark.parametrize(("first", "second", "shown"), [*COLLISIONS, *[(b, a, name) for a, b, name in COLLISIONS]])
def test_two_metrics_that_would_show_one_name_are_refused(first: Declaration, second: Declaration, shown: str) -> None:
    catalogue = Catalogue()
    catalogue.declare(first)
    if first.name == second.name:
        expected = rf"^metric '{second.name}' is declared already, differently: "
    else:
        expected = rf"^metric '{second.name}': in Prometheus it would show '{shown}\w*', which '{first.name}' "
    with pytest.raises(DeclarationError, match=expected):
        catalogue.declare(second)
    assert list(catalogue) == [first]


def test_the_refusal_proposes_another_name_or_the_metric_that_is_there() -> None:
    catalogue = Catalogue()
    catalogue.declare(counter("jobs"))
    with pytest.raises(DeclarationError) as caught:
        catalogue.declare(counter("jobs.total"))
    assert str(caught.value) == (
        "metric 'jobs.total': in Prometheus it would show 'jobs', which 'jobs' (jobs_total) shows already: "
        "choose another name, such as 'jobs.total_other', or use 'jobs'"
    )


def test_names_that_only_look_alike_are_declared_beside_each_other() -> None:
    catalogue = Catalogue()
    for declaration in (counter("jobs"), gauge("jobs_running"), histogram("jobs_wait", unit="s"), gauge("job")):
        catalogue.declare(declaration)
    assert len(catalogue) == 4
    assert [one.name for one in catalogue] == ["jobs", "jobs_running", "jobs_wait", "job"]


def test_declaring_the_same_twice_gives_the_same() -> None:
    catalogue = Catalogue()
    first = catalogue.declare(histogram("wait", unit="s", labels=("queue",)))
    assert catalogue.declare(histogram("wait", unit="s", labels=["queue"], buckets=[0.1, 1.0])) is first
    assert len(catalogue) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("queue",)}, "labels was () and is now ('queue',)"),
        ({"unit": "{job}"}, "unit was '' and is now '{job}'"),
        ({"description": "Jobs."}, "description was '' and is now 'Jobs.'"),
        ({"max_series": 5}, "max_series was None and is now 5"),
    ],
)
def test_declaring_differently_is_refused_with_the_difference(changes: dict[str, Any], message: str) -> None:
    catalogue = Catalogue()
    catalogue.declare(counter("jobs"))
    with pytest.raises(DeclarationError) as caught:
        catalogue.declare(counter("jobs", **changes))
    assert str(caught.value) == (
        f"metric 'jobs' is declared already, differently: {message}: use the first declaration or another name"
    )


def test_a_metric_is_found_by_each_of_its_names() -> None:
    catalogue = Catalogue()
    jobs, wait = catalogue.declare(counter("jobs.done")), catalogue.declare(histogram("wait", unit="s"))
    assert [catalogue.find(name) for name in ("jobs.done", "jobs_done_total", "jobs_done")] == [jobs] * 3
    assert [catalogue.find(name) for name in ("wait", "wait_seconds", "wait_seconds_bucket")] == [wait] * 3
    assert catalogue.find("other") is None


def test_the_nearest_name_of_either_form_is_proposed() -> None:
    catalogue = Catalogue()
    catalogue.declare(counter("prospects.found"))
    assert catalogue.nearest("prospects.fond") == "prospects.found"
    assert catalogue.nearest("prospect_found_total") == "prospects_found_total"
    assert catalogue.nearest("zebra") is None


def test_a_registry_gives_one_instrument_for_one_declaration(registry: Registry) -> None:
    first = registry.counter(counter("jobs", labels=("queue",)))
    assert registry.counter(counter("jobs", labels=("queue",))) is first
    assert registry.find("jobs") is first
    assert registry.find("jobs_total") is first
    assert registry.find("nothing_like_it") is None


def test_a_registry_refuses_what_its_catalogue_refuses(registry: Registry) -> None:
    registry.histogram(histogram("x"))
    with pytest.raises(DeclarationError, match="would show 'x_count'"):
        registry.gauge(gauge("x_count"))
    with pytest.raises(DeclarationError, match="declared already, differently"):
        registry.histogram(histogram("x", buckets=(1, 2)))


def test_a_shipped_metric_cannot_be_declared_differently(registry: Registry) -> None:
    with pytest.raises(DeclarationError, match="'system_errors' is declared already, differently"):
        registry.counter(counter("system_errors"))
