"""Operations, agents and tools have spans where tracing is configured, and each is below the right one."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otel_monitoring.catalogue.shipped import OPERATIONS
from otel_monitoring.errors import Corridor
from otel_monitoring.errors.telemetry import SpanEvents
from otel_monitoring.instrument.frame import Frame
from otel_monitoring.instrument.operation import Operation, Operations
from otel_monitoring.instrument.spans import Role, Spans
from otel_monitoring.metrics import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

ROOT = Path(__file__).parents[1]


class Tracing:
    """Decorators whose spans are kept."""

    def __init__(self, registry: Registry) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.corridor = Corridor(registry.incidents, [SpanEvents()])
        spans = Spans(registry.incidents, self.provider)
        self.operations = Operations(registry, self.corridor.report_exception, "svc", spans=spans)

    def agent(self, name: str) -> Operation:
        """Return an agent's decorator."""
        return self.operations.operation(name, role=Role.AGENT)

    def tool(self, name: str) -> Operation:
        """Return a tool's decorator."""
        return self.operations.operation(name, role=Role.TOOL)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans that have ended, by name."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def parents(self) -> list[tuple[str, str | None]]:
        """Return each span that has ended with its parent, by name and sorted."""
        spans = self.exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans if span.context}
        pairs = [(span.name, None if span.parent is None else names[span.parent.span_id]) for span in spans]
        return sorted(pairs, key=str)

    def outcome(self, name: str) -> object:
        """Return how a span's operation ended."""
        return (self.spans[name].attributes or {})["otel_monitoring.outcome"]


@pytest.fixture
def tracing(registry: Registry) -> Tracing:
    return Tracing(registry)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test leaves a span current, and OpenTelemetry complains of nothing, such as a failed detach."""
    yield
    assert not trace.get_current_span().get_span_context().is_valid
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


def current_name() -> str | None:
    """Return the name of the span that the calling code runs in."""
    name: str | None = getattr(trace.get_current_span(), "name", None)
    return name


def test_an_agent_s_span_is_named_as_the_conventions_say(tracing: Tracing) -> None:
    @tracing.agent("finder")
    def find() -> str | None:
        return current_name()

    assert find() == "invoke_agent finder"
    span = tracing.spans["invoke_agent finder"]
    assert span.kind is SpanKind.INTERNAL
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.41.1"
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "finder",
        "otel_monitoring.component": "svc",
        "otel_monitoring.outcome": "success",
    }


def test_a_tool_s_span_is_named_as_the_conventions_say(tracing: Tracing) -> None:
    with tracing.tool("search"):
        assert current_name() == "execute_tool search"
    attributes = tracing.spans["execute_tool search"].attributes or {}
    assert attributes["gen_ai.operation.name"] == "execute_tool"
    assert attributes["gen_ai.tool.name"] == "search"
    assert "gen_ai.agent.name" not in attributes


def test_an_operation_s_span_has_its_name(tracing: Tracing) -> None:
    @tracing.operations.operation("score", component="scorer")
    def score() -> None: ...

    score()
    assert dict(tracing.spans["score"].attributes or {}) == {
        "otel_monitoring.component": "scorer",
        "otel_monitoring.outcome": "success",
    }


def test_all_roles_are_measured_alike(tracing: Tracing, registry: Registry) -> None:
    """The metrics of a name are the same, whatever it is to OpenTelemetry."""
    for decorator in (tracing.agent("work"), tracing.tool("work"), tracing.operations.operation("work")):
        decorator(lambda: None)()
    points = registry.snapshot().points()
    counted = [point for point in points if point.metric is OPERATIONS and point.labels["outcome"] == "success"]
    assert [(point.labels["operation"], point.value) for point in counted] == [("work", 3)]


def test_an_error_is_told_by_its_class_and_never_by_its_text(tracing: Tracing) -> None:
    """The text stands scrubbed in the one event that the errors' own way adds."""

    @tracing.agent("outer")
    @tracing.tool("inner")
    def fail() -> None:
        raise LookupError("no profile, password=hunter2")

    with pytest.raises(LookupError):
        fail()
    for name in ("execute_tool inner", "invoke_agent outer"):
        span = tracing.spans[name]
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
        assert (span.attributes or {})["error.type"] == "LookupError"
        assert "hunter2" not in span.to_json()
    assert [event.name for event in tracing.spans["execute_tool inner"].events] == ["exception"]
    assert tracing.spans["invoke_agent outer"].events == ()


