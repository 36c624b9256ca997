"""The stock Prometheus reader, over what ``merging`` makes of the SDK's metrics.

Imports the SDK and prometheus_client: to be imported only where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter, NoOpMeter
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from otel_monitoring.export.merging import merge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.util.types import Attributes

    from otel_monitoring.export.merging import LeftOut

_END = b"# EOF\n"


class Reader(PrometheusMetricReader):
    """Reads a MeterProvider into families of its own registry.

    Args:
        left_out: called with the Prometheus name of each metric that cannot be shown, and the reason.
    """

    def __init__(self, left_out: LeftOut) -> None:
        self._left_out = left_out
        self._own = CollectorRegistry()
        super().__init__(scope_info_enabled=False, registry=self._own)

    def text(self, taken: frozenset[str], *, openmetrics: bool) -> str:
        """Collect, and return the families as text 0.0.4, or as OpenMetrics without its end mark.

        Args:
            taken: names that are shown elsewhere; a family with one of them is left out.
            openmetrics: which of the two.
        """
        collected = CollectorRegistry()
        collected.register(_Collected(list(self._distinct(taken))))
        generate = generate_openmetrics if openmetrics else generate_latest
        written: bytes = generate(collected)
        return written.removesuffix(_END).decode()

    def _distinct(self, taken: frozenset[str]) -> Iterable[Metric]:
        """Go through the families whose names, headings and lines alike, are nobody else's."""
        seen = set(taken)
        for family in self._own.collect():
            if not family.samples:
                continue
            names = {family.name, *(sample.name for sample in family.samples)}
            if seen.isdisjoint(names):
                seen |= names
                yield family
            else:
                self._left_out(family.name, "its name is shown already")

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        """Take what was collected: the method that each MetricReader defines."""
        super()._receive_metrics(merge(metrics_data, self._left_out), timeout_millis, **kwargs)


class SharedProvider(MeterProvider):
    """The stock MeterProvider, for an application that has set none.

    Attributes:
        left_to_us: names of instrumentation scopes that measure what we measure already;
            they get a meter that does nothing, so that no request is measured twice.
    """

    left_to_us: frozenset[str] = frozenset()

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes | None = None,
    ) -> Meter:
        """Return a meter of that scope."""
        if name in self.left_to_us:
            return NoOpMeter(name, version, schema_url)
        return super().get_meter(name, version, schema_url, attributes)


class _Collected:
    """Families as a CollectorRegistry takes them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
