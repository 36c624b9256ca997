"""Everything that one service records: its catalogue, its series, its pages."""

from __future__ import annotations

import os
import threading
import time
import weakref
from functools import partial
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import MONITORING_DROPPED, MONITORING_OVERFLOW, MONITORING_SERIES, SHIPPED
from otel_monitoring.metrics.family import Family
from otel_monitoring.metrics.incidents import REASONS, Incidents
from otel_monitoring.metrics.instruments import Counter, Gauge, Histogram, UpDownCounter
from otel_monitoring.metrics.pages import Pages
from otel_monitoring.metrics.series import CounterSeries, GaugeSeries, HistogramSeries, Series, UpDownCounterSeries
from otel_monitoring.metrics.snapshot import Snapshot
from otel_monitoring.metrics.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable

Instrument = Counter | UpDownCounter | Gauge | Histogram
K = TypeVar("K", Counter, UpDownCounter, Gauge, Histogram)

_CLASSES: dict[Kind, tuple[type[Series], type[Any]]] = {
    Kind.COUNTER: (CounterSeries, Counter),
    Kind.UP_DOWN_COUNTER: (UpDownCounterSeries, UpDownCounter),
    Kind.GAUGE: (GaugeSeries, Gauge),
    Kind.HISTOGRAM: (HistogramSeries, Histogram),
}


