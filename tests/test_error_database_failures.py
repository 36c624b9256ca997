"""What goes wrong in the database of errors: said in words that help and without credentials, on both alike."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.errors.database.database import Database
from otel_monitoring.exceptions import ConfigurationError, ExtraMissingError
from tests.servers import free_port
from tests.stored_errors import SECRET, all_said, batch_of, failing, payload_of, run_sql

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.stored_errors import Open


@pytest.mark.parametrize(
    "url",
    [
        "",
        "errors.db",
        "mysql://user:hunter2@host/errors",
        "postgresql+asyncpg://user:hunter2@host/errors",
        "postgresql://user:hunter2@host:port/errors",
        "postgresql://user:hun/ter2@hunter2@host/errors",
        "postgresql://user:x@host/errors@hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://user:hunter2@host/errors.db",
        "sqlite:///errors.db?mode=hunter2",
        "sqlite:///file:errors.db",
        "sqlite+aiosqlite:///errors.db",
    ],
)
def test_an_address_of_no_database_that_can_keep_errors_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="error store") as caught:
        Database(url)
    assert "hunter2" not in all_said(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_where_it_is_is_shown_without_credentials(scheme: str) -> None:
    database = Database(f"{scheme}://someone:{SECRET}@db.example:5433/errors?password=hunter2&sslmode=require")
    assert database.shown == "postgresql://db.example:5433/errors"


def test_postgresql_without_psycopg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "otel_monitoring.errors.database.postgresql", raising=False)
    with pytest.raises(ExtraMissingError, match=r"pip install 'otel-monitoring\[postgres\]'") as caught:
        Database(f"postgresql://someone:{SECRET}@localhost/errors")
    assert SECRET not in all_said(caught.value)


def test_nothing_is_connected_or_made_before_it_has_to(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/errors.db")
    Database(f"postgresql://localhost:{free_port()}/errors")
    assert not list(tmp_path.iterdir())


def test_a_relative_path_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///errors.db")
    monkeypatch.chdir("/")
    database.prepare()
    database.close()
    assert (tmp_path / "errors.db").exists()


def test_tables_of_a_newer_release_are_refused(open_database: Open, database_url: str) -> None:
    database = open_database(database_url)
    database.prepare()
    run_sql(database_url, "UPDATE monitoring_error_schema SET version = 2")
    with failing(passing=False, match="version 2, made by a newer release"):
        database.prepare()


def test_what_is_locked_for_too_long_is_tried_again_later(open_database: Open, database_url: str) -> None:
    database = open_database(database_url, wait_seconds=0.2)
    database.prepare()
    with locked(database_url), failing(passing=True, match="lock"):
        database.write("s", batch_of([1]))
    assert database.write("s", batch_of([1])) == 1


@contextmanager
def locked(database_url: str) -> Generator[None]:
    """Hold the database locked from another process."""
    if database_url.startswith("sqlite"):
        path = database_url.removeprefix("sqlite:///")
        hold = f"import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); c.execute('BEGIN EXCLUSIVE')"
    else:
        hold = (
            f"import psycopg; c = psycopg.connect({database_url!r}); "
            "c.execute('LOCK TABLE monitoring_error_events IN EXCLUSIVE MODE')"
        )
    command = [sys.executable, "-c", f"{hold}; print(flush=True); input(); c.rollback(); c.close()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline()
        yield
        holder.communicate(b"\n")


def test_readers_need_not_wait_for_a_writer(open_database: Open, database_url: str) -> None:
    database = open_database(database_url, wait_seconds=0.2)
    database.prepare()
    database.write("s", batch_of([1]))
    with locked(database_url):
        assert len(database.events()) == len(database.groups()) == 1
        database.prepare()


def test_more_threads_than_connections_take_turns(open_database: Open, database_url: str) -> None:
    database = open_database(database_url)
    database.prepare()
    start = threading.Barrier(12)
    seen: list[int] = []

    def use(stream: int) -> None:
        start.wait()
        seen.append(database.write(f"s{stream}", [(1, payload_of(stream))]))
        seen.append(min(1, len(database.events())))

    threads = [threading.Thread(target=use, args=(stream,)) for stream in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 24
