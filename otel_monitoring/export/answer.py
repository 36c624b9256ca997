"""The answer to a scrape: the same for every kind of server it goes out by."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from otel_monitoring.export.render import compress

if TYPE_CHECKING:
    from otel_monitoring.export.render import Render

METHODS = ("GET", "HEAD")


class Answer(NamedTuple):
    """A whole HTTP response.

    Attributes:
        status: its status.
        headers: names and values, ``Content-Length`` among them.
        body: all of it.
    """

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def to(self, method: str) -> Answer:
        """Return the answer as this method gets it: HEAD gets all but the body."""
        return self._replace(body=b"") if method == "HEAD" else self


def answer(render: Render, method: str, *, accept: str | None, accept_encoding: str | None) -> Answer:
    """Return the answer to a request for the metrics.

    Args:
        render: makes the exposition.
        method: the request's method, in capitals.
        accept: the value of its ``Accept`` header.
        accept_encoding: the value of its ``Accept-Encoding`` header.
    """
    if method not in METHODS:
        return method_not_allowed()
    body, content_type = render(accept)
    body, coding = compress(body, accept_encoding)
    headers = [("Vary", "Accept, Accept-Encoding")]
    if coding is not None:
        headers.append(("Content-Encoding", coding))
    return compose(body, content_type, headers=tuple(headers)).to(method)


def method_not_allowed() -> Answer:
    """Return the answer to a request that wants to change something."""
    allowed = ", ".join(METHODS)
    return plain(HTTPStatus.METHOD_NOT_ALLOWED, f"only {allowed}", headers=(("Allow", allowed),))


def plain(status: HTTPStatus, text: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer of one line of text.

    Args:
        status: its status.
        text: the line, without its end.
        headers: besides those that every answer has.
    """
    return compose(f"{text}\n".encode(), "text/plain; charset=utf-8", status=status, headers=headers)


def compose(
    body: bytes,
    content_type: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return an answer with the headers that every answer has, and those given.

    Args:
        body: as it is sent.
        content_type: of the body before any coding.
        status: the answer's status.
        headers: further headers.
    """
    usual = (
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    )
    return Answer(status, usual + headers, body)
