"""One metric as it is declared: what it is called, what it counts and by which labels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.kind import Kind
from otel_monitoring.catalogue.names import (
    did_you_mean,
    label_name_problem,
    metric_name_problem,
    prometheus_label,
    prometheus_name,
    unit_problem,
    unit_suffix,
)
from otel_monitoring.catalogue.usual import UsualQueries
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds for durations in seconds: those of OpenTelemetry's HTTP conventions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(UsualQueries):
    """A metric of the catalogue, checked when it is made.

    Args:
        name: the OpenTelemetry name, for instance ``job_wait`` or ``gen_ai.client.token.usage``.
        kind: counter, up-down counter, gauge or histogram.
        unit: a UCUM unit (``s``, ``By``, ``%``) or an annotation for things counted (``{job}``).
        labels: the attribute names every measurement carries, in the order shown.
        description: one sentence; Prometheus's help text.
        buckets: the upper bounds of a histogram, rising, without infinity; in the metric's unit.
        max_series: how many label sets are kept apart before the rest go to one overflow
            series; None takes the service's setting.
        expire_after_seconds: a gauge series not set for this long is forgotten; None keeps it.
        values: labels that only ever have a few values, with those, as in
            ``(("outcome", ("success", "error")),)``; queries that name another are refused,
            what is recorded is not looked at.

    Raises:
        DeclarationError: something does not fit; the message says what would be right.
    """

    name: str
    kind: Kind
    unit: str = ""
    labels: tuple[str, ...] = ()
    description: str = ""
    buckets: tuple[float, ...] = ()
    max_series: int | None = None
    expire_after_seconds: float | None = None
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    prometheus_name: str = field(init=False)
    prometheus_labels: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check every field, then derive the names that Prometheus shows."""
        put = object.__setattr__
        for several in ("labels", "buckets"):
            given = getattr(self, several)
            if isinstance(given, Iterable) and not isinstance(given, str):
                put(self, several, tuple(given))
        problems = list(self._problems())
        if problems:
            raise DeclarationError(f"metric {self.name!r}: " + "; ".join(problems))
        put(self, "buckets", tuple(float(bound) for bound in self.buckets))
        put(self, "prometheus_name", prometheus_name(self.name, self.unit, counter=self.kind is Kind.COUNTER))
        put(self, "prometheus_labels", tuple(map(prometheus_label, self.labels)))

    @property
    def declaration(self) -> Declaration:
        """The metric itself, as an instrument gives it."""
        return self

    @property
    def base_name(self) -> str:
        """The family name without a counter's ``_total``, as OpenMetrics heads the family."""
        return self.prometheus_name.removesuffix("_total") if self.kind is Kind.COUNTER else self.prometheus_name

    @property
    def sample_names(self) -> frozenset[str]:
        """Every name that a line or a heading of this family can carry."""
        return frozenset({self.base_name, *(self.base_name + suffix for suffix in self.kind.sample_suffixes)})

    @property
    def prometheus_values(self) -> dict[str, tuple[str, ...]]:
        """The values of labels that have only a few, by the label's name in Prometheus."""
        return {prometheus_label(label): values for label, values in self.values}

    @property
    def unit_suffix(self) -> str:
        """The unit's word, as in ``# UNIT``; empty where the name carries none."""
        return unit_suffix(self.unit)

    def _problems(self) -> Iterable[str]:
        yield from filter(None, (metric_name_problem(self.name), unit_problem(self.unit)))
        if not isinstance(self.description, str) or not _fits_utf8(self.description):
            yield f"description is {self.description!r}: write one sentence of text"
        yield from _label_problems(self.labels)
        yield from self._bucket_problems()
        if self.max_series is not None and not (type(self.max_series) is int and self.max_series > 0):
            yield f"max_series is {self.max_series!r}: a whole number of series above 0"
        yield from self._expiry_problems()
        yield from self._value_problems()

    def _bucket_problems(self) -> Iterable[str]:
        if self.kind is not Kind.HISTOGRAM:
            if self.buckets:
                yield f"a {self.kind.value} has no buckets: leave them out or declare a histogram"
            return
        if not isinstance(self.buckets, tuple):
            yield f"buckets is {self.buckets!r}: write a tuple of numbers, buckets=(0.1, 1, 10)"
        elif not self.buckets:
            yield "a histogram needs at least one bucket bound, for instance buckets=(0.1, 1, 10)"
        elif not all(_is_finite_number(bound) for bound in self.buckets):
            yield f"buckets {self.buckets!r} are not all finite numbers: leave infinity out, it is added"
        elif any(low >= high for low, high in pairwise(self.buckets)):
            rising = tuple(sorted(set(self.buckets)))
            yield f"buckets {self.buckets!r} do not rise: write {rising!r}"

    def _expiry_problems(self) -> Iterable[str]:
        if self.expire_after_seconds is None:
            return
        if self.kind is not Kind.GAUGE:
            yield f"only gauges expire, and this is a {self.kind.value}: leave expire_after_seconds out"
        elif not _is_finite_number(self.expire_after_seconds) or self.expire_after_seconds <= 0:
            yield f"expire_after_seconds is {self.expire_after_seconds!r}: a number of seconds above 0"

    def _value_problems(self) -> Iterable[str]:
        if not isinstance(self.values, tuple) or not all(_is_pair(one) for one in self.values):
            yield f"values is {self.values!r}: write pairs of a label and its values, (('outcome', ('done', 'lost')),)"
            return
        for label, values in self.values:
            if label not in self.labels:
                yield f"values are given for {label!r}, which is none of its labels{did_you_mean(label, self.labels)}"
            elif not isinstance(values, tuple) or not values or not all(isinstance(value, str) for value in values):
                yield f"the values of {label!r} are {values!r}: write a tuple of texts, ('done', 'lost')"


def _label_problems(labels: Sequence[str]) -> Iterable[str]:
    if isinstance(labels, str):
        yield f"labels is one string: write a tuple, labels=({labels!r},)"
        return
    if not isinstance(labels, tuple):
        yield f"labels is {labels!r}: write a tuple of names, labels=('queue',)"
        return
    yield from filter(None, map(label_name_problem, labels))
    shown = [prometheus_label(label) for label in labels if isinstance(label, str)]
    for label in sorted({label for label in shown if shown.count(label) > 1}):
        yield f"the label {label!r} is there more than once in Prometheus's form: each label needs its own name"


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004 (a pair)


def _fits_utf8(text: str) -> bool:
    return text == text.encode(errors="replace").decode()


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
