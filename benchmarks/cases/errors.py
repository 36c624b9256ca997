"""Errors: what reporting one takes in the call, and what moving it into the database takes behind it.

All subjects report the same error with the same four values.  Each turn opens what it
needs, in a folder of its own where there is one, and closes and removes all of it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from benchmarks.case import OURS, Case, Subject
from benchmarks.peers import LOGFIRE, OTEL_SDK, local_logfire, nowhere, sdk_logger
from benchmarks.timing import statement
from otel_monitoring.errors import Origin, Recorder
from otel_monitoring.errors.encode import encode
from otel_monitoring.errors.opening import Keeping, open_store, spool_folder
from otel_monitoring.errors.secrecy.scrub import Scrubber
from otel_monitoring.errors.spool import Spool
from otel_monitoring.metrics import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager

    from benchmarks.case import Sample

    Report = Callable[[Exception | None], None]
    Logged = Callable[[], AbstractContextManager[Sample]]

UNSTORED_SECONDS = 25e-6
STORED_SECONDS = 60e-6
MOVED_SECONDS = 1 / 10_000

MESSAGE = "Failed to process prospect"
VALUES: Mapping[str, Any] = {
    "prospect_id": "123",
    "attempt": 2,
    "url": "https://api.example.com/v1/prospects?page=2",
    "seconds": 1.5,
}
CALLS = 5
"""Frames of the exception, with the one that catches it."""

WARM_UP = 20
"""Calls of each turn that are not timed: the first ones open files and look modules up."""

EACH_IN_DETAIL = 10**9
"""Errors of one kind that are kept whole in a second; those beyond the setting's 10 are cheaper."""

SPOOL_BYTES = 2**30
LONGEST_SECONDS = 600.0

OTEL_HANDLER = f"{OTEL_SDK}, LoggingHandler"


class _How(NamedTuple):
    """How an error is reported.

    Attributes:
        raised: with an exception, raised and caught each time.
        written: with its line, to where nobody reads it; else no line is made.
    """

    raised: bool = False
    written: bool = False


def fail(calls: int) -> NoReturn:
    """Raise an exception that comes through so many calls of this function."""
    if calls > 1:
        fail(calls - 1)
    raise ValueError("no prospect with the number 123")


def _timed(report: Report, how: _How) -> Sample:
    """Time a function that reports an error, after a few calls that are not timed."""
    raising = f"try:\n    fail({CALLS - 1})\nexcept ValueError as error:\n    report(error)"
    sample = statement(raising if how.raised else "report(None)", report=report, fail=fail)
    sample(WARM_UP)
    return sample


def _ours(how: _How, *, stored: bool) -> Logged:
    @contextmanager
    def logged() -> Generator[Sample]:
        from otel_monitoring import MonitoringService

        with (
            TemporaryDirectory() as folder,
            MonitoringService(
                service_name="benchmarks",
                third_party=False,
                resources=False,
                store_errors=f"{folder}/errors.db" if stored else False,
                errors_per_second=EACH_IN_DETAIL,
            ) as monitoring,
        ):
            monitoring.configure_logging("json", level="INFO" if how.written else "CRITICAL", stream=nowhere())

            def report(error: Exception | None) -> None:
                monitoring.log_error(MESSAGE, "processing_error", "prospect_processor", VALUES, exception=error)

            yield _timed(report, how)

    return logged


def _logfire(how: _How) -> Logged:
    @contextmanager
    def logged() -> Generator[Sample]:
        logfire = local_logfire(written=how.written)

        def report(error: Exception | None) -> None:
            logfire.error(MESSAGE, **VALUES, _exc_info=error)

        yield _timed(report, how)

    return logged


def _otel_handler(how: _How, *, durable: bool = False) -> Logged:
    @contextmanager
    def logged() -> Generator[Sample]:
        with TemporaryDirectory() as folder, sdk_logger(Path(folder, "errors.log") if durable else None) as logger:
            if how.written:
                logger.addHandler(logging.StreamHandler(nowhere()))

            def report(error: Exception | None) -> None:
                logger.error(MESSAGE, extra=VALUES, exc_info=error)

            yield _timed(report, how)

    return logged


