"""Generators and async generators are measured to their end, whatever end that is."""

from __future__ import annotations

import asyncio
import gc
import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring.instrument.operation import Operations
from otel_monitoring.metrics import Distribution, Registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

Reported = list[BaseException]


@pytest.fixture
def reported() -> Reported:
    return []


@pytest.fixture
def operations(registry: Registry, reported: Reported) -> Operations:
    def report(error: BaseException, *, component: str) -> None:
        assert component == "writer"
        reported.append(error)

    return Operations(registry, report, "svc")


def figures(registry: Registry) -> dict[str, object]:
    """Return what the operation ``draft`` of the component ``writer`` has recorded; zeros are left out."""
    found: dict[str, object] = {}
    for point in registry.snapshot().points():
        if point.labels.get("component") != "writer":
            continue
        name = point.metric.name
        if isinstance(point.value, Distribution):
            found[name] = point.value.count
        elif name == "operations":
            found[point.labels["outcome"]] = point.value
        elif name in {"operations_in_progress", "stream_items"}:
            found[name] = point.value
    return {name: value for name, value in found.items() if value}


def ended(outcome: str, items: int) -> dict[str, object]:
    """Return the figures of one stream with this end."""
    found: dict[str, object] = {"processing_time": 1, outcome: 1}
    if items:
        found |= {"stream_first_item": 1, "stream_items": items}
    return found


def drafting(operations: Operations) -> Any:
    """Return a decorated generator function: it gives as many items as asked for, then fails if told to."""

    @operations.operation("draft", component="writer")
    def draft(items: int, error: BaseException | None = None) -> Generator[Any, Any, str]:
        heard = []
        for item in range(items):
            try:
                heard.append((yield item))
            except KeyError as thrown:
                heard.append((yield f"caught {thrown}"))
        if error is not None:
            raise error
        return f"heard {heard}"

    return draft


def drafting_async(operations: Operations, closed: list[str] | None = None) -> Any:
    """Return the same as an async generator function; it says in ``closed`` when it is left."""

    @operations.operation("draft", component="writer")
    async def draft(items: int, error: BaseException | None = None) -> AsyncGenerator[Any, Any]:
        try:
            for item in range(items):
                await asyncio.sleep(0)
                try:
                    sent = yield item
                    if sent is not None:
                        yield f"heard {sent}"
                except KeyError as thrown:
                    yield f"caught {thrown}"
            if error is not None:
                raise error
        finally:
            if closed is not None:
                await asyncio.sleep(0)
                closed.append("left")

    return draft


def test_a_stream_that_is_read_to_its_end_is_a_success(operations: Operations, registry: Registry) -> None:
    draft = drafting(operations)
    assert list(draft(3)) == [0, 1, 2]
    assert figures(registry) == ended("success", 3)


def test_an_empty_stream_is_a_success_without_a_first_item(operations: Operations, registry: Registry) -> None:
    assert list(drafting(operations)(0)) == []
    assert figures(registry) == ended("success", 0)


def test_the_time_of_a_stream_runs_from_its_first_to_its_last_item(operations: Operations, registry: Registry) -> None:
    """While it is being read it is in progress; its items are counted as they come."""
    stream = drafting(operations)(3)
    assert figures(registry) == {}
    next(stream)
    next(stream)
    assert figures(registry) == {"operations_in_progress": 1, "stream_first_item": 1, "stream_items": 2}
    stream.close()
    assert figures(registry) == ended("closed", 2)


def test_a_stream_that_nobody_reads_is_no_operation(operations: Operations, registry: Registry) -> None:
    stream = drafting(operations)(3)
    stream.close()
    drafting(operations)(3)
    gc.collect()
    assert figures(registry) == {}


