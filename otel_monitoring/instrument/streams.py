"""Generators as operations: a stream is measured from its first item asked for to its end.

On top of what every operation gives, a stream gives ``stream_first_item_seconds`` and
``stream_items_total``.  A stream that is closed before its end (``break``, ``close()``, the
consumer gone) ends as ``closed``, which is no error; one that nobody asks for an item of is
no operation at all.
"""

from __future__ import annotations

import functools
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec

from otel_monitoring.catalogue.shipped import STREAM_FIRST_ITEM, STREAM_ITEMS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType

    from otel_monitoring.instrument.recorder import Recorder

P = ParamSpec("P")


class _Stream:
    """Records one run of a stream, and is entered for each step of it: then its span is the current one."""

    __slots__ = ("_contained", "_first_item", "_items", "_recorder", "_started", "_waiting", "frame")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._contained = recorder.registry.incidents.contained("counting an item of a stream")
        labels = recorder.labels
        self._first_item = recorder.registry.histogram(STREAM_FIRST_ITEM).labels(**labels)
        self._items = recorder.registry.counter(STREAM_ITEMS).labels(**labels)
        self._waiting = True
        self.frame = recorder.open_frame()
        recorder.count_in()
        self._started = perf_counter()

    def __enter__(self) -> None:
        if self.frame is not None:
            self.frame.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.frame is not None:
            self.frame.__exit__(kind, error, traceback)

    def give(self) -> None:
        """Count an item."""
        with self._contained:
            if self._waiting:
                self._waiting = False
                self._first_item.record(perf_counter() - self._started)
            self._items.add()

    def end(self, error: BaseException | None) -> None:
        """Count the stream out."""
        took = perf_counter() - self._started
        with self:
            if error is None:
                self._recorder.end(took, "success")
            else:
                self._recorder.fail(took, error)
        if self.frame is not None:
            self._recorder.end_frame(self.frame, error)


class _Watched:
    """A generator whose items are counted; ``yield from`` hands all else on to it.

    ``send``, ``throw`` and ``close`` are what PEP 380 asks of whom it delegates to.
    """

    __slots__ = ("_generator", "_give", "closed_with")

    def __init__(self, generator: Generator[Any, Any, Any], give: Callable[[], None]) -> None:
        self._generator = generator
        self._give = give
        self.closed_with: object = None

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

    def close(self) -> None:
        # From Python 3.13 on it returns what the generator does; before, it has nothing to return.
        self.closed_with = self._generator.close()  # type: ignore[func-returns-value]


class _WatchedInSpan(_Watched):
    """The same, of a stream that has a span."""

    __slots__ = ("_stream",)

    def __init__(self, generator: Generator[Any, Any, Any], stream: _Stream) -> None:
        super().__init__(generator, stream.give)
        self._stream = stream

    def __next__(self) -> object:
        with self._stream:
            return super().__next__()

    def send(self, value: object) -> object:
        with self._stream:
            return super().send(value)

    def throw(self, *error: Any) -> object:  # noqa: ANN401 (as above)
        with self._stream:
            return super().throw(*error)

    def close(self) -> None:
        with self._stream:
            super().close()


def measured_generator(
    function: Callable[P, Generator[Any, Any, Any]], recorder: Recorder
) -> Callable[P, Generator[Any, Any, Any]]:
    """Return a generator function that records its runs."""

    @functools.wraps(function)
    def measured(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        stream = _Stream(recorder)
        watched = _watched(generator, stream)
        try:
            result = yield from watched
        except BaseException as error:
            stream.end(error)
            if watched.closed_with is not None:
                return watched.closed_with
            raise
        stream.end(None)
        return result

    return measured


def _watched(generator: Generator[Any, Any, Any], stream: _Stream) -> _Watched:
    return _Watched(generator, stream.give) if stream.frame is None else _WatchedInSpan(generator, stream)


def measured_async_generator(
    function: Callable[P, AsyncGenerator[Any, Any]], recorder: Recorder
) -> Callable[P, AsyncGenerator[Any, Any]]:
    """Return an async generator function that records its runs."""

    @functools.wraps(function)
    async def measured(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        stream = _Stream(recorder)
        try:
            with stream:
                item = await anext(generator)
            while True:
                stream.give()
                try:
                    sent = yield item
                except GeneratorExit:
                    with stream:
                        await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 (it is thrown on)
                    with stream:
                        item = await generator.athrow(error)
                else:
                    with stream:
                        item = await generator.asend(sent)
        except StopAsyncIteration:
            stream.end(None)
        except BaseException as error:
            stream.end(error)
            raise

    return measured
