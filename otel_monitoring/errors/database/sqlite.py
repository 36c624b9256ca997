"""The database of errors in a SQLite file, which needs no server."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
import weakref
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy import QueuePool, create_engine, event
from sqlalchemy.dialects.sqlite import insert

from otel_monitoring.errors.database.standstill import Standstill
from otel_monitoring.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.dialects.sqlite import Insert
    from sqlalchemy.sql import TableClause

_LOOKS_SECONDS = 0.002
"""How often to look whether a lock is free."""

_LARGEST_LOG_BYTES = 8 * 2**20
"""To what the write-ahead log is cut when it has grown beyond and is begun anew."""

_FREED_PAGES = 500
"""How many pages are given back while others wait."""

_PASSING_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EINTR}

_UNWRITABLE = "it may not be written: give this process the permission to write the file and its folder"
_FAILURES = {
    sqlite3.SQLITE_BUSY: ("another process holds it locked: look for one that leaves a transaction open", True),
    sqlite3.SQLITE_LOCKED: ("another connection holds it locked", True),
    sqlite3.SQLITE_FULL: ("the disk is full: free some space", True),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written: look at its health, its quota and its space", True),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", True),
    sqlite3.SQLITE_READONLY: (_UNWRITABLE, False),
    sqlite3.SQLITE_PERM: (_UNWRITABLE, False),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database: move it away, or name another file", False),
    sqlite3.SQLITE_CORRUPT: ("it is damaged: move it away, and save what is in it with sqlite3's .recover", False),
}


class SQLiteFile:
    """One file.

    SQLite must not be at work, nor have a file open, when the process forks: it keeps in the
    process which locks it holds, so a child would take its parent's for its own, and others
    would take away the log in which the child writes.
    https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_

    Args:
        path: where it is; it need not exist yet.
        wait_seconds: how long to wait for a lock.
    """

    def __init__(self, path: Path, *, wait_seconds: float) -> None:
        self.path = path.absolute()
        self.shown = str(self.path)
        self._wait_seconds = wait_seconds
        self._engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._standstill = Standstill(self._close_all)

    @contextmanager
    def working(self) -> Generator[None]:
        """Do something with the file while the process does not fork.

        Raises:
            StoreError: the process was forked in the middle of such a thing, and must not touch the file.
        """
        if not self._standstill.was_kept:
            raise StoreError(
                f"the error store {self.shown}: this process was forked while its parent was at work there for too "
                "long, and leaves it to other processes",
                passing=False,
            )
        with self._standstill.working():
            yield

    def insert(self, table: TableClause) -> Insert:
        """Begin an INSERT that can say what happens to a row that is there already."""
        return insert(table)

    def engine(self) -> Engine:
        """Return connections to the file, which must exist."""
        engine = create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=7,
            pool_timeout=self._wait_seconds,
            hide_parameters=True,
        )
        event.listen(engine, "begin", self._begin)
        self._engines.add(engine)
        return engine

    def make(self) -> tuple[int, ...]:
        """Make the file where there is none, and return which one it is.

        Nothing ever opens the file but SQLite once it exists: to close it would drop the locks
        that connections of this process hold.  https://sqlite.org/howtocorrupt.html
        """
        try:
            _make_folder(self.path.parent)
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass
        found = self.path.stat()
        if not found.st_size:
            self._set_up()
        return found.st_dev, found.st_ino

    def take_turn(self, _: Connection, /) -> None:
        """Do nothing: who writes is alone."""

    def size_bytes(self, _: Connection, /) -> int:
        """Return what the file and its log take on the disk."""
        size = 0
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            with suppress(FileNotFoundError):  # the log goes with the last who uses it
                size += path.stat().st_size
        return size

    def free(self) -> bool:
        """Give some unused pages back to the disk, and tell whether there are more."""
        with closing(self._connect()) as connection:
            unused = _unused_pages(connection)
            # Nothing else runs the statement to its end before Python 3.12; what it does is one transaction.
            connection.executescript(f"PRAGMA incremental_vacuum({_FREED_PAGES})")
            left = _unused_pages(connection)
            # A file that was not set up here may keep its pages.
            if 0 < left < unused:
                return True
            # The file shrinks when the log is written into it; this waits for nobody.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return False

    def failure(self, error: Exception) -> tuple[str, bool] | None:
        """Return what went wrong and whether it passes; None where it is none of SQLite's errors."""
        if isinstance(error, OSError):
            hint = "look at the file, its folder and their permissions"
            return f"{error.strerror or error}: {hint}", error.errno in _PASSING_ERRORS
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_CANTOPEN:
            return self._unopened()
        text, passing = _FAILURES.get(code, ("SQLite refuses", False))
        return f"{text} ({error})", passing

    def blames_record(self, error: Exception) -> bool:
        """Tell whether an error is the fault of what was to be written."""
        return isinstance(error, sqlite3.DataError | sqlite3.IntegrityError)

    def _connect(self) -> sqlite3.Connection:
        """Connect, so that what is committed survives a power cut."""
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._wait_seconds,
            isolation_level=None,  # we begin transactions ourselves
            check_same_thread=False,  # the pool gives a connection to one thread at a time
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG_BYTES}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: Connection) -> None:
        """Begin a transaction; one that is going to write takes its turn at once, since it could not wait later on."""
        own = cast("sqlite3.Connection", connection.connection.driver_connection)
        if not connection.get_execution_options().get("writes", False):
            own.execute("BEGIN")
            return
        # SQLite keeps no queue, and looks less and less often: who writes all the time would leave nobody a turn.
        own.execute("PRAGMA busy_timeout = 0")
        try:
            self._take("BEGIN IMMEDIATE", own)
        finally:
            own.execute(f"PRAGMA busy_timeout = {round(1000 * self._wait_seconds)}")

    def _set_up(self) -> None:
        """Set up an empty file; several processes may do so at once."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # possible only before anything is in it
            self._take("PRAGMA journal_mode = WAL", connection)

    def _take(self, statement: str, connection: sqlite3.Connection) -> None:
        """Execute a statement for which SQLite does not wait, as soon as nobody holds a lock that it needs."""
        until = time.monotonic() + self._wait_seconds
        while True:
            try:
                connection.execute(statement)
            except sqlite3.OperationalError as error:
                is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_locked or self._standstill.is_wanted or time.monotonic() >= until:
                    raise
                time.sleep(_LOOKS_SECONDS)
            else:
                return

    def _close_all(self) -> None:
        for engine in list(self._engines):
            engine.dispose()

    def _unopened(self) -> tuple[str, bool]:
        if not self.path.is_file():
            return "there is no such file, or it is something else", False
        if not (_may(self.path, os.R_OK | os.W_OK) and _may(self.path.parent, os.W_OK | os.X_OK)):
            return _UNWRITABLE, False
        return "it cannot be opened: perhaps this process has too many files open", True


def sqlite_file(url: URL, *, wait_seconds: float) -> SQLiteFile:
    """Return the file that a URL names.

    Raises:
        ValueError: it names none; the text says what would be right.
    """
    path = url.database or ":memory:"
    if url.query or url.host or path == ":memory:" or path.startswith("file:") or "\0" in path:
        raise ValueError("write a plain path and nothing more: sqlite:///errors.db or sqlite:////var/lib/app/errors.db")
    return SQLiteFile(Path(path), wait_seconds=wait_seconds)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _unused_pages(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return number
