"""Functions and coroutine functions that record their calls; generators are in ``streams``."""

from __future__ import annotations

import functools
import inspect
import types
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from otel_monitoring.instrument.recorder import BOUNDS, Recorder, Run
from otel_monitoring.instrument.streams import measured_async_generator, measured_generator
from otel_monitoring.metrics.series import DETACHED, MISFITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from otel_monitoring.metrics.pages import Slots

SHORTEST = BOUNDS[0]

P = ParamSpec("P")
R = TypeVar("R")


def measured(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """Return a function of the same kind that records its calls."""
    kind = _code_of(function)
    if inspect.iscoroutinefunction(kind):
        return _measured_coroutine(function, recorder)
    if inspect.isgeneratorfunction(kind):
        return _measured_awaitable(function, recorder) if _is_awaited(kind) else measured_generator(function, recorder)
    if inspect.isasyncgenfunction(kind):
        return measured_async_generator(function, recorder)
    return _measured_function(function, recorder)


def _code_of(function: Callable[..., object]) -> Callable[..., object]:
    """Return what says of which kind a function is: of an object that is called as one, its method."""
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return function
    method: Callable[..., object] = type(function).__call__
    return method


def _is_awaited(generator_function: Callable[..., object]) -> bool:
    """Tell whether it is a coroutine function as they were made before ``async``, by ``types.coroutine``."""
    code = getattr(generator_function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _measured_function(function: Callable[P, R], recorder: Recorder) -> Callable[P, R]:
    local, registry, spans = recorder.local, recorder.registry, recorder.spans
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
    def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
        started = perf_counter()
        if started >= spans.look_at and (frame := recorder.open_frame()) is not None:
            with Run(recorder, frame):
                return function(*args, **kwargs)
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
    return recorded


def _measured_coroutine(function: Callable[P, Awaitable[R]], recorder: Recorder) -> Callable[P, Awaitable[R]]:
    local, registry, spans = recorder.local, recorder.registry, recorder.spans

    @functools.wraps(function)
    async def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
        started = perf_counter()
        if started >= spans.look_at and (frame := recorder.open_frame()) is not None:
            with Run(recorder, frame):
                return await function(*args, **kwargs)
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

    return recorded


def _measured_awaitable(function: Callable[P, Generator[Any, Any, R]], recorder: Recorder) -> Callable[P, Awaitable[R]]:
    @types.coroutine
    @functools.wraps(function)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, R]:
        with Run(recorder, recorder.open_frame()):
            return (yield from function(*args, **kwargs))

    return recorded
