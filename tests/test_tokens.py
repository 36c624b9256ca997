"""What models used is recorded by type, and told in the span of who called them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_monitoring import MeasurementError, MonitoringService
from otel_monitoring.catalogue.shipped import GEN_AI_OPERATION_DURATION, GEN_AI_TOKEN_USAGE
from otel_monitoring.instrument.operation import Operations
from otel_monitoring.instrument.spans import Role, Spans
from otel_monitoring.instrument.tokens import Tokens
from otel_monitoring.metrics import Distribution, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.catalogue import Declaration


def recorded(registry: Registry, metric: Declaration) -> dict[tuple[str, ...], tuple[int, float]]:
    """Return how many values there were and their sum, by label values."""
    return {
        tuple(point.labels.values()): (point.value.count, point.value.sum)
        for point in registry.snapshot().points()
        if point.metric is metric and isinstance(point.value, Distribution)
    }


def usage(registry: Registry) -> dict[tuple[str, ...], tuple[int, float]]:
    """Return how many calls there were and the sum of their tokens, by label values."""
    return recorded(registry, GEN_AI_TOKEN_USAGE)


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with MonitoringService(strict=True, third_party=False, resources=False) as service:
        yield service


def test_tokens_are_recorded_by_type(monitoring: MonitoringService) -> None:
    monitoring.record_tokens(model="claude-sonnet-4-5", input=812, output=96, provider="anthropic")
    monitoring.record_tokens(model="claude-sonnet-4-5", input=8, provider="anthropic")
    monitoring.record_tokens("text-embedding-4", 30, operation="embeddings")
    assert usage(monitoring.registry) == {
        ("chat", "anthropic", "claude-sonnet-4-5", "input"): (2, 820.0),
        ("chat", "anthropic", "claude-sonnet-4-5", "output"): (1, 96.0),
        ("embeddings", "", "text-embedding-4", "input"): (1, 30.0),
    }


def test_the_time_of_a_call_is_recorded_with_how_it_failed(monitoring: MonitoringService) -> None:
    """Where it is told; a call that failed has no tokens."""
    monitoring.record_tokens("m", 812, 96, provider="anthropic", duration_seconds=2.5)
    monitoring.record_tokens("m", provider="anthropic", duration_seconds=30, error_type="TimeoutError")
    monitoring.record_tokens("m", 1, 1, provider="anthropic")
    assert recorded(monitoring.registry, GEN_AI_OPERATION_DURATION) == {
        ("chat", "anthropic", "m", ""): (1, 2.5),
        ("chat", "anthropic", "m", "TimeoutError"): (1, 30.0),
    }
    with pytest.raises(MeasurementError):
        monitoring.record_tokens("m", duration_seconds=-1)


@pytest.mark.parametrize("wrong", [-1, float("nan"), "many"])
def test_what_is_no_number_of_tokens_raises_where_strict(monitoring: MonitoringService, wrong: Any) -> None:
    with pytest.raises(MeasurementError):
        monitoring.record_tokens("m", wrong)


@pytest.mark.parametrize("wrong", [-1, float("nan"), "many"])
def test_what_is_no_number_of_tokens_is_dropped_and_counted(wrong: Any) -> None:
    """It raises nothing, and the number beside it is recorded."""
    registry = Registry()
    Tokens(registry).record("m", wrong, 5, provider="", operation="chat")
    found = {labels: numbers for labels, numbers in usage(registry).items() if numbers[0]}
    assert found == {("chat", "", "m", "output"): (1, 5.0)}
    dropped = [point.value for point in registry.snapshot().points() if point.metric.name == "monitoring_dropped"]
    assert sum(value for value in dropped if isinstance(value, float)) == 1


class Tracing:
    """Agents whose spans are kept, and tokens."""

    def __init__(self, registry: Registry) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.operations = Operations(
            registry, lambda error, *, component: None, "svc", spans=Spans(registry.incidents, provider)
        )
        self.tokens = Tokens(registry)

    def record(self, input_tokens: int, output_tokens: int) -> None:
        """Report a call."""
        self.tokens.record("m", input_tokens, output_tokens, provider="anthropic", operation="chat")

    def told(self) -> dict[str, tuple[object, ...]]:
        """Return what each span says of input, output and model."""
        names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.request.model")
        return {
            span.name: tuple((span.attributes or {}).get(name) for name in names)
            for span in self.exporter.get_finished_spans()
        }


@pytest.fixture
def tracing(registry: Registry) -> Tracing:
    return Tracing(registry)


def test_the_tokens_of_an_agent_are_added_up_in_its_span(tracing: Tracing) -> None:
    """They belong to the innermost agent or tool, also from within an operation; outside of any they are no span's."""
    operation = tracing.operations.operation
    tracing.record(1000, 1000)
    with operation("boss", role=Role.AGENT):
        tracing.record(1, 2)
        with operation("step"):
            tracing.record(10, 20)
        with operation("helper", role=Role.TOOL):
            tracing.record(100, 200)
    assert tracing.told() == {
        "step": (None, None, None),
        "execute_tool helper": (100, 200, "m"),
        "invoke_agent boss": (11, 22, "m"),
    }


@pytest.mark.asyncio
async def test_tokens_of_tasks_belong_to_their_own_agents(tracing: Tracing) -> None:
    """Of many agents at once each has its own; what a task reports after its agent has ended is in the metric only."""
    late: list[asyncio.Task[None]] = []
    ended = asyncio.Event()

    async def report_late() -> None:
        await ended.wait()
        tracing.record(5000, 5000)

    async def work(number: int) -> None:
        with tracing.operations.operation(f"{number}", role=Role.AGENT):
            await asyncio.sleep(0)
            await asyncio.gather(*(asyncio.to_thread(tracing.record, number, 1) for _ in range(5)))
            late.append(asyncio.create_task(report_late()))

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(work(number))
    ended.set()
    await asyncio.gather(*late)
    assert tracing.told() == {f"invoke_agent {number}": (5 * number, 5, "m") for number in range(10)}
