"""OpenTelemetry's meter over the catalogue, for code that is handed a meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics as otel

from otel_monitoring.metrics.instruments import Counter, Gauge, Histogram, UpDownCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.metrics import CallbackT

    from otel_monitoring.metrics.registry import Registry


class CatalogueMeter(otel.Meter):
    """Gives our instrument for a metric of the catalogue, and another meter's for any other.

    A metric of the catalogue has its labels declared, which OpenTelemetry's ``create_…``
    cannot say; so what is not declared is not ours.

    Args:
        registry: whose instruments are given.
        others: the meter of everything else, and of all observable instruments.
    """

    def __init__(self, registry: Registry, others: otel.Meter) -> None:
        super().__init__("otel_monitoring")
        self._registry = registry
        self._others = others

    def create_counter(self, name: str, unit: str = "", description: str = "") -> otel.Counter:
        """Return the declared counter of this name, else another meter's."""
        found = self._registry.find(name)
        return found if isinstance(found, Counter) else self._others.create_counter(name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> otel.UpDownCounter:
        """Return the declared up-down counter of this name, else another meter's."""
        found = self._registry.find(name)
        return (
            found if isinstance(found, UpDownCounter) else self._others.create_up_down_counter(name, unit, description)
        )

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> otel._Gauge:
        """Return the declared gauge of this name, else another meter's."""
        found = self._registry.find(name)
        return found if isinstance(found, Gauge) else self._others.create_gauge(name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> otel.Histogram:
        """Return the declared histogram of this name, else another meter's."""
        found = self._registry.find(name)
        if isinstance(found, Histogram):
            return found
        return self._others.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )

    def create_observable_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> otel.ObservableCounter:
        """Return the other meter's."""
        return self._others.create_observable_counter(name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> otel.ObservableUpDownCounter:
        """Return the other meter's."""
        return self._others.create_observable_up_down_counter(name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> otel.ObservableGauge:
        """Return the other meter's."""
        return self._others.create_observable_gauge(name, callbacks, unit, description)
