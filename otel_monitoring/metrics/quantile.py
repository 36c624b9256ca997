"""Quantiles of a histogram, as Prometheus estimates them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile(share: float, bounds: Sequence[float], cumulative: Sequence[float]) -> float | None:
    """Return the value that a share of all values does not exceed, None of an empty histogram.

    Inside a bucket the values are taken to lie evenly, above the highest bound nothing is
    known: the formula of ``histogram_quantile``,
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile

    Args:
        share: between 0 and 1.
        bounds: the upper bounds, rising, without infinity.
        cumulative: how many values were at most each bound, and at last how many there are.
    """
    total = cumulative[-1]
    if total <= 0:
        return None
    rank = share * total
    bucket = bisect_left(cumulative, rank)
    if bucket >= len(bounds):
        return bounds[-1]
    upper = bounds[bucket]
    if bucket == 0 and upper <= 0:
        return upper
    lower = bounds[bucket - 1] if bucket else 0.0
    below = cumulative[bucket - 1] if bucket else 0.0
    inside = cumulative[bucket] - below
    return lower + (upper - lower) * (rank - below) / inside if inside else upper
