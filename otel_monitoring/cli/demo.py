"""``otel-monitoring demo``: the example system under its own traffic, and what it shows."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from otel_monitoring.cli.table import RecentFigures
from otel_monitoring.exceptions import ExtraMissingError, ServerError
from otel_monitoring.service import MonitoringService

if TYPE_CHECKING:
    from uvicorn import Server

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 (only who asks for it listens there)
READINGS_PER_SECOND = 2
STARTS_WITHIN_SECONDS = 15.0
STOPS_WITHIN_SECONDS = 5.0
CALLERS = 4
SEED = 2042
"""The same traffic each time; what it meets is left to chance."""


def run_demo(*, host: str = HOST, port: int, seconds: float | None, requests_per_second: float) -> None:
    """Run the example until the time is over or Ctrl-C is pressed.

    Args:
        host: the address that the example application listens on.
        port: of the example application; 0 takes any free one.
        seconds: how long; None goes on until Ctrl-C.
        requests_per_second: how much traffic to make.

    Raises:
        ExtraMissingError: FastAPI or uvicorn is not installed.
        ServerError: the port is in use.
    """
    listening = _listen(host, port)
    with MonitoringService(service_name="outreach") as monitoring:
        server = _start_server(monitoring, listening)
        address = _address_of(listening)
        stop = threading.Event()
        callers = [
            threading.Thread(target=_call, args=(address, CALLERS / requests_per_second, number, stop), daemon=True)
            for number in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        try:
            _show(monitoring, address, seconds)
        except KeyboardInterrupt:
            pass
        finally:
            stop.set()
            server.should_exit = True
            for caller in callers:
                caller.join(STOPS_WITHIN_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ServerError(
            f"port {port} of {host} cannot be used ({error.strerror}): take another with --port"
        ) from error
    return listening


def _address_of(listening: socket.socket) -> str:
    """Return where this machine reaches what listens there: what listens everywhere is on loopback, too."""
    host, port = listening.getsockname()
    return f"{HOST if host == EVERYWHERE else host}:{port}"


def _start_server(monitoring: MonitoringService, listening: socket.socket) -> Server:
    try:
        import uvicorn

        from otel_monitoring.cli.example_system import example_application
    except ImportError as error:
        raise ExtraMissingError(
            f"the demo needs {error.name}: pip install 'otel-monitoring[fastapi]'", name=error.name
        ) from error
    application = example_application(monitoring, random.Random())  # noqa: S311 (a demo's chance)
    monitoring.instrument(application, metrics_path="/metrics")
    server = uvicorn.Server(
        uvicorn.Config(application, log_config=None, log_level="critical", timeout_graceful_shutdown=1)
    )
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="example", daemon=True).start()
    until = time.monotonic() + STARTS_WITHIN_SECONDS
    while not server.started:
        if time.monotonic() > until:
            raise ServerError(f"the example application did not start within {STARTS_WITHIN_SECONDS:.0f} s")
        time.sleep(0.01)
    return server


def _call(address: str, pause_seconds: float, number: int, stop: threading.Event) -> None:
    chance = random.Random(SEED + number)  # noqa: S311 (a demo's chance)
    connection = http.client.HTTPConnection(address, timeout=STOPS_WITHIN_SECONDS)
    while not stop.wait(chance.expovariate(1 / pause_seconds)):
        method, path = _request(chance)
        try:
            connection.request(method, path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()
    connection.close()


def _request(chance: random.Random) -> tuple[str, str]:
    prospect = f"prospect-{chance.randint(1, 500)}"
    platform = chance.choices(("linkedin", "twitter", "email", "telex"), weights=(50, 30, 19, 1))[0]
    return chance.choice(
        (
            ("GET", f"/api/prospects/{prospect}"),
            ("POST", f"/api/prospects/{prospect}/score?platform={platform}"),
            ("POST", f"/api/prospects/{prospect}/messages?platform={platform}"),
        )
    )


def _show(monitoring: MonitoringService, address: str, seconds: float | None) -> None:
    console = Console()
    console.print("The example system is running, under its own traffic.")
    console.print(f"  its metrics      http://{address}/metrics", soft_wrap=True)
    console.print(f"  its interface    http://{address}/docs")
    job = f"{{job_name: demo, static_configs: [{{targets: ['{address}']}}]}}"
    console.print(f"  for Prometheus   prometheus.yml: scrape_configs: [{job}]", soft_wrap=True)
    console.print("  Ctrl-C stops it.\n" if seconds is None else f"  It stops after {seconds:g} s.\n")
    figures = RecentFigures()
    until = time.monotonic() + seconds if seconds is not None else None
    figures.read(monitoring.registry.snapshot())
    with Live(console=console, refresh_per_second=READINGS_PER_SECOND, get_renderable=figures.tables):
        while until is None or time.monotonic() < until:
            time.sleep(1 / READINGS_PER_SECOND)
            figures.read(monitoring.registry.snapshot())
