"""Properties: whatever the names, the label values and the numbers, what is read is what was recorded."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from otel_monitoring.catalogue import Catalogue, Declaration, Kind, bound_text, prometheus_label, prometheus_name
from otel_monitoring.exceptions import DeclarationError
from otel_monitoring.export.text import Exposition, prefers_openmetrics
from otel_monitoring.metrics import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

read_openmetrics: Callable[[str], Iterable[Metric]] = openmetrics_families
read_text: Callable[[str], Iterable[Metric]] = text_families

ACCEPT = "application/openmetrics-text;version=1.0.0"
ODD = [
    '"',
    "\\",
    "\n",
    "\r",
    "\x00",
    "%",
    "%s",
    "%%",
    "{",
    "}",
    ",",
    "=",
    "\\n",
    '\\"',
    "\udcff",
    "\ud83d",
    "\x85",
    "\u2028",
]

characters = st.one_of(st.characters(), st.sampled_from(ODD))
"""Any of Unicode, lone surrogates too, and more often what could be mistaken for syntax."""

texts = st.lists(characters, max_size=8).map("".join)
names = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters),
    st.text(string.ascii_letters + string.digits + "_.-/", max_size=20),
)
label_names = st.from_regex(r"[a-z][a-z0-9_.]{0,12}", fullmatch=True)
units = st.sampled_from(["", "1", "s", "By", "%", "ms", "{job}", "{job}/s", "By/s", "m/h", "widget", "a.b", "Cel"])
steps = st.floats(0, 1e300) | st.integers(0, 2**70)
gauges = st.floats(allow_nan=True, allow_infinity=True)
bounds = st.lists(st.floats(-1e12, 1e300), min_size=1, max_size=6, unique=True).map(sorted)


def as_utf8(text: str) -> str:
    """What UTF-8 can carry of it: lone surrogates are spelled out."""
    return text.encode(errors="backslashreplace").decode()


def families_of(registry: Registry) -> list[list[Metric]]:
    exposition = Exposition(registry)
    body, openmetrics = exposition.render()[0].decode(), exposition.render(ACCEPT)[0].decode()
    return [
        [family for family in families if not family.name.startswith("monitoring_")]
        for families in (read_text(body), read_openmetrics(openmetrics))
    ]


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@given(st.dictionaries(st.tuples(texts, texts), steps, min_size=1, max_size=6))
def test_counters_come_back_from_both_parsers(recorded: dict[tuple[str, str], float]) -> None:
    registry = Registry(strict=True)
    jobs = registry.counter(Declaration(name="jobs", kind=Kind.COUNTER, labels=("a", "b.c")))
    expected: dict[tuple[str, str], float] = {}
    for (first, second), value in recorded.items():
        jobs.add(value, {"a": first, "b.c": second})
        jobs.labels(a=first, b_c=second).add(value)
        key = as_utf8(first), as_utf8(second)
        expected[key] = expected.get(key, 0.0) + value + value
    for (family,) in families_of(registry):
        samples = [sample for sample in family.samples if sample.name == "jobs_total"]
        assert {(sample.labels["a"], sample.labels["b_c"]): sample.value for sample in samples} == expected


@given(st.dictionaries(texts, gauges, min_size=1, max_size=6))
def test_gauges_come_back_from_both_parsers(recorded: dict[str, float]) -> None:
    registry = Registry(strict=True)
    heat = registry.gauge(Declaration(name="heat", kind=Kind.GAUGE, labels=("a",)))
    expected: dict[str, float] = {}
    for text, value in recorded.items():
        heat.set(value, {"a": text})
        expected[as_utf8(text)] = value
    for (family,) in families_of(registry):
        found = {sample.labels["a"]: sample.value for sample in family.samples}
        assert found.keys() == expected.keys()
        assert all(same(found[text], value) for text, value in expected.items())


@given(bounds, st.lists(st.tuples(texts, st.floats(0, 1e9)), min_size=1, max_size=8))
def test_histograms_come_back_from_both_parsers(buckets: list[float], recorded: list[tuple[str, float]]) -> None:
    registry = Registry(strict=True)
    wait = registry.histogram(Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("a",), buckets=tuple(buckets)))
    kept: dict[str, list[float]] = {}
    for text, value in recorded:
        wait.record(value, {"a": text})
        kept.setdefault(as_utf8(text), []).append(value)
    for (family,) in families_of(registry):
        found = {(sample.name, sample.labels["a"], sample.labels.get("le")): sample.value for sample in family.samples}
        for text, values in kept.items():
            assert found["wait_bucket", text, "+Inf"] == len(values)
            # OpenMetrics leaves both out where a bound is negative.
            assert found.get(("wait_count", text, None), len(values)) == len(values)
            total = math.fsum(values)
            assert math.isclose(found.get(("wait_sum", text, None), total), total, rel_tol=1e-9, abs_tol=1e-300)
            for bound in buckets:
                assert found["wait_bucket", text, bound_text(bound)] == sum(value <= bound for value in values)


@given(texts)
def test_a_description_comes_back_from_both_parsers(description: str) -> None:
    registry = Registry(strict=True)
    try:
        shown = Declaration(name="shown", kind=Kind.GAUGE, description=f"A {description}.")
    except DeclarationError:
        assert as_utf8(description) != description
        return
    registry.gauge(shown).set(1)
    for (family,) in families_of(registry):
        assert family.documentation == f"A {description}."


@given(names, units, st.sampled_from(list(Kind)), st.lists(label_names, max_size=3))
@settings(max_examples=200)
def test_whatever_may_be_declared_can_be_read(name: str, unit: str, kind: Kind, labels: list[str]) -> None:
    registry = Registry(strict=True, shipped=())
    buckets = (1.0,) if kind is Kind.HISTOGRAM else ()
    try:
        declaration = Declaration(name=name, kind=kind, unit=unit, labels=tuple(labels), buckets=buckets)
        instrument: Any = registry.instrument(declaration)
    except DeclarationError:
        return
    attributes = dict.fromkeys(labels, "x")
    record = instrument.record if kind is Kind.HISTOGRAM else instrument.set if kind is Kind.GAUGE else instrument.add
    record(1, attributes)
    for (family,) in families_of(registry):
        assert family.type == kind.prometheus_type
        assert {sample.name for sample in family.samples} <= declaration.sample_names
        assert set(family.samples[-1].labels) - {"le"} == set(declaration.prometheus_labels)
    assert registry.find(name) is instrument
    assert registry.find(declaration.prometheus_name) is instrument


@given(names, units, st.booleans())
def test_a_prometheus_name_is_valid_and_the_same_when_taken_again(name: str, unit: str, counter: bool) -> None:
    shown = prometheus_name(name, unit, counter=counter)
    assert all(letter in string.ascii_letters + string.digits + "_:" for letter in shown)
    assert shown[0] in string.ascii_letters
    assert "__" not in shown
    assert prometheus_name(shown, unit, counter=counter) == shown


@given(label_names)
def test_a_prometheus_label_is_valid(name: str) -> None:
    assert all(letter in string.ascii_letters + string.digits + "_" for letter in prometheus_label(name))


@given(st.lists(st.tuples(names, units, st.sampled_from([Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM])), max_size=8))
def test_no_two_metrics_of_a_catalogue_show_the_same_line(wanted: list[tuple[str, str, Kind]]) -> None:
    catalogue = Catalogue()
    for name, unit, kind in wanted:
        try:
            buckets = (1.0,) if kind is Kind.HISTOGRAM else ()
            catalogue.declare(Declaration(name=name, kind=kind, unit=unit, buckets=buckets))
        except DeclarationError:
            continue
    shown = [name for declaration in catalogue for name in declaration.sample_names]
    assert len(shown) == len(set(shown))


@given(st.text(max_size=80) | st.lists(st.sampled_from([*";,=/*q ", "q=", "0.5", "text/plain", ACCEPT])).map("".join))
def test_no_accept_header_breaks_a_scrape(accept: str) -> None:
    assert prefers_openmetrics(accept) in (True, False)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_read_back_exactly(bound: float) -> None:
    assert float(bound_text(bound)) == bound


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "remove", "bind", "clear"])), max_size=40))
def test_any_order_of_adding_and_removing_counts_as_a_dictionary_would(steps_taken: list[tuple[str, str]]) -> None:
    registry = Registry(strict=True)
    jobs = registry.counter(Declaration(name="jobs", kind=Kind.COUNTER, labels=("a",)))
    bound = {text: jobs.labels(a=text) for text in "abc"}
    jobs.clear()
    expected: dict[str, float] = {}
    exposition = Exposition(registry)
    for text, step in steps_taken:
        if step == "clear":
            jobs.clear()
            expected.clear()
        elif step == "remove":
            assert jobs.remove(a=text) is (expected.pop(text, None) is not None)
        elif step == "bind":
            bound[text].add(2)
            expected[text] = expected.get(text, 0) + 2
        else:
            jobs.add(1, {"a": text})
            expected[text] = expected.get(text, 0) + 1
        families = read_text(exposition.render()[0].decode())
        samples = [sample for family in families for sample in family.samples if sample.name == "jobs_total"]
        assert {sample.labels["a"]: sample.value for sample in samples} == expected
