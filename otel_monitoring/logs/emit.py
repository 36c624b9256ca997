"""``log_error``'s way into the corridor and into the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from otel_monitoring.errors import exception_type
from otel_monitoring.logs.chain import place_in
from otel_monitoring.logs.events import UNTYPED
from otel_monitoring.logs.heard import note_call
from otel_monitoring.logs.lines import HandOn
from otel_monitoring.logs.processors import ReportErrors
from otel_monitoring.logs.scrubbing import Scrubbed, ScrubLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import EventDict, FilteringBoundLogger

    from otel_monitoring.errors import Corridor, ErrorRecord


class ErrorLog:
    """Reports errors by name, and writes each to the log.

    The corridor is told directly and the log is written after that, through the
    application's own chain without our reporting processor.  So an error counts once
    whether or not its line is filtered, dropped or spoilt on its way, and however
    structlog is configured by then.

    Args:
        corridor: whom to report to.
        default_component: the component of errors that name none, and the logger's name.
    """

    def __init__(self, corridor: Corridor, default_component: str) -> None:
        self._corridor = corridor
        self._default_component = default_component
        self._chain: tuple[list[Any], list[Any]] = [], self._told_apart([])

    def emit(
        self,
        message: str,
        *,
        error_type: str | None = None,
        component: str | None = None,
        context: Mapping[str, object] | None = None,
        exception: BaseException | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Report an error and log it; raises nothing.

        Args:
            message: one line for people.
            error_type: one of few words; without it the exception's class, or ``log_error``.
            component: without it the one bound to structlog's context variables, or the default.
            context: whatever helps to understand it.  In the log it stands under one key,
                ``context``, so that no name in it clashes with one of the event's own.
            exception: the exception, where there is one; one that was reported before is
                only logged.
            fingerprint: what to group it by; without it what it looks like.
        """
        with self._corridor.incidents.contained("reporting an error"):
            kind = error_type or (UNTYPED if exception is None else exception_type(exception))
            given = context if isinstance(context, Mapping) else {"context": context} if context else {}
            record = self._record(
                message, kind, component=component, context=given, exception=exception, fingerprint=fingerprint
            )
            self._corridor.report(record)
            self._write(record, given)

    def _record(
        self,
        message: str,
        error_type: str,
        *,
        component: str | None,
        context: Mapping[str, object],
        exception: BaseException | None,
        fingerprint: str | None,
    ) -> ErrorRecord:
        bound = structlog.contextvars.get_contextvars()
        bound_component = bound.pop("component", None)
        bound.pop("error_type", None)
        return self._corridor.recorder.record(
            str(message),
            error_type=str(error_type),
            component=str(component or bound_component or self._default_component),
            context={**bound, **context},
            exception=exception,
            fingerprint=fingerprint,
        )

    def _write(self, record: ErrorRecord, given: Mapping[str, object]) -> None:
        fields: dict[str, Any] = {"error_type": record.error_type, "component": record.component}
        if given:
            fields["context"] = self._shown(record, given)
        if record.exception is not None:
            fields["exc_info"] = record.exception
        self._logger().error(record.message, **fields)

    def _shown(self, record: ErrorRecord, given: Mapping[str, object]) -> Scrubbed:
        """Return the context without what is bound to structlog's: its chain adds that by itself."""
        scrubber, context = self._corridor.recorder.scrubber, record.context
        if context.keys() != given.keys():
            context = scrubber.mapping({str(name): value for name, value in given.items()})
        return Scrubbed(context, scrubber)

    def _logger(self) -> FilteringBoundLogger:
        """Return a logger of the configuration in force, whose chain does not report to our corridor.

        It is made anew for each error, as structlog's own are: what the factory gives may
        depend on the moment, as a PrintLogger does on ``sys.stdout``.
        """
        config = structlog.get_config()
        make = config["logger_factory"]
        try:
            wrapped = make(self._default_component)
        except TypeError:  # a factory of the application's own may take no name
            wrapped = make()
        chain = self._without_us(config["processors"])
        logger: FilteringBoundLogger = config["wrapper_class"](wrapped, chain, config["context_class"]())
        return logger

    def _without_us(self, processors: Iterable[Any]) -> list[Any]:
        configured = list(processors)
        known, chain = self._chain
        if configured != known:
            chain = self._told_apart(configured)
            self._chain = configured, chain
        return chain

    def _told_apart(self, configured: list[Any]) -> list[Any]:
        """Return the chain without a report to our corridor, in a way that its ErrorHandler knows of."""
        corridor = self._corridor
        scrubber = corridor.recorder.scrubber
        if configured and isinstance(configured[-1], HandOn) and configured[-1].scrubber is scrubber:
            others = [processor for processor in configured[:-1] if not self._is_ours(processor)]
            return [*others, HandOn(scrubber, heard_by=corridor)]
        heard = _Heard(corridor)
        chain = [heard if self._is_ours(processor) else processor for processor in configured]
        if heard not in chain:
            chain.insert(place_in(chain), heard)
        chain.insert(chain.index(heard) + 1, ScrubLine(scrubber))
        return chain

    def _is_ours(self, processor: object) -> bool:
        return isinstance(processor, ReportErrors) and processor.corridor is self._corridor


class _Heard:
    """Stands in the place of ReportErrors for an event that the corridor was told of directly."""

    def __init__(self, corridor: Corridor) -> None:
        self._corridor = corridor

    def __call__(self, logger: object, method_name: str, event_dict: EventDict) -> EventDict:  # noqa: ARG002 (structlog's signature)
        """Note that the call which is running has been heard."""
        note_call(self._corridor, logger)
        return event_dict
