"""Fixtures that many tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_monitoring.metrics import Registry
from tests.logging_state import kept_logging
from tests.servers import PrometheusServer, PushgatewayServer, check_metrics, find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def registry() -> Registry:
    """A registry of its own, which raises where something does not fit."""
    return Registry(strict=True)


@pytest.fixture
def kept() -> Iterator[None]:
    """Logging and structlog as they are when nobody has configured them; put back afterwards."""
    with kept_logging():
        yield


@pytest.fixture(scope="session")
def prometheus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """One Prometheus for all tests."""
    server = PrometheusServer(tmp_path_factory.mktemp("prometheus"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def prometheus(prometheus_server: PrometheusServer) -> Iterator[PrometheusServer]:
    """The Prometheus, scraping nothing yet: ``prometheus.scrape(url)`` gives the job to ask for."""
    yield prometheus_server.start()
    prometheus_server.forget()


@pytest.fixture(scope="session")
def pushgateway_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushgatewayServer]:
    """One Pushgateway for all tests."""
    server = PushgatewayServer(tmp_path_factory.mktemp("pushgateway"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def pushgateway(pushgateway_server: PushgatewayServer) -> PushgatewayServer:
    """The Pushgateway, running and empty, whatever a test before has done to it."""
    pushgateway_server.start().wipe()
    return pushgateway_server


@pytest.fixture(scope="session")
def promtool() -> Callable[[bytes | str], list[str]]:
    """``promtool check metrics``: takes text 0.0.4 and gives what is wrong with it."""
    find_program("promtool")
    return check_metrics
