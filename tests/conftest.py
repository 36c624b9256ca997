"""Fixtures that many tests share."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring.metrics import Registry
from tests.logging_state import kept_logging
from tests.servers import PrometheusServer, PushgatewayServer, check_metrics, find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_monitoring.errors.database.database import Database
    from tests.postgres import PostgresServer
    from tests.stored_errors import Open


@pytest.fixture
def registry() -> Registry:
    """A registry of its own, which raises where something does not fit."""
    return Registry(strict=True)


@pytest.fixture
def quiet() -> Iterator[None]:
    """What is logged of faults of our own is dropped."""
    logger = logging.getLogger("otel_monitoring")
    logger.disabled = True
    yield
    logger.disabled = False


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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests."""
    # Here, since a Python for which nothing of psycopg is built runs other tests.
    from tests.postgres import PostgresServer

    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """The PostgreSQL, running, whatever a test before has done to it."""
    return postgres_server.start()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of the test's own, without tables: of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/errors.db"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.create_database()


@pytest.fixture
def open_database() -> Iterator[Open]:
    """Makes databases of errors, and closes them in the end."""
    from otel_monitoring.errors.database.database import Database

    with ExitStack() as stack:

        def open_one(url: str, **options: Any) -> Database:
            database = Database(url, **options)
            stack.callback(database.close)
            return database

        yield open_one
