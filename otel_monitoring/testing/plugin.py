"""The pytest plugin: it is there wherever the package is installed, and loads nothing but what that import does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest

from otel_monitoring.service import MonitoringService
from otel_monitoring.settings import Settings
from otel_monitoring.testing.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

services: WeakSet[MonitoringService] = WeakSet()
"""Every service that was made since pytest started."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Keep services offline and know them all, before anything of the application is imported."""
    Settings.offline_by_default = True
    MonitoringService.watchers = (*MonitoringService.watchers, services.add)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """What the application records and which errors it reports during this test, whatever service it has."""
    with Metrics(services) as recorded:
        yield recorded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has passed although measurements did not fit."""
    result = yield
    recorded = getattr(item, "funcargs", {}).get("metrics")
    if isinstance(recorded, Metrics):
        recorded.check()
    return result
