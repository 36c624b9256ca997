"""Forms of PromQL that the shipped dashboards repeat."""

from __future__ import annotations

from otel_monitoring.catalogue import bound_text

STEP = "[$__rate_interval]"
"""From one point to the next, as Grafana reckons it for rates."""

WHOLE_RANGE = "[$__range] @ end()"
"""The selected range, the same at each of its points."""


def share(part: str, *, of: str) -> str:
    """Return one sum over another: empty where there was nothing at all, 0 where there was no such part."""
    return f"({part} or 0 * {of}) / ({of} > 0)"


def per_second(counter: str, by: str = "", *, window: str = STEP) -> str:
    """Return how much a counter rises per second; of a histogram, take its ``_count``.

    Args:
        counter: a selector, such as ``jobs_total{queue="mail"}``.
        by: the labels to keep, with commas.
        window: the time that is looked back, in PromQL's brackets.
    """
    return f"{_sum(by)}(rate({counter}{window}))"


def rise(counter: str, by: str = "", *, window: str = STEP) -> str:
    """Return by how much a counter rises within the time that is looked back."""
    return f"{_sum(by)}(increase({counter}{window}))"


def per_range(counter: str, by: str = "") -> str:
    """Return by how much a counter rises over the selected range."""
    return rise(counter, by, window="[$__range]")


def quantile(share: float, buckets: str, by: str = "", *, window: str = STEP) -> str:
    """Return a quantile of a histogram.

    Args:
        share: 0.95 for what 95 % do not exceed.
        buckets: a selector of its ``_bucket``.
        by: the labels to keep, with commas.
        window: the time that is looked back, in PromQL's brackets.
    """
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({buckets}{window})))"


def mean(histogram: str, matchers: str, by: str = "") -> str:
    """Return the mean of what a histogram took in, empty where there was nothing."""
    taken, measured = (f"{histogram}_{part}{{{matchers}}}" for part in ("sum", "count"))
    return f"{per_second(taken, by)} / ({per_second(measured, by)} > 0)"


def bound(value: float) -> str:
    """Return the matcher that selects a histogram's bucket."""
    return f'le="{bound_text(value)}"'


def ten_largest(shown: str, by: str, *, of: str) -> str:
    """Return the ten series that are the largest over the whole range, the same at each point.

    Args:
        shown: what is drawn, by the labels.
        by: the labels.
        of: what they are ranked by, at one time.
    """
    return f"{shown} and on ({by}) topk(10, {of})"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
