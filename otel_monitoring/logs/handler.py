"""The standard library's door to the corridor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from otel_monitoring.logs.events import error_of_record
from otel_monitoring.logs.heard import is_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.errors import Corridor

_OURS = "otel_monitoring"


class ErrorHandler(logging.Handler):
    """Reports logging records of the level ERROR and above; writes nothing.

    ``component`` and ``error_type`` are taken from ``extra``; the type of a record without
    one is the exception's class, or ``log_error``.  What came through structlog and was
    reported there is not reported again, and our own complaints never are.

    Put it on loggers, not behind a ``QueueListener``: a record that has been through a
    queue has lost its exception and the call that it was made in.

    Args:
        corridor: whom to report to.
        default_component: the component of records that name none.
    """

    def __init__(self, corridor: Corridor, default_component: str) -> None:
        super().__init__(logging.ERROR)
        self.corridor = corridor
        self._default_component = default_component

    def handle(self, record: logging.LogRecord) -> bool:
        """Report a record that passes the filters; without a lock, for nobody must wait for a slow sink."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record that the corridor has not heard of."""
        if record.name == _OURS or record.name.startswith(f"{_OURS}."):
            return
        with self.corridor.incidents.contained("reporting an error record of logging"):
            if is_new(self.corridor, record):
                recorder = self.corridor.recorder
                self.corridor.report(error_of_record(recorder, record, default_component=self._default_component))


def attach(corridor: Corridor, default_component: str) -> Callable[[], None]:
    """Put an ErrorHandler on the root logger, unless this corridor has one there.

    A root logger that has a handler is configured in the eyes of ``logging.basicConfig``,
    which does nothing then, and of ``logging.lastResort``: call this after the application
    has set its logging up.

    Returns:
        A function that takes back what this call did.
    """
    root = logging.getLogger()
    if any(isinstance(handler, ErrorHandler) and handler.corridor is corridor for handler in root.handlers):
        return lambda: None
    handler = ErrorHandler(corridor, default_component)
    root.addHandler(handler)
    return lambda: root.removeHandler(handler)


def listen(corridor: Corridor, default_component: str) -> Callable[[], None]:
    """Report the error records of all loggers, without a handler anywhere.

    So ``logging.basicConfig``, ``logging.lastResort`` and handlers that are replaced later do
    what they always did, and loggers that do not propagate are heard, too.  A corridor that
    has an ErrorHandler as well hears of each record once.

    Returns:
        A function that ends it; where somebody has replaced the method since, ours stays and does nothing.
    """
    heard = ErrorHandler(corridor, default_component)
    before = logging.Logger.callHandlers
    ended: list[bool] = []

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.levelno >= heard.level and not ended:
            heard.handle(record)
        before(self, record)

    def end() -> None:
        ended.append(True)
        if logging.Logger.callHandlers is call_handlers:
            logging.Logger.callHandlers = before  # type: ignore[method-assign]

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
    return end
