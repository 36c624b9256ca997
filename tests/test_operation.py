"""``@operation`` measures functions and coroutine functions without their callers seeing it."""

from __future__ import annotations

import abc
import asyncio
import inspect
import pickle
import threading
import time
import types
from contextlib import suppress
from functools import cache, cached_property, partial, singledispatch
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from otel_monitoring.catalogue.shipped import COMPONENT_LAST_SUCCESS, OPERATIONS
from otel_monitoring.errors import Corridor, CountErrors
from otel_monitoring.instrument.operation import Operations
from otel_monitoring.metrics import Distribution, Registry
from otel_monitoring.metrics.series import HistogramSeries, UpDownCounterSeries
from tests.logging_state import errors_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

Reported = list[tuple[BaseException, str]]


@pytest.fixture
def reported() -> Reported:
    """What was reported: exceptions with their components."""
    return []


@pytest.fixture
def operations(registry: Registry, reported: Reported) -> Operations:
    """Decorators of a service called ``svc``."""
    return Operations(registry, lambda error, *, component: reported.append((error, component)), "svc")


def value(registry: Registry, name: str, **labels: str) -> float | Distribution | None:
    """Return what one series holds, by Prometheus name and labels."""
    for point in registry.snapshot().points():
        if point.metric.prometheus_name == name and point.labels == labels:
            return point.value
    return None


def outcomes(registry: Registry, operation: str, component: str) -> dict[str, float]:
    """Return the outcomes of an operation that were counted, zeros left out."""
    return {
        point.labels["outcome"]: point.value
        for point in registry.snapshot().points()
        if point.metric is OPERATIONS
        and point.labels["operation"] == operation
        and point.labels["component"] == component
        and isinstance(point.value, float)
        and point.value
    }


def count(registry: Registry, operation: str, component: str) -> int:
    """Return how often an operation's time was recorded."""
    found = value(registry, "processing_time_seconds", operation=operation, component=component)
    assert isinstance(found, Distribution)
    return found.count


def test_a_call_gives_time_outcome_progress_and_last_success(operations: Operations, registry: Registry) -> None:
    """A function that returns is a success with its wall time."""
    before = time.time()

    @operations.operation("score", component="scorer")
    def score(points: int) -> int:
        assert value(registry, "operations_in_progress", component="scorer") == 1
        time.sleep(0.03)
        return points * 2

    assert score(21) == 42
    assert outcomes(registry, "score", "scorer") == {"success": 1}
    assert value(registry, "operations_in_progress", component="scorer") == 0
    took = value(registry, "processing_time_seconds", operation="score", component="scorer")
    assert isinstance(took, Distribution)
    assert took.count == 1
    assert took.sum >= 0.03
    assert took.cumulative[:3] == (0, 0, 0)  # up to 0.025 s
    last = value(registry, COMPONENT_LAST_SUCCESS.prometheus_name, component="scorer")
    assert isinstance(last, float)
    assert before - 1 <= last <= time.time() + 1


def test_outcomes_begin_at_zero(operations: Operations, registry: Registry) -> None:
    """Before its first call an operation shows every outcome at 0, so that rate() sees the first error."""
    operations.operation("score", component="scorer")(lambda: None)
    assert value(registry, "operations_total", operation="score", component="scorer", outcome="error") == 0
    assert count(registry, "score", "scorer") == 0


