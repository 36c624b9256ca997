"""``@operation``: what a function does, how long it takes and how it ends.

Each call gives ``processing_time_seconds``, ``operations_total`` by outcome,
``operations_in_progress`` and ``component_last_success_timestamp_seconds``; an exception
is reported once, however many decorated functions it passes.

The caller sees no difference: result, exception, signature and kind of the function stay.
"""

from __future__ import annotations

import functools
import inspect
import time
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from otel_monitoring.catalogue.shipped import (
    COMPONENT_LAST_SUCCESS,
    OPERATIONS,
    OPERATIONS_IN_PROGRESS,
    PROCESSING_TIME,
)
from otel_monitoring.metrics.series import DETACHED, MISFITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otel_monitoring.metrics import Registry
    from otel_monitoring.metrics.series import CounterSeries, GaugeSeries, HistogramSeries, UpDownCounterSeries

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

    def operation(self, name: str | None = None, component: str | None = None) -> Operation:
        """Return a decorator for functions and coroutine functions.

        Args:
            name: the label ``operation``; the function's own name where left out.
            component: the label ``component``; the service's where left out.
        """
        return Operation(self._registry, self._report, name, component or self._component)


class Operation:
    """Decorates one function or several with the same operation and component."""

    def __init__(self, registry: Registry, report: ReportError, name: str | None, component: str) -> None:
        self._registry = registry
        self._report = report
        self._name = name
        self._component = component

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function, instrumented.

        Raises:
            TypeError: it is a generator or no function at all.
        """
        _refuse_other_kinds(function)
        name = self._name or function.__name__
        recorder = _Recorder(self._registry, self._report, name, self._component)
        return recorder.instrument(function)


def _refuse_other_kinds(function: object) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"operation() decorates functions and coroutine functions, and {function!r} is a generator")
    if not callable(function) or inspect.isclass(function):
        raise TypeError(
            f"operation() got {function!r}, which is no function: put it below @staticmethod or @classmethod, "
            'and call it before it decorates, as in @monitoring.operation("score", component="scorer")'
        )


class _Bound(NamedTuple):
    """The series of one operation."""

    time: HistogramSeries
    success: CounterSeries
    in_progress: UpDownCounterSeries
    last_success: GaugeSeries


class _Recorder:
    """Records one operation's calls."""

    def __init__(self, registry: Registry, report: ReportError, operation: str, component: str) -> None:
        self._registry = registry
        self._report = report
        self._component = component
        labels = {"operation": operation, "component": component}
        outcomes = registry.counter(OPERATIONS)
        # All outcomes begin at 0, so that rate() sees the first error.
        self._outcomes = {
            outcome: outcomes.labels(**labels, outcome=outcome) for outcome in ("success", "error", "cancelled")
        }
        self._series = _Bound(
            registry.histogram(PROCESSING_TIME).labels(**labels),
            self._outcomes["success"],
            registry.up_down_counter(OPERATIONS_IN_PROGRESS).labels(component=component),
            registry.gauge(COMPONENT_LAST_SUCCESS).labels(component=component),
        )

    def instrument(self, function: Callable[P, R]) -> Callable[P, R]:  # noqa: C901, PLR0915 (one closure: see below)
        """Return a function of the same kind that records its calls."""
        # One page is looked up for all series, and their slots are variables of this one
        # closure: through the series' own methods a call would cost twice as much.
        registry, local, bounds, fail = self._registry, self._registry.local, PROCESSING_TIME.buckets, self._fail
        base = total = success = running = last = last_value = top = DETACHED
        shortest = bounds[0]

        def place() -> None:
            nonlocal base, total, success, running, last, last_value, top
            total, success, running, last = (series.reach()[1] for series in self._series)
            last_value = last + 1
            # These two come last, and go first: as long as one is DETACHED a call goes the long way.
            top = max(total + len(bounds) + 1, success, running, last_value)
            base = total + 1

        def displace() -> None:
            nonlocal base, top
            base = top = DETACHED

        def begin() -> float:
            try:
                slots = local.slots
                slots[top]
                slots[running] += 1.0
            except MISFITS:
                self._begin()
                place()
            return perf_counter()

        def succeed(started: float) -> None:
            ended = perf_counter()
            try:
                slots = local.slots
                took = ended - started
                slots[base if took <= shortest else base + bisect_left(bounds, took)] += 1
                slots[total] += took
                slots[success] += 1.0
                slots[running] -= 1.0
                slots[last_value] = ended + registry.clock_offset
                slots[last] = ended
            except MISFITS:
                self._end(ended - started, "success")

        @functools.wraps(function)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            # begin() and succeed() written out: two calls less are a sixth of the cost.
            slots = local.slots
            try:
                slots[top]
                slots[running] += 1.0
            except MISFITS:
                begin()
                slots = local.slots
            started = perf_counter()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                fail(perf_counter() - started, error)
                raise
            ended = perf_counter()
            try:
                took = ended - started
                slots[base if took <= shortest else base + bisect_left(bounds, took)] += 1
                slots[total] += took
                slots[success] += 1.0
                slots[running] -= 1.0
                slots[last_value] = ended + registry.clock_offset
                slots[last] = ended
            except MISFITS:
                self._end(ended - started, "success")
            return result

        @functools.wraps(function)
        async def coroutine(*args: P.args, **kwargs: P.kwargs) -> object:
            started = begin()
            try:
                result: object = await cast("Awaitable[object]", function(*args, **kwargs))
            except BaseException as error:
                fail(perf_counter() - started, error)
                raise
            succeed(started)
            return result

        for series in self._series:
            series.watch(displace)
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", coroutine)
        return plain

    def _begin(self) -> None:
        with self._registry.incidents.contained("counting an operation in"):
            self._series.in_progress.add(1)

    def _end(self, took_seconds: float, outcome: str) -> None:
        with self._registry.incidents.contained("recording an operation"):
            self._series.in_progress.add(-1)
            self._series.time.record(took_seconds)
            self._outcomes[outcome].add(1)
            if outcome == "success":
                self._series.last_success.set(time.time())

    def _fail(self, took_seconds: float, error: BaseException) -> None:
        # Whatever is no Exception is the end of a task or of the process, not a fault of the operation.
        failed = isinstance(error, Exception)
        self._end(took_seconds, "error" if failed else "cancelled")
        if failed:
            with self._registry.incidents.contained("reporting an error"):
                self._report(error, component=self._component)
