"""structlog and logging set up together, with one look."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import structlog

from otel_monitoring.logs.chain import carry_over, install
from otel_monitoring.logs.handler import ErrorHandler, attach
from otel_monitoring.logs.lines import HandOn, LineFormatter, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import Processor

    from otel_monitoring.errors import Corridor
    from otel_monitoring.errors.secrecy.scrub import Scrubber


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
    scrubber = corridor.recorder.scrubber
    with ExitStack() as undo:
        ours = not structlog.is_configured()
        if ours:
            undo.callback(_configure_structlog(scrubber))
        undo.callback(install(corridor, default_component))
        if ours or all(isinstance(handler, ErrorHandler) for handler in logging.getLogger().handlers):
            undo.callback(_write_lines(format, level, stream, scrubber))
        undo.callback(attach(corridor, default_component))
        return undo.pop_all().close


def _configure_structlog(scrubber: Scrubber) -> Callable[[], None]:
    """Let structlog write through ``logging``; return what puts its defaults back."""
    before: list[Processor] = structlog.get_config()["processors"]
    class_before = logging.getLoggerClass()
    chain: list[Processor] = [
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        HandOn(scrubber),
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
    style: Literal["json", "console"], level: int | str, stream: TextIO | None, scrubber: Scrubber
) -> Callable[[], None]:
    """Write what reaches the root logger; return what takes that back."""
    root = logging.getLogger()
    level_before = root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(scrubber, _renderer(style, handler.stream)))
    root.setLevel(level)
    root.addHandler(handler)
    level_set = root.level

    def restore() -> None:
        root.removeHandler(handler)
        if root.level == level_set:
            root.setLevel(level_before)

    return restore


def _renderer(style: Literal["json", "console"], stream: TextIO) -> Processor:
    if style == "json":
        return write_json
    # Plain tracebacks: the rich ones show local variables, and with them secrets.
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