@pytest.mark.asyncio
async def test_a_cancelled_agent_is_no_error(tracing: Tracing) -> None:
    started = asyncio.Event()

    @tracing.agent("wait")
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tracing.outcome("invoke_agent wait") == "cancelled"
    assert tracing.spans["invoke_agent wait"].status.status_code is StatusCode.UNSET


def chain_of(tracing: Tracing, number: int) -> Any:
    """Return an agent that calls a tool that calls an operation, in coroutines and a generator."""

    @tracing.operations.operation(f"operation {number}")
    async def operation() -> None:
        await asyncio.sleep(0)

    @tracing.tool(f"{number}")
    async def tool() -> AsyncGenerator[int]:
        for item in range(3):
            await operation()
            yield item

    @tracing.agent(f"{number}")
    async def agent() -> None:
        async for _ in tool():
            await asyncio.sleep(0)

    return agent


def expected_chain(number: int) -> list[tuple[str, str | None]]:
    """Return the spans of such an agent with their parents."""
    return [
        (f"invoke_agent {number}", None),
        (f"execute_tool {number}", f"invoke_agent {number}"),
        *[(f"operation {number}", f"execute_tool {number}")] * 3,
    ]


@pytest.mark.asyncio
async def test_tasks_side_by_side_are_told_apart(tracing: Tracing) -> None:
    """Many agents at once have each their own tools below them."""
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(chain_of(tracing, number)())
    expected = [pair for number in range(20) for pair in expected_chain(number)]
    assert tracing.parents() == sorted(expected, key=str)


def test_threads_side_by_side_are_told_apart(tracing: Tracing) -> None:
    """A thread that is started bare begins anew; none takes another's agent for its own."""
    with tracing.agent("of the main thread"), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: asyncio.run(chain_of(tracing, number)()), range(20)))
    expected: list[tuple[str, str | None]] = [("invoke_agent of the main thread", None)]
    expected += [pair for number in range(20) for pair in expected_chain(number)]
    assert tracing.parents() == sorted(expected, key=str)


@pytest.mark.asyncio
async def test_tasks_and_threads_that_carry_the_context_are_below_their_agent(tracing: Tracing) -> None:
    @tracing.tool("of a thread")
    def in_thread() -> None: ...

    @tracing.tool("of a task")
    async def in_task() -> None: ...

    @tracing.agent("boss")
    async def boss() -> None:
        await asyncio.to_thread(in_thread)
        async with asyncio.TaskGroup() as group:
            group.create_task(in_task())

    await boss()
    assert tracing.parents() == [
        ("execute_tool of a task", "invoke_agent boss"),
        ("execute_tool of a thread", "invoke_agent boss"),
        ("invoke_agent boss", None),
    ]


def test_a_stream_s_span_is_not_its_reader_s(tracing: Tracing) -> None:
    """Between two items the reader is in its own span, and the stream finds in the next one what it had opened."""
    tracer = tracing.provider.get_tracer("application")

    @tracing.agent("drafter")
    def draft() -> Generator[str | None, str, str]:
        with tracer.start_as_current_span("of the stream"):
            yield current_name()
            sent = yield current_name()
        yield current_name()
        return sent

    with tracer.start_as_current_span("of the reader"):
        stream = draft()
        assert current_name() == "of the reader"
        assert next(stream) == "of the stream"
        assert current_name() == "of the reader"
        assert next(stream) == "of the stream"
        assert stream.send("x") == "invoke_agent drafter"
        assert current_name() == "of the reader"
        with pytest.raises(StopIteration) as stopped:
            next(stream)
        assert stopped.value.value == "x"
        assert current_name() == "of the reader"
    assert tracing.parents() == [
        ("invoke_agent drafter", "of the reader"),
        ("of the reader", None),
        ("of the stream", "invoke_agent drafter"),
    ]


