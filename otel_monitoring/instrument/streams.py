"""Generators as operations: a stream is measured from its first item asked for to its end.

On top of what every operation gives, a stream gives ``stream_first_item_seconds`` and
``stream_items_total``.  A stream that is closed before its end (``break``, ``close()``, the
consumer gone) ends as ``closed``, which is no error; one that nobody asks for an item of is
no operation at all.
"""

from __future__ import annotations

import functools
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol

from otel_monitoring.catalogue.shipped import STREAM_FIRST_ITEM, STREAM_ITEMS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from otel_monitoring.metrics import Registry

P = ParamSpec("P")


class Recorder(Protocol):
    """Records the calls of one operation."""

    registry: Registry
    labels: dict[str, str]

    def begin(self) -> None:
        """Count a call in."""
        ...

    def end(self, took_seconds: float, outcome: str) -> None:
        """Count a call out."""
        ...

    def fail(self, took_seconds: float, error: BaseException) -> None:
        """Count a call out that ended in an exception, and report it."""
        ...


class _Stream:
    """Records one run of a stream."""

    __slots__ = ("_first_item", "_items", "_recorder", "_started", "_waiting")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        labels = recorder.labels
        self._first_item = recorder.registry.histogram(STREAM_FIRST_ITEM).labels(**labels)
        self._items = recorder.registry.counter(STREAM_ITEMS).labels(**labels)
        self._waiting = True
        recorder.begin()
        self._started = perf_counter()

    def give(self) -> None:
        """Count an item."""
        if self._waiting:
            self._waiting = False
            self._first_item.record(perf_counter() - self._started)
        self._items.add()

    def end(self, error: BaseException | None) -> None:
        """Count the stream out."""
        took = perf_counter() - self._started
        if error is None:
            self._recorder.end(took, "success")
        else:
            self._recorder.fail(took, error)


class _Watched:
    """A generator whose items are counted; ``yield from`` hands all else on to it.

    ``send``, ``throw`` and ``close`` are what PEP 380 asks of whom it delegates to.
    """

    __slots__ = ("_generator", "_give", "close")

    def __init__(self, generator: Generator[Any, Any, Any], give: Callable[[], None]) -> None:
        self._generator = generator
        self._give = give
        self.close = generator.close

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> object:
        item: object = next(self._generator)
        self._give()
        return item

    def send(self, value: object) -> object:
        item: object = self._generator.send(value)
        self._give()
        return item

    def throw(self, *error: Any) -> object:  # noqa: ANN401 (one to three, as PEP 380 hands them on)
        item: object = self._generator.throw(*error)
        self._give()
        return item


def measured_generator(
    function: Callable[P, Generator[Any, Any, Any]], recorder: Recorder
) -> Callable[P, Generator[Any, Any, Any]]:
    """Return a generator function that records its runs."""

    @functools.wraps(function)
    def measured(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        stream = _Stream(recorder)
        try:
            result = yield from _Watched(generator, stream.give)
        except BaseException as error:
            stream.end(error)
            raise
        stream.end(None)
        return result

    return measured


def measured_async_generator(
    function: Callable[P, AsyncGenerator[Any, Any]], recorder: Recorder
) -> Callable[P, AsyncGenerator[Any, Any]]:
    """Return an async generator function that records its runs."""

    @functools.wraps(function)
    async def measured(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        stream = _Stream(recorder)
        try:
            item = await anext(generator)
            while True:
                stream.give()
                try:
                    sent = yield item
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 (it is thrown on)
                    item = await generator.athrow(error)
                else:
                    item = await generator.asend(sent)
        except StopAsyncIteration:
            stream.end(None)
        except BaseException as error:
            stream.end(error)
            raise

    return measured
