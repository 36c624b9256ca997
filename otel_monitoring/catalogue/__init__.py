"""What may be measured: pure data, from the standard library only."""

from __future__ import annotations

from otel_monitoring.catalogue.bounds import bound_text
from otel_monitoring.catalogue.declaration import SECONDS, Declaration
from otel_monitoring.catalogue.kind import Kind
from otel_monitoring.catalogue.names import OVERFLOW_LABEL, did_you_mean, prometheus_label, prometheus_name
from otel_monitoring.catalogue.query import Query
from otel_monitoring.catalogue.registered import Catalogue

__all__ = [
    "OVERFLOW_LABEL",
    "SECONDS",
    "Catalogue",
    "Declaration",
    "Kind",
    "Query",
    "bound_text",
    "did_you_mean",
    "prometheus_label",
    "prometheus_name",
]