def test_a_stream_tidies_up_in_its_own_span(tracing: Tracing) -> None:
    """Also what is thrown into it and what it does when it is closed happens there."""
    seen: list[str | None] = []

    @tracing.agent("drafter")
    def draft() -> Generator[str | None]:
        try:
            try:
                yield current_name()
            except KeyError:
                yield current_name()
        finally:
            seen.append(current_name())

    stream = draft()
    next(stream)
    assert stream.throw(KeyError("x")) == "invoke_agent drafter"
    assert current_name() is None
    stream.close()
    assert seen == ["invoke_agent drafter"]
    assert tracing.outcome("invoke_agent drafter") == "closed"


def test_an_error_of_a_stream_is_reported_in_its_span(tracing: Tracing) -> None:
    @tracing.agent("drafter")
    def draft() -> Generator[int]:
        yield 1
        raise LookupError("no profile")

    with pytest.raises(LookupError):
        list(draft())
    span = tracing.spans["invoke_agent drafter"]
    assert [event.name for event in span.events] == ["exception"]
    assert (span.attributes or {})["error.type"] == "LookupError"


def test_a_stream_that_nobody_reads_has_no_span(tracing: Tracing) -> None:
    @tracing.agent("drafter")
    def draft() -> Generator[int]:
        yield 1

    draft().close()
    assert tracing.spans == {}


def drafting(tracing: Tracing, seen: list[str | None]) -> Any:
    """Return an agent that is an async generator, and notes in which span it tidies up."""

    @tracing.agent("drafter")
    async def draft() -> AsyncGenerator[str | None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield current_name()
        finally:
            await asyncio.sleep(0)
            seen.append(current_name())

    return draft


@pytest.mark.asyncio
async def test_break_leaves_no_span_behind(tracing: Tracing) -> None:
    """The reader goes on in its own span, and the stream is closed in its own, whenever that is."""
    seen: list[str | None] = []
    async for name in drafting(tracing, seen)():
        assert name == "invoke_agent drafter"
        break
    assert current_name() is None
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0)
    assert seen == ["invoke_agent drafter"]
    assert tracing.outcome("invoke_agent drafter") == "closed"


@pytest.mark.asyncio
async def test_a_stream_read_and_closed_from_other_tasks_keeps_its_span(tracing: Tracing) -> None:
    seen: list[str | None] = []
    stream = drafting(tracing, seen)()

    async def read() -> tuple[str | None, str | None]:
        with tracing.operations.operation("read"):
            return await anext(stream), current_name()

    assert await asyncio.create_task(read()) == ("invoke_agent drafter", "read")
    assert await asyncio.create_task(read()) == ("invoke_agent drafter", "read")
    await asyncio.create_task(stream.aclose())
    assert seen == ["invoke_agent drafter"]
    assert tracing.outcome("invoke_agent drafter") == "closed"


def test_a_coroutine_thrown_away_in_another_context_ends_quietly(tracing: Tracing) -> None:
    """It is closed, and the context in which that happens keeps its own span."""

    class Pause:
        def __await__(self) -> Generator[None]:
            yield

    @tracing.agent("waiting")
    async def wait() -> None:
        await Pause()

    coroutine = wait()
    contextvars.copy_context().run(coroutine.send, None)
    with tracing.operations.operation("other"):
        coroutine.close()
        assert current_name() == "other"
    assert tracing.outcome("invoke_agent waiting") == "closed"


