"""A real PostgreSQL that the tests talk to, on a free port of 127.0.0.1."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from tests.servers import APT_LINE, PATIENCE_SECONDS, Program, ServerMissingError, wait_until

PASSWORD = "hunter2-of-postgres"
"""Of the superuser ``monitoring``; not to be seen anywhere."""

DEBIANS_FOLDERS = Path("/usr/lib/postgresql")


def find_postgres_program(name: str) -> str:
    """Return where a program of PostgreSQL is: Debian keeps them in a folder for each version.

    Raises:
        ServerMissingError: it is nowhere.
    """
    versions = sorted(DEBIANS_FOLDERS.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    if found is None:
        raise ServerMissingError(f"the program {name!r} is not installed; the tests need it:  {APT_LINE}")
    return found


@dataclass
class PostgresServer(Program):
    """A PostgreSQL with data of its own; its user ``monitoring`` may do all, with the password above.

    It does not run as root, so root's tests run it as Debian's user ``postgres``.
    """

    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="otel-monitoring-postgres-")))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1), init=False, repr=False)

    @property
    def url(self) -> str:
        """The URL of the database that is always there."""
        return self.url_of("postgres")

    @property
    def user(self) -> str | None:
        """As whom it runs, where that is somebody else."""
        return "postgres" if os.geteuid() == 0 else None

    @property
    def data(self) -> Path:
        """Where it keeps its data."""
        return self.directory / "data"

    def command(self) -> list[str]:
        """Return the command line; nothing has to survive a power cut here."""
        return [
            find_postgres_program("postgres"),
            *("-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port)),
            *("-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
        ]

    def start(self) -> Self:
        """Start it, and return when it is ready."""
        if self._process is None:
            if not self.data.exists():
                self._make()
            with (self.directory / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    self.command(), stdout=log, stderr=log, cwd=self.directory, user=self.user, group=self.user
                )
            wait_until(self._is_ready)
        return self

    def stop(self) -> None:
        """Stop it without waiting for those that are connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Let it break down; it mends itself at its next start."""
        self._end(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop it, without writing down what goes with it anyway, and remove its data."""
        self.kill()
        shutil.rmtree(self.directory)

    def url_of(self, database: str, *, user: str = "monitoring", password: str = PASSWORD) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}:{password}@{self.address}/{database}"

    def create_database(self, options: str = "") -> str:
        """Make a database that nobody else uses, and return its URL."""
        name = f"test{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {options}")
        return self.url_of(name)

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the superuser; return the rows of the last one."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _make(self) -> None:
        password = self.directory / "password"
        password.write_text(PASSWORD)
        if self.user:
            shutil.chown(self.directory, self.user, self.user)
            shutil.chown(password, self.user, self.user)
        subprocess.run(
            [
                find_postgres_program("initdb"),
                *("--pgdata", str(self.data), "--username", "monitoring", "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            user=self.user,
            group=self.user,
        )

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE_SECONDS)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False
