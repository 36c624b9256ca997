"""Our processors in the application's structlog chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from otel_monitoring.logs.processors import AddTraceContext, ReportErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from structlog.typing import Processor

    from otel_monitoring.errors import Corridor

_GO_BEFORE = (structlog.contextvars.merge_contextvars, structlog.stdlib.filter_by_level)
"""What completes or drops events, so that we come after it."""

_GO_AFTER = (
    structlog.processors.ExceptionRenderer,
    structlog.processors.ExceptionPrettyPrinter,
    structlog.processors.EventRenamer,
)
"""What takes from events what we need, so that we come before it."""


def processors(corridor: Corridor, default_component: str) -> tuple[Processor, Processor]:
    """Return our processors, for an application that writes its own ``structlog.configure``.

    They belong behind ``merge_contextvars`` and before whatever formats exceptions.
    """
    return AddTraceContext(), ReportErrors(corridor, default_component)


def install(corridor: Corridor, default_component: str) -> Callable[[], None]:
    """Extend the structlog configuration that is in force, unless this corridor is in it.

    Loggers that are bound or cached keep the list of processors they were made with, so
    that very list is extended; a thread that is logging at this moment may see one
    processor twice.  Call it at start, and again where the application has called
    ``structlog.configure(processors=…)`` since.

    Returns:
        A function that removes what this call has put in, and nothing else.
    """
    chain = _live_chain()
    if any(isinstance(processor, ReportErrors) and processor.corridor is corridor for processor in chain):
        return lambda: None
    ours = processors(corridor, default_component)
    place = place_in(chain)
    chain[place:place] = ours

    def uninstall() -> None:
        current = structlog.get_config()["processors"]
        for installed in (chain, current) if isinstance(current, list) else (chain,):
            installed[:] = [kept for kept in installed if not any(kept is own for own in ours)]

    return uninstall


def carry_over(old: Iterable[Processor], new: list[Processor]) -> None:
    """Put into a new chain what services have put into the old one."""
    ours = [kept for kept in old if isinstance(kept, AddTraceContext | ReportErrors) and kept not in new]
    place = place_in(new)
    new[place:place] = ours


def _live_chain() -> list[Processor]:
    """Return the list of processors in force; a configured tuple is made a list first."""
    current: Iterable[Processor] = structlog.get_config()["processors"]
    if isinstance(current, list):
        return current
    chain = list(current)
    structlog.configure(processors=chain)
    return chain


def place_in(chain: Sequence[Processor]) -> int:
    """Return where our processors belong in a chain: behind what completes events, before what formats exceptions."""
    last = next((at for at, processor in enumerate(chain) if isinstance(processor, _GO_AFTER)), max(len(chain) - 1, 0))
    return next((at + 1 for at in reversed(range(last)) if chain[at] in _GO_BEFORE), 0)
