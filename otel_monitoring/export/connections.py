"""A threaded HTTP server that no client can hold for long: connections are few, and each has its time."""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.export.answer import Answer

logger = logging.getLogger("otel_monitoring")

LOOK_SECONDS = 0.5
"""How often overdue connections are looked for."""

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Asked(NamedTuple):
    """A request, as far as it matters here.

    Attributes:
        method: in capitals.
        path: without its query.
        client: the IP address it came from.
        header: gives the value of a header, or None.
    """

    method: str
    path: str
    client: str
    header: Callable[[str], str | None]


class Limits(NamedTuple):
    """What clients may take.

    Attributes:
        connections: at the same time; one more is told to come again.
        seconds: from connecting to having the answer; then the connection is cut.
    """

    connections: int
    seconds: float


class Server(ThreadingHTTPServer):
    """Listens from when it is made, answers while ``serve`` runs.

    Args:
        address: where to listen, as ``getaddrinfo`` gave it.
        family: the address's family.
        reply: makes the answer to a request.
        limits: what clients may take.

    Raises:
        OSError: the address cannot be listened on.
    """

    daemon_threads = True
    block_on_close = False
    # Elsewhere than on POSIX the option lets two servers share a port.
    allow_reuse_address = hasattr(socket, "AF_UNIX")
    request_queue_size = 64
    timeout = LOOK_SECONDS

    def __init__(
        self,
        address: tuple[Any, ...],
        family: socket.AddressFamily,
        *,
        reply: Callable[[Asked], Answer],
        limits: Limits,
    ) -> None:
        self.address_family = family
        self._reply = reply
        self._limits = limits
        self._open: dict[socket.socket, float] = {}
        self._asked: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._logged: set[type[BaseException] | None] = set()
        super().__init__(cast("tuple[str, int]", address), _Handler)

    @property
    def port(self) -> int:
        """Where it listens, also where port 0 was asked for."""
        return int(self.socket.getsockname()[1])

    def serve(self) -> None:
        """Answer until ``stop`` is called."""
        while not self._stopping.is_set():
            self.handle_request()
            self._cut_overdue()

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()
        # Wakes the thread that waits for a client.  Where the system does not, it wakes in LOOK_SECONDS.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def finish(self, timeout: float) -> None:
        """Close the port; let answers under way be finished, for so many seconds."""
        self.server_close()
        with self._changed:
            # Browsers connect in advance and ask nothing: these are not waited for.
            _cut([connection for connection in self._open if connection not in self._asked])
            self._changed.wait_for(lambda: not self._open, max(0.0, timeout))
            _cut(list(self._open))

    def abandon(self) -> None:
        """Close what a forked child has inherited, without a word to the clients: they are the parent's."""
        for connection in [self.socket, *self._open]:
            # Its close() would wait for the file that the answering thread, which is not here, has made of it.
            with suppress(OSError):
                socket.close(connection.detach())

    def server_bind(self) -> None:
        """Take the address, without HTTPServer's look-up of the host's name, which may last."""
        if self.address_family == socket.AF_INET6 and self.server_address[0] == "::":
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take the next connection."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                # It stays in the queue, and without a pause would be tried again at full speed.
                self._stopping.wait(LOOK_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's)
        """Answer in a thread, or say at once that there are too many."""
        with self._changed:
            busy = len(self._open) >= self._limits.connections
            if not busy:
                self._open[request] = monotonic() + self._limits.seconds
        if busy:
            _send(request, _BUSY)
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def answer(self, asked: Asked, connection: socket.socket) -> Answer:
        """Return the answer to a request that has come in whole."""
        with self._changed:
            self._asked.add(connection)
        return self._reply(asked)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 (socketserver's)
        """Close a connection; called once for each, however it ended."""
        with self._changed:
            self._open.pop(request, None)
            self._asked.discard(request)
            self._changed.notify_all()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 (socketserver's)
        """Be silent about a client that went away; log the first fault of each kind of our own."""
        kind, fault, _ = sys.exc_info()
        if isinstance(fault, ConnectionError | TimeoutError):
            return
        _send(request, _FAULT)
        if kind not in self._logged:
            self._logged.add(kind)
            logger.warning(
                "fault inside the monitoring while answering a scrape; the application is not affected", exc_info=fault
            )

    def _cut_overdue(self) -> None:
        now = monotonic()
        with self._changed:
            _cut([connection for connection, until in self._open.items() if until < now])


class _Handler(BaseHTTPRequestHandler):
    """One connection: one request, one answer."""

    protocol_version = "HTTP/1.1"
    server_version = "otel-monitoring"
    sys_version = ""
    disable_nagle_algorithm = True

    def reply(self) -> None:
        """Send the answer, and close: scrapes are far apart, and an idle connection would hold a thread."""
        path = self.path.partition("?")[0]
        asked = Asked(self.command, path, str(self.client_address[0]), self._header)
        made = cast("Server", self.server).answer(asked, self.connection)
        self.send_response(made.status)
        for name, value in (*made.headers, ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(made.body)

    # Other methods are answered 501 by the base class.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = reply  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Write nothing: an access log of scrapes says nothing."""

    def _header(self, name: str) -> str | None:
        values = self.headers.get_all(name)
        return ", ".join(map(str, values)) if values else None


def _cut(connections: list[socket.socket]) -> None:
    """End what the threads of these connections wait for."""
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)
