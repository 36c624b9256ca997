"""One instrumented process: its service, what is hooked for it, and whether it serves the metrics.

Each process measures itself.  The first one serves on the port of the settings.  Where it
turns out to be a supervisor, which only keeps workers (gunicorn, uvicorn with workers or
reload, celery's pool), it lets go of the port, and each worker takes the first that is free
from there on.  So does any other child that serves an application itself, as those of servers
that are not known here.  The rest of the children measure, but do not serve.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import ServerError
from otel_monitoring.service import MonitoringService
from otel_monitoring.zero_code import environment
from otel_monitoring.zero_code.environment import Place
from otel_monitoring.zero_code.instrumentors import Enabled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_monitoring.export.server import MetricsServer

WORKERS_AT_MOST = 100
"""So many ports are tried by a worker, from that of the settings on."""

HIGHEST_PORT = 65_535
_STANDARD_ERROR = 2


def say(line: str) -> None:
    """Write one line to standard error, as it was when the process started; never fail."""
    # Where it was closed at start, its number may be that of somebody's file by now.
    if sys.__stderr__ is None:
        return
    # Not by sys.stderr: in a child that was just forked its lock may be held by a thread that is not there.
    with suppress(OSError):
        os.write(_STANDARD_ERROR, f"otel-monitoring: {line}\n".encode(errors="backslashreplace"))


class InstrumentedProcess:
    """What this process records, and where it shows it.

    Args:
        service: the one that was made from the environment.
        place: of the process among those that one command has started.

    Attributes:
        place: as it was given.
        service: the service in use: the application's own as soon as it has made one.
        enabled: what has become of OpenTelemetry's instrumentors.
        server: what serves its metrics, while something does.
    """

    def __init__(self, service: MonitoringService, place: Place) -> None:
        self.place = place
        self.service = service
        self.enabled = Enabled()
        self.server: MetricsServer | None = None
        self._supervises = False
        self._serves_with_application = False
        self._own = service
        self._clients: set[str] = set()

    def begin(self) -> None:
        """Serve, where that is this process's part, and follow its forks and its application's own service."""
        MonitoringService.watchers = (*MonitoringService.watchers, self._adopt)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork_in_child)
        environment.tell_children(they_serve=False)
        self.service.hear_logging()
        if self.place is Place.WORKER:
            self._serve_as_worker()
        elif self.place is Place.CHILD:
            self._serves_with_application = True
        else:
            self._serve((self.service.settings.prometheus_port,))

    def measure_clients(self, library: str) -> None:
        """Measure the calls of an HTTP client library that has been imported."""
        self._clients.add(library)
        self.service.instrument_clients(library)

    def application_is_served(self) -> None:
        """Serve the metrics, too, where this is a child that did not until now."""
        if self._serves_with_application:
            self._serves_with_application = False
            self._serve_as_worker()

    def step_back(self) -> None:
        """Leave the port to the workers: this process only keeps them."""
        self._supervises = True
        environment.tell_children(they_serve=True)
        server, self.server = self.server, None
        if server is not None:
            with self.service.registry.incidents.contained("leaving the port to workers"):
                server.stop()

    def _serve_as_worker(self) -> None:
        settings = self.service.settings
        first = settings.prometheus_port
        last = min(first + WORKERS_AT_MOST - 1, HIGHEST_PORT) if first else first
        self._serve(range(first, last + 1))
        if self.server is not None and settings.zero_code_checklist:
            say(f"worker {os.getpid()}: metrics at {self.server.url}")

    def _serve(self, ports: Iterable[int]) -> None:
        if not self.service.settings.zero_code_serve:
            return
        refused: ServerError | None = None
        for port in ports:
            try:
                # Others' MeterProvider comes first: ours is made with the first scrape.
                self.server = self.service.serve(port, provide=False)
            except ServerError as error:
                refused = error
                if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                    break
            else:
                return
        say(f"{refused}; the application runs all the same, with its metrics unseen")

    def _adopt(self, service: MonitoringService) -> None:
        """Let the application's own service be the one, where it makes one; the first does."""
        if self.service is not self._own or service.settings.disabled:
            return
        with service.registry.incidents.contained("handing over to the application's own service"):
            port = None if self.server is None else self.server.port
            self.server, self.service = None, service
            self._own.shutdown()
            service.hear_logging()
            for library in sorted(self._clients):
                service.instrument_clients(library)
            if port is not None:
                self._serve_instead(port)

    def _serve_instead(self, port: int) -> None:
        """Serve on the port that was served on before, unless the application's own service has another."""
        asked = self.service.settings.prometheus_port
        if asked == self._own.settings.prometheus_port:
            self._serve((port,))
            return
        self._serve((asked,))
        if self.server is not None and self.service.settings.zero_code_checklist:
            say(f"the application's own service: metrics at {self.server.url}")

    def _after_fork_in_child(self) -> None:
        supervised, self._supervises = self._supervises, False
        self.server = None
        self._serves_with_application = not supervised
        environment.tell_children(they_serve=False)
        if supervised:
            with self.service.registry.incidents.contained("serving the metrics of a worker"):
                self._serve_as_worker()
