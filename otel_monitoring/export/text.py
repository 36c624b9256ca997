"""Prometheus's text formats, straight from a snapshot.

Text 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/

What of a line does not change (name, labels, bounds) is put together once for each series
and kept; a scrape only fills in the numbers, most of it inside the interpreter's own
C code.  The two formats differ in the headings, in ``_created`` and in the end mark.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate, compress
from math import isfinite, isnan
from operator import mod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from otel_monitoring.catalogue import OVERFLOW_LABEL, Declaration, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.metrics.family import Family
    from otel_monitoring.metrics.pages import Slots
    from otel_monitoring.metrics.series import Series
    from otel_monitoring.metrics.snapshot import Snapshot

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

GO_EXPONENT_FROM = 1e6
"""The number from which Go's shortest form has an exponent."""

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class TakeSnapshot(Protocol):
    """Whatever can be asked for a snapshot: the registry."""

    def snapshot(self) -> Snapshot:
        """Read all series."""
        ...


class ThirdPartyText(Protocol):
    """Families that come from elsewhere, as text without an end mark."""

    def render(self, *, openmetrics: bool) -> str:
        """Return the families, each line ended."""
        ...


class Exposition:
    """Renders what a registry holds for whoever asks.

    Args:
        registry: gives the snapshot.
        third_party: gives the families of other libraries' instruments.
        created: whether OpenMetrics shows when each counter and histogram came to be.
    """

    def __init__(self, registry: TakeSnapshot, third_party: ThirdPartyText | None = None, *, created: bool = True) -> None:
        self._registry = registry
        self._third_party = third_party
        self._created = created
        self._text: WeakKeyDictionary[Family[Any], _FamilyLines] = WeakKeyDictionary()
        self._openmetrics: WeakKeyDictionary[Family[Any], _FamilyLines] = WeakKeyDictionary()

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
                lines = kept[family] = _FamilyLines(family, openmetrics=openmetrics, created=openmetrics and self._created)
            yield lines.render(snapshot)
        if self._third_party is not None:
            yield self._third_party.render(openmetrics=openmetrics)
        if openmetrics:
            yield "# EOF\n"


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


class _FamilyLines:
    """The lines of one metric in one format.

    For each series there is a template: its lines, ready but for the numbers.  Templates are
    kept between scrapes; they grow with the family and are made anew when a series was removed.
    """

    def __init__(self, family: Family[Any], *, openmetrics: bool, created: bool) -> None:
        self._family = family
        self._layout = _LAYOUTS[family.declaration.kind]
        self._heading = _heading(family.declaration, openmetrics=openmetrics)
        self._created = created
        self._kept: tuple[int, list[Series], list[str]] = (family.version, [], [])

    def render(self, snapshot: Snapshot) -> str:
        """Return the heading and all lines, or nothing where no series has a value."""
        series, templates = self._current()
        numbers = self._layout.numbers(snapshot, self._family, series)
        lines = "".join(map(mod, compress(templates, numbers.shown), numbers.filled))
        return self._heading + lines if lines else ""

    def _current(self) -> tuple[list[Series], list[str]]:
        # Renderers of several threads may be here at once: what is kept is replaced as a whole.
        version, known, templates = self._kept
        now, series = self._family.version, self._family.all_series()
        if now != version or series[: len(known)] != known:
            templates = []
        templates = templates + [self._template(one) for one in series[len(templates) :]]
        self._kept = (now, series, templates)
        return series, templates

    def _template(self, series: Series) -> str:
        declaration = self._family.declaration
        labels = _labels(declaration, series).replace("%", "%%")
        lines = list(self._layout.lines(declaration, labels))
        if self._created and declaration.kind in _WITH_CREATED:
            lines.append(f"{_sample(declaration.base_name + '_created', labels)} {series.created:.3f}")
        return "\n".join(lines) + "\n"


class _Numbers(NamedTuple):
    """What fills a family's templates.

    Attributes:
        shown: for each series, whether it has a value.
        filled: for each series shown, what goes into its template.
    """

    shown: list[bool]
    filled: Iterable[object]


class _SumLayout:
    """Counters and up-down counters: one number each."""

    def lines(self, declaration: Declaration, labels: str) -> Iterator[str]:
        yield f"{_sample(declaration.prometheus_name, labels)} %s"

    def numbers(self, snapshot: Snapshot, family: Family[Any], series: list[Series]) -> _Numbers:
        slots, values = _slots_within(snapshot, family, series)
        return _Numbers([slot is not None for slot in slots], _texts([values[slot] for slot in slots if slot is not None]))


class _GaugeLayout(_SumLayout):
    """Gauges: the number that was set last, where one was."""

    def numbers(self, snapshot: Snapshot, family: Family[Any], series: list[Series]) -> _Numbers:
        values = [snapshot.gauge(one) for one in series]
        return _Numbers([value is not None for value in values], _texts([value for value in values if value is not None]))


class _HistogramLayout:
    """Histograms: a line for each bucket, then the sum and the count."""

    def lines(self, declaration: Declaration, labels: str) -> Iterator[str]:
        comma = "," if labels else ""
        for bound in (*map(bound_text, declaration.buckets), "+Inf"):
            yield f'{declaration.prometheus_name}_bucket{{{labels}{comma}le="{bound}"}} %d'
        yield f"{_sample(declaration.prometheus_name + '_sum', labels)} %s"
        yield f"{_sample(declaration.prometheus_name + '_count', labels)} %d"

    def numbers(self, snapshot: Snapshot, family: Family[Any], series: list[Series]) -> _Numbers:
        slots, values = _slots_within(snapshot, family, series)
        width = len(family.buckets) + 2
        found = [slot for slot in slots if slot is not None]
        sums = _texts([values[slot] for slot in found])
        counts = (tuple(accumulate(values[slot + 1 : slot + width])) for slot in found)
        filled = ((*cumulative, total, cumulative[-1]) for cumulative, total in zip(counts, sums, strict=True))
        return _Numbers([slot is not None for slot in slots], filled)


_LAYOUTS: dict[Kind, _SumLayout | _HistogramLayout] = {
    Kind.COUNTER: _SumLayout(),
    Kind.UP_DOWN_COUNTER: _SumLayout(),
    Kind.GAUGE: _GaugeLayout(),
    Kind.HISTOGRAM: _HistogramLayout(),
}
_WITH_CREATED = frozenset({Kind.COUNTER, Kind.HISTOGRAM})


def _slots_within(snapshot: Snapshot, family: Family[Any], series: list[Series]) -> tuple[list[int | None], Slots]:
    """Return each series' slot, None of those made or removed since the snapshot, and all slots."""
    last = len(snapshot.slots) - (len(family.buckets) + 2 if family.buckets else 1)
    return [one.slot if one.slot <= last else None for one in series], snapshot.slots


def _texts(values: list[float]) -> Iterable[str]:
    # The pages may hold ints and subclasses of float, whose repr is not a number's text.
    numbers = list(map(float, values))
    return map(repr, numbers) if isfinite(sum(numbers)) else map(number_text, numbers)


def number_text(value: float) -> str:
    """Return a number as both formats write it, infinities and NaN too."""
    if isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")


def bound_text(bound: float) -> str:
    """Return a bucket bound as Go writes it, ``1.048576e+06``.

    Prometheus 3 rewrites bounds that way, so that a query finds the same text in any version.
    """
    if abs(bound) < GO_EXPONENT_FROM:
        return repr(bound)
    digits, exponent = f"{Decimal(repr(bound)).normalize():e}".split("e")
    return f"{digits}e{int(exponent):+03d}"


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
