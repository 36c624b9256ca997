"""Ways to time a thing: all by the processor time of the thread, which other work of the machine is not in."""

from __future__ import annotations

import asyncio
from itertools import repeat
from time import thread_time
from timeit import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.case import Sample


WARM_UP = 5
"""Calls in a new event loop that are not timed."""


def statement(code: str, **names: object) -> Sample:
    """Time a line of Python as a user writes it, in a loop, with these names as globals."""
    timer = Timer(code, timer=thread_time, globals=names)
    return lambda count: timer.timeit(count) / count


def once(call: Callable[[], object]) -> float:
    """Return how long one call takes, in seconds."""
    start = thread_time()
    call()
    return thread_time() - start


def awaited(call: Callable[[], Awaitable[object]]) -> Sample:
    """Time a call and the wait for what it returns, inside of a running event loop."""

    async def repeated(count: int) -> float:
        for _ in repeat(None, WARM_UP):
            await call()
        start = thread_time()
        for _ in repeat(None, count):
            await call()
        return thread_time() - start

    return lambda count: asyncio.run(repeated(count)) / count
