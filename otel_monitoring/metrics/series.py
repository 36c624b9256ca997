"""Time series: a metric with its label values fixed, the fast path of recording.

Each method first takes the short way, in which everything fits: the number is one, the
slot is on the page of this thread.  Whatever does not fit raises one of ``MISFITS`` or
falls through, and the long way sorts out why.

What keeps an add whole without a lock: between reading and writing a slot the interpreter
runs no Python code of anyone's (an int or float added to a float), so that no signal
handler or finaliser of this thread comes between, and no other thread writes this page.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_monitoring.metrics.pages import Slots

INFINITY = float("inf")
MISFITS = Exception
"""What the short way raises when it was not for this measurement: a number or a label may raise anything."""

DETACHED = sys.maxsize
"""The slot of a series that was removed: beyond every page, so that using it is noticed."""


class Home(Protocol):
    """What a series asks of the family that it belongs to."""

    @property
    def local(self) -> Any:  # noqa: ANN401 (thread-local attributes have no type)
        """What the calling thread has leased."""
        ...

    @property
    def buckets(self) -> Sequence[float]:
        """The upper bounds of a histogram, rising."""
        ...

    def place_of(self, series: Series) -> tuple[Slots, int]:
        """Return this thread's page, long enough for the series, and the series' first slot."""
        ...

    def watch(self, removed: Callable[[], None]) -> None:
        """Have a function called whenever a series was removed."""
        ...

    def checked(self, amount: object, *, lowest: float, finite: bool = True) -> float | None:
        """Return the amount as a float, or drop the measurement and return None."""
        ...


class Series:
    """What the series of all kinds have in common.

    Attributes:
        labels: the label values in the order of the declaration; None for the overflow series.
        slot: the first slot.
        created: when it came to be, in seconds since 1970.
    """

    __slots__ = ("__weakref__", "_home", "_local", "created", "labels", "slot")
    width: ClassVar[int] = 1

    def __init__(self, home: Home, labels: tuple[str, ...] | None, slot: int, created: float) -> None:
        self._home = home
        self._local = home.local
        self.labels = labels
        self.slot = slot
        self.created = created

    @classmethod
    def slots_needed(cls, buckets: Sequence[float]) -> int:
        """Return how many slots one series takes."""
        return cls.width + (len(buckets) + 1 if buckets else 0)

    def reach(self) -> tuple[Slots, int]:
        """Return this thread's page, long enough for the series, and the series' first slot now.

        For those who record to several series at once and know the slots' layout: the slot
        holds until ``watch`` tells of a removal.
        """
        return self._home.place_of(self)

    def watch(self, removed: Callable[[], None]) -> None:
        """Have a function called whenever a series of this metric was removed."""
        self._home.watch(removed)


class CounterSeries(Series):
    """A sum that only rises: one slot."""

    __slots__ = ()
    lowest: ClassVar[float] = 0.0

    def add(self, amount: float = 1) -> None:
        """Add a finite amount, not negative."""
        try:
            step = amount + 0.0
            if step.__class__ is float and 0.0 <= step < INFINITY:
                self._local.slots[self.slot] += step
                return
        except MISFITS:
            pass
        self._add(amount)

    def _add(self, amount: object) -> None:
        step = self._home.checked(amount, lowest=self.lowest)
        if step is not None:
            slots, slot = self._home.place_of(self)
            slots[slot] += step


class UpDownCounterSeries(CounterSeries):
    """A sum that rises and falls: one slot."""

    __slots__ = ()
    lowest = -INFINITY

    def add(self, amount: float = 1) -> None:
        """Add a finite amount of either sign."""
        try:
            step = amount + 0.0
            if step.__class__ is float and -INFINITY < step < INFINITY:
                self._local.slots[self.slot] += step
                return
        except MISFITS:
            pass
        self._add(amount)


class GaugeSeries(Series):
    """The last value set: a slot for when and one for it; the latest over all pages counts."""

    __slots__ = ()
    width = 2

    def set(self, amount: float) -> None:
        """Set the value; infinity and NaN are values of a gauge too."""
        try:
            value = amount + 0.0
            if value.__class__ is float:
                slots = self._local.slots
                # The value first: a reader in between takes it for an old one, never the old for new.
                slots[self.slot + 1] = value
                slots[self.slot] = perf_counter()
                return
        except MISFITS:
            pass
        checked = self._home.checked(amount, lowest=-INFINITY, finite=False)
        if checked is not None:
            slots, slot = self._home.place_of(self)
            slots[slot + 1] = checked
            slots[slot] = perf_counter()


class HistogramSeries(Series):
    """A distribution: a slot for the sum, then one for each bucket and one for what is above."""

    __slots__ = ("_bounds",)

    def __init__(self, home: Home, labels: tuple[str, ...] | None, slot: int, created: float) -> None:
        super().__init__(home, labels, slot, created)
        self._bounds = home.buckets

    def record(self, amount: float) -> None:
        """Record one finite value, not negative."""
        try:
            value = amount + 0.0
            if value.__class__ is float and 0.0 <= value < INFINITY:
                slots = self._local.slots
                slot = self.slot
                # The bucket first: it is the higher slot, so that both fit or neither is written.
                slots[slot + 1 + bisect_left(self._bounds, value)] += 1
                slots[slot] += value
                return
        except MISFITS:
            pass
        self._record(amount)

    def _record(self, amount: object) -> None:
        value = self._home.checked(amount, lowest=0.0 if self._bounds[0] >= 0 else -INFINITY)
        if value is not None:
            slots, slot = self._home.place_of(self)
            slots[slot + 1 + bisect_left(self._bounds, value)] += 1
            slots[slot] += value