class Registry:
    """The metrics of one service, from declaration to snapshot.

    Args:
        max_series: the budget of each metric that declares none of its own.
        strict: raise MeasurementError where a measurement does not fit.
        shipped: the declarations to begin with.

    Attributes:
        catalogue: what is declared.
        incidents: hears of what goes wrong.
        local: the pages' thread-local face, for those who record to several series at once.
        clock_offset: what added to ``time.perf_counter()`` gives seconds since 1970; kept
            true at each snapshot.  For those who have the one and need the other cheaply.
    """

    def __init__(
        self, *, max_series: int = 2000, strict: bool = False, shipped: tuple[Declaration, ...] = SHIPPED
    ) -> None:
        self.catalogue = Catalogue()
        self.incidents = Incidents(strict=strict, count=self._count_dropped)
        self.clock_offset = time.time() - perf_counter()
        self._max_series = max_series
        self._lock = threading.RLock()
        self._pages = Pages()
        self.local: Any = self._pages.local
        self._space = Space(perf_counter)
        self._instruments: dict[str, Instrument] = {}
        self._families: dict[str, Family[Any]] = {}
        self._numbers = count()
        self._observers: list[Callable[[], None]] = []
        for declaration in shipped:
            self.catalogue.declare(declaration)
        dropped = self.counter(MONITORING_DROPPED)
        self._dropped = {reason: dropped.labels(reason=reason) for reason in REASONS}
        self._overflow = self.counter(MONITORING_OVERFLOW)
        self._series = self.gauge(MONITORING_SERIES)
        with _forking:
            _registries.add(self)

    @property
    def pages(self) -> int:
        """How many pages there are: at most the threads that were alive at once."""
        return len(self._pages)

    def counter(self, declaration: Declaration) -> Counter:
        """Return the instrument of a declared counter."""
        return self._instrument(declaration, Counter)

    def up_down_counter(self, declaration: Declaration) -> UpDownCounter:
        """Return the instrument of a declared up-down counter."""
        return self._instrument(declaration, UpDownCounter)

    def gauge(self, declaration: Declaration) -> Gauge:
        """Return the instrument of a declared gauge."""
        return self._instrument(declaration, Gauge)

    def histogram(self, declaration: Declaration) -> Histogram:
        """Return the instrument of a declared histogram."""
        return self._instrument(declaration, Histogram)

    def find(self, name: str) -> Instrument | None:
        """Return the instrument of an OpenTelemetry or a Prometheus name, made where it is new."""
        declaration = self.catalogue.find(name)
        return None if declaration is None else self.instrument(declaration)

    def instrument(self, declaration: Declaration) -> Instrument:
        """Declare a metric and return its instrument, the same one each time.

        Raises:
            DeclarationError: the name is taken by a different declaration.
        """
        declaration = self.catalogue.declare(declaration)
        made = self._instruments.get(declaration.name)
        if made is not None:
            return made
        with self._lock:
            # A signal handler may make the same meanwhile: the first one that is entered stays.
            family = self._families.setdefault(declaration.name, self._make(declaration))
            _, instrument_class = _CLASSES[declaration.kind]
            return self._instruments.setdefault(declaration.name, instrument_class(family))

    def observe(self, observer: Callable[[], None]) -> None:
        """Have a function called before each snapshot, to set what is read rather than recorded."""
        self._observers.append(observer)

    def snapshot(self) -> Snapshot:
        """Read all series: what was recorded before the call is in it, exactly once."""
        self.clock_offset = time.time() - perf_counter()
        for observer in self._observers.copy():
            with self.incidents.contained("reading observed metrics"):
                observer()
        snapshot = self._read()
        if self._expire(snapshot):
            snapshot = self._read()
        return snapshot

    def _read(self) -> Snapshot:
        for family in list(self._families.values()):
            if family.series or family.version:
                self._series.set(len(family), {"metric": family.declaration.prometheus_name})
        families = tuple(
            family for family in list(self._families.values()) if family.series or family.overflow is not None
        )
        # The end is taken before the pages are: a series made in between is simply not shown yet.
        end = self._space.end
        slots = self._pages.total(end)
        pages = tuple(page.slots.copy() for page in self._pages)
        return Snapshot(families, slots, pages, perf_counter())

    def _expire(self, snapshot: Snapshot) -> bool:
        expired = False
        for family in snapshot.families:
            limit = family.declaration.expire_after_seconds
            if limit is None:
                continue
            for series in family.all_series():
                if snapshot.age(series) > limit and series.labels is not None and snapshot.gauge(series) is not None:
                    expired |= family.remove(dict(zip(family.declaration.labels, series.labels, strict=True)))
        return expired

    def _instrument(self, declaration: Declaration, kind: type[K]) -> K:
        made = self.instrument(declaration)
        if not isinstance(made, kind):
            raise TypeError(f"{declaration.name} is declared as a {declaration.kind.value}")
        return made

    def _make(self, declaration: Declaration) -> Family[Any]:
        series_class, _ = _CLASSES[declaration.kind]
        return Family(
            declaration,
            series_class,
            number=next(self._numbers),
            max_series=declaration.max_series or self._max_series,
            pages=self._pages,
            space=self._space,
            lock=self._lock,
            incidents=self.incidents,
            count_overflow=self._count_overflow,
        )

    def _count_dropped(self, reason: str) -> None:
        self._dropped[reason].add()

    def _count_overflow(self, metric: str) -> None:
        if metric != MONITORING_OVERFLOW.prometheus_name:
            self._overflow.add(1, {"metric": metric})

    def before_fork(self) -> None:
        """Hold the lock over the fork, so that the child does not inherit it from a thread it has not."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Let the lock go; in the child count from zero, for what was counted is the parent's."""
        if in_child:
            self._pages.start_over()
        self._lock.release()


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()
"""All that live: a fork hook cannot be taken back, so there is one, and it asks here."""

_forking = threading.RLock()
_held: list[Registry] = []
"""Whose locks the fork under way holds; one fork at a time."""


def _before_fork() -> None:
    _forking.acquire()
    _held[:] = _registries
    for registry in _held:
        registry.before_fork()


def _after_fork(*, in_child: bool) -> None:
    for registry in reversed(_held):
        registry.after_fork(in_child=in_child)
    _held.clear()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=partial(_after_fork, in_child=False),
        after_in_child=partial(_after_fork, in_child=True),
    )
