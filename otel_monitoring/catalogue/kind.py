"""The kinds of metrics, and what Prometheus makes of each."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a metric does over time; the value is the type that Prometheus shows."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"

    @property
    def prometheus_type(self) -> str:
        """The word after ``# TYPE``: Prometheus knows no up-down counter."""
        return "gauge" if self is Kind.UP_DOWN_COUNTER else self.value

    @property
    def sample_suffixes(self) -> tuple[str, ...]:
        """What is appended to the family's base name, one for each kind of line shown."""
        return _SAMPLE_SUFFIXES[self]


_SAMPLE_SUFFIXES = {
    Kind.COUNTER: ("_total", "_created"),
    Kind.UP_DOWN_COUNTER: ("",),
    Kind.GAUGE: ("",),
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count", "_created"),
}
