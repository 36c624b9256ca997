"""The metrics as a WSGI application, to be mounted in any other or served alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.export.answer import answer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from otel_monitoring.export.render import Render


def metrics_wsgi(render: Render) -> WSGIApplication:
    """Return an application that answers GET and HEAD with the metrics, whatever the path.

    Args:
        render: makes the exposition.
    """

    def metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        made = answer(
            render,
            environ["REQUEST_METHOD"],
            accept=environ.get("HTTP_ACCEPT"),
            accept_encoding=environ.get("HTTP_ACCEPT_ENCODING"),
        )
        start_response(f"{made.status.value} {made.status.phrase}", list(made.headers))
        return [made.body]

    return metrics
