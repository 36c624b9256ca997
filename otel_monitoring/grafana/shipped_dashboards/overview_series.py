"""What the rows of the System Overview read, and where its values lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.dashboard import link_to
from otel_monitoring.grafana.shipped_rules.terms import OVERVIEW, bucket

if TYPE_CHECKING:
    from otel_monitoring.catalogue.thresholds import Thresholds

REQUESTS = 'request_duration_seconds_count{endpoint=~"$endpoint"}'
REQUEST_BUCKETS = 'request_duration_seconds_bucket{endpoint=~"$endpoint"}'
ONLY_COMPONENT = {"component": link_to(OVERVIEW, "component")}


def requests_in_time(thresholds: Thresholds) -> str:
    """Return the selector of the requests that kept the latency objective."""
    return f'request_duration_seconds_bucket{{endpoint=~"$endpoint", {bucket(thresholds.latency_objective_seconds)}}}'
