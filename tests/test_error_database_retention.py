"""Old errors are let go of: by age, by size, without others waiting long, and the disk has its space back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.errors.database.retention import STEP
from otel_monitoring.errors.database.rows import OVERHEAD_BYTES
from otel_monitoring.errors.stored import Pruned, Status
from tests.stored_errors import MAIL, NOON, TRADE, batch_of, counted_only, payload_of, run_sql

if TYPE_CHECKING:
    from pathlib import Path

    from otel_monitoring.errors.database.database import Database
    from tests.stored_errors import Open


@pytest.fixture
def database(open_database: Open, database_url: str) -> Database:
    """A database, ready; who has to wait for another waits long on a busy machine."""
    database = open_database(database_url, wait_seconds=60)
    database.prepare()
    return database


def kept(database: Database) -> list[int]:
    return sorted(int(event.id, 16) for event in database.stream_events())


def test_nothing_goes_where_nothing_is_said(database: Database) -> None:
    database.write("s", batch_of(range(1, 10)))
    assert database.prune(keep_seconds=None, keep_bytes=None, now=NOON + 1e9) == Pruned()
    assert database.prune(keep_seconds=1e9, keep_bytes=10**9, now=NOON) == Pruned()
    assert len(kept(database)) == 9


def test_events_older_than_that_go(database: Database) -> None:
    database.write("s", batch_of(range(1, 2 * STEP + 20)))
    pruned = database.prune(keep_seconds=10, keep_bytes=None, now=NOON + 2 * STEP + 20)
    assert (pruned.events, pruned.groups) == (2 * STEP + 9, 0)
    assert kept(database) == list(range(2 * STEP + 10, 2 * STEP + 20))
    assert database.groups()[0].count == 2 * STEP + 19


def test_groups_without_new_errors_go_too_unless_they_are_muted(database: Database) -> None:
    names = {number: f"{number:016x}" for number in range(1, STEP + 10)}
    database.write("s", [(number, counted_only(number, fingerprint=name)) for number, name in names.items()])
    database.set_status(names[3], Status.MUTED, database.group(names[3]).last_seen)
    database.set_status(names[4], Status.RESOLVED, database.group(names[4]).last_seen)
    pruned = database.prune(keep_seconds=0, keep_bytes=None, now=NOON + STEP + 5)
    assert pruned == Pruned(events=0, groups=STEP + 3, bytes=0)
    assert {group.fingerprint for group in database.groups(limit=STEP)} == {
        names[3],
        *(names[number] for number in range(STEP + 5, STEP + 10)),
    }


def test_the_oldest_events_go_until_the_others_fit(database: Database) -> None:
    database.write("s", batch_of(range(1, STEP + 101), message="x" * 1000, context={}, chain=[]))
    each = OVERHEAD_BYTES + 1000 + len("{}") + len("[]")
    pruned = database.prune(keep_seconds=None, keep_bytes=30 * each + 5, now=NOON)
    assert pruned == Pruned(events=STEP + 70, groups=0, bytes=(STEP + 70) * each)
    assert kept(database) == list(range(STEP + 71, STEP + 101))
    assert database.groups()[0].count == STEP + 100
    assert database.prune(keep_seconds=None, keep_bytes=30 * each, now=NOON) == Pruned()


def test_events_of_one_moment_need_not_go_together(database: Database) -> None:
    database.write("s", batch_of(range(1, 11), time=NOON, message="", context={}, chain=[]))
    each = OVERHEAD_BYTES + len("{}") + len("[]")
    database.prune(keep_seconds=None, keep_bytes=4 * each, now=NOON)
    assert kept(database) == [7, 8, 9, 10]


def test_age_comes_before_size(database: Database) -> None:
    database.write("s", batch_of(range(1, 5), message="x" * 100))
    database.write("t", [(1, payload_of(9, fingerprint=TRADE, message="", context={}, chain=[]))])
    pruned = database.prune(keep_seconds=2, keep_bytes=OVERHEAD_BYTES + 4, now=NOON + 9)
    assert (pruned.events, pruned.groups) == (4, 1)
    assert kept(database) == [9]


def test_several_may_prune_at_once_and_nobody_takes_too_much(database: Database, open_database: Open) -> None:
    database.write("s", batch_of(range(1, 4 * STEP + 1), message="", context={}, chain=[]))
    each = OVERHEAD_BYTES + len("{}") + len("[]")
    start = threading.Barrier(3)
    pruned: list[int] = []

    def prune() -> None:
        start.wait()
        pruned.append(database.prune(keep_seconds=None, keep_bytes=STEP * each, now=NOON).events)

    threads = [threading.Thread(target=prune) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(pruned) == 3 * STEP
    assert kept(database) == list(range(3 * STEP + 1, 4 * STEP + 1))


def test_writers_go_on_while_much_is_let_go_of(database: Database) -> None:
    database.write("s", batch_of(range(1, 10 * STEP + 1), message="x" * 500))
    pruning = threading.Thread(
        target=database.prune, kwargs={"keep_seconds": 0, "keep_bytes": None, "now": NOON + 10 * STEP + 1}
    )
    pruning.start()
    number = 10 * STEP
    while pruning.is_alive():
        number += 1
        assert database.write("s", batch_of([number], time=NOON + 10 * STEP + 5)) == 1
    pruning.join()
    assert kept(database) == list(range(10 * STEP + 1, number + 1))
    assert database.group(MAIL).count == number


def test_the_disk_has_its_space_back(open_database: Open, tmp_path: Path) -> None:
    path = tmp_path / "errors.db"
    database = open_database(f"sqlite:///{path}")
    database.prepare()
    for start in range(1, 5001, 1000):
        database.write("s", batch_of(range(start, start + 1000), message="x" * 3000))
    assert database.size_bytes() > 15_000_000
    database.prune(keep_seconds=None, keep_bytes=100_000, now=NOON)
    assert path.stat().st_size < 500_000
    assert run_sql(f"sqlite:///{path}", "PRAGMA freelist_count", "PRAGMA integrity_check") == [("ok",)]
    database.close()
    assert database.size_bytes() < 500_000


def test_what_events_take_is_about_what_the_file_takes(open_database: Open, tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/errors.db")
    database.prepare()
    for start in range(1, 3001, 1000):
        database.write("s", batch_of(range(start, start + 1000), message="x" * 300))
    database.close()
    taken = run_sql(f"sqlite:///{tmp_path}/errors.db", "SELECT sum(bytes) FROM monitoring_error_events")[0][0]
    assert database.size_bytes() == pytest.approx(taken, rel=0.25)
