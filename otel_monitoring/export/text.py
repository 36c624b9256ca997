"""Prometheus's text formats, straight from a snapshot.

Text 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/

What of a line does not change (name, labels, bounds) is put together once for each series
and kept; a scrape only fills in the numbers, most of it inside the interpreter's own
C code.  The two formats differ in the headings, in ``_created`` and in the end mark.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate, compress
from math import isfinite, isnan
from operator import mod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from otel_monitoring.catalogue import OVERFLOW_LABEL, Declaration, Kind, bound_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.metrics.family import Family
    from otel_monitoring.metrics.incidents import Incidents
    from otel_monitoring.metrics.series import Series
    from otel_monitoring.metrics.snapshot import Snapshot

K = TypeVar("K")

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class TakeSnapshot(Protocol):
    """Whatever can be asked for a snapshot: the registry."""

    incidents: Incidents

    def snapshot(self) -> Snapshot:
        """Read all series."""
        ...


class ThirdPartyText(Protocol):
    """Families that come from elsewhere, as text without an end mark."""

    def render(self, taken: frozenset[str], *, openmetrics: bool) -> str:
        """Return the families that show none of the names that are taken, each line ended."""
        ...


class Exposition:
    """Renders what a registry holds for whoever asks.

    Args:
        registry: gives the snapshot.
        third_party: gives the families of other libraries' instruments.
        created: whether OpenMetrics shows when each counter and histogram came to be.
    """

    def __init__(
        self, registry: TakeSnapshot, third_party: ThirdPartyText | None = None, *, created: bool = True
    ) -> None:
        self._registry = registry
        self._third_party = third_party
        self._created = created
        self._text: WeakKeyDictionary[Family[Any], _FamilyLines[Any]] = WeakKeyDictionary()
        self._openmetrics: WeakKeyDictionary[Family[Any], _FamilyLines[Any]] = WeakKeyDictionary()

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """Return the exposition and its content type.

        Args:
            accept: an HTTP Accept header; OpenMetrics is given only where it is preferred.
        """
        openmetrics = prefers_openmetrics(accept)
        body = "".join(self._parts(openmetrics=openmetrics)).encode()
        return body, OPENMETRICS if openmetrics else TEXT

    def _parts(self, *, openmetrics: bool) -> Iterator[str]:
        snapshot = self._registry.snapshot()
        kept = self._openmetrics if openmetrics else self._text
        for family in snapshot.families:
            lines = kept.get(family)
            if lines is None:
                make = _LINES[family.declaration.kind]
                lines = kept[family] = make(family, openmetrics=openmetrics, created=openmetrics and self._created)
            yield from lines.render(snapshot)
        if self._third_party is not None:
            taken = frozenset[str]().union(*(family.declaration.sample_names for family in snapshot.families))
            yield self._foreign(self._third_party, taken, openmetrics=openmetrics)
        if openmetrics:
            yield "# EOF\n"

    def _foreign(self, third_party: ThirdPartyText, taken: frozenset[str], *, openmetrics: bool) -> str:
        # What others have to show must not keep us from showing our own.
        with self._registry.incidents.contained("rendering third-party instruments"):
            return third_party.render(taken, openmetrics=openmetrics)
        return ""


def prefers_openmetrics(accept: str | None) -> bool:
    """Tell whether an Accept header ranks OpenMetrics 1.0 above plain text."""
    ranks = {"openmetrics": 0.0, "text": 0.0}
    for offer in (accept or "").lower().split(","):
        media, *parameters = (part.strip() for part in offer.split(";"))
        values = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        rank = _quality(values.get("q", "1"))
        if media == "application/openmetrics-text" and values.get("version", "1.0.0").startswith("1."):
            ranks["openmetrics"] = max(ranks["openmetrics"], rank)
        elif media == "text/plain":
            ranks["text"] = max(ranks["text"], rank)
    return ranks["openmetrics"] > ranks["text"] or 0 < ranks["openmetrics"] == ranks["text"]


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


class _FamilyLines(ABC, Generic[K]):
    """The lines of one metric in one format.

    What can be prepared of a series' lines is kept between scrapes; it grows with the
    family and is prepared anew when a series was removed.
    """

    def __init__(self, family: Family[Any], *, openmetrics: bool, created: bool) -> None:
        self.family = family
        self.declaration = family.declaration
        self.created = created and self.declaration.kind in _WITH_CREATED
        self._heading = _heading(family.declaration, openmetrics=openmetrics)
        self._kept: tuple[int, list[Series], list[K]] = (family.version, [], [])

    def render(self, snapshot: Snapshot) -> Iterator[str]:
        """Give the heading and all lines, or nothing where no series has a value."""
        lines = iter(self.lines(snapshot, *self._current()))
        for first in lines:
            yield self._heading
            yield first
            yield from lines

    @abstractmethod
    def lines(self, snapshot: Snapshot, series: list[Series], kept: list[K]) -> Iterable[str]:
        """Fill each series' numbers into what is kept of it."""

    @abstractmethod
    def prepare(self, series: Series) -> K:
        """Return what is kept of one series."""

    def _current(self) -> tuple[list[Series], list[K]]:
        # Renderers of several threads may be here at once: what is kept is replaced as a whole.
        version, known, kept = self._kept
        now, series = self.family.version, self.family.all_series()
        if now != version or series[: len(known)] != known:
            kept = []
        kept = kept + [self.prepare(one) for one in series[len(kept) :]]
        self._kept = (now, series, kept)
        return series, kept


