"""Puts the pieces of the store together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from otel_monitoring.catalogue.shipped import (
    MONITORING_ERRORS_DROPPED,
    MONITORING_ERRORS_STORED,
    MONITORING_EXPORT_FAILURES,
)
from otel_monitoring.errors.bursts import Bursts
from otel_monitoring.errors.keep import REASONS, KeepErrors
from otel_monitoring.errors.mover import Mover
from otel_monitoring.errors.source_lines import SourceLines
from otel_monitoring.errors.spool import Spool
from otel_monitoring.errors.store import ErrorStore
from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from otel_monitoring.errors.secrecy.scrub import Scrubber
    from otel_monitoring.metrics.registry import Registry

FILE = "errors.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How errors are kept.

    Args:
        where: a path or a database URL; None is the default place, a file in ``state_folder``.
        state_folder: of what outlives the process.
        spool_folder: where errors wait for the database; None is beside its file, or in ``state_folder``.
        spool_bytes: how much may wait.
        per_second: errors of one fingerprint that are kept in detail in a second.
        keep_days: how old errors get.
        keep_bytes: how much of them is kept.
    """

    where: str | None
    state_folder: str
    spool_folder: str | None
    spool_bytes: int
    per_second: int
    keep_days: float
    keep_bytes: int


class Opened(NamedTuple):
    """A store, and the sink that fills it."""

    store: ErrorStore
    keep: KeepErrors


class _Tally:
    """Counts in the registry."""

    def __init__(self, registry: Registry) -> None:
        self._dropped = registry.counter(MONITORING_ERRORS_DROPPED)
        self._stored = registry.counter(MONITORING_ERRORS_STORED).labels()
        self._failed = registry.counter(MONITORING_EXPORT_FAILURES).labels(exporter="error_store")
        for reason in REASONS:
            self.lose(reason, 0)

    def lose(self, reason: str, amount: float = 1) -> None:
        self._dropped.add(amount, {"reason": reason})

    def store(self, amount: int) -> None:
        self._stored.add(amount)

    def fail(self) -> None:
        self._failed.add()


def open_store(keeping: Keeping, registry: Registry, scrubber: Scrubber) -> Opened:
    """Return the store of errors and its sink; neither a file nor a connection is opened yet.

    Raises:
        ConfigurationError: this system has no file locks, or the address is of no known database.
        ExtraMissingError: the database needs a driver that is not installed.
    """
    _require_locks()
    from otel_monitoring.errors.database.database import Database

    place = place_of(keeping)
    tally = _Tally(registry)
    spool = Spool(spool_folder(keeping), keeping.spool_bytes)
    database = Database(
        place if isinstance(place, str) else f"sqlite:///{place}", refused=lambda _payload, _why: tally.lose("refused")
    )
    late: deque[bytes] = deque()
    mover = Mover(
        spool,
        late,
        database,
        tally=tally,
        incidents=registry.incidents,
        complete=SourceLines(scrubber),
        prune=lambda: store.prune(),  # noqa: PLW0108 (there is no store yet)
    )
    store = ErrorStore(database, spool, mover, keep_days=keeping.keep_days, keep_bytes=keeping.keep_bytes)
    tell_after_fork(store)
    return Opened(store, KeepErrors(spool, late, Bursts(keeping.per_second), mover=mover, lose=tally.lose))


def place_of(keeping: Keeping) -> Path | str:
    """Return the file that errors are kept in, or the URL of the database."""
    if keeping.where is None:
        return Path(keeping.state_folder).expanduser() / FILE
    where = keeping.where.removeprefix("sqlite:///")
    if "://" in where:
        return where
    path = Path(where).expanduser()
    return path / FILE if path.is_dir() else path


def spool_folder(keeping: Keeping) -> Path:
    """Return the folder in which errors wait."""
    if keeping.spool_folder is not None:
        return Path(keeping.spool_folder).expanduser()
    place = place_of(keeping)
    if isinstance(place, Path):
        return place.with_name(f"{place.name}.spool")
    parts = urlsplit(place)
    # The same after its password was changed: what waits there would be forgotten.
    database = f"{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    mark = blake2b(database.encode(), digest_size=8).hexdigest()
    return Path(keeping.state_folder).expanduser() / f"spool-{mark}"


def _require_locks() -> None:
    try:
        import_module("fcntl")  # now, not with the first error: a child that is forked meanwhile would wait for it
    except ImportError:
        raise ConfigurationError(
            ("store_errors is set, but this system has no file locks as the spool of errors needs them: leave it out",)
        ) from None