@pytest.mark.asyncio
async def test_one_object_entered_by_many_tasks_ends_each_with_its_own(tracing: Tracing) -> None:
    """A task that ends late does not end another's span."""
    shared = tracing.agent("shared")
    orders = [asyncio.Event() for _ in range(3)]

    async def work(number: int) -> None:
        with shared:
            with tracing.tool(f"{number}"):
                await orders[number].wait()
            assert current_name() == "invoke_agent shared"
        assert current_name() is None

    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    await asyncio.sleep(0)
    for number in (1, 0, 2):
        orders[number].set()
        await tasks[number]
    assert len(tracing.exporter.get_finished_spans()) == 6


def test_a_tracer_that_fails_does_not_reach_the_caller() -> None:
    """Whatever the application's tracing does, the function does what it does, and its metrics are there."""

    class Failing(TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no tracer")

    class FailingAtEnd(SimpleSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("no end")

    broken = TracerProvider(shutdown_on_exit=False)
    broken.add_span_processor(FailingAtEnd(InMemorySpanExporter()))
    for provider in (Failing(shutdown_on_exit=False), broken):
        registry = Registry()
        operations = Operations(
            registry, lambda error, *, component: None, "svc", spans=Spans(registry.incidents, provider)
        )
        assert operations.operation("score")(lambda: 42)() == 42
        assert list(operations.operation("draft")(lambda: iter((1, 2)))()) == [1, 2]
        dropped = [point for point in registry.snapshot().points() if point.labels.get("reason") == "internal"]
        assert [point.value for point in dropped] != [0]


def test_a_service_that_is_off_has_no_spans(tracing: Tracing, registry: Registry) -> None:
    spans = Spans(registry.incidents, tracing.provider, enabled=False)
    operations = Operations(registry, tracing.corridor.report_exception, "svc", spans=spans)
    with operations.operation("send"):
        operations.operation("score")(lambda: None)()
    assert tracing.spans == {}


@pytest.mark.asyncio
async def test_what_has_ended_leaves_nothing_to_the_garbage_collector(tracing: Tracing) -> None:
    """Frames and contexts hold each other while they run, and not for longer."""

    @tracing.agent("drafter")
    async def draft() -> AsyncGenerator[int]:
        yield 1

    @tracing.tool("search")
    def search() -> None: ...

    async def run() -> None:
        search()
        with tracing.operations.operation("send"):
            await anext(stream := draft())
        await stream.aclose()

    await run()
    gc.collect()
    gc.disable()
    try:
        await run()
        # Others' objects may lie about their class, and mind being asked.
        assert [found for found in gc.get_objects() if type(found) is Frame] == []
    finally:
        gc.enable()


def test_threads_that_share_an_object_end_what_they_began(tracing: Tracing) -> None:
    shared, barrier = tracing.agent("shared"), threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            with shared:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracing.exporter.get_finished_spans()) == 800


PROGRAM = """
import sys, time
from otel_monitoring import MonitoringService
monitoring = MonitoringService(service_name="svc")

@monitoring.agent("finder")
def find():
    return search()

@monitoring.tool
def search():
    return 42

assert find() == 42
monitoring.exposition()
assert "opentelemetry.sdk.trace" not in sys.modules

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
assert find() == 42
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
until = time.monotonic() + 20
while not (spans := exporter.get_finished_spans()) and time.monotonic() < until:
    exporter.clear()
    find()
exporter.clear()
assert find() == 42
print([(span.name, span.instrumentation_scope.name) for span in exporter.get_finished_spans()])
"""


def test_tracing_may_be_set_up_at_any_time_and_is_never_loaded_for_it() -> None:
    """The provider that the application sets is found, also after the first calls."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout.strip() == str(
        [("execute_tool search", "otel_monitoring"), ("invoke_agent finder", "otel_monitoring")]
    )


def test_opentelemetry_complains_of_a_failed_detach_where_this_can_hear_it(caplog: pytest.LogCaptureFixture) -> None:
    """What ``nothing_is_left_behind`` relies on: the logger's name."""
    from opentelemetry import context

    token = contextvars.copy_context().run(context.attach, context.get_current())
    with caplog.at_level(logging.ERROR):
        context.detach(token)
    assert [record.name for record in caplog.records] == ["opentelemetry.context"]
    caplog.clear()