def test_what_is_sent_thrown_and_returned_passes(operations: Operations, registry: Registry) -> None:
    """``send``, ``throw`` and the value of ``yield from`` are those of the generator itself."""
    stream = drafting(operations)(2)
    assert next(stream) == 0
    assert stream.send("a") == 1
    assert stream.throw(KeyError("b")) == "caught 'b'"
    with pytest.raises(StopIteration) as stopped:
        stream.send("c")
    assert stopped.value.value == "heard ['a', 'c']"
    assert figures(registry) == ended("success", 3)


def test_an_error_goes_on_and_is_reported_once(operations: Operations, registry: Registry, reported: Reported) -> None:
    error = LookupError("no profile")
    with pytest.raises(LookupError) as caught:
        list(drafting(operations)(2, error))
    assert caught.value is error
    assert reported == [error]
    assert figures(registry) == ended("error", 2)


def test_an_error_thrown_in_that_is_not_caught_is_an_error(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    stream = drafting(operations)(2)
    next(stream)
    with pytest.raises(ValueError, match="out"):
        stream.throw(ValueError("out"))
    assert [type(error) for error in reported] == [ValueError]
    assert figures(registry) == ended("error", 1)


def test_close_gives_what_it_gives_undecorated(operations: Operations, registry: Registry) -> None:
    """From Python 3.13 on that is what the generator returns when it is closed."""

    def draft() -> Generator[int, None, str]:
        try:
            yield 0
        except GeneratorExit:
            return "half"
        return "whole"

    def closed(function: Any) -> object:
        stream = function()
        next(stream)
        return stream.close()

    assert closed(operations.operation("draft", component="writer")(draft)) == closed(draft)
    assert figures(registry) == ended("closed", 1)


def test_it_is_a_context_manager_s_generator_too(operations: Operations, registry: Registry) -> None:
    """What its block raises goes through it, and is an error of it."""

    @contextmanager
    @operations.operation("draft", component="writer")
    def draft() -> Generator[int]:
        yield 42

    with draft() as number:
        assert number == 42
    with pytest.raises(ValueError, match="in the block"), draft():
        raise ValueError("in the block")
    assert (figures(registry)["success"], figures(registry)["error"]) == (1, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValueError(), "error"), (StopAsyncIteration(), "error"), (asyncio.CancelledError(), "cancelled")],
    ids=["error", "end of another stream", "cancelled"],
)
async def test_it_is_an_async_context_manager_s_generator_too(
    operations: Operations, registry: Registry, error: BaseException, outcome: str
) -> None:
    @asynccontextmanager
    @operations.operation("draft", component="writer")
    async def draft() -> AsyncGenerator[int]:
        yield 42

    async def use() -> None:
        async with draft() as number:
            assert number == 42
            raise error

    with pytest.raises(type(error)):
        await use()
    assert figures(registry) == ended(outcome, 1)


@pytest.mark.parametrize("parent", ["thread", "task"])
def test_a_stream_may_be_read_where_it_was_not_begun(operations: Operations, registry: Registry, parent: str) -> None:
    """Each item in another thread, or in another task: it is one stream."""
    if parent == "thread":
        stream = drafting(operations)(3)
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            assert [pool.submit(next, stream).result() for pool in (first, second, first)] == [0, 1, 2]
        assert list(stream) == []
    else:

        async def read() -> None:
            stream = drafting_async(operations)(3)

            async def one() -> object:
                return await anext(stream)

            assert [await asyncio.create_task(one()) for _ in range(3)] == [0, 1, 2]
            assert [item async for item in stream] == []

        asyncio.run(read())
    assert figures(registry) == ended("success", 3)


def test_a_stream_that_minds_its_end_is_an_error(operations: Operations, registry: Registry) -> None:
    """One that goes on though it is closed."""

    @operations.operation("draft", component="writer")
    def draft() -> Generator[int]:
        try:
            yield 0
        except GeneratorExit:
            yield 1

    stream = draft()
    next(stream)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        stream.close()
    assert figures(registry) == ended("error", 1)


