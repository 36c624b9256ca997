"""OpenTelemetry's instruments over our series.

Each implements the class of the OpenTelemetry API, so that code typed against
OpenTelemetry takes it, and gives with ``labels()`` a series with its attributes fixed,
which is faster to record to.
"""

from __future__ import annotations

from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from opentelemetry import metrics as otel

from otel_monitoring.catalogue.usual import UsualQueries
from otel_monitoring.metrics.series import (
    INFINITY,
    MISFITS,
    CounterSeries,
    GaugeSeries,
    HistogramSeries,
    Series,
    UpDownCounterSeries,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import Attributes

    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.metrics.family import Family

S = TypeVar("S", bound=Series)


class _Labelled(UsualQueries, Generic[S]):
    """What the instruments of all kinds have in common."""

    def __init__(self, family: Family[S]) -> None:
        self._family = family
        self._local = family.local
        self._number = family.number
        self._pick = family.pick
        self._width = len(family.declaration.labels)

    @property
    def declaration(self) -> Declaration:
        """The metric as it was declared."""
        return self._family.declaration

    def labels(self, **labels: object) -> S:
        """Return the series of these label values; keep it, recording to it is fastest.

        Wrong label names are reported as a dropped measurement is, and what is recorded to
        the series that is returned then shows nowhere.

        Args:
            labels: a value for each declared label; an attribute name with dots is written
                with underscores.

        Raises:
            MeasurementError: the names are wrong and ``strict`` is set.
        """
        try:
            if len(labels) == self._width:
                return self._family.series[self._pick(labels)]
        except MISFITS:
            pass
        with self._family.incidents.contained("looking a series up"):
            series = self._family.series_for(labels)
            if series is not None:
                return series
        return self._family.lost()

    def remove(self, **labels: object) -> bool:
        """Stop showing one series, for instance of a component that is gone.

        Returns:
            Whether there was such a series.
        """
        return self._family.remove(labels)

    def clear(self) -> None:
        """Remove all series."""
        self._family.clear()

    def __repr__(self) -> str:
        declaration = self._family.declaration
        return f"<{type(self).__name__} {declaration.prometheus_name} {declaration.labels}>"


class Counter(_Labelled[CounterSeries], otel.Counter):
    """A sum that only rises."""

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add a finite amount, not negative, to the series of these attributes.

        Args:
            amount: in the metric's unit.
            attributes: a value for each declared label.
            context: accepted for OpenTelemetry's sake, not used.
        """
        try:
            if attributes and len(attributes) == self._width:
                slots, known = self._local.lease
                step = amount + 0.0
                if step.__class__ is float and 0.0 <= step < INFINITY:
                    pick, places = known[self._number]
                    slots[places[pick(attributes)]] += step
                    return
        except MISFITS:
            pass
        with self._family.incidents.contained("adding to a counter"):
            series = self._family.series_for(attributes)
            if series is not None:
                self._family.learn(series)
                series.add(amount)


class UpDownCounter(_Labelled[UpDownCounterSeries], otel.UpDownCounter):
    """A sum that rises and falls."""

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add a finite amount of either sign to the series of these attributes.

        Args:
            amount: in the metric's unit.
            attributes: a value for each declared label.
            context: accepted for OpenTelemetry's sake, not used.
        """
        try:
            if attributes and len(attributes) == self._width:
                slots, known = self._local.lease
                step = amount + 0.0
                if step.__class__ is float and -INFINITY < step < INFINITY:
                    pick, places = known[self._number]
                    slots[places[pick(attributes)]] += step
                    return
        except MISFITS:
            pass
        with self._family.incidents.contained("adding to an up-down counter"):
            series = self._family.series_for(attributes)
            if series is not None:
                self._family.learn(series)
                series.add(amount)


class Gauge(_Labelled[GaugeSeries], otel._Gauge):  # noqa: SLF001 (listed in the API's __all__; its only name)
    """The last value set."""

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Set the value of the series of these attributes.

        Args:
            amount: in the metric's unit; infinity and NaN are values of a gauge too.
            attributes: a value for each declared label.
            context: accepted for OpenTelemetry's sake, not used.
        """
        try:
            if attributes and len(attributes) == self._width:
                slots, known = self._local.lease
                value = amount + 0.0
                if value.__class__ is float:
                    pick, places = known[self._number]
                    slot = places[pick(attributes)]
                    slots[slot + 1] = value
                    slots[slot] = perf_counter()
                    return
        except MISFITS:
            pass
        with self._family.incidents.contained("setting a gauge"):
            series = self._family.series_for(attributes)
            if series is not None:
                self._family.learn(series)
                series.set(amount)


class Histogram(_Labelled[HistogramSeries], otel.Histogram):
    """A distribution over buckets."""

    def __init__(self, family: Family[HistogramSeries]) -> None:
        super().__init__(family)
        self._bounds = family.buckets

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record one finite value in the series of these attributes.

        Args:
            amount: in the metric's unit; not negative, unless a bucket bound is.
            attributes: a value for each declared label.
            context: accepted for OpenTelemetry's sake, not used.
        """
        try:
            if attributes and len(attributes) == self._width:
                slots, known = self._local.lease
                value = amount + 0.0
                if value.__class__ is float and 0.0 <= value < INFINITY:
                    pick, places = known[self._number]
                    slot = places[pick(attributes)]
                    slots[slot + 1 + bisect_left(self._bounds, value)] += 1
                    slots[slot] += value
                    return
        except MISFITS:
            pass
        with self._family.incidents.contained("recording to a histogram"):
            series = self._family.series_for(attributes)
            if series is not None:
                self._family.learn(series)
                series.record(amount)
