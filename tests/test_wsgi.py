"""The WSGI application, under the standard library's validator and server."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS
from otel_monitoring.export.text import Exposition
from otel_monitoring.export.wsgi import metrics_wsgi
from tests.servers import ask

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_monitoring.export.render import Render
    from otel_monitoring.metrics import Registry
    from tests.servers import PrometheusServer


class Silent(WSGIRequestHandler):
    """Writes no access log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
        """Write nothing."""


@contextmanager
def served(render: Render) -> Generator[str]:
    """Serve the application on a free port, checked by wsgiref's validator."""
    with make_server("127.0.0.1", 0, validator(metrics_wsgi(render)), handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def render(accept: str | None) -> tuple[bytes, str]:
    return f"# {accept}\n".encode() * 200, "text/plain; version=0.0.4; charset=utf-8"


def test_get_gives_the_exposition_for_its_accept_header() -> None:
    with served(render) as url:
        reply = ask(url, headers={"Accept": "text/plain"})
    assert reply.status == 200
    assert reply.body == b"# text/plain\n" * 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert reply.headers["cache-control"] == "no-store"


def test_gzip_is_used_where_it_is_taken() -> None:
    with served(render) as url:
        reply = ask(url, headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert gzip.decompress(reply.body) == b"# None\n" * 200


def test_head_gives_the_headers_alone() -> None:
    with served(render) as url:
        reply = ask(url, method="HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == str(len(b"# None\n" * 200))


def test_other_methods_are_refused_and_render_nothing() -> None:
    asked: list[str | None] = []

    def noting(accept: str | None) -> tuple[bytes, str]:
        asked.append(accept)
        return b"", "text/plain"

    with served(noting) as url:
        reply = ask(url, method="POST", body=b"x")
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD"
    assert asked == []


def test_prometheus_reads_it(registry: Registry, prometheus: PrometheusServer) -> None:
    registry.counter(SYSTEM_ERRORS).add(3, {"error_type": "a", "component": 'ü"\\\n'})
    with served(Exposition(registry).render) as url:
        job = prometheus.scrape(url)
        (sample,) = prometheus.wait_for(f'system_errors_total{{job="{job}"}}')
    assert sample.value == 3
    assert sample.labels["component"] == 'ü"\\\n'
