"""The sink that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS

if TYPE_CHECKING:
    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.metrics.registry import Registry


class CountErrors:
    """Counts errors in ``system_errors_total``, by type and component."""

    takes_nested = True

    def __init__(self, registry: Registry) -> None:
        self._errors = registry.counter(SYSTEM_ERRORS)

    def __call__(self, record: ErrorRecord, /) -> None:
        """Count one error."""
        self._errors.add(1, {"error_type": record.error_type, "component": record.component})