def test_an_exception_goes_on_unchanged_and_is_reported(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    """An exception reaches the caller as it is, counts as an error, and its time is recorded."""
    error = LookupError("no profile")

    @operations.operation("score", component="scorer")
    def score() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        score()
    assert caught.value is error
    assert reported == [(error, "scorer")]
    assert outcomes(registry, "score", "scorer") == {"error": 1}
    assert count(registry, "score", "scorer") == 1
    assert value(registry, "operations_in_progress", component="scorer") == 0
    assert value(registry, COMPONENT_LAST_SUCCESS.prometheus_name, component="scorer") is None


@pytest.mark.asyncio
async def test_coroutine_functions_are_measured_over_their_awaits(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    """A coroutine function stays one, and its time is that of its whole run."""

    @operations.operation(component="scorer")
    async def score(points: int) -> int:
        await asyncio.sleep(0.03)
        if points < 0:
            raise ValueError(points)
        return points

    assert inspect.iscoroutinefunction(score)
    assert await score(7) == 7
    with pytest.raises(ValueError, match="-1"):
        await score(-1)
    assert outcomes(registry, "score", "scorer") == {"success": 1, "error": 1}
    assert [(type(error), component) for error, component in reported] == [(ValueError, "scorer")]
    took = value(registry, "processing_time_seconds", operation="score", component="scorer")
    assert isinstance(took, Distribution)
    assert took.sum >= 0.06


@pytest.mark.asyncio
async def test_a_cancelled_coroutine_is_cancelled_not_failed(
    operations: Operations, registry: Registry, reported: Reported
) -> None:
    """Cancellation is an outcome of its own and no error."""
    started = asyncio.Event()

    @operations.operation("wait", component="scorer")
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes(registry, "wait", "scorer") == {"cancelled": 1}
    assert reported == []
    assert value(registry, "operations_in_progress", component="scorer") == 0


def test_a_coroutine_that_nobody_awaits_is_no_operation(operations: Operations, registry: Registry) -> None:
    """Made and closed, or made and forgotten, as a task that is cancelled before its first step."""

    @operations.operation("wait", component="scorer")
    async def wait() -> None: ...

    wait().close()

    async def cancel() -> None:
        task = asyncio.create_task(wait())
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert outcomes(registry, "wait", "scorer") == {}
    assert value(registry, "operations_in_progress", component="scorer") == 0


@pytest.mark.asyncio
async def test_a_coroutine_function_of_the_old_kind_is_awaited_as_before(
    operations: Operations, registry: Registry
) -> None:
    """A generator function under ``types.coroutine``: its time is that of its whole run."""

    @operations.operation("wait", component="scorer")
    @types.coroutine
    def wait(seconds: float) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(seconds).__await__()
        return "waited"

    assert await wait(0.02) == "waited"
    assert outcomes(registry, "wait", "scorer") == {"success": 1}
    took = value(registry, "processing_time_seconds", operation="wait", component="scorer")
    assert isinstance(took, Distribution)
    assert took.sum >= 0.02
    assert value(registry, "stream_items_total", operation="wait", component="scorer") is None


def test_an_exit_is_cancelled_not_failed(operations: Operations, registry: Registry, reported: Reported) -> None:
    """SystemExit and KeyboardInterrupt pass, and are no errors."""

    @operations.operation("leave", component="scorer")
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leave()
    assert outcomes(registry, "leave", "scorer") == {"cancelled": 1}
    assert reported == []


KINDS = Registry(strict=True)


class Countdown:
    """An iterator that is no generator."""

    operations = Operations(KINDS, lambda error, *, component: None, "svc")

    def __iter__(self) -> Countdown:
        return self

    @operations.operation("next", component="c")
    def __next__(self) -> int:
        raise StopIteration


def test_the_end_of_an_iterator_is_no_error() -> None:
    """What ``__next__`` says at the end reaches the loop, and is a success."""
    assert list(Countdown()) == []
    assert outcomes(KINDS, "next", "c") == {"success": 1}


def test_the_function_looks_as_before(operations: Operations) -> None:
    """Name, signature, documentation and the wrapped function stay."""

    def score(points: int, *, weight: float = 1.0) -> float:
        """Score."""
        return points * weight

    decorated = operations.operation("score", component="scorer")(score)
    assert decorated.__name__ == "score"
    assert decorated.__doc__ == "Score."
    assert inspect.signature(decorated) == inspect.signature(score)
    assert inspect.unwrap(decorated) is score
    assert not inspect.iscoroutinefunction(decorated)


def plainly(points: int, *, weight: float = 1.0) -> float:
    """Of each kind one: a function."""
    return points * weight


async def awaited(points: int, *, weight: float = 1.0) -> float:
    """Of each kind one: a coroutine function."""
    return points * weight


def streamed(points: int, *, weight: float = 1.0) -> Generator[float]:
    """Of each kind one: a generator function."""
    yield points * weight


async def streamed_later(points: int, *, weight: float = 1.0) -> AsyncGenerator[float]:
    """Of each kind one: an async generator function."""
    yield points * weight


PREDICATES = (
    inspect.isfunction,
    inspect.isroutine,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isawaitable,
    inspect.isbuiltin,
    inspect.ismethod,
)


@pytest.mark.parametrize("function", [plainly, awaited, streamed, streamed_later], ids=lambda one: one.__name__)
def test_a_function_of_each_kind_is_to_inspect_what_it_was(
    operations: Operations, function: Callable[..., object]
) -> None:
    """Kind, name, place, documentation, signature and annotations; as a method too."""
    decorated = operations.operation(function)
    assert [is_one(decorated) for is_one in PREDICATES] == [is_one(function) for is_one in PREDICATES]
    assert decorated.__wrapped__ is function  # type: ignore[attr-defined]
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(decorated, name) == getattr(function, name)
    assert inspect.signature(decorated) == inspect.signature(function)
    holders: list[Any] = [type("Holder", (), {"method": one})() for one in (function, decorated)]
    before, now = (holder.method for holder in holders)
    assert [is_one(now) for is_one in PREDICATES] == [is_one(before) for is_one in PREDICATES]
    assert inspect.signature(now) == inspect.signature(before)


class Pause:
    """What a coroutine waits for that is driven by hand."""

    def __await__(self) -> Generator[str, str, str]:
        """Give a text and wait for one."""
        return (yield "paused")


@pytest.mark.parametrize(
    ("thrown", "outcome"),
    [(LookupError(), "error"), (asyncio.CancelledError(), "cancelled"), (None, "closed")],
    ids=["error", "cancelled", "closed"],
)
def test_a_coroutine_ends_as_it_is_made_to(
    operations: Operations, registry: Registry, thrown: BaseException | None, outcome: str
) -> None:
    """By ``throw()`` or ``close()``, at what it waits for."""

    @operations.operation("wait", component="scorer")
    async def wait() -> None:
        await Pause()

    coroutine = wait()
    assert coroutine.send(None) == "paused"
    if thrown is None:
        coroutine.close()
    else:
        with pytest.raises(type(thrown)):
            coroutine.throw(thrown)
    assert outcomes(registry, "wait", "scorer") == {outcome: 1}
    assert value(registry, "operations_in_progress", component="scorer") == 0


def test_what_a_coroutine_is_sent_and_returns_passes(operations: Operations) -> None:
    """The value of its end is that of ``StopIteration``, as without the decorator."""

    @operations.operation("wait", component="scorer")
    async def wait() -> str:
        return f"heard {await Pause()}"

    coroutine = wait()
    coroutine.send(None)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send("a")
    assert stopped.value.value == "heard a"


def test_names_default_to_the_function_and_the_service(operations: Operations, registry: Registry) -> None:
    """Without a name the function's is taken, without a component the service's."""

    @operations.operation()
    def tidy() -> None: ...

    tidy()
    assert outcomes(registry, "tidy", "svc") == {"success": 1}


class Bare:
    """Has methods of each kind that are decorated without parentheses."""

    operations = Operations(KINDS, lambda error, *, component: None, "bare")

    @operations.operation
    def plain(self, points: int) -> int:
        """Return the points."""
        return points

    @operations.operation
    @classmethod
    def klass(cls) -> type[Bare]:
        """Return the class."""
        return cls

    @operations.operation
    @staticmethod
    async def static(points: int) -> int:
        """Return the points."""
        return points

    @operations.operation
    def stream(self) -> Generator[int]:
        """Give a number."""
        yield 1

    @operations.operation
    async def stream_later(self) -> AsyncGenerator[int]:
        """Give a number."""
        yield 1

    @property
    @operations.operation
    def getter(self) -> int:
        """A number."""
        return 1


@pytest.mark.asyncio
async def test_without_parentheses_names_are_those_left_out() -> None:
    """Functions of each kind take their own name and the service's component, and stay what they are."""
    bare = Bare()
    points: int = bare.plain(2)
    points += await bare.static(3)
    points += bare.getter
    points += sum(bare.stream())
    assert points + sum([item async for item in bare.stream_later()]) == 8
    assert Bare.klass() is Bare
    assert inspect.getdoc(Bare.plain) == "Return the points."
    assert inspect.iscoroutinefunction(Bare.static)
    assert inspect.isgeneratorfunction(Bare.stream)
    assert inspect.isasyncgenfunction(Bare.stream_later)
    assert pickle.loads(pickle.dumps(Bare.plain)) is Bare.plain
    for name in ("plain", "klass", "static", "stream", "stream_later", "getter"):
        assert outcomes(KINDS, name, "bare") == {"success": 1}


class Scorer:
    """Has decorated methods of each kind, and in either order."""

    operations = Operations(KINDS, lambda error, *, component: None, "svc")

    @operations.operation("plain", component="c")
    def plain(self) -> Scorer:
        """Return the object."""
        return self

    @classmethod
    @operations.operation("klass", component="c")
    def klass(cls) -> type[Scorer]:
        """Return the class."""
        return cls

    @operations.operation("klass", component="c")
    @classmethod
    def klass_below(cls) -> type[Scorer]:
        """Return the class."""
        return cls

    @staticmethod
    @operations.operation("static", component="c")
    def static() -> int:
        """Return a number."""
        return 3

    @operations.operation("static", component="c")
    @staticmethod
    async def static_below() -> int:
        """Return a number."""
        return 3

    @classmethod
    @operations.operation("stream", component="c")
    def stream(cls) -> Generator[type[Scorer]]:
        """Give the class."""
        yield cls

    @operations.operation("later", component="c")
    async def later(self) -> Scorer:
        """Return the object."""
        return self

    @operations.operation("stream_later", component="c")
    async def stream_later(self) -> AsyncGenerator[Scorer]:
        """Give the object."""
        yield self

    @property
    @operations.operation("getter", component="c")
    def getter(self) -> Scorer:
        """The object."""
        return self

    @operations.operation("getter", component="c")  # type: ignore[prop-decorator]
    @property
    def getter_below(self) -> Scorer:
        """The object."""
        return self

    @getter_below.setter
    def getter_below(self, value: Scorer) -> None:
        raise LookupError(value)


@pytest.mark.asyncio
async def test_methods_keep_their_binding() -> None:
    """Plain, class and static methods and getters of each kind work as before, and are measured."""
    scorer = Scorer()
    assert scorer.plain() is scorer
    assert Scorer.plain(scorer) is scorer
    assert Scorer.klass() is Scorer.klass_below() is scorer.klass_below() is Scorer
    assert Scorer.static() == scorer.static() == 3
    assert await Scorer.static_below() == await scorer.static_below() == 3
    assert list(scorer.stream()) == [Scorer]
    assert await scorer.later() is scorer
    assert [item async for item in scorer.stream_later()] == [scorer]
    assert scorer.getter is scorer.getter_below is scorer
    with pytest.raises(LookupError):
        scorer.getter_below = scorer
    assert inspect.getdoc(Scorer.getter_below) == "The object."
    for name, calls in {"plain": 2, "klass": 3, "static": 4, "stream": 1, "later": 1, "stream_later": 1}.items():
        assert outcomes(KINDS, name, "c") == {"success": calls}
    assert outcomes(KINDS, "getter", "c") == {"success": 2}


@Scorer.operations.operation("module_level", component="c")
def module_level() -> int:
    """Return a number; at module level, for pickling."""
    return 4


@Scorer.operations.operation("module_level_stream", component="c")
async def module_level_stream() -> AsyncGenerator[int]:
    """Give a number."""
    yield 4


@pytest.mark.parametrize("function", [module_level, module_level_stream, Scorer.plain, Scorer.later, Scorer.stream])
def test_a_decorated_function_is_pickled_by_name(function: object) -> None:
    """Pickling a decorated function gives the decorated function back."""
    assert pickle.loads(pickle.dumps(function)) == function


class Doubler:
    """Is called as a function."""

    def __call__(self, number: int) -> int:
        """Double."""
        return 2 * number


class LaterDoubler:
    """Is called as a coroutine function."""

    async def __call__(self, number: int) -> int:
        """Double, later."""
        await asyncio.sleep(0.02)
        return 2 * number


@pytest.mark.asyncio
async def test_objects_and_partial_functions_are_measured_as_what_they_are(
    operations: Operations, registry: Registry
) -> None:
    """What is called as a function is measured as one, and named by its class where it has no name."""

    async def later(number: int) -> int:
        await asyncio.sleep(0.02)
        return number

    assert operations.operation(component="c")(Doubler())(21) == 42
    assert await operations.operation(component="c")(LaterDoubler())(21) == 42
    assert await operations.operation("later", component="c")(partial(later, 42))() == 42
    assert outcomes(registry, "Doubler", "c") == {"success": 1}
    for name in ("LaterDoubler", "later"):
        took = value(registry, "processing_time_seconds", operation=name, component="c")
        assert isinstance(took, Distribution)
        assert took.sum >= 0.02


def test_what_is_no_function_is_refused(operations: Operations) -> None:
    """What it cannot measure rightly is refused when it is decorated."""
    with pytest.raises(TypeError, match="is no function"):
        operations.operation("klass")(Scorer)
    with pytest.raises(TypeError, match="is no function"):
        operations.operation("nothing")(property())
    with pytest.raises(TypeError, match="3 is no function: put the decorator above a function"):
        operations.operation("number")(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="3 is no function: put the decorator above a function"):
        operations.operation(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="is no function"):
        operations.operation(Scorer)


def test_a_block_is_measured_as_a_function_is(operations: Operations, registry: Registry, reported: Reported) -> None:
    """As a context manager it records time, outcome and errors, and lets the exception go on."""
    with operations.operation("send", component="sender"):
        assert value(registry, "operations_in_progress", component="sender") == 1
    with pytest.raises(ConnectionError), operations.operation("send", component="sender"):
        raise ConnectionError("refused")
    assert outcomes(registry, "send", "sender") == {"success": 1, "error": 1}
    assert count(registry, "send", "sender") == 2
    assert value(registry, "operations_in_progress", component="sender") == 0
    assert [(type(error), component) for error, component in reported] == [(ConnectionError, "sender")]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (LookupError(), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (GeneratorExit(), "closed"),
        (StopIteration(), "success"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_block_and_a_function_end_alike(
    operations: Operations, registry: Registry, error: BaseException, outcome: str
) -> None:
    """Whatever exception leaves them, it is the same object to their caller."""

    @operations.operation("send", component="function")
    def send() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        send()
    assert caught.value is error
    with pytest.raises(type(error)) as caught, operations.operation("send", component="block"):
        raise error
    assert caught.value is error
    assert outcomes(registry, "send", "function") == outcomes(registry, "send", "block") == {outcome: 1}


def test_a_block_needs_a_name(operations: Operations, registry: Registry) -> None:
    """A block has no name of its own, so that one must be given."""
    with pytest.raises(TypeError, match="name the operation"), operations.operation():
        pass
    assert value(registry, "operations_in_progress", component="svc") is None


def test_blocks_within_blocks_have_each_their_own_time(operations: Operations, registry: Registry) -> None:
    """Nested blocks, of one object too, are counted each by itself."""
    send = operations.operation("send", component="sender")
    with send, send, operations.operation("draft", component="writer"):
        pass
    assert count(registry, "send", "sender") == 2
    assert count(registry, "draft", "writer") == 1


def test_calls_of_many_threads_are_counted_exactly(operations: Operations, registry: Registry) -> None:
    """No call is lost, and nothing is left in progress, whichever threads call."""

    @operations.operation("score", component="scorer")
    def score(number: int) -> None:
        if number % 10 == 0:
            raise ValueError(number)

    def call() -> None:
        for number in range(2000):
            with suppress(ValueError):
                score(number)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes(registry, "score", "scorer") == {"success": 14400, "error": 1600}
    assert count(registry, "score", "scorer") == 16000
    assert value(registry, "operations_in_progress", component="scorer") == 0


def test_an_operation_whose_series_were_removed_is_shown_again(operations: Operations, registry: Registry) -> None:
    """Removing a component's series does not lose what it does later, and nothing counts twice."""

    @operations.operation("score", component="scorer")
    def score() -> None: ...

    score()
    registry.counter(OPERATIONS).remove(operation="score", component="scorer", outcome="success")
    assert outcomes(registry, "score", "scorer") == {}
    for _ in range(3):
        score()
    assert outcomes(registry, "score", "scorer") == {"success": 3}
    assert count(registry, "score", "scorer") == 4
    assert value(registry, "operations_in_progress", component="scorer") == 0


def test_a_series_removed_during_a_call_costs_no_count(operations: Operations, registry: Registry) -> None:
    """A removal while the function runs leaves the others' figures exact."""

    @operations.operation("score", component="scorer")
    def score() -> None:
        registry.counter(OPERATIONS).clear()

    score()
    score()
    assert outcomes(registry, "score", "scorer") == {"success": 1}  # the second call removed the first's
    assert count(registry, "score", "scorer") == 2
    assert value(registry, "operations_in_progress", component="scorer") == 0


class Abstract(abc.ABC):
    """Has a decorated method that subclasses have to write."""

    operations = Operations(KINDS, lambda error, *, component: None, "svc")

    @operations.operation("abstract", component="c")
    @abc.abstractmethod
    def abstract(self) -> int:
        """Return a number."""
        return 1

    @cached_property
    @operations.operation("cached", component="c")
    def cached(self) -> int:
        """A number."""
        return 2


class Concrete(Abstract):
    """Writes it."""

    def abstract(self) -> int:
        """Return a number."""
        return super().abstract() + 1


def test_other_decorators_around_it_do_what_they_did() -> None:
    """Abstract methods, cached properties, single dispatch, a cache below."""
    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract]
    concrete = Concrete()
    assert concrete.abstract() == concrete.cached == concrete.cached == 2
    assert outcomes(KINDS, "abstract", "c") == outcomes(KINDS, "cached", "c") == {"success": 1}

    @singledispatch
    @Abstract.operations.operation("kind", component="c")
    def kind(thing: object) -> str:
        return "object"

    @kind.register
    @Abstract.operations.operation("kind", component="c")
    def _(thing: int) -> str:
        return "int"

    assert (kind("a"), kind(1)) == ("object", "int")
    below: Callable[[], list[int]] = Abstract.operations.operation("below", component="c")(cache(list))
    assert below() is below()
    assert outcomes(KINDS, "kind", "c") == outcomes(KINDS, "below", "c") == {"success": 2}


def test_type_hints_are_found_where_the_function_was_written(operations: Operations) -> None:
    """As web frameworks look for them: in the function's own module, through ``__wrapped__``."""

    def score(found: Distribution) -> Registry:
        raise LookupError(found)

    decorated = operations.operation("score")(score)
    assert decorated.__annotations__ == {"found": "Distribution", "return": "Registry"}
    assert get_type_hints(decorated) == {"found": Distribution, "return": Registry}


@pytest.mark.asyncio
async def test_an_error_of_many_tasks_is_reported_once(registry: Registry) -> None:
    """A ``TaskGroup`` wraps what its tasks raise: each has been reported, and the group is nothing new."""
    corridor = Corridor(registry.incidents, [CountErrors(registry)])
    operations = Operations(registry, corridor.report_exception, "svc")

    @operations.operation("search", component="searcher")
    async def search(number: int) -> None:
        raise LookupError(number)

    @operations.operation("find", component="finder")
    async def find() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(search(1))
            group.create_task(search(2))

    with pytest.raises(ExceptionGroup):
        await find()
    assert errors_of(registry) == {("LookupError", "searcher"): 2}
    assert outcomes(registry, "find", "finder") == {"error": 1}
    assert outcomes(registry, "search", "searcher") == {"error": 2}


@pytest.mark.asyncio
async def test_a_fault_of_the_recording_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of each kind and blocks do what they do though nothing can be recorded, and the faults are counted."""
    registry = Registry()
    operation = Operations(registry, lambda error, *, component: None, "svc").operation

    def fail(*given: object) -> None:
        raise RuntimeError("a fault of ours")

    @operation
    async def later() -> int:
        return 1

    @operation
    def stream() -> Generator[int, None, int]:
        yield 1
        return 2

    @operation
    async def stream_later() -> AsyncGenerator[int]:
        yield 1

    @operation
    def wrong() -> None:
        raise LookupError("mine")

    for broken in (UpDownCounterSeries.add, UpDownCounterSeries.reach, HistogramSeries.record):
        monkeypatch.setattr(f"otel_monitoring.metrics.series.{broken.__qualname__}", fail)
    assert operation(lambda: 1)() == await later() == 1
    items = stream()
    assert next(items) == 1
    with pytest.raises(StopIteration) as stopped:
        next(items)
    assert stopped.value.value == 2
    assert [item async for item in stream_later()] == [1]
    with pytest.raises(LookupError, match="mine"):
        wrong()
    with operation("block"):
        pass
    faults = value(registry, "monitoring_dropped_total", reason="internal")
    assert isinstance(faults, float)
    assert faults >= 2 * 6


def test_a_failing_report_does_not_reach_the_caller() -> None:
    """The caller gets its own exception, whatever ours may be."""
    registry = Registry()

    def report(error: BaseException, *, component: str) -> None:
        raise RuntimeError("the report fails")

    @Operations(registry, report, "svc").operation("score", component="scorer")
    def score() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        score()
    assert value(registry, "monitoring_dropped_total", reason="internal") == 1
