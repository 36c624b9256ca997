"""httpx2 and httpx: hooked at ``send``, which every call passes, whatever the transport.

An answer that is not read yet when ``send`` returns is measured to the end of its stream:
until it is read, closed, or thrown away.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from otel_monitoring.instrument.sending import recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import ModuleType

    from otel_monitoring.instrument.calls import Call, Calls
    from otel_monitoring.instrument.sending import Around, Sent


class _URL(Protocol):
    @property
    def host(self) -> str: ...


class _Request(Protocol):
    @property
    def url(self) -> _URL: ...


class _Headers(Protocol):
    def items(self) -> Iterable[tuple[str, str]]: ...


class _Answer(Protocol):
    stream: Any

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> _Headers: ...
    @property
    def is_closed(self) -> bool: ...


class _Stream(Protocol):
    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _AsyncStream(Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


def around_send(calls: Calls, module: ModuleType) -> Around:
    """Return what makes a ``send`` that records, out of one of ``Client`` or ``AsyncClient``.

    Args:
        calls: records.
        module: ``httpx2`` or ``httpx``.
    """
    watched, watched_async = _stream_classes(module)

    def follow(answer: _Answer, call: Call, sent: Sent) -> None:
        call.answer(answer.status_code, answer.headers.items())
        if answer.is_closed or not sent.options.get("stream"):
            call.end()
        else:
            is_async = isinstance(answer.stream, module.AsyncByteStream)
            answer.stream = (watched_async if is_async else watched)(answer.stream, call)

    return recording(calls, _host_of, follow)


def _host_of(sent: Sent) -> str:
    request: _Request = sent.argument(0, "request")
    return request.url.host


class _Watched:
    """An answer's stream, which ends the call when it is closed."""

    def __init__(self, stream: _Stream, call: Call) -> None:
        self._stream = stream
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        return _Chunks(iter(self._stream), self._call)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._call.end()


class _WatchedAsync:
    """The same of an answer that is waited for."""

    def __init__(self, stream: _AsyncStream, call: Call) -> None:
        self._stream = stream
        self._call = call

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncChunks(aiter(self._stream), self._call)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.end()


@functools.cache
def _stream_classes(module: ModuleType) -> tuple[type[Any], type[Any]]:
    """Return both as streams of the library, which reads nothing else."""
    return (
        type("WatchedStream", (_Watched, module.SyncByteStream), {}),
        type("WatchedAsyncStream", (_WatchedAsync, module.AsyncByteStream), {}),
    )


class _Chunks:
    """The pieces of an answer; an exception between them ends the call."""

    __slots__ = ("_call", "_next")

    def __init__(self, chunks: Iterator[bytes], call: Call) -> None:
        self._next = chunks.__next__
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._next()
        except StopIteration:
            raise
        except BaseException as error:
            self._call.fail(error)
            raise


class _AsyncChunks:
    """The same of an answer that is waited for."""

    __slots__ = ("_call", "_next")

    def __init__(self, chunks: AsyncIterator[bytes], call: Call) -> None:
        self._next = chunks.__anext__
        self._call = call

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
