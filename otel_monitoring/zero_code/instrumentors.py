"""OpenTelemetry's instrumentors, found by their entry points: each is enabled, or it is known why not."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol

from opentelemetry.metrics import NoOpMeterProvider

from otel_monitoring.zero_code.libraries import LEFT_TO_US, SPANS_ONLY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

GROUP = "opentelemetry_instrumentor"
ALL = "*"


class Instrumentor(Protocol):
    """What an entry point's class makes, as OpenTelemetry's ``BaseInstrumentor`` has it."""

    def instrument(self, **options: object) -> object:
        """Instrument the library."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """What has become of the instrumentors that are installed.

    Attributes:
        names: of those that are enabled.
        refused: why others are not, by their names, in one line each.
        disabled: those that the settings switch off.
    """

    names: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    disabled: list[str] = field(default_factory=list)


def enable_instrumentors(disabled: Collection[str], enabled: Enabled) -> None:
    """Enable all that are installed; one that fails leaves the others, and the application, alone.

    Args:
        disabled: names of those that are not wanted; ``*`` is all of them.
        enabled: where to note what has become of each.
    """
    for entry in _distinct(entry_points(group=GROUP)):
        if ALL in disabled or entry.name in disabled:
            enabled.disabled.append(entry.name)
        elif entry.name not in LEFT_TO_US:
            enable(entry, enabled, raise_exception_on_conflict=True)


def enable(entry: EntryPoint, enabled: Enabled, **options: object) -> None:
    """Enable one instrumentor, and note what has become of it; what we measure it does not measure again.

    Args:
        entry: its entry point.
        enabled: where to note it.
        options: for the instrumentor.
    """
    if entry.name in SPANS_ONLY:
        options = {"meter_provider": NoOpMeterProvider(), **options}
    try:
        instrumentor: Instrumentor = entry.load()()
        instrumentor.instrument(**options)
    except Exception as fault:  # noqa: BLE001 (somebody else's code, before the application's first line)
        enabled.refused[entry.name] = _in_one_line(fault)
    else:
        enabled.names.append(entry.name)


def _distinct(entries: Iterable[EntryPoint]) -> Iterable[EntryPoint]:
    """Return each once: a distribution that lies twice in the path shows its entry points twice."""
    return {(entry.name, entry.value): entry for entry in sorted(entries)}.values()


def _in_one_line(fault: Exception) -> str:
    return " ".join("".join(traceback.format_exception_only(fault)).split())
