"""The database of errors in a SQLite file: its permissions, its disk and what else can be wrong with it."""

from __future__ import annotations

import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stored_errors import batch_of, failing, run_sql

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from otel_monitoring.errors.database.database import Database
    from tests.stored_errors import Open

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "errors.db"


@pytest.fixture
def file(open_database: Open, path: Path) -> Database:
    """A database in a file, ready."""
    database = open_database(f"sqlite:///{path}", wait_seconds=0.2)
    database.prepare()
    return database


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder into which everybody may look."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def unprivileged() -> Generator[None]:
    """Be somebody for whom permissions hold: as root, nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_files_are_for_the_owner_alone(open_database: Open, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        database = open_database(f"sqlite:///{tmp_path}/var/app/errors.db")
        database.prepare()
        database.write("s", batch_of([1]))
    finally:
        os.umask(old)
    assert modes(tmp_path / "var" / "app") == {"errors.db": 0o600, "errors.db-wal": 0o600, "errors.db-shm": 0o600}
    assert modes(tmp_path) == {"var": 0o700}
    assert modes(tmp_path / "var") == {"app": 0o700}


def test_a_name_may_hold_what_means_something_in_a_url(open_database: Open, tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/100% #1 ü.db")
    database.prepare()
    assert database.write("s", batch_of([1])) == 1
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["100% #1 ü.db"]


def test_a_writer_stops_no_reader_and_space_can_be_given_back(file: Database, path: Path) -> None:
    file.write("s", batch_of([1]))
    assert run_sql(f"sqlite:///{path}", "PRAGMA journal_mode") == [("wal",)]
    assert run_sql(f"sqlite:///{path}", "PRAGMA auto_vacuum") == [(2,)]


def test_a_file_that_is_not_there_is_not_made_by_writing(open_database: Open, path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    with failing(passing=False, match=r"errors\.db: there is no such file"):
        database.write("s", batch_of([1]))
    assert not path.exists()


def test_a_file_without_tables_says_so(open_database: Open, path: Path) -> None:
    path.touch()
    database = open_database(f"sqlite:///{path}")
    with failing(passing=False, match="no such table"):
        database.write("s", batch_of([1]))
    database.prepare()
    assert database.write("s", batch_of([1])) == 1


def test_tables_may_lie_in_a_file_of_the_applications(open_database: Open, path: Path) -> None:
    run_sql(f"sqlite:///{path}", "CREATE TABLE orders (id INTEGER)", "INSERT INTO orders VALUES (7)")
    database = open_database(f"sqlite:///{path}")
    database.prepare()
    database.write("s", batch_of(range(1, 2001)))
    database.prune(keep_seconds=None, keep_bytes=0, now=0)
    assert run_sql(f"sqlite:///{path}", "SELECT * FROM orders") == [(7,)]


@pytest.mark.parametrize("content", [b"Dear diary, " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_left_alone(open_database: Open, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    database = open_database(f"sqlite:///{path}")
    with failing(passing=False, match="it is no SQLite database: move it away"):
        database.prepare()
    assert path.read_bytes() == content


def test_a_damaged_file_is_told_from_others(file: Database, path: Path) -> None:
    file.write("s", batch_of(range(1, 1001)))
    file.close()
    content = bytearray(path.read_bytes())
    content[2 * 4096 :] = b"\xa5" * (len(content) - 2 * 4096)
    path.write_bytes(content)
    with failing(passing=False, match=r"it is damaged: .* \.recover"):
        file.write("s", batch_of(range(1001, 1010)))


def test_a_folder_is_no_file(open_database: Open, tmp_path: Path) -> None:
    with failing(passing=False, match="something else"):
        open_database(f"sqlite:///{tmp_path}").prepare()


@pytest.mark.parametrize(
    ("path", "reason"), [("/proc/errors.db", "No such file or directory"), ("/dev/null/errors.db", "")]
)
def test_a_place_where_no_file_can_be_says_so(open_database: Open, path: str, reason: str) -> None:
    with failing(passing=False, match=f"{path}: {reason}.*: look at the file, its folder and their permissions"):
        open_database(f"sqlite:///{path}").prepare()


def test_a_folder_that_may_not_be_written_says_so(open_database: Open, open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with unprivileged(), failing(passing=False, match="Permission denied: look at the file, its folder"):
        open_database(f"sqlite:///{open_folder}/errors.db").prepare()


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_file_that_may_not_be_written_says_so(open_database: Open, open_folder: Path, mode: int) -> None:
    path = open_folder / "errors.db"
    database = open_database(f"sqlite:///{path}")
    database.prepare()
    database.close()
    path.chmod(mode)
    open_folder.chmod(0o555)
    with unprivileged(), failing(passing=False, match="may not be written: give this process the permission"):
        database.write("s", batch_of([1]))


def test_a_disk_that_takes_no_more_is_tried_again_later(file: Database) -> None:
    file.write("s", batch_of([1]))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with failing(passing=True, match="the disk"):
            file.write("s", batch_of(range(2, 1001)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.last_number("s") == 1
    assert file.write("s", batch_of(range(2, 1001))) == 999


def test_a_file_that_was_removed_is_made_anew(open_database: Open, file: Database, path: Path) -> None:
    file.write("s", batch_of([1]))
    for part in path.parent.iterdir():
        part.unlink()
    file.prepare()
    assert file.last_number("s") == 0
    assert file.write("s", batch_of([1, 2])) == 2
    again = open_database(f"sqlite:///{path}")
    assert len(again.events()) == 2
