"""Runs what is asynchronous for callers that are not, also where an event loop runs already."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    """Return what a coroutine returns, from an event loop of its own in a thread of its own.

    What it raises is raised here.  Where the caller is interrupted, the coroutine is cancelled.
    """
    import asyncio  # a tenth of the time that the import of the whole package takes

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop,), name="otel-monitoring-grafana", daemon=True)
    thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(work, loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    # Leaving the runner cancels what is not done, and closes the loop.
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()
