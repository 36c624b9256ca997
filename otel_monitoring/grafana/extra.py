"""What comes with the extra ``otel-monitoring[grafana]``, and what is said where it is missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import ExtraMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = frozenset({"grafana_client", "grafana_foundation_sdk", "niquests", "promql_parser"})
"""What it brings, by the names it is imported under."""


@contextmanager
def needing_extra(purpose: str) -> Iterator[None]:
    """Say which extra to install where something within cannot be imported without it.

    Args:
        purpose: what needs it; the message begins with it.

    Raises:
        ExtraMissingError: one of the libraries is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise ExtraMissingError(
            f"{purpose} needs {missing.name}, which is not installed: pip install 'otel-monitoring[grafana]'"
        ) from None
