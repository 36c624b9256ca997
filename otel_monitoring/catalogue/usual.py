"""The queries that a metric gives by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from otel_monitoring.catalogue.kind import Kind
from otel_monitoring.catalogue.query import Query
from otel_monitoring.catalogue.query_parts import aggregation, matchers, shown_labels, window
from otel_monitoring.exceptions import QueryError

if TYPE_CHECKING:
    from otel_monitoring.catalogue.declaration import Declaration
    from otel_monitoring.catalogue.query_parts import By, Where

RATE_INTERVAL = "$__rate_interval"
"""Grafana's window that always holds several scrapes."""

USUAL_SHARE = 0.95

Combine = Literal["avg", "max", "min", "sum"]


class UsualQueries:
    """What declarations and instruments have in common: the queries of their metric."""

    __slots__ = ()

    @property
    def declaration(self) -> Declaration:
        """The metric that is asked about."""
        raise NotImplementedError

    def rate(self, *, by: By = (), where: Where | None = None, over: str = RATE_INTERVAL) -> Query:
        """Return how many a second there are: a counter's increase, or a histogram's recordings.

        Args:
            by: the label, or the labels, that the result is split by; none gives one series.
            where: values that labels must have: one, several, or a variable as ``$platform``.
            over: the window.

        Raises:
            QueryError: a gauge has no rate, or a label is not the metric's.
        """
        metric = self.declaration
        counted = f"rate({_counted(metric, 'rate')}{matchers(metric, where)}[{window(metric, over)}])"
        return _query(
            metric,
            f"{aggregation(metric, by)}({counted})",
            title="per second" if metric.kind is Kind.COUNTER else "recordings per second",
            unit=_per_second(metric),
            by=by,
            where=where,
        )

    def increase(self, *, by: By = (), where: Where | None = None, over: str = RATE_INTERVAL) -> Query:
        """Return how many there were in a window; ``over="$__range"`` is the whole of what is shown.

        Arguments and errors are those of ``rate``.
        """
        metric = self.declaration
        counted = f"increase({_counted(metric, 'increase')}{matchers(metric, where)}[{window(metric, over)}])"
        return _query(
            metric,
            f"{aggregation(metric, by)}({counted})",
            title="increase" if metric.kind is Kind.COUNTER else "recordings",
            unit=metric.unit if metric.kind is Kind.COUNTER else "",
            by=by,
            where=where,
        )

    def quantile(
        self, share: float = USUAL_SHARE, *, by: By = (), where: Where | None = None, over: str = RATE_INTERVAL
    ) -> Query:
        """Return the value that a share of what was recorded does not exceed.

        Args:
            share: 0.95 for the 95th percentile.
            by: as for ``rate``.
            where: as for ``rate``.
            over: as for ``rate``.

        Raises:
            QueryError: the metric is no histogram, the share is no number from 0 to 1, or a
                label is not the metric's.
        """
        metric = self.declaration
        _histogram(metric, "quantile")
        text = _share_text(metric, share)
        buckets = f"{metric.prometheus_name}_bucket{matchers(metric, where)}"
        grouped = ", ".join(("le", *shown_labels(metric, by)))
        return _query(
            metric,
            f"histogram_quantile({text}, sum by ({grouped}) (rate({buckets}[{window(metric, over)}])))",
            title=f"p{float(text) * 100:.6g}",
            unit=metric.unit,
            by=by,
            where=where,
        )

    def average(self, *, by: By = (), where: Where | None = None, over: str = RATE_INTERVAL) -> Query:
        """Return the mean of what a histogram recorded in the window, or of a gauge's series now.

        Arguments are those of ``rate``; ``over`` says nothing to a gauge.

        Raises:
            QueryError: a counter has no average, or a label is not the metric's.
        """
        metric = self.declaration
        if metric.kind in _GAUGES:
            return self.last(by=by, where=where, combine="avg")
        _histogram(metric, "average")
        name, total = metric.prometheus_name, aggregation(metric, by)
        selected = f"{matchers(metric, where)}[{window(metric, over)}]"
        return _query(
            metric,
            f"{total}(rate({name}_sum{selected})) / {total}(rate({name}_count{selected}))",
            title="average",
            unit=metric.unit,
            by=by,
            where=where,
        )

    def last(self, *, by: By = (), where: Where | None = None, combine: Combine | None = None) -> Query:
        """Return the value that a gauge or an up-down counter has now.

        Args:
            by: as for ``rate``; none shows each series of a gauge by itself.
            where: as for ``rate``.
            combine: how several series become one; by default up-down counters are added up,
                and of gauges the highest is taken.

        Raises:
            QueryError: a counter's or a histogram's value says nothing, or a label is not the metric's.
        """
        metric = self.declaration
        if metric.kind not in _GAUGES:
            raise QueryError(
                f"metric {metric.name!r} is {_kind(metric)}, whose value only says how much there was since the "
                f"process started: use {_INSTEAD[metric.kind]}"
            )
        selected = f"{metric.prometheus_name}{matchers(metric, where)}"
        added = "sum" if metric.kind is Kind.UP_DOWN_COUNTER else None
        operator = combine or added or ("max" if by else None)
        if operator is None:
            return _query(metric, selected, unit=metric.unit, by=(*metric.labels, "instance"), where=where, split=())
        if operator not in _COMBINE:
            raise QueryError(
                f"metric {metric.name!r}: {operator!r} combines no series: use one of {', '.join(_COMBINE)}"
            )
        title = _COMBINE[operator] if combine else ""
        return _query(
            metric,
            f"{aggregation(metric, by, operator)}({selected})",
            title=title,
            unit=metric.unit,
            by=by,
            where=where,
        )

    def age(self, *, by: By = (), where: Where | None = None) -> Query:
        """Return how long ago the latest moment is that a gauge holds, in seconds since 1970.

        Arguments are those of ``rate``.

        Raises:
            QueryError: the metric is no gauge in seconds, or a label is not the metric's.
        """
        metric = self.declaration
        if metric.kind is not Kind.GAUGE or metric.unit != "s":
            unit = f"in {metric.unit!r}" if metric.unit else "without a unit"
            raise QueryError(f"metric {metric.name!r} is {_kind(metric)} {unit}: moments are gauges in seconds, 's'")
        selected = f"{metric.prometheus_name}{matchers(metric, where)}"
        expr = f"time() - {aggregation(metric, by, 'max')}({selected})"
        return _query(metric, expr, title="age", unit="s", by=by, where=where)

    def usual(self) -> Query:
        """Return the query of a panel that nobody has written: rates, the latest values or moments, or the p95."""
        metric = self.declaration
        if metric.kind is Kind.COUNTER:
            return self.rate(by=metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            return self.quantile(by=metric.labels)
        if metric.kind is Kind.GAUGE and metric.prometheus_name.endswith("_timestamp_seconds"):
            return self.age(by=metric.labels)
        return self.last(by=metric.labels)


_GAUGES = frozenset({Kind.GAUGE, Kind.UP_DOWN_COUNTER})
_COMBINE = {"avg": "average", "max": "highest", "min": "lowest", "sum": "sum"}
_INSTEAD = {Kind.COUNTER: "rate() or increase()", Kind.HISTOGRAM: "quantile(), average() or rate()"}


def _counted(metric: Declaration, asked: str) -> str:
    if metric.kind is Kind.COUNTER:
        return metric.prometheus_name
    if metric.kind is Kind.HISTOGRAM:
        return f"{metric.prometheus_name}_count"
    raise QueryError(
        f"metric {metric.name!r} is {_kind(metric)}, which falls too: {asked}() would take "
        "each fall for a restart; use last() or average()"
    )


def _histogram(metric: Declaration, asked: str) -> None:
    if metric.kind is not Kind.HISTOGRAM:
        instead = "rate() or increase()" if metric.kind is Kind.COUNTER else "last()"
        raise QueryError(f"metric {metric.name!r} is {_kind(metric)} and has no {asked}(): use {instead}")


def _kind(metric: Declaration) -> str:
    return "an up-down-counter" if metric.kind is Kind.UP_DOWN_COUNTER else f"a {metric.kind.value}"


def _share_text(metric: Declaration, share: float) -> str:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        right = f": write {share / 100:.6g}" if _is_percentile(share) else ", as 0.95"
        raise QueryError(f"metric {metric.name!r}: {share!r} is no quantile, which is a number from 0 to 1{right}")
    return f"{share:.12g}"


def _is_percentile(share: object) -> bool:
    return isinstance(share, int | float) and math.isfinite(share) and 1 < share <= 100  # noqa: PLR2004 (percent)


def _per_second(metric: Declaration) -> str:
    if metric.kind is Kind.HISTOGRAM or not metric.unit:
        return "1/s"
    return "1" if metric.unit == "s" else f"{metric.unit}/s"  # seconds each second are a share


def _query(
    metric: Declaration,
    expr: str,
    *,
    unit: str,
    by: By,
    where: Where | None,
    title: str = "",
    split: By | None = None,
) -> Query:
    words = metric.name.replace(".", " ").replace("_", " ").strip()
    labels = shown_labels(metric, by)
    named = labels if split is None else shown_labels(metric, split)
    return Query(
        expr=expr,
        title=" ".join(filter(None, (_heading(words, title), _split_text(named), _where_text(where)))),
        unit=unit,
        legend=" ".join(f"{{{{{label}}}}}" for label in labels) or title or words,
        description=metric.description,
        metric=metric.prometheus_name,
    )


def _heading(words: str, title: str) -> str:
    first = words[:1].upper() + words[1:]
    if title.startswith("per "):
        return f"{first} {title}"
    return f"{first}, {title}" if title else first


def _split_text(labels: tuple[str, ...]) -> str:
    return f"by {' and '.join(label.replace('_', ' ') for label in labels)}" if labels else ""


def _where_text(where: Where | None) -> str:
    pairs = [
        f"{label} {value if isinstance(value, str) else ' or '.join(value)}" for label, value in (where or {}).items()
    ]
    return f"({', '.join(pairs)})" if pairs else ""
