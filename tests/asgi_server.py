"""uvicorn, on a free port, in a thread of the test."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

GRACE_SECONDS = 10
"""A request that never ends is ended then: the test that left it behind fails rather than hangs."""


@contextmanager
def served(app: ASGIApp) -> Generator[int]:
    """Serve an application; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, log_level="critical", ws="wsproto", lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
