"""Everything that otel_monitoring raises on purpose.

.. code-block:: text

    MonitoringError
    ├── ConfigurationError     a setting is unknown or has a bad value
    ├── DeclarationError       a metric is declared wrongly, or differently from before
    ├── MeasurementError       a measurement does not fit its metric (only with ``strict``)
    ├── ExtraMissingError      a feature needs an optional dependency that is not installed
    ├── ServerError            the stand-alone metrics server cannot start
    ├── QueryError             a query is no PromQL, or names what the catalogue does not hold
    ├── DashboardError         a dashboard, a row or a panel is put together wrongly
    ├── PushError              a Pushgateway did not take what was pushed; never leaves the service
    ├── StoreError             the error store cannot be read or written
    │   └── UnknownGroupError  no group of errors, or more than one, is meant
    └── GrafanaError           Grafana did not do what was asked of it; its own tree is in the grafana room

Recording raises nothing unless ``strict`` is set: a service must not fail because of
what watches it.  Declaring and configuring always raise, since they run at start.
"""

from __future__ import annotations


class MonitoringError(Exception):
    """The base of every exception of this package."""


class ConfigurationError(MonitoringError, ValueError):
    """One or more settings are wrong; the message lists every problem at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{len(problems)} problem(s) in the settings:\n{lines}")


class DeclarationError(MonitoringError, ValueError):
    """A metric's declaration is refused; the message says what would be right."""


class MeasurementError(MonitoringError, ValueError):
    """A measurement was dropped; raised only where ``strict`` is set.

    Attributes:
        reason: the value of the label ``reason`` under which it was counted in
            ``monitoring_dropped_total``.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ExtraMissingError(MonitoringError, ImportError):
    """What was asked for comes with an extra that is not installed."""


class ServerError(MonitoringError, OSError):
    """The stand-alone metrics server cannot listen where it was told to."""


class PushError(MonitoringError):
    """The Pushgateway did not take what was sent.

    Attributes:
        kind: one word of few: ``timeout``, ``unreachable``, ``http_503`` and so on.
        passing: whether trying again soon makes sense.
    """

    def __init__(self, kind: str, message: str, *, passing: bool) -> None:
        self.kind = kind
        self.passing = passing
        super().__init__(message)


class StoreError(MonitoringError):
    """The error store cannot be read or written; the message says why, never with credentials.

    Attributes:
        passing: whether trying again soon makes sense.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        self.passing = passing
        super().__init__(message)


class UnknownGroupError(StoreError, LookupError):
    """No group of errors has a fingerprint that begins so, or several have; the message lists those."""

    def __init__(self, message: str) -> None:
        super().__init__(message, passing=False)


class QueryError(MonitoringError, ValueError):
    """A query is no PromQL, or names a metric, label or bucket that the catalogue does not hold."""


class DashboardError(MonitoringError, ValueError):
    """A dashboard, a row or a panel is put together wrongly; the message says what would be right."""


class GrafanaError(MonitoringError):
    """Grafana did not do what was asked; the message says what to do, never with credentials."""
