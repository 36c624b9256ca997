"""``@operation``: what a function or a block does, how long it takes and how it ends.

Each call gives ``processing_time_seconds``, ``operations_total`` by outcome,
``operations_in_progress`` and ``component_last_success_timestamp_seconds``; an exception
is reported once, however many decorated functions it passes.

The caller sees no difference: result, exception, signature and kind of the function stay.
Generators and async generators are measured as streams: see ``streams``.
"""

from __future__ import annotations

import functools
import inspect
import time
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from otel_monitoring.catalogue.shipped import (
    COMPONENT_LAST_SUCCESS,
    OPERATIONS,
    OPERATIONS_IN_PROGRESS,
    PROCESSING_TIME,
)
from otel_monitoring.instrument.streams import measured_async_generator, measured_generator
from otel_monitoring.metrics.series import DETACHED, MISFITS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from types import TracebackType
    from typing import Self

    from otel_monitoring.metrics import Registry
    from otel_monitoring.metrics.pages import Slots

BOUNDS = PROCESSING_TIME.buckets
SHORTEST = BOUNDS[0]

P = ParamSpec("P")
R = TypeVar("R")


class ReportError(Protocol):
    """Takes an exception that left a function of a component."""

    def __call__(self, error: BaseException, *, component: str) -> None:
        """Report it."""
        ...


class Operations:
    """Makes the decorators of one service.

    Args:
        registry: where the metrics are recorded.
        report: told of each exception.
        component: the component of functions that name none.
    """

    def __init__(self, registry: Registry, report: ReportError, component: str) -> None:
        self._registry = registry
        self._report = report
        self._component = component
        self._recorders: dict[tuple[str, str], _Recorder] = {}

    def operation(self, name: str | None = None, component: str | None = None) -> Operation:
        """Return what decorates a function of any kind, and measures a block as a context manager.

        Args:
            name: the label ``operation``; a function's own name where left out.
            component: the label ``component``; the service's where left out.
        """
        return Operation(self._recorder, name, component or self._component)

    def _recorder(self, operation: str, component: str) -> _Recorder:
        made = self._recorders.get((operation, component))
        if made is None:
            recorder = _Recorder(self._registry, self._report, operation, component)
            made = self._recorders.setdefault((operation, component), recorder)
        return made


class Operation:
    """One operation of one component, to decorate functions or to enter around a block.

    Several threads or tasks that enter one object at once are counted rightly, but may
    have their times exchanged: make one for each, as ``with monitoring.operation(…)`` does.
    """

    def __init__(self, recorder: Callable[[str, str], _Recorder], name: str | None, component: str) -> None:
        self._recorder = recorder
        self._name = name
        self._component = component
        self._started: list[float] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, instrumented.

        Raises:
            TypeError: it is no function.
        """
        _refuse_what_is_no_function(function)
        own_name = getattr(function, "__name__", type(function).__name__)
        recorder = self._recorder(self._name or own_name, self._component)
        kind = _code_of(function)
        measured: Callable[..., Any]
        if inspect.iscoroutinefunction(kind):
            measured = _measured_coroutine(cast("Callable[P, Awaitable[Any]]", function), recorder)
        elif inspect.isgeneratorfunction(kind):
            measured = measured_generator(cast("Callable[P, Generator[Any, Any, Any]]", function), recorder)
        elif inspect.isasyncgenfunction(kind):
            measured = measured_async_generator(cast("Callable[P, AsyncGenerator[Any, Any]]", function), recorder)
        else:
            measured = _measured_function(function, recorder)
        return cast("Callable[P, R]", measured)

    def __enter__(self) -> Self:
        """Begin the operation.

        Raises:
            TypeError: it has no name.
        """
        if self._name is None:
            raise TypeError('a block has no name of its own: name the operation, as in monitoring.operation("send")')
        self._recorder(self._name, self._component).begin()
        self._started.append(perf_counter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the operation; an exception is recorded and goes on."""
        ended = perf_counter()
        started = self._started.pop() if self._started else ended
        recorder = self._recorder(self._name or "", self._component)
        if error is None:
            recorder.end(ended - started, "success")
        else:
            recorder.fail(ended - started, error)


def _code_of(function: Callable[..., object]) -> Callable[..., object]:
    """Return what says of which kind a function is: of an object that is called as one, its method."""
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return function
    method: Callable[..., object] = type(function).__call__
    return method


def _refuse_what_is_no_function(function: object) -> None:
    if not callable(function) or inspect.isclass(function):
        raise TypeError(
            f"operation() got {function!r}, which is no function: put it below @staticmethod or @classmethod, "
            'and call it before it decorates, as in @monitoring.operation("score", component="scorer")'
        )


