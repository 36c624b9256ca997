"""Error records: what each of the doors makes of what it is told."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_monitoring.errors import ErrorRecord, Origin, Recorder, exception_type
from otel_monitoring.errors.secrecy.scrub import HIDDEN
from tests.logging_state import fail

RECORDER = Recorder(Origin(service="outreach", host="one", release="1.2"))


class OutreachError(Exception):
    """An exception of an application."""


class MuteError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise KeyError("message")


def logged(exception: BaseException | None = None, **fields: object) -> ErrorRecord:
    return RECORDER.of_log(
        "send failed", fields=fields, exception=exception, default_type="log_error", default_component="service"
    )


@pytest.mark.parametrize(
    ("exception", "name"),
    [
        (ValueError("x"), "ValueError"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (OutreachError(), f"{__name__}.OutreachError"),
    ],
)
def test_an_exceptions_type_is_named_as_opentelemetry_names_it(exception: BaseException, name: str) -> None:
    assert exception_type(exception) == name


def test_the_name_is_the_one_that_the_sdk_gives_to_a_spans_exception_event() -> None:
    span = TracerProvider().get_tracer("test").start_span("work")
    span.record_exception(OutreachError())
    events: Any = getattr(span, "events")  # noqa: B009 (only the SDK's spans have it)
    assert events[0].attributes["exception.type"] == exception_type(OutreachError())


def test_the_record_of_an_exception_says_what_when_and_where() -> None:
    exception = ValueError("no such prospect")
    before = time.time()
    record = RECORDER.of_exception(exception, component="finder", context={"prospect_id": "123"})
    assert (record.error_type, record.component, record.message) == ("ValueError", "finder", "no such prospect")
    assert record.exception is exception
    assert record.context == {"prospect_id": "123"}
    assert before <= record.time <= time.time()
    assert (record.trace_id, record.span_id) == (None, None)


def test_an_exception_that_cannot_be_printed_has_a_record_too() -> None:
    record = RECORDER.of_exception(MuteError(), component="finder")
    assert record.message == f"<no text: {__name__}.MuteError.__str__ failed>"


def test_a_logged_error_takes_component_and_type_from_its_fields_and_the_rest_is_context() -> None:
    record = logged(component="sender", error_type="smtp", attempt=3)
    assert (record.component, record.error_type) == ("sender", "smtp")
    assert record.context == {"attempt": 3}


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_fields_count_as_not_given(empty: str | None) -> None:
    record = logged(component=empty, error_type=empty)
    assert (record.component, record.error_type) == ("service", "log_error")


def test_a_logged_exception_gives_the_type_unless_a_field_does() -> None:
    assert logged(ValueError()).error_type == "ValueError"
    assert logged(ValueError(), error_type="smtp").error_type == "smtp"


def test_the_context_is_a_copy_that_nobody_can_change() -> None:
    context: dict[str, object] = {"attempt": 1}
    record = RECORDER.of_exception(ValueError(), component="sender", context=context)
    context["attempt"] = 2
    assert record.context == {"attempt": 1}
    with pytest.raises(TypeError):
        record.context["attempt"] = 3  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def test_a_record_can_be_put_in_a_set() -> None:
    record = logged(attempt=1)
    assert len({record, record}) == 1


def test_inside_a_span_the_record_has_its_ids_in_hex() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        record = logged()
    context = span.get_span_context()
    assert record.trace_id == f"{context.trace_id:032x}"
    assert record.span_id == f"{context.span_id:016x}"
    assert logged().trace_id is None


def failed(message: str, **context: object) -> ErrorRecord:
    return RECORDER.record(message, error_type="kind", component="part", context=context)


def test_a_record_says_which_process_of_which_service_it_is_from() -> None:
    record = failed("no")
    assert (record.origin.service, record.origin.host, record.origin.release) == ("outreach", "one", "1.2")
    assert record.pid == os.getpid()


def test_ids_are_different_and_rise_with_time() -> None:
    ids = [failed("no").id for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert all(len(one) == 32 for one in ids)


def test_a_forked_child_gives_other_ids() -> None:
    failed("the parent's").id  # noqa: B018 (the first one of the process)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, failed("the child's").id.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    assert len(theirs) == 32
    assert theirs[12:22] != failed("the parent's").id[12:22]
    os.close(read)
    os.close(write)


def test_secrets_are_hidden_wherever_a_record_could_show_them() -> None:
    try:
        fail(OutreachError("password=hunter2"))
    except OutreachError as error:
        record = RECORDER.of_exception(error, component="part", context={"auth": {"token": "hunter2"}})
    shown = repr((record, record.message, record.title, record.context, record.chain))
    assert "hunter2" not in shown
    assert shown.count(HIDDEN) >= 4


def test_an_exception_brings_its_chain_and_a_title() -> None:
    error = OutreachError("send failed")
    error.__cause__ = ValueError("no address")
    with pytest.raises(OutreachError):
        fail(error)
    record = RECORDER.record("job 7 failed", error_type="job", component="part", context={}, exception=error)
    assert [link.message for link in record.chain] == ["send failed", "no address"]
    assert [frame.function for frame in record.chain[0].frames][-1] == "fail"
    assert record.title == f"{__name__}.OutreachError: send failed"
    assert record.message == "job 7 failed"


def test_a_title_is_one_line_of_bounded_length() -> None:
    assert failed("two\nlines").title == "two lines"
    assert len(failed("x " * 1000).title) == 200


def test_the_same_fault_has_one_fingerprint_and_another_word_has_another() -> None:
    assert failed("prospect 1 failed").fingerprint == failed("prospect 22 failed").fingerprint
    assert failed("prospect 1 failed").fingerprint != failed("prospect 1 vanished").fingerprint


def test_what_the_application_groups_by_wins() -> None:
    first = RECORDER.record("a", error_type="x", component="part", context={}, fingerprint="billing")
    second = logged(fingerprint="billing", component="part")
    assert first.fingerprint == second.fingerprint != failed("a").fingerprint
    assert "fingerprint" not in second.context


@pytest.mark.parametrize(("with_locals", "kept"), [(False, None), (True, {"attempt": 3, "password": HIDDEN})])
def test_local_variables_are_kept_only_where_they_are_asked_for(with_locals: bool, kept: object) -> None:
    def send() -> None:
        attempt, password = 3, "hunter2"
        raise OutreachError(len(f"{attempt}{password}"))

    with pytest.raises(OutreachError) as raised:
        send()
    record = Recorder(with_locals=with_locals).of_exception(raised.value, component="part")
    assert record.chain[0].frames[-1].locals == kept