def _in_each_turn(logged: Logged) -> Callable[[], Sample]:
    """Open and close in each turn what an error is reported to."""

    def prepare() -> Sample:
        with logged():
            pass

        def sample(count: int) -> float:
            with logged() as timed:
                return timed(count)

        return sample

    return prepare


def _limit(seconds: float) -> Subject:
    return Subject("the limit", lambda: lambda count: seconds, at_most=1)  # noqa: ARG005 (the same each time)


def _reporting(name: str, title: str, how: _How, *, stored: bool, limit_seconds: float | None = None) -> Case:
    """Compare with the others; what is not stored has none that does no more."""
    others = (
        Subject(f"{LOGFIRE}, error()", _in_each_turn(_logfire(how)), at_most=0.6),
        Subject(OTEL_HANDLER, _in_each_turn(_otel_handler(how)), at_most=0.6),
        Subject(f"{OTEL_HANDLER}, into a file", _in_each_turn(_otel_handler(how, durable=True)), at_most=0.6),
    )
    return Case(
        name=name,
        title=title,
        ours=Subject(OURS, _in_each_turn(_ours(how, stored=stored))),
        peers=((_limit(limit_seconds),) if limit_seconds else ()) + (others if stored else ()),
        rounds=11,
        # A turn takes longer than the mover waits for more: what its work costs the caller is in the figure.
        count=4000,
    )


def _moved(*, raised: bool) -> Callable[[], Sample]:
    """Time the way of errors from a spool that a process has left into a new SQLite file, by the clock."""

    def prepare() -> Sample:
        recorder = Recorder(Origin(service="benchmarks"))

        def sample(count: int) -> float:
            return _seconds_to_move([_payload(recorder, raised=raised) for _ in range(count)]) / count

        sample(1)
        return sample

    return prepare


def _payload(recorder: Recorder, *, raised: bool) -> bytes:
    record = recorder.record(
        MESSAGE,
        error_type="processing_error",
        component="prospect_processor",
        context=VALUES,
        exception=_caught() if raised else None,
    )
    return encode(record, detailed=True)[0]


def _caught() -> Exception | None:
    try:
        fail(CALLS - 1)
    except ValueError as error:
        return error


def _seconds_to_move(payloads: list[bytes]) -> float:
    with TemporaryDirectory() as folder:
        keeping = Keeping(
            where=f"{folder}/errors.db",
            state_folder=folder,
            spool_folder=None,
            spool_bytes=SPOOL_BYTES,
            per_second=EACH_IN_DETAIL,
            keep_days=30,
            keep_bytes=SPOOL_BYTES,
        )
        spool = Spool(spool_folder(keeping), SPOOL_BYTES)
        for payload in payloads:
            spool.put(payload)
        spool.close()
        store = open_store(keeping, Registry(), Scrubber()).store
        start = perf_counter()
        if not store.flush(LONGEST_SECONDS):
            raise TimeoutError("the spool could not be emptied")
        took = perf_counter() - start
        store.close()
    return took


def _moving(name: str, title: str, *, raised: bool) -> Case:
    ours = Subject(OURS, _moved(raised=raised))
    return Case(name=name, title=title, ours=ours, peers=(_limit(MOVED_SECONDS),), rounds=5, count=20_000)


_PLAIN, _LINE = _How(), _How(written=True)
_RAISED, _RAISED_LINE = _How(raised=True), _How(raised=True, written=True)
_EXCEPTION = "an exception of five frames"

CASES = (
    _reporting("error-unstored", "Log an error", _PLAIN, stored=False, limit_seconds=UNSTORED_SECONDS),
    _reporting(
        "error-unstored-line", "Log an error, with its line", _LINE, stored=False, limit_seconds=UNSTORED_SECONDS
    ),
    _reporting("error-stored", "Log an error, stored", _PLAIN, stored=True, limit_seconds=STORED_SECONDS),
    _reporting(
        "error-stored-line", "Log an error, stored, with its line", _LINE, stored=True, limit_seconds=STORED_SECONDS
    ),
    _reporting("exception-stored", f"Log {_EXCEPTION}, stored", _RAISED, stored=True),
    _reporting("exception-stored-line", f"Log {_EXCEPTION}, stored, with its line", _RAISED_LINE, stored=True),
    _moving("error-moved", "Move an error from the spool into SQLite", raised=False),
    _moving("exception-moved", f"Move {_EXCEPTION} from the spool into SQLite", raised=True),
)
