"""A metric's series: made on first use, within a budget, and removed again."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

from otel_monitoring.catalogue import prometheus_label
from otel_monitoring.metrics.pages import picker
from otel_monitoring.metrics.series import DETACHED, MISFITS, Series

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Mapping

    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.metrics.incidents import Incidents
    from otel_monitoring.metrics.pages import Pages, Slots
    from otel_monitoring.metrics.space import Space

S = TypeVar("S", bound=Series)


class Family(Generic[S]):
    """All series of one metric.

    Args:
        declaration: the metric.
        make: the class of its series.
        number: its place in the pages' list of known label sets.
        max_series: the budget; label sets beyond it share one overflow series.
        pages, space, lock, incidents: the registry's own, shared by all its families.
        count_overflow: called for each measurement that goes to the overflow series.

    Attributes:
        series: the series by their label values, as ``pick`` takes them from attributes.
        overflow: where the label sets beyond the budget are added up, once there are some.
        version: rises whenever a series is removed, for those who keep what they made of them.
    """

    def __init__(
        self,
        declaration: Declaration,
        make: type[S],
        *,
        number: int,
        max_series: int,
        pages: Pages,
        space: Space,
        lock: threading.RLock,
        incidents: Incidents,
        count_overflow: Callable[[str], None],
    ) -> None:
        self.declaration = declaration
        self.number = number
        self.max_series = max_series
        self.local: Any = pages.local
        self.buckets = declaration.buckets
        self.pick = picker(declaration.labels)
        self.version = 0
        self.overflow: S | None = None
        self.incidents = incidents
        self._make = make
        self._width = make.slots_needed(declaration.buckets)
        self.series: dict[Hashable, S] = {}
        self._removed: WeakValueDictionary[tuple[str, ...] | None, S] = WeakValueDictionary()
        self._watchers: list[Callable[[], None]] = []
        self._lost: S | None = None
        self._pages = pages
        self._space = space
        self._lock = lock
        self._count_overflow = count_overflow

    def __len__(self) -> int:
        """Return how many series there are, the overflow series not counted."""
        return len(self.series)

    def all_series(self) -> list[S]:
        """Return the series there are now, in the order in which they were made."""
        overflow = self.overflow
        return [*self.series.copy().values(), *([] if overflow is None else [overflow])]

    def series_for(self, attributes: Mapping[str, object] | None) -> S | None:
        """Return the series of these attributes, made where it is new.

        None says that the attributes do not fit and the measurement was dropped.
        """
        labels = self._label_values(attributes or {})
        return None if labels is None else self._within_budget(labels)

    def learn(self, series: S) -> None:
        """Have this thread know the series by its labels from now on; the overflow series is known by none."""
        # Under the lock, as it is forgotten under the lock.
        with self._lock:
            if series.slot != DETACHED and series.labels is not None:
                self._pages.known(self.number, self.declaration.labels)[_key(series.labels)] = series.slot

    def lost(self) -> S:
        """Return a series that shows nowhere, for a caller whose labels were wrong."""
        with self._lock:
            if self._lost is None:
                slot, _ = self._space.take(self._width)
                self._lost = self._make(self, (), slot, time.time())
            return self._lost

    def place_of(self, series: Series) -> tuple[Slots, int]:
        """Return this thread's page, long enough for the series, and the series' first slot.

        A series that was removed is registered anew, from zero: whoever kept it and goes
        on recording is heard.
        """
        slot = series.slot
        # It may be removed again at once, by another thread or a signal handler.
        while slot == DETACHED:
            slot = (self._within_budget(series.labels) if series.labels is not None else self._overflowing()).slot
        return self._pages.reach(slot + self._width), slot

    def remove(self, attributes: Mapping[str, object]) -> bool:
        """Remove one series and give its slots back; tell whether it was there."""
        with self.incidents.contained("removing a series"):
            labels = self._label_values(attributes)
            return labels is not None and self._remove(_key(labels))
        return False

    def clear(self) -> None:
        """Remove every series, the overflow series too."""
        for key in list(self.series):
            self._remove(key)
        with self._lock:
            if self.overflow is not None:
                self._detach(self.overflow)
                self.overflow = None
                self.version += 1

    def watch(self, removed: Callable[[], None]) -> None:
        """Have a function called whenever a series was removed, for those who keep slot numbers."""
        self._watchers.append(removed)

    def checked(self, amount: object, *, lowest: float, finite: bool = True) -> float | None:
        """Return the amount as a float, or drop the measurement and return None."""
        number = _as_float(amount)
        if number is None:
            self._drop("not_a_number", lambda: f"a value of type {type(amount).__name__} is not a number")
        elif finite and not math.isfinite(number):
            self._drop("not_finite", lambda: f"{number} would spoil every sum it is added to")
        elif number < lowest:
            kind = self.declaration.kind.value
            self._drop("negative", lambda: f"{number} is negative, and a {kind} takes only {lowest:g} and more")
        else:
            return number
        return None

    def _drop(self, reason: str, problem: Callable[[], str]) -> None:
        name = self.declaration.prometheus_name
        self.incidents.drop(reason, name, lambda: f"{name}: {problem()}")

    def _remove(self, key: Hashable) -> bool:
        with self._lock:
            series = self.series.pop(key, None)
            if series is None:
                return False
            self.version += 1
            self._pages.forget(self.number, key)
            self._detach(series)
            return True

    def _label_values(self, attributes: Mapping[str, object]) -> tuple[str, ...] | None:
        declared = self.declaration.labels
        if len(attributes) == len(declared):
            try:
                return tuple([_as_label_value(attributes[name]) for name in declared])
            except KeyError:
                shown = {prometheus_label(str(name)): value for name, value in attributes.items()}
                if shown.keys() == set(self.declaration.prometheus_labels):
                    return tuple([_as_label_value(shown[name]) for name in self.declaration.prometheus_labels])
        self._drop("wrong_labels", lambda: _label_problem(declared, attributes))
        return None

    def _within_budget(self, labels: tuple[str, ...]) -> S:
        key = _key(labels)
        series = self.series.get(key)
        if series is not None:
            return series
        with self._lock:
            if len(self.series) < self.max_series or key in self.series:
                return self.series.get(key) or self._new(labels)
        name = self.declaration.prometheus_name
        self._count_overflow(name)
        self.incidents.warn_once("overflow", name, lambda: self._overflow_message(labels))
        return self._overflowing()

    def _overflowing(self) -> S:
        # Read once: another thread may clear it meanwhile.
        series = self.overflow
        if series is not None:
            return series
        with self._lock:
            return self.overflow or self._new(None)

    def _new(self, labels: tuple[str, ...] | None) -> S:
        """Enter a series with slots of its own; the very object that was removed, where someone kept it."""
        slot, used = self._space.take(self._width)
        if used:
            self._pages.clear(slot, slot + self._width)
        key = () if labels is None else _key(labels)
        series = self._removed.pop(labels, None) or self._make(self, labels, DETACHED, 0.0)
        series.created = time.time()
        # No call from here until it is entered: a signal handler or finaliser that makes the
        # same series comes before, and then its series stays, or after, and then finds this one.
        there = self.overflow if labels is None else self.series[key] if key in self.series else None  # noqa: SIM401 (a call)
        if there is None:
            series.slot = slot
            if labels is None:
                self.overflow = series
            else:
                self.series[key] = series
            return series
        self._space.give_back(slot, self._width)
        return there

    def _detach(self, series: S) -> None:
        self._space.give_back(series.slot, self._width)
        series.slot = DETACHED
        self._removed[series.labels] = series
        for removed in self._watchers:
            removed()

    def _overflow_message(self, labels: tuple[str, ...]) -> str:
        shown = [series.labels or () for series in self.series.copy().values()]
        # All may have been removed meanwhile.
        distinct = [len(set(values)) for values in zip(*shown, strict=True)] or [0] * len(labels)
        worst = distinct.index(max(distinct))
        return (
            f"{self.declaration.prometheus_name} has {self.max_series} series, its budget; further label sets are "
            f'added up in one series with otel_metric_overflow="true". The label {self.declaration.labels[worst]!r} '
            f"has {distinct[worst]} values, the latest {labels[worst]!r}: does it hold an id, a path or a text? "
            "Drop it, or raise max_series"
        )


def _key(labels: tuple[str, ...]) -> Hashable:
    """Return what ``itemgetter`` gives for these label values: one label comes bare."""
    return labels[0] if len(labels) == 1 else labels


def _as_float(amount: object) -> float | None:
    if isinstance(amount, str | bytes | bytearray) or not (
        hasattr(amount, "__float__") or hasattr(amount, "__index__")
    ):
        return None
    try:
        return float(amount)  # type: ignore[arg-type]
    except OverflowError:
        return (math.inf if amount > 0 else -math.inf) if isinstance(amount, int) else None
    except MISFITS:
        return None


def _as_label_value(value: object) -> str:
    """Return a label value as text that UTF-8 can carry.

    Booleans are written as OpenTelemetry's exporter writes them, None is the empty
    value, which Prometheus takes for an absent label, and lone surrogates are spelled out.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str.__str__(value) if isinstance(value, str) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def _label_problem(declared: tuple[str, ...], attributes: Mapping[str, object]) -> str:
    missing = [name for name in declared if name not in attributes]
    unknown = [name for name in attributes if name not in declared]
    parts = [f"missing {missing}" if missing else "", f"not declared {unknown}" if unknown else ""]
    right = ", ".join(f"{name!r}: …" for name in declared)
    return f"wrong labels ({'; '.join(filter(None, parts))}): the right ones are {{{right}}}"
