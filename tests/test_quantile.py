"""Quantiles are estimated as Prometheus's histogram_quantile does."""

from __future__ import annotations

import pytest

from otel_monitoring.metrics.quantile import quantile


@pytest.mark.parametrize(
    ("share", "bounds", "cumulative", "expected"),
    [
        (0.5, (1.0, 2.0), (0, 0, 0), None),
        (0.5, (1.0, 2.0), (10, 10, 10), 0.5),
        (0.5, (1.0, 2.0), (0, 10, 10), 1.5),
        (0.9, (1.0, 2.0, 4.0), (50, 80, 100, 100), 3.0),
        (0.99, (1.0, 2.0), (1, 1, 100), 2.0),
        (1.0, (1.0, 2.0), (4, 8, 8), 2.0),
        (0.5, (-1.0, 2.0), (8, 8, 8), -1.0),
    ],
)
def test_a_quantile_lies_evenly_inside_its_bucket(
    share: float, bounds: tuple[float, ...], cumulative: tuple[int, ...], expected: float | None
) -> None:
    """Inside a bucket values lie evenly; above the highest bound it is that bound."""
    assert quantile(share, bounds, cumulative) == (None if expected is None else pytest.approx(expected))
