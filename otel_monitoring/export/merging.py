"""What OpenTelemetry's SDK has collected, with each metric and each series there once.

Without scope labels, two libraries that measure the same thing (two HTTP clients, two
frameworks) show the same name.  The stock exporter then gives the second one's values the
first one's label names, or shows a series twice, and Prometheus refuses the scrape.  So
what belongs together is put together before the exporter sees it.

Imports the SDK: to be imported only where it is used.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import chain
from operator import add
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    Sum,
)

from otel_monitoring.catalogue import prometheus_label, prometheus_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    LeftOut = Callable[[str, str], None]

Shown = Sum | Gauge | Histogram
P = TypeVar("P", NumberDataPoint, HistogramDataPoint)


def merge(collected: MetricsData, left_out: LeftOut) -> MetricsData:
    """Return the same with each metric, by its name in Prometheus, there once.

    Sums and histograms of the same series are added up.  Of gauges, of histograms with
    other bounds and of metrics of another kind the first one stays.

    Args:
        collected: what a reader received.
        left_out: called with a metric's Prometheus name and the reason.
    """
    return MetricsData([_merge_resource(part, left_out) for part in collected.resource_metrics])


def _merge_resource(collected: ResourceMetrics, left_out: LeftOut) -> ResourceMetrics:
    named: defaultdict[str, list[tuple[Metric, Shown]]] = defaultdict(list)
    for metric in chain.from_iterable(scope.metrics for scope in collected.scope_metrics):
        if isinstance(metric.data, Sum | Gauge | Histogram):
            named[_shown_name(metric)].append((metric, metric.data))
        else:
            left_out(_shown_name(metric), "the exporter shows no exponential histograms: give it explicit buckets")
    metrics = [_join(name, found, left_out) for name, found in named.items()]
    # One scope stands for all: its name is not shown.
    return replace(collected, scope_metrics=[replace(collected.scope_metrics[0], metrics=metrics)] if metrics else [])


def _join(name: str, found: list[tuple[Metric, Shown]], left_out: LeftOut) -> Metric:
    first, data = found[0]
    alike = [other for _, other in found if _kind(other) == _kind(data)]
    if len(alike) < len(found):
        left_out(name, "another metric of this name is of another kind")
    return replace(first, data=_join_data(alike))


def _join_data(alike: list[Shown]) -> Shown:
    first = alike[0]
    if isinstance(first, Histogram):
        distributions = chain.from_iterable(data.data_points for data in alike if isinstance(data, Histogram))
        return replace(first, data_points=_once(map(_with_float_bounds, distributions), _add_distributions))
    numbers = chain.from_iterable(data.data_points for data in alike if not isinstance(data, Histogram))
    return replace(first, data_points=_once(numbers, _add_numbers if isinstance(first, Sum) else _keep_first))


def _once(points: Iterable[P], join: Callable[[P, P], P]) -> list[P]:
    series: dict[tuple[tuple[str, str], ...], P] = {}
    for point in points:
        labels = {prometheus_label(name): str(value) for name, value in (point.attributes or {}).items()}
        key = tuple(sorted(labels.items()))
        series[key] = join(series[key], point) if key in series else point
    return list(series.values())


def _add_numbers(first: NumberDataPoint, other: NumberDataPoint) -> NumberDataPoint:
    return replace(first, value=first.value + other.value)


def _keep_first(first: NumberDataPoint, _: NumberDataPoint) -> NumberDataPoint:
    return first


def _with_float_bounds(point: HistogramDataPoint) -> HistogramDataPoint:
    """Return the same with bounds that are shown as ``1.0``: OpenMetrics wants it, and Prometheus 3 makes it so."""
    return replace(point, explicit_bounds=tuple(map(float, point.explicit_bounds)))


def _add_distributions(first: HistogramDataPoint, other: HistogramDataPoint) -> HistogramDataPoint:
    if first.explicit_bounds != other.explicit_bounds:
        return first
    return replace(
        first,
        count=first.count + other.count,
        sum=first.sum + other.sum,
        bucket_counts=tuple(map(add, first.bucket_counts, other.bucket_counts)),
    )


def _shown_name(metric: Metric) -> str:
    counter = isinstance(metric.data, Sum) and metric.data.is_monotonic
    return prometheus_name(metric.name, metric.unit or "", counter=counter)


def _kind(data: Shown) -> tuple[type, bool]:
    return type(data), isinstance(data, Sum) and data.is_monotonic
