"""uvicorn, on a free port, in a thread of the test."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tests.servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp


@contextmanager
def served(app: ASGIApp) -> Generator[int]:
    """Serve an application; gives the port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", ws="wsproto", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield port
    finally:
        server.should_exit = True
        thread.join()