class _Recorder:
    """Records the calls of one operation.

    The slots of its series are looked up once and all written through one page: through
    the series' own methods a call would cost twice as much.  When one of the series is
    removed the slots are forgotten, and the next call goes through those methods, which
    registers the series anew.

    Attributes:
        labels: the operation's own labels.
        running: the slot of the operations in progress.
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
        "_time",
        "labels",
        "local",
        "places",
        "registry",
        "running",
        "top",
    )

    def __init__(self, registry: Registry, report: ReportError, operation: str, component: str) -> None:
        labels = self.labels = {"operation": operation, "component": component}
        outcomes = registry.counter(OPERATIONS)
        self.places: tuple[int, ...] = ()
        self.running = self.top = DETACHED
        self.registry = registry
        self.local = registry.local
        self._incidents = registry.incidents
        self._report = report
        self._component = component
        # What any operation may come to begins at 0, so that rate() sees the first error.
        self._outcomes = {
            outcome: outcomes.labels(**labels, outcome=outcome) for outcome in ("success", "error", "cancelled")
        }
        self._time = registry.histogram(PROCESSING_TIME).labels(**labels)
        self._running = registry.up_down_counter(OPERATIONS_IN_PROGRESS).labels(component=component)
        self._last_success = registry.gauge(COMPONENT_LAST_SUCCESS).labels(component=component)
        self.watch(self._displace)

    def begin(self) -> None:
        """Count a call in, and look the slots up."""
        with self._incidents.contained("counting an operation in"):
            self._running.add(1)
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
        # Whatever is no Exception is the end of a stream, a task or the process, not a fault of the operation.
        failed = isinstance(error, Exception)
        closed = isinstance(error, GeneratorExit)
        self.end(took_seconds, "error" if failed else "closed" if closed else "cancelled")
        if failed:
            with self._incidents.contained("reporting an error"):
                self._report(error, component=self._component)

    def watch(self, displaced: Callable[[], None]) -> None:
        """Have a function called whenever the slots are to be looked up anew."""
        for series in (self._time, self._outcomes["success"], self._running, self._last_success):
            series.watch(displaced)

    def _displace(self) -> None:
        self.top = DETACHED
        self.places = ()


def _measured_function(function: Callable[P, R], recorder: _Recorder) -> Callable[P, R]:
    local, registry = recorder.local, recorder.registry
    # The recorder's slots again, as variables of this closure: attributes would cost a twentieth more.
    base = total = success = running = last = last_value = top = DETACHED

    def begin() -> Slots:
        nonlocal base, total, success, running, last, last_value, top
        recorder.begin()
        total, success, running, last = recorder.places or (DETACHED,) * 4
        last_value = last + 1
        # These two come last, and go first: as long as one is DETACHED a call goes the long way.
        top = recorder.top
        base = total + 1
        return getattr(local, "slots", [])

    def displace() -> None:
        nonlocal base, top
        base = top = DETACHED

    @functools.wraps(function)
    def measured(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            slots = local.slots
            slots[top]  # raises where this thread's page is too short
            slots[running] += 1.0
        except MISFITS:
            slots = begin()
        started = perf_counter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            recorder.fail(perf_counter() - started, error)
            raise
        ended = perf_counter()
        took = ended - started
        try:
            slots[base if took <= SHORTEST else base + bisect_left(BOUNDS, took)] += 1
            slots[total] += took
            slots[success] += 1.0
            slots[running] -= 1.0
            slots[last_value] = ended + registry.clock_offset
            slots[last] = ended
        except MISFITS:
            recorder.end(took, "success")
        return result

    recorder.watch(displace)
    return measured


def _measured_coroutine(function: Callable[P, Awaitable[R]], recorder: _Recorder) -> Callable[P, Awaitable[R]]:
    local, registry = recorder.local, recorder.registry

    @functools.wraps(function)
    async def measured(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            slots = local.slots
            slots[recorder.top]  # raises where this thread's page is too short
            slots[recorder.running] += 1.0
        except MISFITS:
            recorder.begin()
        started = perf_counter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            recorder.fail(perf_counter() - started, error)
            raise
        ended = perf_counter()
        took = ended - started
        try:
            slots = local.slots  # after a wait it may be another thread
            total, success, running, last = recorder.places
            slots[total + 1 + (bisect_left(BOUNDS, took) if took > SHORTEST else 0)] += 1
            slots[total] += took
            slots[success] += 1.0
            slots[running] -= 1.0
            slots[last + 1] = ended + registry.clock_offset
            slots[last] = ended
        except MISFITS:
            recorder.end(took, "success")
        return result

    return measured