class _SumLines(_FamilyLines[tuple[str, ...]]):
    """Counters and up-down counters: one number each.

    One line is filled for all series; kept of each are its label values, escaped, which
    are the series' own where nothing had to be.
    """

    def __init__(self, family: Family[Any], *, openmetrics: bool, created: bool) -> None:
        super().__init__(family, openmetrics=openmetrics, created=created)
        labels = ",".join(f'{name}="%s"' for name in self.declaration.prometheus_labels)
        self._line = self._lines_with(labels)
        self._overflow_line = self._lines_with(f'{OVERFLOW_LABEL}="true"')

    def prepare(self, series: Series) -> tuple[str, ...]:
        labels = series.labels or ()
        escaped = tuple(value.translate(_LABEL_ESCAPES) for value in labels)
        return labels if escaped == labels else escaped

    def lines(self, snapshot: Snapshot, series: list[Series], kept: list[tuple[str, ...]]) -> Iterable[str]:
        values = self.values(snapshot, series)
        shown = [value is not None for value in values]
        texts = _texts([value for value in values if value is not None])
        for one, labels, text in zip(compress(series, shown), compress(kept, shown), texts, strict=True):
            line = self._overflow_line if one.labels is None else self._line
            yield line % ((*labels, text, *labels, one.created) if self.created else (*labels, text))

    def values(self, snapshot: Snapshot, series: list[Series]) -> list[float | None]:
        """Return each series' number, None where it has none."""
        slots = snapshot.slots
        end = len(slots)
        return [slots[slot] if slot < end else None for slot in [one.slot for one in series]]

    def _lines_with(self, labels: str) -> str:
        line = f"{_sample(self.declaration.prometheus_name, labels)} %s\n"
        if self.created:
            line += f"{_sample(self.declaration.base_name + '_created', labels)} %.3f\n"
        return line


class _GaugeLines(_SumLines):
    """Gauges: the number that was set last, where one was."""

    def values(self, snapshot: Snapshot, series: list[Series]) -> list[float | None]:
        return [snapshot.gauge(one) for one in series]


class _HistogramLines(_FamilyLines[str]):
    """Histograms: a line for each bucket, then the sum and the count.

    Kept of each series are its lines, ready but for the numbers.
    """

    def __init__(self, family: Family[Any], *, openmetrics: bool, created: bool) -> None:
        super().__init__(family, openmetrics=openmetrics, created=created)
        # OpenMetrics allows no sum, and without it no count, where values may be negative.
        self._summed = not (openmetrics and self.declaration.buckets[0] < 0)

    def prepare(self, series: Series) -> str:
        labels = _labels(self.declaration, series).replace("%", "%%")
        return "".join(f"{line}\n" for line in self._lines_with(labels, series.created))

    def lines(self, snapshot: Snapshot, series: list[Series], kept: list[str]) -> Iterable[str]:
        slots = snapshot.slots
        width = len(self.family.buckets) + 2
        found = [one.slot for one in series]
        shown = [slot <= len(slots) - width for slot in found]
        starts = list(compress(found, shown))
        sums = _texts([slots[start] for start in starts])
        counts = (tuple(accumulate(slots[start + 1 : start + width])) for start in starts)
        if not self._summed:
            return map(mod, compress(kept, shown), counts)
        filled = ((*cumulative, total, cumulative[-1]) for cumulative, total in zip(counts, sums, strict=True))
        return map(mod, compress(kept, shown), filled)

    def _lines_with(self, labels: str, created: float) -> Iterator[str]:
        name = self.declaration.prometheus_name
        comma = "," if labels else ""
        for bound in (*map(bound_text, self.declaration.buckets), "+Inf"):
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} %d'
        if self._summed:
            yield f"{_sample(name + '_sum', labels)} %s"
            yield f"{_sample(name + '_count', labels)} %d"
        if self.created:
            yield f"{_sample(name + '_created', labels)} {created:.3f}"


_LINES: dict[Kind, type[_FamilyLines[Any]]] = {
    Kind.COUNTER: _SumLines,
    Kind.UP_DOWN_COUNTER: _SumLines,
    Kind.GAUGE: _GaugeLines,
    Kind.HISTOGRAM: _HistogramLines,
}
_WITH_CREATED = frozenset({Kind.COUNTER, Kind.HISTOGRAM})


def _texts(values: list[float]) -> Iterable[str]:
    # The pages may hold ints and subclasses of float, whose repr is not a number's text.
    numbers = list(map(float, values))
    return map(repr, numbers) if isfinite(sum(numbers)) else map(number_text, numbers)


def number_text(value: float) -> str:
    """Return a number as both formats write it, infinities and NaN too."""
    if isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")


def _heading(declaration: Declaration, *, openmetrics: bool) -> str:
    name = declaration.base_name if openmetrics else declaration.prometheus_name
    lines = []
    if declaration.description:
        escapes = _LABEL_ESCAPES if openmetrics else _HELP_ESCAPES
        lines.append(f"# HELP {name} {declaration.description.translate(escapes)}")
    lines.append(f"# TYPE {name} {declaration.kind.prometheus_type}")
    unit = declaration.unit_suffix
    if openmetrics and unit and name.endswith(f"_{unit}"):
        lines.append(f"# UNIT {name} {unit}")
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: str) -> str:
    return f"{name}{{{labels}}}" if labels else name


def _labels(declaration: Declaration, series: Series) -> str:
    if series.labels is None:
        return f'{OVERFLOW_LABEL}="true"'
    values = (value.translate(_LABEL_ESCAPES) for value in series.labels)
    return ",".join(f'{name}="{value}"' for name, value in zip(declaration.prometheus_labels, values, strict=True))
