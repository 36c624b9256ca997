"""Exceptions that nobody caught, on their way out of the process, a thread or an asyncio task.

``sys.excepthook`` and ``threading.excepthook`` are heard, and what asyncio says of an
exception that nobody fetched from a task or that left a callback.  asyncio has no hook for
a process, only one for each loop; but every loop without a handler of its own writes to
the logger ``asyncio``.  There we listen as a filter, which lets everything pass: with a
handler of ours, a ``logging`` that nobody has configured would no longer print it.

Not heard are

- the function of a ``multiprocessing.Process``: the child catches its exception, prints it
  and calls no hook.  Decorate that function with ``@operation``;
- what Python "ignores", as in ``__del__``: ``sys.unraisablehook`` is called by the garbage
  collection, in the middle of any code.  That may hold a lock of an exporter of logs, which
  a report from there would wait for without end.  (A forgotten task is told of from there
  too, but by asyncio, and to whatever handlers of logs the application has);
- what a future, an executor or a living task still holds: somebody may yet fetch it.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENDS = (KeyboardInterrupt, SystemExit)
"""How a process is ended, which is no fault of it."""


class ReportUncaught(Protocol):
    """Takes an exception that nobody caught."""

    def __call__(self, error: BaseException, *, context: Mapping[str, object]) -> object:
        """Report it."""
        ...


class _Hooked(Protocol):
    """What ``sys`` and ``threading`` have in common."""

    excepthook: Callable[..., object]


def watch(report: ReportUncaught) -> Callable[[], None]:
    """Report each exception that nobody catches, before it is printed as it always was.

    Args:
        report: called at once, in the thread of the exception.  The context holds its name
            as ``thread``, and as ``asyncio`` what asyncio says of the place.  What ``report``
            raises is lost: neither the exit code nor what is printed depends on it.

    Returns:
        A function that ends it.  A hook that somebody has set on top of ours stays; ours
        only calls the one before it from then on.
    """

    def hear_main(_kind: object, error: BaseException, _traceback: object) -> None:
        _tell(report, error, {"thread": threading.current_thread().name})

    def hear_thread(args: threading.ExceptHookArgs) -> None:
        _tell(report, args.exc_value, {"thread": (args.thread or threading.current_thread()).name})

    ends = [_hook(cast("_Hooked", sys), hear_main), _hook(cast("_Hooked", threading), hear_thread), _listen(report)]

    def end() -> None:
        for one in ends:
            one()

    return end


def _hook(module: _Hooked, hear: Callable[..., None]) -> Callable[[], None]:
    before = module.excepthook
    # Emptied in the end: a hook that is still called from above shall keep nothing else alive.
    heard = [hear]

    def hook(*arguments: object) -> None:
        for one in heard:
            # A second Ctrl-C while we report must not change how the first exception ends either.
            with suppress(BaseException):
                one(*arguments)
        before(*arguments)

    def unhook() -> None:
        heard.clear()
        if module.excepthook is hook:
            module.excepthook = before

    module.excepthook = hook
    return unhook


def _listen(report: ReportUncaught) -> Callable[[], None]:
    logger = logging.getLogger("asyncio")

    def listen(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR and record.exc_info:
            # The application goes on after this, so a Ctrl-C goes on its way.
            with suppress(Exception):
                said = str(record.msg).partition("\n")[0]
                _tell(report, record.exc_info[1], {"thread": record.threadName, "asyncio": said})
        return True

    logger.addFilter(listen)
    return lambda: logger.removeFilter(listen)


def _tell(report: ReportUncaught, error: BaseException | None, context: Mapping[str, object]) -> None:
    if error is not None and not _is_end(error):
        report(error, context=context)


def _is_end(error: BaseException) -> bool:
    """Tell whether it only ends the process: one of those, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(ENDS)[1] is None
    return isinstance(error, ENDS)
