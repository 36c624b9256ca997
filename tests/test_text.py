"""Prometheus's text: what its own parsers and promtool read is what was recorded."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from otel_monitoring.catalogue import Declaration, Kind, bound_text
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.export.text import OPENMETRICS, TEXT, Exposition, number_text, prefers_openmetrics
from otel_monitoring.metrics import Counter, Gauge, Histogram, Registry, UpDownCounter

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

JOBS = Declaration(name="jobs", kind=Kind.COUNTER, unit="{job}", labels=("queue", "job.kind"), description="Jobs done.")
WAIT = Declaration(
    name="wait", kind=Kind.HISTOGRAM, unit="s", labels=("queue",), description="Time in the queue.", buckets=(0.1, 1)
)
HEAT = Declaration(name="heat", kind=Kind.GAUGE, unit="Cel", labels=("room",))
OPEN = Declaration(name="open", kind=Kind.UP_DOWN_COUNTER, description="Open doors.")
TICKS = Declaration(name="ticks", kind=Kind.COUNTER, unit="s")
SPREAD = Declaration(name="spread", kind=Kind.HISTOGRAM, buckets=(-1, 5e-324, 1e21))

ACCEPT = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_WITH_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
read_openmetrics: Callable[[str], Iterable[Metric]] = openmetrics_families
read_text: Callable[[str], Iterable[Metric]] = text_families
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Promtool = Callable[[bytes | str], list[str]]


Instrument = Counter | UpDownCounter | Gauge | Histogram


def record(instrument: Instrument, amount: float, labels: dict[str, Any]) -> None:
    if isinstance(instrument, Histogram):
        instrument.record(amount, labels)
    elif isinstance(instrument, Gauge):
        instrument.set(amount, labels)
    else:
        instrument.add(amount, labels)


def record_shipped(registry: Registry) -> None:
    for declaration in SHIPPED:
        record(registry.instrument(declaration), 0.5, dict.fromkeys(declaration.labels, "some value"))


def record_own(registry: Registry) -> None:
    registry.counter(JOBS).add(3, {"queue": "mail", "job.kind": "sent"})
    registry.histogram(WAIT).record(0.5, {"queue": "mail"})
    registry.gauge(HEAT).set(21.5, {"room": "hall"})
    registry.up_down_counter(OPEN).add(-2)
    registry.counter(TICKS).add(1.5)
    registry.histogram(SPREAD).record(7)


def own_lines(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if "monitoring_" not in line]


def samples(families: Iterable[Metric]) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith("monitoring_") and not sample.name.endswith("_created")
    }


def read_both(registry: Registry) -> tuple[Samples, Samples]:
    exposition = Exposition(registry)
    text, openmetrics = exposition.render(), exposition.render(ACCEPT)
    return samples(read_text(text[0].decode())), samples(read_openmetrics(openmetrics[0].decode()))


def test_the_text_format_to_the_letter(registry: Registry) -> None:
    record_own(registry)
    body, content_type = Exposition(registry).render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert own_lines(body) == [
        "# HELP jobs_total Jobs done.",
        "# TYPE jobs_total counter",
        'jobs_total{queue="mail",job_kind="sent"} 3.0',
        "# HELP wait_seconds Time in the queue.",
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{queue="mail",le="0.1"} 0',
        'wait_seconds_bucket{queue="mail",le="1.0"} 1',
        'wait_seconds_bucket{queue="mail",le="+Inf"} 1',
        'wait_seconds_sum{queue="mail"} 0.5',
        'wait_seconds_count{queue="mail"} 1',
        "# TYPE heat_celsius gauge",
        'heat_celsius{room="hall"} 21.5',
        "# HELP open Open doors.",
        "# TYPE open gauge",
        "open -2.0",
        "# TYPE ticks_seconds_total counter",
        "ticks_seconds_total 1.5",
        "# TYPE spread histogram",
        'spread_bucket{le="-1.0"} 0',
        'spread_bucket{le="5e-324"} 0',
        'spread_bucket{le="1e+21"} 1',
        'spread_bucket{le="+Inf"} 1',
        "spread_sum 7.0",
        "spread_count 1",
    ]


def test_the_openmetrics_format_to_the_letter(registry: Registry) -> None:
    """OpenMetrics knows no sum and no count of a histogram with negative bounds: such a sum may fall."""
    record_own(registry)
    body, content_type = Exposition(registry).render(ACCEPT)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    lines = [re.sub(r"(_created\S*) \d{10}\.\d{3}$", r"\1 when", line) for line in own_lines(body)]
    assert lines == [
        "# HELP jobs Jobs done.",
        "# TYPE jobs counter",
        'jobs_total{queue="mail",job_kind="sent"} 3.0',
        'jobs_created{queue="mail",job_kind="sent"} when',
        "# HELP wait_seconds Time in the queue.",
        "# TYPE wait_seconds histogram",
        "# UNIT wait_seconds seconds",
        'wait_seconds_bucket{queue="mail",le="0.1"} 0',
        'wait_seconds_bucket{queue="mail",le="1.0"} 1',
        'wait_seconds_bucket{queue="mail",le="+Inf"} 1',
        'wait_seconds_sum{queue="mail"} 0.5',
        'wait_seconds_count{queue="mail"} 1',
        'wait_seconds_created{queue="mail"} when',
        "# TYPE heat_celsius gauge",
        "# UNIT heat_celsius celsius",
        'heat_celsius{room="hall"} 21.5',
        "# HELP open Open doors.",
        "# TYPE open gauge",
        "open -2.0",
        "# TYPE ticks_seconds counter",
        "# UNIT ticks_seconds seconds",
        "ticks_seconds_total 1.5",
        "ticks_seconds_created when",
        "# TYPE spread histogram",
        'spread_bucket{le="-1.0"} 0',
        'spread_bucket{le="5e-324"} 0',
        'spread_bucket{le="1e+21"} 1',
        'spread_bucket{le="+Inf"} 1',
        "spread_created when",
        "# EOF",
    ]


def test_created_is_left_out_where_it_is_not_wanted(registry: Registry) -> None:
    record_own(registry)
    assert b"_created" not in Exposition(registry, created=False).render(ACCEPT)[0]


def test_both_parsers_read_what_was_recorded(registry: Registry) -> None:
    record_own(registry)
    text, openmetrics = read_both(registry)
    assert openmetrics.items() <= text.items()
    assert {name for name, _ in text.keys() - openmetrics.keys()} == {"spread_sum", "spread_count"}
    assert text["jobs_total", frozenset({("queue", "mail"), ("job_kind", "sent")})] == 3
    assert text["wait_seconds_bucket", frozenset({("queue", "mail"), ("le", "1.0")})] == 1


def test_the_openmetrics_parser_reads_when_series_came_to_be(registry: Registry) -> None:
    mail = registry.histogram(WAIT).labels(queue="mail")
    body, _ = Exposition(registry).render(ACCEPT)
    created = [
        sample.value
        for family in read_openmetrics(body.decode())
        for sample in family.samples
        if sample.name == "wait_seconds_created"
    ]
    assert created == [pytest.approx(mail.created, abs=0.001)]


def test_nothing_recorded_is_an_empty_exposition(registry: Registry) -> None:
    exposition = Exposition(registry)
    assert own_lines(exposition.render()[0]) == []
    assert own_lines(exposition.render(ACCEPT)[0]) == ["# EOF"]


def test_a_metric_without_a_value_has_no_heading(registry: Registry) -> None:
    registry.gauge(HEAT).labels(room="hall")
    registry.counter(TICKS)
    assert own_lines(Exposition(registry).render()[0]) == []


def test_every_shipped_metric_is_read_by_both_parsers(registry: Registry) -> None:
    record_shipped(registry)
    exposition = Exposition(registry)
    text = {family.name: family for family in read_text(exposition.render()[0].decode())}
    openmetrics = {family.name: family for family in read_openmetrics(exposition.render(ACCEPT)[0].decode())}
    for declaration in SHIPPED:
        for families in (text, openmetrics):
            family = families[declaration.base_name]
            assert family.type == declaration.kind.prometheus_type
            assert family.documentation == declaration.description
            names = {sample.name for sample in family.samples}
            assert names <= declaration.sample_names
            labels = {name for sample in family.samples for name in sample.labels} - {"le"}
            assert labels == set(declaration.prometheus_labels)
    assert len(text) == len(openmetrics) == len(SHIPPED)


@pytest.mark.parametrize("accept", [None, ACCEPT], ids=["text", "openmetrics"])
def test_promtool_finds_nothing_to_complain_of_in_the_shipped_metrics(
    registry: Registry, promtool: Promtool, accept: str | None
) -> None:
    record_shipped(registry)
    # promtool's linter reads text 0.0.4: what OpenMetrics adds to it is checked by its parser above.
    body, _ = Exposition(registry, created=False).render(accept)
    if accept is not None:
        heads = re.compile(rb"^(# (?:HELP|TYPE)) (\w+)(?= .*\n(?:# .*\n)*\2_total)", re.MULTILINE)
        body = re.sub(rb"^# UNIT .*\n|^# EOF\n", b"", heads.sub(rb"\1 \2_total", body), flags=re.MULTILINE)
    assert promtool(body) == []


def test_promtool_reads_every_odd_label_value(registry: Registry, promtool: Promtool) -> None:
    for value in (
        '"',
        "\\",
        "\n",
        "\r",
        "\\n",
        '\\"',
        "a\tb",
        "ä",
        "😀",
        "%s",
        "{}",
        ",",
        "=",
        "\udcff",
        "\x7f",
        "\u2028",
        " ",
    ):
        registry.gauge(HEAT).set(1, {"room": value})
        registry.histogram(WAIT).record(1, {"queue": value})
        registry.counter(JOBS).add(1, {"queue": value, "job.kind": value})
    # The linter wants a help text; reading is what is tried here.
    assert promtool(Exposition(registry).render()[0]) == ["heat_celsius no help text"]


@pytest.mark.parametrize(
    "description",
    [
        "Plain.",
        "Back\\slash.",
        'A "quoted" word.',
        "Two\nlines.",
        "Ünïcödé 😀.",
        "100 %s {braces}.",
        " spaces ",
        "a\\nb",
    ],
)
def test_a_description_is_read_as_it_was_written(registry: Registry, description: str) -> None:
    registry.gauge(Declaration(name="shown", kind=Kind.GAUGE, description=description)).set(1)
    registry.histogram(Declaration(name="spread", kind=Kind.HISTOGRAM, description=description, buckets=(1,))).record(1)
    exposition = Exposition(registry)
    for families in (
        read_text(exposition.render()[0].decode()),
        read_openmetrics(exposition.render(ACCEPT)[0].decode()),
    ):
        found = {family.name: family.documentation for family in families}
        assert found["shown"].strip() == description.strip()
        assert found["spread"].strip() == description.strip()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e308, 5e-324, 1e16, 123456789.125])
def test_every_number_is_read_back(registry: Registry, value: float) -> None:
    registry.gauge(HEAT).set(value, {"room": "hall"})
    registry.gauge(HEAT).set(1, {"room": "attic"})
    for found in read_both(registry):
        assert repr(found["heat_celsius", frozenset({("room", "hall")})]) == repr(value)
        assert found["heat_celsius", frozenset({("room", "attic")})] == 1


def test_sums_whose_total_is_beyond_every_float_are_shown_apart(registry: Registry) -> None:
    for room in ("a", "b"):
        registry.gauge(HEAT).set(1.5e308, {"room": room})
    text, _ = read_both(registry)
    assert set(text.values()) == {1.5e308}


def test_the_overflow_series_is_shown_in_every_kind_and_format(registry: Registry) -> None:
    kinds: dict[str, Instrument] = {
        "a": registry.counter(Declaration(name="a", kind=Kind.COUNTER, labels=("x", "y"), max_series=1)),
        "b": registry.gauge(Declaration(name="b", kind=Kind.GAUGE, labels=("x", "y"), max_series=1)),
        "c": registry.histogram(
            Declaration(name="c", kind=Kind.HISTOGRAM, labels=("x", "y"), max_series=1, buckets=(1,))
        ),
    }
    for instrument in kinds.values():
        for value in ("1", "2", "3"):
            record(instrument, 1, {"x": value, "y": "%"})
    over = ("otel_metric_overflow", "true")
    for found in read_both(registry):
        assert found["a_total", frozenset({over})] == 2
        assert found["b", frozenset({over})] == 1
        assert found["c_bucket", frozenset({over, ("le", "1.0")})] == 2
        assert found["a_total", frozenset({("x", "1"), ("y", "%")})] == 1


def test_series_made_and_removed_between_scrapes_show_right(registry: Registry) -> None:
    exposition = Exposition(registry)
    kinds: tuple[Instrument, ...] = (registry.counter(JOBS), registry.histogram(WAIT), registry.gauge(HEAT))
    labels: tuple[Callable[[str], dict[str, Any]], ...] = (
        lambda value: {"queue": value, "job_kind": "k"},
        lambda value: {"queue": value},
        lambda value: {"room": value},
    )

    def shown(body: bytes) -> set[str]:
        found = [re.search(r'^\w+\{(?:queue|room)="(\w+)"', line) for line in own_lines(body)]
        return {match.group(1) for match in found if match}

    def add(value: str, amount: float) -> None:
        for instrument, make in zip(kinds, labels, strict=True):
            record(instrument, amount, make(value))

    def remove(value: str) -> None:
        for instrument, make in zip(kinds, labels, strict=True):
            assert instrument.remove(**make(value))

    for accept in (None, ACCEPT):
        for value in ("a", "b", "c"):
            add(value, 5)
        assert shown(exposition.render(accept)[0]) == {"a", "b", "c"}
        remove("b")
        assert shown(exposition.render(accept)[0]) == {"a", "c"}
        remove("c")
        add("d", 7)
        assert shown(exposition.render(accept)[0]) == {"a", "d"}
        add("b", 9)
        body, _ = exposition.render(accept)
        assert shown(body) == {"a", "b", "d"}
        lines = body.decode().splitlines()
        assert 'jobs_total{queue="b",job_kind="k"} 9.0' in lines
        assert 'wait_seconds_sum{queue="b"} 9.0' in lines
        assert 'wait_seconds_sum{queue="d"} 7.0' in lines
        assert 'heat_celsius{room="d"} 7.0' in lines
        for instrument in kinds:
            instrument.clear()
        assert own_lines(exposition.render(accept)[0]) == ([] if accept is None else ["# EOF"])


def test_a_series_that_comes_back_shows_its_new_birth(registry: Registry) -> None:
    wait = registry.histogram(WAIT)
    exposition = Exposition(registry)
    bound = wait.labels(queue="mail")
    bound.created = 1.0
    assert 'wait_seconds_created{queue="mail"} 1.000' in own_lines(exposition.render(ACCEPT)[0])
    wait.remove(queue="mail")
    bound.record(1)
    assert f'wait_seconds_created{{queue="mail"}} {bound.created:.3f}' in own_lines(exposition.render(ACCEPT)[0])
    assert bound.created > 1


def test_metrics_declared_between_scrapes_show_in_their_order(registry: Registry) -> None:
    exposition = Exposition(registry)
    registry.counter(TICKS).add(1)
    exposition.render()
    registry.up_down_counter(OPEN).add(1)
    heads = [line for line in own_lines(exposition.render()[0]) if line.startswith("# TYPE")]
    assert heads == ["# TYPE ticks_seconds_total counter", "# TYPE open gauge"]


@pytest.mark.threads
def test_two_threads_render_both_formats_while_series_are_made(registry: Registry) -> None:
    exposition = Exposition(registry)
    jobs, wait = registry.counter(JOBS), registry.histogram(WAIT)
    faults: list[BaseException] = []

    def render(accept: str | None) -> None:
        try:
            for _ in range(30):
                body = exposition.render(accept)[0].decode()
                list(read_text(body) if accept is None else read_openmetrics(body))
        except BaseException as fault:  # noqa: BLE001 (handed to the test's own thread)
            faults.append(fault)

    threads = [threading.Thread(target=render, args=(accept,)) for accept in (None, ACCEPT, None, ACCEPT)]
    for thread in threads:
        thread.start()
    for number in range(100):
        jobs.add(1, {"queue": number, "job.kind": "k"})
        wait.record(1, {"queue": number})
    for thread in threads:
        thread.join()
    assert faults == []
    text, openmetrics = read_both(registry)
    assert text == openmetrics
    assert len([key for key in text if key[0] == "jobs_total"]) == 100


def test_the_text_is_no_larger_than_prometheus_clients() -> None:
    bounds = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
    ours = Registry(strict=True, shipped=())
    wait = Declaration(name="wait", kind=Kind.HISTOGRAM, unit="s", labels=("a",), description="Waits.", buckets=bounds)
    own = (
        ours.counter(Declaration(name="jobs", kind=Kind.COUNTER, labels=("a", "b"), description="Jobs.")),
        ours.histogram(wait),
        ours.gauge(Declaration(name="heat", kind=Kind.GAUGE, labels=("a",), description="Heat.")),
    )
    collected = prometheus_client.CollectorRegistry()
    theirs = (
        prometheus_client.Counter("jobs", "Jobs.", ("a", "b"), registry=collected),
        prometheus_client.Histogram("wait_seconds", "Waits.", ("a",), buckets=bounds, registry=collected),
        prometheus_client.Gauge("heat", "Heat.", ("a",), registry=collected),
    )
    for number in range(200):
        name, amount = f"name {number}", number / 7
        own[0].add(amount, {"a": name, "b": "x"})
        own[1].record(amount, {"a": name})
        own[2].set(amount, {"a": name})
        theirs[0].labels(name, "x").inc(amount)
        theirs[1].labels(name).observe(amount)
        theirs[2].labels(name).set(amount)
    body = b"".join(line for line in Exposition(ours).render()[0].splitlines(True) if b"monitoring_" not in line)
    # Their _created series are left out: they would make theirs larger still.
    other = b"".join(
        line for line in prometheus_client.generate_latest(collected).splitlines(True) if b"_created" not in line
    )
    assert samples(read_text(body.decode())) == samples(read_text(other.decode()))
    assert len(body) <= len(other)


class Foreign:
    """Families of other libraries, as the bridge gives them."""

    def render(self, taken: frozenset[str], *, openmetrics: bool) -> str:
        """Return one family."""
        return f"# TYPE foreign gauge\nforeign {int(openmetrics)}\n"


def test_families_of_other_libraries_come_before_the_end_mark(registry: Registry) -> None:
    exposition = Exposition(registry, Foreign())
    registry.counter(TICKS).add(1)
    assert own_lines(exposition.render()[0])[-2:] == ["# TYPE foreign gauge", "foreign 0"]
    assert own_lines(exposition.render(ACCEPT)[0])[-3:] == ["# TYPE foreign gauge", "foreign 1", "# EOF"]


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0.005, "0.005"),
        (1.0, "1.0"),
        (2.5, "2.5"),
        (10.0, "10.0"),
        (-0.5, "-0.5"),
        (0.0, "0.0"),
        (100_000.0, "100000.0"),
        (999_999.5, "999999.5"),
        (1e6, "1e+06"),
        (-1e6, "-1e+06"),
        (1_048_576.0, "1.048576e+06"),
        (67_108_864.0, "6.7108864e+07"),
        (123_456_789.123, "1.23456789123e+08"),
        (1e21, "1e+21"),
        (1e100, "1e+100"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (2.5e-7, "2.5e-07"),
        (5e-324, "5e-324"),
    ],
)
def test_a_bound_is_written_as_go_writes_it(bound: float, text: str) -> None:
    assert bound_text(bound) == text
    assert float(text) == bound


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.5"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (1e300, "1e+300")]
)
def test_a_number_is_written_as_both_formats_want_it(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("text/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", False),
        (PROMETHEUS_2_42, True),
        (PROMETHEUS_3, True),
        (PROMETHEUS_3_WITH_PROTOBUF, True),
        ("application/openmetrics-text", True),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", True),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;version=1.0.0;q=0", False),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.9", False),
        ("application/openmetrics-text;q=0.9,text/plain;q=0.5", True),
        ("text/plain;q=0.5;version=0.0.4 , application/openmetrics-text;q=0.5", True),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=many", False),
        ("application/openmetrics-text;q=", False),
        ("application/openmetrics-text;q=-1", False),
        (";;;,,,;q=,=;q=1;=", False),
        ("\x00\udcff, application/openmetrics-text;q=1", True),
        ("q=1", False),
        ("," * 5000, False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_openmetrics_is_given_only_where_it_is_preferred(
    registry: Registry, accept: str | None, openmetrics: bool
) -> None:
    assert prefers_openmetrics(accept) is openmetrics
    body, content_type = Exposition(registry).render(accept)
    assert content_type == (OPENMETRICS if openmetrics else TEXT)
    assert body.endswith(b"# EOF\n") is openmetrics
