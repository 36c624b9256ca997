"""Services that keep errors, as the tests of the store start them, and what they say of what they keep."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from otel_monitoring import MonitoringService
from tests.nursery import ENDS_WITHIN_SECONDS
from tests.servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

QUIET: dict[str, Any] = {"third_party": False, "resources": False, "errors_uncaught": False, "service_name": "shop"}
"""Settings under which a service touches nothing that other tests share."""

ALL_IN_DETAIL = 10**9
"""So many errors of one kind in a second that all are kept in detail."""


class Keepers:
    """Starts services that keep errors in one place, and shuts them down in the end.

    Args:
        url: the database.
        folder: of what outlives the services.

    Attributes:
        spool: where errors wait for the database.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.spool = folder / "spool"
        self._services = ExitStack()

    @property
    def settings(self) -> dict[str, Any]:
        """Of every service here."""
        return {**QUIET, "store_errors": self.url, "state_dir": self.folder, "errors_spool_dir": self.spool}

    def start(self, **settings: Any) -> MonitoringService:
        """Start a service, with these settings beside those of every one."""
        return self._services.enter_context(MonitoringService({**self.settings, **settings}))

    def leave_over(self, *texts: str, **settings: Any) -> list[Path]:
        """Report errors in a service that ends while its database is out of reach; return the files that it leaves."""
        before = self.segments()
        with MonitoringService({**self.settings, **settings, "store_errors": out_of_reach()}) as monitoring:
            for text in texts:
                monitoring.log_error(text)
        return sorted(self.segments() - before)

    def segments(self) -> set[Path]:
        """Return the files in which errors wait."""
        return set(self.spool.rglob("*.errors"))

    def close(self) -> None:
        """Shut all services down."""
        self._services.close()


def out_of_reach() -> str:
    """Return the URL of a database that nobody serves."""
    return f"postgresql://shop@127.0.0.1:{free_port()}/errors"


@contextmanager
def keepers_of(url: str, folder: Path) -> Generator[Keepers]:
    """Have services that keep errors in one place, as long as the block lasts."""
    keepers = Keepers(url, folder)
    try:
        yield keepers
    finally:
        keepers.close()


def report(monitoring: MonitoringService, numbers: Iterable[int], **context: object) -> None:
    """Report errors with numbers to know them by."""
    for number in numbers:
        monitoring.log_error(f"error {number}", context=context)


def number_in(text: str) -> int:
    """Return the number of an error that was reported with one."""
    return int(text.removeprefix("error "))


def found_in(monitoring: MonitoringService) -> list[int]:
    """Return the numbers of all errors that are kept, in the order in which they happened."""
    monitoring.errors.flush(ENDS_WITHIN_SECONDS)  # reading waits as well, but not as long as a busy machine may need
    return [number_in(event.message) for event in monitoring.errors.export()]


def everything_flows(monitoring: MonitoringService) -> None:
    """Return when all that was reported is in the database."""
    wait_until(monitoring.errors.flush, seconds=ENDS_WITHIN_SECONDS)


def dropped(monitoring: MonitoringService) -> dict[str, int]:
    """Return how many errors, or details of them, the service says are not kept, by each reason there was."""
    counts = _by_label(monitoring, "monitoring_errors_dropped", "reason")
    return {reason: count for reason, count in counts.items() if count}


def reasons(monitoring: MonitoringService) -> set[str]:
    """Return all reasons for which the service counts what is not kept."""
    return set(_by_label(monitoring, "monitoring_errors_dropped", "reason"))


def stored(monitoring: MonitoringService) -> int:
    """Return how many errors the service says it has moved into the database."""
    return sum(_by_label(monitoring, "monitoring_errors_stored", "").values())


def failures(monitoring: MonitoringService) -> int:
    """Return how many tries of moving errors the service says have failed."""
    return _by_label(monitoring, "monitoring_export_failures", "exporter")["error_store"]


def _by_label(monitoring: MonitoringService, family: str, label: str) -> dict[str, int]:
    text = monitoring.exposition()[0].decode()
    return {
        sample.labels.get(label, ""): int(sample.value)
        for found in text_string_to_metric_families(text)
        if found.name == family
        for sample in found.samples
        if sample.name == f"{family}_total"
    }