def test_the_function_stays_a_generator_function(operations: Operations) -> None:
    draft, draft_async = drafting(operations), drafting_async(operations)
    assert inspect.isgeneratorfunction(draft)
    assert inspect.isasyncgenfunction(draft_async)
    assert draft.__name__ == "draft"
    assert list(inspect.signature(draft).parameters) == ["items", "error"]


@pytest.mark.asyncio
async def test_an_async_stream_that_is_read_to_its_end_is_a_success(operations: Operations, registry: Registry) -> None:
    assert [item async for item in drafting_async(operations)(3)] == [0, 1, 2]
    assert figures(registry) == ended("success", 3)


@pytest.mark.asyncio
async def test_break_closes_an_async_stream_and_its_own_end_runs(operations: Operations, registry: Registry) -> None:
    """After a ``break`` and ``aclose()`` the stream is closed, and what it has to tidy up is done by then."""
    closed: list[str] = []
    stream = drafting_async(operations, closed)(3)
    async for _ in stream:
        break
    await stream.aclose()
    assert closed == ["left"]
    assert figures(registry) == ended("closed", 1)


@pytest.mark.asyncio
async def test_an_async_stream_that_is_forgotten_is_closed_by_the_loop(
    operations: Operations, registry: Registry
) -> None:
    """A ``break`` without ``aclose()`` ends as closed too, once the event loop has tidied up."""
    closed: list[str] = []
    async for _ in drafting_async(operations, closed)(3):
        break
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0)
    assert closed == ["left"]
    assert figures(registry) == ended("closed", 1)


@pytest.mark.asyncio
async def test_an_async_stream_that_nobody_reads_is_no_operation(operations: Operations, registry: Registry) -> None:
    await drafting_async(operations)(3).aclose()
    drafting_async(operations)(3)
    gc.collect()
    assert figures(registry) == {}


@pytest.mark.asyncio
async def test_an_async_stream_closed_from_another_task_is_closed(operations: Operations, registry: Registry) -> None:
    stream = drafting_async(operations)(3)
    await anext(stream)
    await asyncio.create_task(stream.aclose())
    assert figures(registry) == ended("closed", 1)


@pytest.mark.asyncio
async def test_a_cancelled_async_stream_is_cancelled(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    """Cancellation while the stream waits is an outcome of its own and no error."""

    @operations.operation("draft", component="writer")
    async def draft() -> AsyncGenerator[int, None]:
        yield 0
        await asyncio.Event().wait()

    read = asyncio.Event()

    async def consume() -> None:
        async for _ in draft():
            read.set()

    task = asyncio.create_task(consume())
    await read.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reported == []
    assert figures(registry) == ended("cancelled", 1)


@pytest.mark.asyncio
async def test_what_is_sent_and_thrown_into_an_async_stream_passes(operations: Operations, registry: Registry) -> None:
    stream = drafting_async(operations)(2)
    assert await anext(stream) == 0
    assert await stream.asend("a") == "heard a"
    assert await anext(stream) == 1
    assert await stream.athrow(KeyError("b")) == "caught 'b'"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert figures(registry) == ended("success", 4)


@pytest.mark.asyncio
async def test_an_error_of_an_async_stream_goes_on_and_is_reported_once(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    error = LookupError("no profile")
    with pytest.raises(LookupError) as caught:
        _ = [item async for item in drafting_async(operations)(2, error)]
    assert caught.value is error
    assert reported == [error]
    assert figures(registry) == ended("error", 2)


@pytest.mark.asyncio
async def test_async_streams_side_by_side_are_told_apart(operations: Operations, registry: Registry) -> None:
    """Many at once give each its own end."""
    draft = drafting_async(operations)

    async def consume(number: int) -> None:
        async for item in draft(5):
            if number % 2 and item == 2:
                break

    await asyncio.gather(*(consume(number) for number in range(50)))
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0)
    found = figures(registry)
    assert (found["success"], found["closed"]) == (25, 25)
    assert found["stream_items"] == 25 * 5 + 25 * 3
    assert "operations_in_progress" not in found
