"""structlog and logging set up together, with one look."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog
from structlog.stdlib import ProcessorFormatter

from otel_monitoring.logs.chain import carry_over, install
from otel_monitoring.logs.events import extra_of
from otel_monitoring.logs.handler import ErrorHandler, attach
from otel_monitoring.logs.processors import AddTraceContext
from otel_monitoring.logs.scrubbing import ScrubLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from structlog.typing import EventDict, Processor

    from otel_monitoring.errors import Corridor

_FIELDS = "structlog_fields"
"""The attribute of a logging record in which the fields of a structlog event travel.

As single attributes they would clash with the record's own: ``extra={"name": …}`` raises.
"""


def configure(
    corridor: Corridor,
    *,
    default_component: str,
    format: Literal["json", "console"] = "json",  # noqa: A002 (as logging.basicConfig names it)
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
) -> Callable[[], None]:
    """Set structlog and ``logging`` up together and report their errors to the corridor.

    Every line carries timestamp (ISO 8601, UTC), level, logger and event, and inside of a
    span trace_id and span_id, whether it comes from structlog or from ``logging``.  Handlers
    on the root logger stay; ours is put beside them.  Where the application has configured
    structlog, its processors stay and are extended, and lines are written by us only if the
    root logger has no handler.  A second call adds nothing that is there: undo the first.

    Args:
        corridor: whom to report errors to.
        default_component: the component of errors that name none.
        format: ``json``, one object a line, or ``console``, for people; coloured on a terminal.
        level: the root logger's level.
        stream: where to write; None is ``sys.stderr``.

    Returns:
        A function that takes back what this call did.
    """
    with ExitStack() as undo:
        ours = not structlog.is_configured()
        if ours:
            undo.callback(_configure_structlog())
        undo.callback(install(corridor, default_component))
        if ours or all(isinstance(handler, ErrorHandler) for handler in logging.getLogger().handlers):
            undo.callback(_write_lines(format, level, stream, ScrubLine(corridor.recorder.scrubber)))
        undo.callback(attach(corridor, default_component))
        return undo.pop_all().close


def _configure_structlog() -> Callable[[], None]:
    """Let structlog write through ``logging``; return what puts its defaults back."""
    before: list[Processor] = structlog.get_config()["processors"]
    class_before = logging.getLoggerClass()
    chain: list[Processor] = [
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        _hand_on,
    ]
    carry_over(before, chain)
    structlog.configure(
        processors=chain,
        logger_factory=structlog.stdlib.LoggerFactory(),  # sets a logger class that skips structlog's frames
        wrapper_class=structlog.stdlib.BoundLogger,
    )

    class_set = logging.getLoggerClass()

    def restore() -> None:
        if structlog.get_config()["processors"] is not chain:
            return  # configured by the application since, and not ours any more
        structlog.reset_defaults()
        if logging.getLoggerClass() is class_set:
            logging.setLoggerClass(class_before)
        restored: list[Processor] = structlog.get_config()["processors"]
        restored[:] = before
        carry_over(chain, restored)

    return restore


def _write_lines(
    style: Literal["json", "console"], level: int | str, stream: TextIO | None, scrub: Processor
) -> Callable[[], None]:
    """Write what reaches the root logger; return what takes that back."""
    root = logging.getLogger()
    level_before = root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[_describe, _unfold, AddTraceContext()],
            processors=[
                _describe,
                ProcessorFormatter.remove_processors_meta,
                scrub,
                *_renderers(style, handler.stream),
            ],
        )
    )
    root.setLevel(level)
    root.addHandler(handler)
    level_set = root.level

    def restore() -> None:
        root.removeHandler(handler)
        if root.level == level_set:
            root.setLevel(level_before)

    return restore


def _renderers(style: Literal["json", "console"], stream: TextIO) -> tuple[Processor, ...]:
    if style == "json":
        return structlog.processors.format_exc_info, structlog.processors.JSONRenderer(skipkeys=True)
    # Plain tracebacks: the rich ones show local variables, and with them secrets.
    plain = structlog.dev.plain_traceback
    return (structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain),)


def _hand_on(_logger: object, _method: str, event_dict: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """End structlog's chain with a call to ``logging`` that every handler understands.

    ``ProcessorFormatter.wrap_for_formatter`` would hand the event dictionary on as the
    message, which the application's other handlers then write as it is.
    """
    text = str(event_dict.pop("event", ""))
    arguments = {name: event_dict.pop(name) for name in ("exc_info", "stacklevel") if name in event_dict}
    return (text,), {"extra": {_FIELDS: dict(event_dict)}, **arguments}


def _describe(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """Add timestamp, level and logger of the logging record where they are missing."""
    record: logging.LogRecord = event_dict["_record"]
    if "timestamp" not in event_dict:
        event_dict["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
    event_dict.setdefault("level", record.levelname.lower())
    event_dict.setdefault("logger", record.name)
    return event_dict


def _unfold(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """Add the fields that came with the record; those that say what the line is stay."""
    extra = extra_of(event_dict["_record"])
    fields: Mapping[str, object] = extra.get(_FIELDS, extra)
    for name, value in fields.items():
        event_dict.setdefault(name, value)
    return event_dict
