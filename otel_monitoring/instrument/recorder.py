"""What records the calls of one operation, and one run of it."""

from __future__ import annotations

import time
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.catalogue.shipped import (
    COMPONENT_LAST_SUCCESS,
    OPERATIONS,
    OPERATIONS_IN_PROGRESS,
    PROCESSING_TIME,
)
from otel_monitoring.instrument.spans import span_start
from otel_monitoring.metrics.series import DETACHED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from otel_monitoring.instrument.frame import Frame
    from otel_monitoring.instrument.spans import Role, Spans
    from otel_monitoring.metrics import Registry

BOUNDS = PROCESSING_TIME.buckets


class ReportError(Protocol):
    """Takes an exception that left a function of a component."""

    def __call__(self, error: BaseException, /, *, component: str) -> object:
        """Report it."""
        ...


def outcome_of(error: BaseException | None) -> str:
    """Return how an operation ended that this exception left, or none."""
    # The end of an iterator is what a ``__next__`` or ``__anext__`` is to say.
    if error is None or isinstance(error, StopIteration | StopAsyncIteration):
        return "success"
    # Whatever is no Exception is the end of a stream, a task or the process, not a fault of the operation.
    if isinstance(error, Exception):
        return "error"
    return "closed" if isinstance(error, GeneratorExit) else "cancelled"


class Recorder:
    """Records the calls of one operation.

    Args:
        registry: where the metrics are recorded.
        report: told of each exception.
        spans: start the operation's spans.
        operation: the label ``operation``.
        component: the label ``component``.
        role: what the operation is to OpenTelemetry.

    The slots of its series are looked up once and all written through one page: through
    the series' own methods a call would cost twice as much.  When one of the series is
    removed the slots are forgotten, and the next call goes through those methods, which
    registers the series anew.

    Attributes:
        labels: the operation's own labels.
        running: the slot of the operations in progress.
        spans: start the operation's spans.
        top: the highest slot of all, which shows whether a thread's page is long enough.
        places: where time, success, progress and the last success go; empty where the
            slots are to be looked up.
    """

    __slots__ = (
        "_component",
        "_incidents",
        "_last_success",
        "_outcomes",
        "_report",
        "_running",
        "_span_start",
        "_time",
        "labels",
        "local",
        "places",
        "registry",
        "running",
        "spans",
        "top",
    )

    def __init__(
        self, registry: Registry, report: ReportError, spans: Spans, *, operation: str, component: str, role: Role
    ) -> None:
        labels = self.labels = {"operation": operation, "component": component}
        outcomes = registry.counter(OPERATIONS)
        self.places: tuple[int, ...] = ()
        self.running = self.top = DETACHED
        self.registry = registry
        self.local = registry.local
        self._incidents = registry.incidents
        self._report = report
        self._component = component
        self.spans = spans
        self._span_start = span_start(role, operation, component)
        # What any operation may come to begins at 0, so that rate() sees the first error.
        self._outcomes = {
            outcome: outcomes.labels(**labels, outcome=outcome) for outcome in ("success", "error", "cancelled")
        }
        self._time = registry.histogram(PROCESSING_TIME).labels(**labels)
        self._running = registry.up_down_counter(OPERATIONS_IN_PROGRESS).labels(component=component)
        self._last_success = registry.gauge(COMPONENT_LAST_SUCCESS).labels(component=component)
        self.watch(self._displace)

    def count_in(self) -> None:
        """Count a call in."""
        with self._incidents.contained("counting an operation in"):
            self._running.add(1)

    def begin(self) -> None:
        """Count a call in, and look up the slots for those that follow on this thread."""
        self.count_in()
        with self._incidents.contained("looking an operation's series up"):
            series = (self._time, self._outcomes["success"], self._running, self._last_success)
            total, success, running, last = (one.reach()[1] for one in series)
            self.places = (total, success, running, last)
            self.running = running
            self.top = max(total + len(BOUNDS) + 1, success, running, last + 1)

    def end(self, took_seconds: float, outcome: str) -> None:
        """Count a call out, by the series' own methods."""
        with self._incidents.contained("recording an operation"):
            self._running.add(-1)
            self._time.record(took_seconds)
            if outcome in self._outcomes:
                self._outcomes[outcome].add(1)
            else:
                self.registry.counter(OPERATIONS).add(1, {**self.labels, "outcome": outcome})
            if outcome == "success":
                self._last_success.set(time.time())

    def fail(self, took_seconds: float, error: BaseException) -> None:
        """Count a call out that ended in an exception, and report it."""
        outcome = outcome_of(error)
        self.end(took_seconds, outcome)
        if outcome == "error":
            with self._incidents.contained("reporting an error"):
                self._report(error, component=self._component)

    def open_frame(self) -> Frame | None:
        """Start a span for a call; None where tracing is not configured."""
        return self.spans.open(self._span_start)

    def end_frame(self, frame: Frame, error: BaseException | None) -> None:
        """End a call's span."""
        with self._incidents.contained("ending a span"):
            frame.end(outcome_of(error), error)

    def watch(self, displaced: Callable[[], None]) -> None:
        """Have a function called whenever the slots are to be looked up anew."""
        for series in (self._time, self._outcomes["success"], self._running, self._last_success):
            series.watch(displaced)

    def _displace(self) -> None:
        self.top = DETACHED
        self.places = ()


class Run:
    """One run of an operation: counted in when it is entered and out when it is left, in a span where there is one.

    Args:
        recorder: the operation's.
        frame: of the run's span; None where tracing is not configured.

    Attributes:
        frame: the same.
    """

    __slots__ = ("_recorder", "_started", "frame")

    def __init__(self, recorder: Recorder, frame: Frame | None) -> None:
        self._recorder = recorder
        self._started = 0.0
        self.frame = frame

    def __enter__(self) -> None:
        """Begin the run."""
        if self.frame is not None:
            self.frame.__enter__()
        self._recorder.count_in()
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run; an exception is recorded and goes on."""
        took = perf_counter() - self._started
        try:
            if error is None:
                self._recorder.end(took, "success")
            else:
                self._recorder.fail(took, error)
        finally:
            if self.frame is not None:
                self.frame.__exit__(kind, error, traceback)
                self._recorder.end_frame(self.frame, error)
