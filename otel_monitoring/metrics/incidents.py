"""What goes wrong in the monitoring: counted, logged once, never raised into the application."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.exceptions import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

logger = logging.getLogger("otel_monitoring")

REASONS = ("wrong_labels", "not_a_number", "not_finite", "negative", "unknown_metric", "internal")
"""Why measurements are dropped; each is counted from 0 on, so that ``rate()`` sees the first."""

LOGGED_AT_MOST = 1000
"""Different complaints that are logged in the life of a process; counting goes on after."""


class CountDropped(Protocol):
    """Counts one dropped measurement under a reason."""

    def __call__(self, reason: str) -> None:
        """Count it."""
        ...


class Incidents:
    """Hears of every measurement that does not fit and of every fault of our own.

    Args:
        strict: raise instead of counting, as tests want it.
        count: called with the reason of each measurement that is dropped.
    """

    def __init__(self, *, strict: bool, count: CountDropped) -> None:
        self.strict = strict
        self._count = count
        self._logged: set[tuple[str, str]] = set()

    def drop(self, reason: str, about: str, message: Callable[[], str]) -> None:
        """Count a measurement that is dropped and log the first of its kind, or raise.

        Args:
            reason: one word of few, the label under which it is counted.
            about: the metric; with the reason it makes the kind that is logged once.
            message: makes the text, called only where it is wanted.

        Raises:
            MeasurementError: with ``strict``.
        """
        self._count(reason)
        if self.strict:
            raise MeasurementError(reason, message())
        if self._is_first(reason, about):
            logger.warning("measurement dropped, later ones like it silently: %s", message())

    def warn_once(self, kind: str, about: str, message: Callable[[], str]) -> None:
        """Log a warning the first time that this kind is seen with this subject."""
        if self._is_first(kind, about):
            logger.warning("%s", message())

    def contained(self, doing: str) -> Contained:
        """Keep a fault of our own from reaching the application.

        Every part that runs inside the application's calls, and is not the recording
        itself, runs inside of this.  With ``strict`` the fault goes on its way.
        """
        return Contained(self, doing)

    def contain(self, fault: Exception, doing: str) -> bool:
        """Count a fault of our own and log the first of its kind; tell whether it goes no further."""
        if self.strict:
            return False
        self._count("internal")
        if self._is_first("internal", doing):
            logger.warning(
                "fault inside the monitoring while %s; the application is not affected", doing, exc_info=fault
            )
        return True

    def _is_first(self, kind: str, about: str) -> bool:
        seen = self._logged
        if (kind, about) in seen or len(seen) >= LOGGED_AT_MOST:
            return False
        seen.add((kind, about))
        return True


class Contained:
    """What ``Incidents.contained`` gives; a class, for a generator takes three times as long."""

    __slots__ = ("_doing", "_incidents")

    def __init__(self, incidents: Incidents, doing: str) -> None:
        self._incidents = incidents
        self._doing = doing

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """End; a fault goes no further."""
        return isinstance(error, Exception) and self._incidents.contain(error, self._doing)
