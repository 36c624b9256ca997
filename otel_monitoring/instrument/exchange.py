"""One request to a WSGI application, and its response until it has ended (PEP 3333).

A response has ended when the server has taken its last piece, and at the latest when it
closes it: what an application does on closing is no part of the duration.  A server that
closes a response before has lost its client: the status that was sent counts, and nothing
was wrong.  Lists and files are in the server's hands as soon as they are returned, and are
handed to it as they are, so that it can do with them what it does best.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from otel_monitoring.instrument.requests import CLIENT_CLOSED_REQUEST, SERVER_ERROR, comes_of, is_failure
from otel_monitoring.metrics.series import MISFITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

    from otel_monitoring.instrument.server_spans import ServerSpan
    from otel_monitoring.instrument.wsgi import WSGIRequestMetrics

    Headers = list[tuple[str, str]]
    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_LENGTH = "content-length"
_UNKNOWN = -1
_NO_ANSWER = str(SERVER_ERROR)
_NOBODY_THERE = str(CLIENT_CLOSED_REQUEST)


class Exchange:
    """One request and its response, whose body the server iterates over.

    Args:
        metrics: what the end is told to.
        environ: the request.
        start_response: the server's.

    Attributes:
        path: as the server gave it, whatever the application makes of it.
        script: the like, of ``SCRIPT_NAME``.
        template: of the route, known from the start of the response on: frameworks forget it
            with the end of what they do themselves.
    """

    # What most requests leave as it is costs nothing to set here.
    template = ""
    _status = ""
    _remaining = _UNKNOWN
    _ended = False
    _left = False
    _broken: BaseException | None = None
    _told: BaseException | None = None
    _span: ServerSpan | None = None
    _bound: object = None
    _write: Callable[[bytes], object] | None = None
    _next: Callable[[], bytes] = iter(()).__next__
    _close: Callable[[], object] | None = None

    def __init__(self, metrics: WSGIRequestMetrics, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self._started = started = perf_counter()
        self._metrics = metrics
        self._start_response = start_response
        self.environ = environ
        self.path: str = environ.get("PATH_INFO", "")
        self.script: str = environ.get("SCRIPT_NAME", "")
        if started >= metrics.tracing.look_at:
            self._span = metrics.spans.open(environ)
        if metrics.logs is not None:
            self._bound = metrics.logs.bind_wsgi(environ)

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], object]:
        """Take the application's status and headers, and hand them to the server."""
        self._status = status
        self._remaining = _length(headers)
        self.template = self._metrics.template_of(self)
        start = self._start_response
        self._write = start(status, headers) if exc_info is None else start(status, headers, exc_info)
        return self._written

    def follow(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """Return what the server shall iterate over, having seen to it that its end is recorded."""
        if result.__class__ is list or result.__class__ is tuple or self._is_file(result):
            self._finish()
            return result
        self._next = iter(result).__next__
        self._close = getattr(result, "close", None)
        return self

    def __iter__(self) -> Exchange:
        """Return the body itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece of the body; with the last that was announced it is complete."""
        try:
            piece = self._next()
        except StopIteration:
            if not self._ended:
                self._finish()
            raise
        except BaseException as error:
            self.fail(error)
            raise
        if piece.__class__ is bytes:
            self._remaining -= len(piece)
            if self._remaining == 0:
                self._finish()
        return piece

    def close(self) -> None:
        """Close the response, as the server must at its end; before its end it has lost its client."""
        if not self._ended:
            self._end(self._status or _NOBODY_THERE)
        if self._close is not None:
            try:
                self._close()
            except BaseException as error:
                self.tell(error)
                raise

    def fail(self, error: BaseException) -> None:
        """End it with an exception that has left the application."""
        self.tell(error)
        self._end(self._status or _NOBODY_THERE if self._left else _NO_ANSWER)

    def tell(self, error: BaseException) -> None:
        """Report an exception that the application did not handle, once; one that says that nobody listens is none."""
        if error is self._told:
            return
        self._told = error
        if is_failure(error) and not comes_of(error, self._broken):
            self._metrics.tell(self, error)
        elif isinstance(error, Exception):
            self._left = True

    def _written(self, data: bytes, /) -> object:
        assert self._write is not None  # noqa: S101 (it is what start has returned)
        try:
            return self._write(data)
        except BaseException as error:
            self._broken = error
            raise

    def _is_file(self, result: object) -> bool:
        wrapper = self.environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(result, wrapper)

    def _finish(self) -> None:
        self._end(self._status or _NO_ANSWER)

    def _end(self, status: str) -> None:
        if self._ended:
            return
        self._ended = True
        seconds = perf_counter() - self._started
        if self._left and status.startswith("5"):
            status = _NOBODY_THERE
        metrics = self._metrics
        if not self.template:
            self.template = metrics.template_of(self)
        metrics.record(self, status, seconds)
        if self._span is not None:
            with metrics.incidents.contained("ending a span"):
                self._span.end(self.template, status, self._told)
        if self._bound is not None and metrics.logs is not None:
            metrics.logs.unbind(self._bound)
        # No circle for the garbage collection is left.
        self.environ.pop(metrics.key, None)


def _length(headers: Headers) -> int:
    """Return how many bytes are announced, ``_UNKNOWN`` where none are."""
    try:
        for name, value in headers:
            if len(name) == len(_LENGTH) and name.lower() == _LENGTH:
                return int(value)
    except MISFITS:
        pass  # it is for the server to complain
    return _UNKNOWN
