"""``@operation``: what a function or a block does, how long it takes and how it ends.

Each call gives ``processing_time_seconds``, ``operations_total`` by outcome,
``operations_in_progress`` and ``component_last_success_timestamp_seconds``; an exception
is reported once, however many decorated functions it passes.

The caller sees no difference: result, exception, signature and kind of the function stay.
Generators and async generators are measured as streams: see ``streams``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, overload

from otel_monitoring.catalogue.objective import Objectives
from otel_monitoring.instrument.functions import measured
from otel_monitoring.instrument.recorder import Recorder, ReportError, Run
from otel_monitoring.instrument.spans import Role, Spans, current_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from otel_monitoring.catalogue.objective import Objective
    from otel_monitoring.metrics import Registry

ABOVE_A_FUNCTION = 'put the decorator above a function, as in @monitoring.operation("score", component="scorer")'

Decorated = TypeVar(
    "Decorated", bound="Callable[..., Any] | property | staticmethod[..., Any] | classmethod[Any, ..., Any]"
)
"""Whatever can be decorated."""


class Operations:
    """Makes the decorators of one service.

    Args:
        registry: where the metrics are recorded.
        report: told of each exception.
        component: the component of functions that name none.
        spans: start the spans of operations; None starts those of the provider that the application sets.
        objectives: where the objectives go that are declared beside functions; None keeps them here.
    """

    def __init__(
        self,
        registry: Registry,
        report: ReportError,
        component: str,
        *,
        spans: Spans | None = None,
        objectives: Objectives | None = None,
    ) -> None:
        self._registry = registry
        self._report = report
        self._component = component
        self._spans = Spans(registry.incidents) if spans is None else spans
        self._objectives = Objectives() if objectives is None else objectives
        self._recorders: dict[tuple[Role, str, str], Recorder] = {}

    @overload
    def operation(
        self,
        name: str | None = None,
        component: str | None = None,
        *,
        role: Role = Role.OPERATION,
        objective: Objective | None = None,
    ) -> Operation: ...

    @overload
    def operation(
        self,
        name: Decorated,
        component: str | None = None,
        *,
        role: Role = Role.OPERATION,
        objective: Objective | None = None,
    ) -> Decorated: ...

    def operation(
        self,
        name: str | Decorated | None = None,
        component: str | None = None,
        *,
        role: Role = Role.OPERATION,
        objective: Objective | None = None,
    ) -> Operation | Decorated:
        """Return what decorates a function of any kind, and measures a block as a context manager.

        Args:
            name: the label ``operation``; a function's own name where left out.  A function in its
                place, as the decorator without parentheses hands it in, is decorated at once.
            component: the label ``component``; the service's where left out.
            role: what it is to OpenTelemetry: by it go the names of its spans and their attributes.
            objective: what it promises.

        Raises:
            TypeError: the name is neither a name nor a function.
            DeclarationError: the operation has promised something else before.
        """
        belongs_to = component or self._component

        def recorder(operation: str) -> Recorder:
            if objective is not None:
                self._objectives.declare(operation, belongs_to, objective)
            return self._recorder(role, operation, belongs_to)

        if isinstance(name, str) and objective is not None:
            self._objectives.declare(name, belongs_to, objective)
        if name is None or isinstance(name, str):
            return Operation(recorder, name)
        return Operation(recorder, None)(name)

    def _recorder(self, role: Role, operation: str, component: str) -> Recorder:
        key = role, operation, component
        made = self._recorders.get(key)
        if made is None:
            recorder = Recorder(
                self._registry, self._report, self._spans, operation=operation, component=component, role=role
            )
            made = self._recorders.setdefault(key, recorder)
        return made


class Operation:
    """One operation of one component, to decorate functions or to enter around a block.

    Several threads or tasks that enter one object at once are counted rightly, but may
    have their times exchanged where tracing is not configured: make one for each, as
    ``with monitoring.operation(…)`` does.
    """

    def __init__(self, recorder: Callable[[str], Recorder], name: str | None) -> None:
        self._recorder = recorder
        self._name = name
        self._entered: list[Run] = []

    def __call__(self, function: Decorated) -> Decorated:
        """Return the function, instrumented; it may be a property, a class method or a static method too.

        Raises:
            TypeError: it is no function.
        """
        decorated: Decorated = self._decorate(function)
        return decorated

    def _decorate(self, function: Any) -> Any:  # noqa: ANN401 (of the same kind)
        if isinstance(function, property):
            getter: Any = function.fget  # one without is refused
            return function.getter(self(getter))
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        _refuse_what_is_no_function(function)
        own_name = getattr(function, "__name__", type(function).__name__)
        return measured(function, self._recorder(self._name or own_name))

    def __enter__(self) -> Self:
        """Begin the operation.

        Raises:
            TypeError: it has no name.
        """
        if self._name is None:
            raise TypeError('a block has no name of its own: name the operation, as in monitoring.operation("send")')
        recorder = self._recorder(self._name)
        run = Run(recorder, recorder.open_frame())
        run.__enter__()
        self._entered.append(run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the operation; an exception is recorded and goes on."""
        run = self._leave()
        if run is not None:
            run.__exit__(kind, error, traceback)

    def _leave(self) -> Run | None:
        """Return the run that ends: the one whose span is the current one, else the last that was entered."""
        current = current_frame()
        if current is not None:
            for run in tuple(self._entered):
                if run.frame is current:
                    self._entered.remove(run)
                    return run
        return self._entered.pop() if self._entered else None


def _refuse_what_is_no_function(function: object) -> None:
    if not callable(function) or inspect.isclass(function):
        raise TypeError(f"{function!r} is no function: {ABOVE_A_FUNCTION}")
