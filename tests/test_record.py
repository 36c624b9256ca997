"""Error records: what each of the doors makes of what it is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_monitoring.errors import ErrorRecord, exception_type


class OutreachError(Exception):
    """An exception of an application."""


class MuteError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise KeyError("message")


def logged(exception: BaseException | None = None, **fields: object) -> ErrorRecord:
    return ErrorRecord.from_log(
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
    record = ErrorRecord.from_exception(exception, component="finder", context={"prospect_id": "123"})
    assert (record.error_type, record.component, record.message) == ("ValueError", "finder", "no such prospect")
    assert record.exception is exception
    assert record.context == {"prospect_id": "123"}
    assert before <= record.time <= time.time()
    assert (record.trace_id, record.span_id) == (None, None)


def test_an_exception_that_cannot_be_printed_has_a_record_too() -> None:
    record = ErrorRecord.from_exception(MuteError(), component="finder")
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
    record = ErrorRecord.from_exception(ValueError(), component="sender", context=context)
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
