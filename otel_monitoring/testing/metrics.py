"""What the fixture ``metrics`` gives."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from otel_monitoring.catalogue import Kind
from otel_monitoring.catalogue.names import did_you_mean, prometheus_label
from otel_monitoring.catalogue.shipped import MONITORING_DROPPED
from otel_monitoring.exceptions import MeasurementError
from otel_monitoring.service import MonitoringService
from otel_monitoring.testing.reading import Amount, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableSet
    from types import TracebackType
    from typing import Self

    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.errors import ErrorRecord, Sink
    from otel_monitoring.testing.reading import Series

_ErrorKey = tuple[str, int]


class _Asked(NamedTuple):
    """What a test asks for."""

    metric: Declaration
    is_total: bool
    labels: dict[str, str]

    def takes(self, series: Series) -> bool:
        """Tell whether a series is meant."""
        return series.metric == self.metric.prometheus_name and self.labels.items() <= dict(series.labels).items()

    def of(self, amount: Amount) -> float:
        """Return the number that is meant of a series."""
        return amount.total if self.is_total else amount.number


class Metrics:
    """What all services record and which errors they report while this is entered.

    It reads every service of the process, as a difference: the application's own, which was
    made when it was imported, and those that are made meanwhile.  All of them are strict
    meanwhile: a measurement that does not fit raises MeasurementError where it is made.

    Args:
        services: those that there are; its own is taken out in the end.

    Attributes:
        errors: the errors, each once, in their order; with ``error_type``, ``component``,
            ``message``, ``context`` and ``exception``.
    """

    def __init__(self, services: MutableSet[MonitoringService]) -> None:
        self.errors: list[ErrorRecord] = []
        self._services = services
        self._heard: Counter[_ErrorKey] = Counter()
        self._readings: dict[MonitoringService, Reading] = {}
        self._own: MonitoringService | None = None
        self._dropped_expected = False
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        """Begin to read."""
        for service in tuple(self._services):
            self._watch(service, whole=False)
        watchers = MonitoringService.watchers
        MonitoringService.watchers = (*watchers, self._watch)
        self._undo.callback(setattr, MonitoringService, "watchers", watchers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the services as they were; what was read stays."""
        self._undo.close()

    @property
    def service(self) -> MonitoringService:
        """A service of this test's own, for code that is handed one; it is made when it is first asked for."""
        if self._own is None:
            self._own = MonitoringService(
                service_name="test",
                strict=True,
                offline=True,
                third_party=False,
                resources=False,
                errors_uncaught=False,
            )
            self._undo.callback(self._services.discard, self._own)
            self._undo.callback(self._own.shutdown)
        return self._own

    def value(self, name: str, labels: Mapping[str, object] | None = None) -> float | None:
        """Return what was recorded in this test, over all services.

        Args:
            name: of Prometheus or of OpenTelemetry.  A counter gives what was added, a gauge
                what was set last, a histogram how many values were recorded; with ``_sum``
                added to its name their sum.
            labels: the series whose labels have these values are added up.

        Returns:
            The number; None of a gauge that was not set.

        Raises:
            MeasurementError: nothing is called so, or it has no such label.
            ValueError: several series of a gauge are meant: they cannot be added up.
        """
        asked = self._asked(name, labels)
        found = [asked.of(amount) for _, amount in self._amounts(asked)]
        if asked.metric.kind is not Kind.GAUGE:
            return math.fsum(found)
        if len(found) > 1:
            raise ValueError(f"{len(found)} series of {name} were set: give all of {asked.metric.prometheus_labels}")
        return found[0] if found else None

    @contextmanager
    def assert_change(self, name: str, labels: Mapping[str, object] | None = None, *, by: float = 1) -> Iterator[None]:
        """Assert that the block changes a metric by so much; name and labels are those of ``value``.

        Raises:
            AssertionError: the change is another one; the message says which series did change.
        """
        asked = self._asked(name, labels)
        before = self._shown(asked)
        value_before = self.value(name, labels) or 0.0
        yield
        change = (self.value(name, labels) or 0.0) - value_before
        if not math.isclose(change, by, rel_tol=1e-9, abs_tol=1e-9):
            changes = {series: now - before.get(series, 0.0) for series, now in self._shown(asked).items()}
            changed = [f"{series} by {step:g}" for series, step in changes.items() if step]
            raise AssertionError(
                f"{_series_text(name, asked.labels)} changed by {change:g}, not by {by:g}; "
                f"changed were: {', '.join(changed) or 'none of its series'}"
            )

    def expect_dropped(self) -> None:
        """Let the test pass though measurements were dropped, which it is about."""
        self._dropped_expected = True

    def check(self) -> None:
        """Raise where measurements did not fit, although the application has caught what that raised.

        Raises:
            MeasurementError: some did not.
        """
        dropped = {
            dict(series.labels)["reason"]: amount.number
            for series, amount in self._all_amounts()
            if series.metric == MONITORING_DROPPED.prometheus_name and amount.number
        }
        if dropped and not self._dropped_expected:
            reasons = ", ".join(f"{count:g} of {reason}" for reason, count in dropped.items())
            raise MeasurementError(
                next(iter(dropped)),
                f"measurements did not fit the catalogue: {reasons}; a test that is about it calls expect_dropped()",
            )

    def _watch(self, service: MonitoringService, *, whole: bool = True) -> None:
        incidents = service.registry.incidents
        self._undo.callback(setattr, incidents, "strict", incidents.strict)
        incidents.strict = True
        self._undo.callback(service.hear_errors(self._listener()))
        self._readings[service] = Reading(service.registry, whole=whole)

    def _listener(self) -> Sink:
        """Return what takes the errors of one service; several hear the same one where it was logged."""
        heard: Counter[_ErrorKey] = Counter()

        def hear(record: ErrorRecord, /) -> None:
            key = record.message, id(record.exception)
            heard[key] += 1
            if heard[key] > self._heard[key]:
                self._heard[key] = heard[key]
                self.errors.append(record)

        return hear

    def _asked(self, name: str, labels: Mapping[str, object] | None) -> _Asked:
        metric, is_total = self._find(name)
        wanted = {prometheus_label(label): str(value) for label, value in (labels or {}).items()}
        for label in wanted:
            if label not in metric.prometheus_labels:
                raise MeasurementError(
                    "wrong_labels", f"{name} has no label {label!r}; its labels are {metric.prometheus_labels}"
                )
        return _Asked(metric, is_total, wanted)

    def _find(self, name: str) -> tuple[Declaration, bool]:
        catalogues = [service.registry.catalogue for service in self._readings] or [self.service.registry.catalogue]
        for catalogue in catalogues:
            metric = catalogue.find(name)
            if metric is not None:
                return metric, metric.kind is Kind.HISTOGRAM and name == f"{metric.prometheus_name}_sum"
        known = {known for catalogue in catalogues for metric in catalogue for known in metric.sample_names}
        raise MeasurementError("unknown_metric", f"no metric is called {name!r}{did_you_mean(name, known)}")

    def _all_amounts(self) -> Iterator[tuple[Series, Amount]]:
        for reading in tuple(self._readings.values()):
            yield from reading.amounts()

    def _amounts(self, asked: _Asked) -> Iterator[tuple[Series, Amount]]:
        return ((series, amount) for series, amount in self._all_amounts() if asked.takes(series))

    def _shown(self, asked: _Asked) -> dict[str, float]:
        """Return all series of the metric that is asked for, as text, with what was recorded."""
        whole = asked._replace(labels={})
        return {
            _series_text(series.metric, dict(series.labels)): asked.of(amount)
            for series, amount in self._amounts(whole)
        }


def _series_text(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{', '.join(f'{label}={value!r}' for label, value in labels.items())}}}" if labels else name
