"""The stand-alone server: the metrics on a port of their own."""

from __future__ import annotations

import errno
import socket
import threading
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any

from otel_monitoring.exceptions import ServerError
from otel_monitoring.export.access import Access
from otel_monitoring.export.answer import METHODS, Answer, answer, compose, method_not_allowed, plain
from otel_monitoring.export.connections import Asked, Limits, Server
from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from otel_monitoring.export.render import Render

METRICS_PATH = "/metrics"
HEALTH_PATH = "/-/healthy"

_EVERYONE = Access()
_PAGE = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Metrics</title></head>
<body><p>This service's metrics are at <a href="{METRICS_PATH}">{METRICS_PATH}</a>.</p></body></html>
""".encode()
_ADVICE = {
    errno.EADDRINUSE: "another program listens there: choose another port, or 0 for any free one, or stop that program",
    errno.EACCES: "the system does not allow it: choose a port above 1023",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose '127.0.0.1', '0.0.0.0' for all, or one it has",
}


class MetricsServer:
    """Serves ``/metrics`` from threads of its own.

    ``/`` is a page that links there and ``/-/healthy`` says 200 to anyone.  In a forked
    child the server does not run, and the parent's port is closed there.

    Args:
        render: makes the exposition.
        host: the name or the address to listen on; ``"0.0.0.0"`` or ``"::"`` for all.
        port: where to listen; 0 takes a free port, to be read from ``port``.
        access: who is let in.
        connections: how many clients are answered at the same time; one more gets a 503.
        timeout_seconds: what a client may take from connecting to having its answer.
    """

    def __init__(
        self,
        render: Render,
        host: str = "127.0.0.1",
        port: int = 9464,
        *,
        access: Access = _EVERYONE,
        connections: int = 32,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._render = render
        self._host = host
        self._port = port
        self._access = access
        self._limits = Limits(connections, timeout_seconds)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        tell_after_fork(self)

    @property
    def running(self) -> bool:
        """Whether it listens, in this process."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it listens on, or will."""
        server = self._server
        return self._port if server is None else server.port

    @property
    def url(self) -> str:
        """Where the metrics are, as seen from this machine."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 (read)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}{METRICS_PATH}"

    def start(self) -> Self:
        """Listen and answer from now on; nothing happens where it does already.

        Raises:
            ServerError: the port cannot be had; the message says what to do.
        """
        with self._lock:
            if self._server is None:
                server = self._listen()
                self._thread = threading.Thread(target=server.serve, name="otel-monitoring-server", daemon=True)
                self._thread.start()
                self._server = server
        return self

    def stop(self, timeout: float = 2.0) -> None:
        """Close the port; answers under way may be finished meanwhile.

        Args:
            timeout: seconds after which what is still open is cut.
        """
        until = monotonic() + timeout
        with self._lock:
            server, thread = self._server, self._thread
            self._server = self._thread = None
        if server is None or thread is None:
            return
        server.stop()
        thread.join(timeout)
        server.finish(until - monotonic())

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def after_fork_in_child(self) -> None:
        """Leave the port to the parent: this process has no thread that would answer."""
        self._lock = threading.Lock()
        server, self._server, self._thread = self._server, None, None
        if server is not None:
            server.abandon()

    def _listen(self) -> Server:
        try:
            family, address = _resolve(self._host, self._port)
            return Server(address, family, reply=self._reply, limits=self._limits)
        except (OSError, OverflowError, UnicodeError) as error:
            number = error.errno if isinstance(error, OSError) else None
            advice = _ADVICE.get(number or 0, f"{error}: check the host and the port")
            message = f"the metrics server cannot listen on port {self._port} of {self._host!r}: {advice}"
            raise ServerError(message) from error

    def _reply(self, asked: Asked) -> Answer:
        return self._answer(asked).to(asked.method)

    def _answer(self, asked: Asked) -> Answer:
        if asked.path == HEALTH_PATH:
            return plain(HTTPStatus.OK, "healthy") if asked.method in METHODS else method_not_allowed()
        refusal = self._access.refusal(asked.client, asked.header("Authorization"))
        if refusal is not None:
            return refusal
        if asked.path == METRICS_PATH:
            accept, accept_encoding = asked.header("Accept"), asked.header("Accept-Encoding")
            return answer(self._render, asked.method, accept=accept, accept_encoding=accept_encoding)
        if asked.path != "/":
            return plain(HTTPStatus.NOT_FOUND, f"not here: the metrics are at {METRICS_PATH}")
        return compose(_PAGE, "text/html; charset=utf-8") if asked.method in METHODS else method_not_allowed()


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return the address to listen on; IPv4 where a name such as ``localhost`` has both."""
    # Without the port: there are systems where one that is too large comes back as another.
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, (address[0], port, *address[2:])
