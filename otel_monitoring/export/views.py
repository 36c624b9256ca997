"""Which attributes of HTTP metrics are kept: those of which there are few, whatever clients send.

Hosts, addresses, URLs and user agents are what others choose: fifty invented hosts would
make fifty series of each metric.  Kept are those of OpenTelemetry's HTTP conventions, stable
and old, whose values the conventions or the application bound.
"""

from __future__ import annotations

from opentelemetry.sdk.metrics.view import View

BOUNDED = frozenset(
    {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.name",
        "network.protocol.version",
        "url.scheme",
        # The conventions before 1.23, which instrumentations use where the stable ones are not chosen.
        "http.flavor",
        "http.method",
        "http.scheme",
        "http.status_code",
        "http.status_text",
    }
)


def http_views() -> list[View]:
    """Return the views for a MeterProvider."""
    return [View(instrument_name=f"http.{side}.*", attribute_keys=set(BOUNDED)) for side in ("client", "server")]
