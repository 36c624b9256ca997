"""Our place in OpenTelemetry's own start: ``opentelemetry-instrument`` loads it by its entry points.

To be imported only there: it needs opentelemetry-instrumentation, which brings that command.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined] # its module is unchecked

from otel_monitoring.zero_code import environment
from otel_monitoring.zero_code.bootstrap import begin_for_opentelemetry, enabled_so_far
from otel_monitoring.zero_code.instrumentors import enable
from otel_monitoring.zero_code.libraries import LEFT_TO_US

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "otel_monitoring"
"""Of both entry points: the value of OTEL_PYTHON_DISTRO and OTEL_PYTHON_CONFIGURATOR that chooses us."""


def distro() -> Distro | None:
    """Return our distro; None, which OpenTelemetry passes over, where there is another and ours is not chosen."""
    if _others("opentelemetry_distro") and not environment.is_chosen("OTEL_PYTHON_DISTRO", NAME):
        return None
    return Distro()


class Distro(BaseDistro):  # type: ignore[misc] # as above
    """Chooses the stable HTTP conventions, and keeps instrumentors from counting what we count."""

    def _configure(self, **_options: object) -> None:
        environment.choose_stable_conventions()

    def load_instrumentor(self, entry_point: EntryPoint, **options: Any) -> None:  # noqa: ANN401 (as the base has it)
        """Enable one instrumentor; what it raises is said in the checklist, and stops no other."""
        if entry_point.name not in LEFT_TO_US:
            enable(entry_point, enabled_so_far(), **options)


class Configurator:
    """Starts the service, and serves its metrics."""

    def configure(self, **options: object) -> None:
        """Start, or let another configurator that is installed do its work, unless ours is chosen."""
        others = _others("opentelemetry_configurator")
        if others and not environment.is_chosen("OTEL_PYTHON_CONFIGURATOR", NAME):
            others[0].load()().configure(**options)
        else:
            begin_for_opentelemetry()


def _others(group: str) -> Sequence[EntryPoint]:
    return [entry for entry in entry_points(group=group) if entry.name != NAME]
