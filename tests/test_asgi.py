"""The ASGI application: alone under uvicorn, mounted in FastAPI, under asyncio and elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI

from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS
from otel_monitoring.export.asgi import MetricsApp
from otel_monitoring.export.text import Exposition
from tests.servers import ask, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_monitoring.export.asgi import Event
    from otel_monitoring.metrics import Registry
    from tests.servers import PrometheusServer

BODY = b"jobs_total 1\n" * 200
SCOPE = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "path": "/metrics", "query_string": b""}


def render(accept: str | None) -> tuple[bytes, str]:
    return BODY, f"text/plain; for={accept}"


async def get(app: MetricsApp, method: str = "GET", headers: tuple[tuple[bytes, bytes], ...] = ()) -> list[Event]:
    """Return the messages that the application sends for one request."""
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Event) -> None:
        sent.append(message)

    await app({**SCOPE, "method": method, "headers": list(headers)}, receive, send)
    return sent


async def talk(scope: Event, *received: str) -> list[str]:
    """Return the types of what the application sends while it receives messages of these types."""
    messages, sent = iter(received), list[str]()

    async def receive() -> Event:
        return {"type": next(messages)}

    async def send(message: Event) -> None:
        sent.append(message["type"])

    await MetricsApp(render)(scope, receive, send)
    return sent


@contextmanager
def served(app: Any, lifespan: str = "on") -> Generator[str]:
    """Run an application under uvicorn; ``lifespan="on"`` fails where it does not answer that."""
    config = uvicorn.Config(app, port=free_port(), lifespan=lifespan, log_level="error", ws="none")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.asyncio
async def test_get_gives_the_exposition_for_its_accept_headers() -> None:
    start, body = await get(MetricsApp(render), headers=((b"accept", b"a/b"), (b"accept", b"c/d")))
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"content-type": b"text/plain; for=a/b, c/d",
        b"content-length": str(len(BODY)).encode(),
        b"cache-control": b"no-store",
        b"vary": b"Accept, Accept-Encoding",
    }
    assert body["body"] == BODY


@pytest.mark.asyncio
async def test_gzip_is_used_where_it_is_taken() -> None:
    start, body = await get(MetricsApp(render), headers=((b"accept-encoding", b"gzip"),))
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body["body"]) == BODY


@pytest.mark.asyncio
async def test_head_gives_the_headers_alone() -> None:
    start, body = await get(MetricsApp(render), "HEAD")
    assert dict(start["headers"])[b"content-length"] == str(len(BODY)).encode()
    assert body["body"] == b""


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
async def test_other_methods_are_refused(method: str) -> None:
    start, _ = await get(MetricsApp(render), method)
    assert start["status"] == 405
    assert (b"allow", b"GET, HEAD") in start["headers"]


@pytest.mark.asyncio
async def test_the_event_loop_goes_on_while_the_exposition_is_made() -> None:
    loop_went_on = threading.Event()

    def waiting(accept: str | None) -> tuple[bytes, str]:
        assert loop_went_on.wait(30)
        return BODY, "text/plain"

    scrape = asyncio.create_task(get(MetricsApp(waiting)))
    await asyncio.sleep(0)
    loop_went_on.set()
    start, _ = await scrape
    assert start["status"] == 200


def test_elsewhere_than_under_asyncio_it_renders_in_place() -> None:
    """Driven by hand, as any other event loop drives it."""
    threads: list[threading.Thread] = []

    def noting(accept: str | None) -> tuple[bytes, str]:
        threads.append(threading.current_thread())
        return BODY, "text/plain"

    with pytest.raises(StopIteration) as ended:
        get(MetricsApp(noting)).send(None)
    start, _ = ended.value.value
    assert start["status"] == 200
    assert threads == [threading.current_thread()]


@pytest.mark.asyncio
async def test_a_websocket_is_refused() -> None:
    start = {"type": "websocket", "path": "/metrics", "headers": []}
    assert await talk(start, "websocket.connect") == ["websocket.close"]


@pytest.mark.asyncio
async def test_a_lifespan_is_confirmed() -> None:
    sent = await talk({"type": "lifespan"}, "lifespan.startup", "lifespan.shutdown")
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.asyncio
async def test_a_fault_of_the_exposition_is_the_servers_to_report() -> None:
    def broken(accept: str | None) -> tuple[bytes, str]:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await get(MetricsApp(broken))


def test_it_runs_alone_with_a_lifespan() -> None:
    with served(MetricsApp(render)) as url:
        assert ask(f"{url}/any/path").body == BODY


def test_prometheus_reads_it_mounted_in_fastapi(registry: Registry, prometheus: PrometheusServer) -> None:
    registry.counter(SYSTEM_ERRORS).add(2, {"error_type": "a", "component": "b"})
    app = FastAPI()
    app.mount("/metrics", MetricsApp(Exposition(registry).render))
    with served(app) as url:
        job = prometheus.scrape(f"{url}/metrics/")
        (sample,) = prometheus.wait_for(f'system_errors_total{{job="{job}"}}')
    assert sample.value == 2
