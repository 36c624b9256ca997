"""Connections to the database of errors, and what goes wrong there in words."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from otel_monitoring.errors.database.sqlite import sqlite_file
from otel_monitoring.exceptions import ConfigurationError, ExtraMissingError, StoreError

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.dialects.postgresql import Insert as PostgreSQLInsert
    from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert
    from sqlalchemy.sql import TableClause

_SQLITE = {"sqlite", "sqlite+pysqlite"}
_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}

_EXPECTED = (
    "the error store's address is no URL of a database that can keep it: write one such as sqlite:///errors.db or "
    "postgresql://user:password@host/database; the characters '@', ':', '/' and '%' in a password are written in %-form"
)


class Backend(Protocol):
    """What differs from one database to the other."""

    shown: str
    """Where it is, without credentials."""

    def engine(self) -> Engine:
        """Return connections to it."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Do something with it: all that is done, and never one in the other."""
        ...

    def make(self) -> tuple[int, ...]:
        """Make the place where the tables lie, and return which one it is."""
        ...

    def take_turn(self, connection: Connection, /) -> None:
        """Wait until no other process makes the tables."""
        ...

    def insert(self, table: TableClause) -> SQLiteInsert | PostgreSQLInsert:
        """Begin an INSERT that can say what happens to a row that is there already."""
        ...

    def size_bytes(self, connection: Connection, /) -> int:
        """Return what it takes on the disk."""
        ...

    def free(self) -> bool:
        """Give some unused space back to the disk, and tell whether there is more."""
        ...

    def failure(self, error: Exception) -> tuple[str, bool] | None:
        """Return what went wrong and whether it passes; None where it is no error of this database."""
        ...

    def blames_record(self, error: Exception) -> bool:
        """Tell whether an error is the fault of what was to be written."""
        ...


def backend_of(url: str, *, wait_seconds: float) -> Backend:
    """Return the database that a URL names.

    Raises:
        ConfigurationError: it names none that can keep errors.
        ExtraMissingError: it is PostgreSQL, and psycopg is not installed.
    """
    parsed = _parse(url)
    if parsed.drivername in _POSTGRESQL:
        return _postgresql(parsed, wait_seconds)
    if parsed.drivername not in _SQLITE:
        raise ConfigurationError((f"the error store cannot be {parsed.drivername}: SQLite and PostgreSQL can be",))
    try:
        return sqlite_file(parsed, wait_seconds=wait_seconds)
    except ValueError as error:
        raise ConfigurationError((f"the error store's address is no SQLite file: {error}",)) from None


class Connections:
    """Transactions on a database; each thread that asks gets a connection of its own.

    Args:
        backend: the database.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._engine = backend.engine()
        self._place: tuple[int, ...] | None = None
        self._left: list[Engine] = []
        self._making = threading.Lock()

    def make_place(self) -> None:
        """See to it that the tables have a place to lie in."""
        with self.at_work(), self._making:
            place = self._backend.make()
            if self._place not in (None, place):  # the file was removed, and there is another one
                self._engine.dispose()
            self._place = place

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Read what is committed."""
        with self.at_work(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Write all of it or, where an exception leaves the block, nothing."""
        with self.at_work(), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Do something with the database, and turn what it raises into a StoreError."""
        try:
            with self._backend.working():
                yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the connections that nobody uses; the next transaction opens new ones."""
        with self.at_work():
            self._engine.dispose()

    def abandon(self) -> None:
        """Leave all connections to the process from which this one was forked."""
        self._making = threading.Lock()
        self._left.append(self._engine)  # the garbage collector would close them
        self._engine = self._backend.engine()

    def _failure(self, error: Exception) -> StoreError:
        if isinstance(error, PoolTimeoutError):
            text, passing = "all connections to it are in use for too long", True
        else:
            cause = error.orig if isinstance(error, DBAPIError) and isinstance(error.orig, Exception) else error
            text, passing = self._backend.failure(cause) or (f"SQLAlchemy raises {type(error).__name__}", False)
        return StoreError(f"the error store {self._backend.shown}: {text}", passing=passing)


def _parse(url: str) -> URL:
    """Return the parts of a URL, none of which is a piece of a password that was cut at a wrong place."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError((_EXPECTED,)) from None
    if "@" in f"{parsed.host}{parsed.database if parsed.drivername in _POSTGRESQL else ''}":
        raise ConfigurationError((_EXPECTED,))
    return parsed


def _postgresql(url: URL, wait_seconds: float) -> Backend:
    try:
        from otel_monitoring.errors.database.postgresql import PostgreSQLServer
    except ImportError as error:
        raise ExtraMissingError(
            f"a PostgreSQL error store needs psycopg ({error}):  pip install 'otel-monitoring[postgres]'"
        ) from error
    return PostgreSQLServer(url, wait_seconds=wait_seconds)
