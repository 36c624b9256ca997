"""Other people's OpenTelemetry instruments, shown beside our own.

They stay on the stock OpenTelemetry SDK.  Where the application has set a MeterProvider
it is used as it is; where it has not, a plain one is set.
"""

from __future__ import annotations

import logging
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from opentelemetry import metrics as otel

from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics import MeterProvider

    from otel_monitoring.export.reader import Reader

logger = logging.getLogger("otel_monitoring")

_LOGGED_AT_MOST = 1000
_FIRST_SCRAPE = (
    "concurrent.futures.thread",  # in which OpenTelemetry makes a resource
    "opentelemetry.sdk.resources",
    "otel_monitoring.export.reader",
    "otel_monitoring.export.views",
)


class ThirdParty:
    """What third-party instruments have recorded, as families of text.

    Args:
        resource: attributes such as ``service.name`` for a MeterProvider that is made here;
            one that the application has made keeps its own.
    """

    def __init__(self, resource: Mapping[str, str] | None = None) -> None:
        self._resource = dict(resource or {})
        self._lock = threading.Lock()
        self._attached: tuple[MeterProvider, Reader] | None = None
        self._closed = False
        self._left_to_us: frozenset[str] = frozenset()
        self._logged: set[str] = set()
        tell_after_fork(self)

    @property
    def attached(self) -> bool:
        """Whether the instruments are being read."""
        return self._attached is not None

    def expect_scrapes(self) -> None:
        """Import what the first scrape needs: a child that is forked meanwhile would wait for it for ever."""
        for name in _FIRST_SCRAPE:
            import_module(name)

    def attach(self, *, make: bool = True) -> bool:
        """Read from now on what instruments record; instruments made earlier are read too.

        Where a provider that is not the SDK's has been set, it is left alone.

        Args:
            make: make a provider where none has been set; an application that sets its own
                afterwards would be refused by OpenTelemetry.

        Returns:
            Whether they are read.
        """
        with self._lock:
            if self._attached is None and not self._closed:
                provider = self._provider(make=make)
                if provider is not None:
                    self._tell(provider)
                    self._attached = (provider, self._read(provider))
        return self.attached

    def leave_to_us(self, scope: str) -> None:
        """Let an instrumentation that is asked for from now on measure nothing: we do what it does.

        Only a provider that was made here is told; an application's own is left as it is.

        Args:
            scope: the name under which it asks for its meter.
        """
        with self._lock:
            self._left_to_us |= {scope}
            if self._attached is not None:
                self._tell(self._attached[0])

    def render(self, taken: frozenset[str], *, openmetrics: bool) -> str:
        """Return the families of third-party instruments, without an end mark.

        What a library's own callbacks raise is logged by the SDK; what the SDK or the
        exporter raises comes out here: contain it.

        Args:
            taken: names that are shown already; a family that would show one of them is
                left out, and the log says so once.
            openmetrics: as OpenMetrics 1.0 rather than text 0.0.4.
        """
        with self._lock:
            if self._attached is None:
                return ""
            _, reader = self._attached
            # Two collections at a time would get each other's values.
            return reader.text(taken, openmetrics=openmetrics)

    def shutdown(self, timeout: float = 2.0) -> bool:
        """Read no more, whoever asks for it.

        A provider that was made here goes on without a reader: OpenTelemetry lets a
        process set one only once, so whoever comes later needs it alive.

        Args:
            timeout: seconds to wait for a scrape that is under way.

        Returns:
            Whether it is detached; a scrape that hangs in someone's callback keeps it.
        """
        if not self._lock.acquire(timeout=max(0.0, timeout)):
            return False
        try:
            self._closed = True
            if self._attached is not None:
                provider, reader = self._attached
                self._attached = None
                provider.remove_metric_reader(reader)
            return True
        finally:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Let go of the lock that a thread of the parent may hold."""
        self._lock = threading.Lock()

    def _provider(self, *, make: bool) -> MeterProvider | None:
        if not make and "opentelemetry.sdk.metrics" not in sys.modules:
            return None  # nobody can have set one of its providers
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource

        from otel_monitoring.export.reader import SharedProvider
        from otel_monitoring.export.views import http_views

        there = otel.get_meter_provider()
        if not isinstance(there, MeterProvider) and _is_unset(there):
            if not make:
                return None
            resource = Resource.create(dict(self._resource))
            made = SharedProvider(resource=resource, views=http_views(), shutdown_on_exit=False)
            otel.set_meter_provider(made)
            # Another thread may have been first.
            there = otel.get_meter_provider()
        if isinstance(there, MeterProvider):
            return there
        self._log_once("provider", f"third-party instruments are not shown: the MeterProvider is a {type(there)!r}")
        return None

    def _tell(self, provider: MeterProvider) -> None:
        from otel_monitoring.export.reader import SharedProvider

        if isinstance(provider, SharedProvider):
            provider.left_to_us |= self._left_to_us

    def _read(self, provider: MeterProvider) -> Reader:
        from otel_monitoring.export.reader import Reader

        reader = Reader(self._leave_out)
        # Also to a provider of our own: a reader given to its constructor would take part in its force_flush,
        # and the exporter then shows each series twice.
        provider.add_metric_reader(reader)
        return reader

    def _leave_out(self, name: str, reason: str) -> None:
        self._log_once(f"{name}: {reason}", f"the third-party metric {name} is left out: {reason}")

    def _log_once(self, about: str, message: str) -> None:
        if about not in self._logged and len(self._logged) < _LOGGED_AT_MOST:
            self._logged.add(about)
            logger.info("%s", message)


def _is_unset(provider: otel.MeterProvider) -> bool:
    """Tell whether this is what the API hands out as long as nobody has set a provider.

    Its class has no public name; it is the API's own, and not the one that means "none, please".
    """
    return type(provider).__module__.startswith("opentelemetry.metrics.") and not isinstance(
        provider, otel.NoOpMeterProvider
    )
