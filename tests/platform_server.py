"""A platform to call: a real HTTP server that answers as its address says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from types import TracebackType

PIECE = b"x" * 1000
PIECES = 5
NO_CONTENT = 204

CHAT_PIECES = [
    {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    for choice in (
        {"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    )
]
CHAT = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients leave in the middle, since that is what is tried."""


class PlatformServer:
    """Answers ``/status/429?name=value`` with that status and those headers, and the paths of a few interfaces.

    Attributes:
        asked: how many requests have come.
        failures: how many of the next ones are refused with 429 first.
        go_on: streams wait for it before their last piece, ``/slow`` before its answer.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.failures = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"platform": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def url(self, path: str, **headers: str) -> str:
        """Return the address of a path, with the headers that its answer shall have."""
        query = urlencode({name.replace("_", "-"): value for name, value in headers.items()})
        return f"http://127.0.0.1:{self._server.server_port}{path}" + (f"?{query}" if query else "")

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: PlatformServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.platform.asked += 1
        length = int(self.headers.get("content-length") or 0)
        given = json.loads(self.rfile.read(length)) if length else {}
        parts = urlsplit(self.path)
        headers = dict(parse_qsl(parts.query))
        if self.platform.failures:
            self.platform.failures -= 1
            self._answer(429, {"retry-after-ms": "1", **headers}, b"{}")
        elif parts.path == "/stream":
            self._stream([PIECE] * PIECES, headers)
        elif parts.path == "/break":
            self._break()
        elif parts.path == "/slow":
            self.platform.go_on.wait(60)
            self._answer(200, headers, b"late")
        elif parts.path == "/redirect":
            self._answer(302, {"location": "/status/200", **headers}, b"")
        elif parts.path.startswith("/status/"):
            status = int(parts.path.removeprefix("/status/"))
            self._answer(status, headers, b"" if status == NO_CONTENT else b"body")
        else:
            self._interface(parts.path, given, headers)

    do_POST = do_GET  # noqa: N815 (the base class's names)
    do_HEAD = do_GET  # noqa: N815

    def _interface(self, path: str, given: dict[str, object], headers: dict[str, str]) -> None:
        if path.endswith("/chat/completions") and given.get("stream"):
            pieces = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in CHAT_PIECES]
            self._stream([*pieces, b"data: [DONE]\n\n"], {"content-type": "text/event-stream", **headers})
        else:
            answer = CHAT if path.endswith("/chat/completions") else MESSAGE
            told = {
                "content-type": "application/json",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "6m0s",
            }
            self._answer(200, told, json.dumps(answer).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != NO_CONTENT:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, pieces: list[bytes], headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"transfer-encoding": "chunked", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for piece in pieces[:-1]:
                self._chunk(piece)
            self.platform.go_on.wait(60)
            self._chunk(pieces[-1])
            self._chunk(b"")
        except OSError:
            self.close_connection = True  # the client has left

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()

    def _break(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(PIECE[:500])
        self.close_connection = True
