"""One measurement: to a bound series, and with its labels in the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import (
    OTEL_SDK,
    PROMETHEUS_CLIENT,
    client_counter,
    client_histogram,
    our_counter,
    our_histogram,
    our_service,
    sdk_counter,
    sdk_histogram,
)
from benchmarks.timing import statement

if TYPE_CHECKING:
    from benchmarks.case import Sample

WITH_ATTRIBUTES = '{"queue": "mail", "outcome": "done"}'
WITH_KEYWORDS = 'queue="mail", outcome="done"'
SECONDS_RECORDED = 0.2
"""In the middle of the buckets: prometheus_client looks through them from the first on."""


def _our_bound_counter() -> Sample:
    return statement("mail.add()", mail=our_counter(our_service()).labels(queue="mail", outcome="done"))


def _client_bound_counter() -> Sample:
    return statement("mail.inc()", mail=client_counter().labels(queue="mail", outcome="done"))


def _sdk_counter() -> Sample:
    return statement(f"JOBS.add(1, {WITH_ATTRIBUTES})", JOBS=sdk_counter())


def _our_bound_histogram() -> Sample:
    return statement(
        f"mail.record({SECONDS_RECORDED})", mail=our_histogram(our_service()).labels(queue="mail", outcome="done")
    )


def _client_bound_histogram() -> Sample:
    return statement(f"mail.observe({SECONDS_RECORDED})", mail=client_histogram().labels(queue="mail", outcome="done"))


def _sdk_histogram() -> Sample:
    return statement(f"WAIT.record({SECONDS_RECORDED}, {WITH_ATTRIBUTES})", WAIT=sdk_histogram())


def _our_labelled_counter() -> Sample:
    return statement(f"JOBS.add(1, {WITH_ATTRIBUTES})", JOBS=our_counter(our_service()))


def _client_labelled_counter() -> Sample:
    return statement(f"JOBS.labels({WITH_KEYWORDS}).inc()", JOBS=client_counter())


def _our_labelled_histogram() -> Sample:
    return statement(f"WAIT.record({SECONDS_RECORDED}, {WITH_ATTRIBUTES})", WAIT=our_histogram(our_service()))


def _client_labelled_histogram() -> Sample:
    return statement(f"WAIT.labels({WITH_KEYWORDS}).observe({SECONDS_RECORDED})", WAIT=client_histogram())


CASES = (
    Case(
        name="counter",
        title="Add to a bound counter",
        ours=Subject(OURS, _our_bound_counter),
        peers=(
            Subject(PROMETHEUS_CLIENT, _client_bound_counter, at_most=0.5),
            Subject(f"{OTEL_SDK}, two attributes", _sdk_counter, at_most=1 / 20),
        ),
    ),
    Case(
        name="histogram",
        title="Record to a bound histogram of 14 buckets",
        ours=Subject(OURS, _our_bound_histogram),
        peers=(
            Subject(PROMETHEUS_CLIENT, _client_bound_histogram, at_most=0.35),
            Subject(f"{OTEL_SDK}, two attributes", _sdk_histogram),
        ),
    ),
    Case(
        name="labelled-counter",
        title="Add to a counter with two labels in the call",
        ours=Subject(OURS, _our_labelled_counter),
        peers=(
            Subject(PROMETHEUS_CLIENT, _client_labelled_counter, at_most=0.3),
            Subject(OTEL_SDK, _sdk_counter, at_most=1 / 10),
        ),
    ),
    Case(
        name="labelled-histogram",
        title="Record to a histogram with two labels in the call",
        ours=Subject(OURS, _our_labelled_histogram),
        peers=(
            Subject(PROMETHEUS_CLIENT, _client_labelled_histogram),
            Subject(OTEL_SDK, _sdk_histogram),
        ),
    ),
)
