"""Many processes on one database of errors: each error is in once, whoever brings it and whenever it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import otel_monitoring
from otel_monitoring.errors.database.database import Database
from tests.servers import PATIENCE_SECONDS, wait_until
from tests.stored_errors import batch_of, id_of, run_sql

if TYPE_CHECKING:
    from tests.stored_errors import Open

pytestmark = pytest.mark.programs

ROOT = Path(otel_monitoring.__file__).parent.parent

PROLOGUE = """
import os, sys
from otel_monitoring.errors.database.database import Database
from otel_monitoring.exceptions import StoreError
from tests.stored_errors import batch_of, payload_of

url = sys.argv[1]

def in_children(number, work):
    '''Fork so many children, let them start together, and return whether all went well.'''
    reading, writing = os.pipe()
    children = []
    for child in range(number):
        children.append(os.fork())
        if not children[-1]:
            status = 1
            try:
                os.close(writing)
                os.read(reading, 1)
                work(child)
                status = 0
            finally:
                os._exit(status)
    os.close(writing)
    return [os.waitpid(child, 0)[1] for child in children]
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a script in an interpreter of its own."""
    return subprocess.Popen(
        # Python 3.12 and newer warn of forks in processes with threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROLOGUE + script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def run(script: str, *arguments: str) -> str:
    """Run a script in an interpreter of its own, and return what it prints."""
    with start(script, *arguments) as process:
        output, _ = process.communicate(timeout=2 * PATIENCE_SECONDS)
    assert process.returncode == 0
    return output


def events_in(url: str) -> list[str]:
    """Return the ids of all events."""
    return sorted(row[0] for row in run_sql(url, "SELECT id FROM monitoring_error_events"))


def ids(numbers: range) -> list[str]:
    return [id_of(number) for number in numbers]


@pytest.fixture
def database(open_database: Open, database_url: str) -> Database:
    """A database, ready."""
    database = open_database(database_url)
    database.prepare()
    return database


def test_many_first_starts_at_once_all_succeed(database_url: str, open_database: Open) -> None:
    printed = run(
        """
def first_start(child):
    database = Database(url)
    database.prepare()
    assert database.write(f"s{child}", [(1, payload_of(child))]) == 1
    database.close()

print(in_children(16, first_start))
""",
        database_url,
    )
    assert printed == f"{[0] * 16}\n"
    assert open_database(database_url).groups()[0].count == 16
    assert events_in(database_url) == ids(range(16))


def test_processes_that_write_the_same_groups_lose_nothing(database: Database, database_url: str) -> None:
    script = """
import random
mine = int(sys.argv[2])
database = Database(url, wait_seconds=30)
for batch in range(10):
    numbers = list(range(batch * 100 + 1, batch * 100 + 101))
    # In another order in each process, to lock rows in a circle if that were possible.
    groups = random.Random(mine).sample(range(40), 40)
    payloads = [payload_of(mine + number, fingerprint=f"{groups[number % 40]:016x}") for number in numbers]
    assert database.write(f"s{mine}", list(zip(numbers, payloads))) == 100
database.close()
"""
    writers = [start(script, database_url, str(mine)) for mine in (10_000, 20_000, 30_000)]
    for writer in writers:
        with writer:
            writer.communicate(timeout=2 * PATIENCE_SECONDS)
        assert writer.returncode == 0
    assert sum(group.count for group in database.groups()) == 3000
    assert len(database.groups()) == 40
    assert len(events_in(database_url)) == 3000


def test_processes_that_bring_the_same_stream_bring_each_error_once(database: Database, database_url: str) -> None:
    script = """
database = Database(url, wait_seconds=30)
new = 0
size = int(sys.argv[2])
for first in range(1, 1001, size):
    new += database.write("leftover", batch_of(range(first, min(first + size, 1001))))
print(new)
database.close()
"""
    writers = [start(script, database_url, size) for size in ("50", "70", "110")]
    new = []
    for writer in writers:
        with writer:
            new.append(int(writer.communicate(timeout=2 * PATIENCE_SECONDS)[0]))
    assert sum(new) == 1000
    assert database.groups()[0].count == 1000
    assert database.last_number("leftover") == 1000
    assert events_in(database_url) == ids(range(1, 1001))


def test_processes_that_bring_the_same_loose_errors_bring_each_once(database: Database, database_url: str) -> None:
    printed = run(
        """
def bring(child):
    database = Database(url, wait_seconds=30)
    for first in range(0, 300, 100):
        # Each another part of them, and in another order.
        numbers = range(first + 10 * child, first + 100 + 10 * child)
        database.write_loose([payload_of(number) for number in (numbers if child % 2 else reversed(numbers))])
    database.close()

print(in_children(4, bring))
""",
        database_url,
    )
    assert printed == f"{[0] * 4}\n"
    assert events_in(database_url) == ids(range(330))
    assert database.groups()[0].count == 330


def test_a_writer_killed_at_any_moment_leaves_all_or_nothing_of_a_batch(database: Database, database_url: str) -> None:
    script = """
database = Database(url, wait_seconds=30)
last = database.last_number("s")
print(last, flush=True)
while True:
    last += database.write("s", batch_of(range(last + 1, last + 101)))
"""
    seen = 0
    for _ in range(6):
        with start(script, database_url) as writer:
            assert writer.stdout
            began = int(writer.stdout.readline())
            assert began == seen
            wait_until(partial(has_passed, database, began))
            writer.send_signal(signal.SIGKILL)
        seen = settled(database)
        assert seen > began
        assert seen % 100 == 0
        assert database.groups()[0].count == seen
    assert events_in(database_url) == ids(range(1, seen + 1))


def has_passed(database: Database, number: int) -> bool:
    return database.last_number("s") > number


def settled(database: Database) -> int:
    """Return the watermark when nobody holds it: the server may be busy yet with what a killed one has sent."""
    database.write("s", batch_of([0]))
    return database.last_number("s")


def test_a_forked_child_goes_on_without_its_parents_connections(database_url: str, open_database: Open) -> None:
    printed = run(
        """
database = Database(url)
database.prepare()
database.write("s", [(1, payload_of(1))])
going = database.stream_events()
next(going)

def child(number):
    database.abandon()
    assert database.groups()[0].count >= 1
    assert database.write(f"s{number}", [(1, payload_of(number + 10))]) == 1
    database.close()

print(in_children(3, child))
assert database.write("s", [(2, payload_of(2))]) == 1
assert database.groups()[0].count == 5
database.close()
""",
        database_url,
    )
    assert printed == "[0, 0, 0]\n"
    assert open_database(database_url).groups()[0].count == 5


def test_a_child_forked_in_the_middle_of_a_write_disturbs_nobody(database_url: str, open_database: Open) -> None:
    printed = run(
        """
import threading
database = Database(url, wait_seconds=30)
database.prepare()
stopping = threading.Event()
written = 0

def write_on():
    global written
    while not stopping.is_set():
        written += database.write("s", batch_of(range(written + 1, written + 51)))

def child(number):
    database.abandon()
    assert database.write(f"s{os.getpid()}", [(1, payload_of(os.getpid() + 10**9))]) == 1
    database.close()

writing = threading.Thread(target=write_on)
writing.start()
results = [in_children(1, child)[0] for _ in range(20)]
stopping.set()
writing.join()
print(sum(results), database.groups()[0].count - written)
database.close()
""",
        database_url,
    )
    assert printed == "0 20\n"
    database = open_database(database_url)
    assert len(events_in(database_url)) == database.groups()[0].count


def test_what_a_forked_child_writes_is_kept_when_all_others_have_gone(database_url: str, open_database: Open) -> None:
    """A file lock of the parent that the child took for its own would let others remove the child's log."""
    printed = run(
        """
database = Database(url)
database.prepare()
database.write("s", [(1, payload_of(1))])
told, telling = os.pipe()
telling_back = os.pipe()

if not os.fork():
    database.abandon()
    database.write("t", [(1, payload_of(11))])
    os.write(telling, b".")
    os.read(telling_back[0], 1)
    database.write("t", [(2, payload_of(12))])
    os._exit(0)

os.read(told, 1)
database.close()
another = Database(url)
print(another.groups()[0].count)
another.close()
os.write(telling_back[1], b".")
os.wait()
""",
        database_url,
    )
    assert printed == "2\n"
    assert open_database(database_url).groups()[0].count == 3
    assert len(events_in(database_url)) == 3


def test_a_fork_does_not_wait_for_a_writer_that_waits_for_a_lock(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/errors.db"
    printed = run(
        """
import sqlite3, threading
database = Database(url, wait_seconds=60)
database.prepare()
held, ready, release = os.pipe(), os.pipe(), os.pipe()

def hold(child):
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    os.write(held[1], b".")
    os.read(release[0], 1)
    connection.execute("ROLLBACK")

def write_waiting():
    os.write(ready[1], b".")
    try:
        database.write("s", [(1, payload_of(1))])
    except StoreError as error:
        assert error.passing

def child(_):
    database.abandon()
    os.write(release[1], b".")
    assert database.write("t", [(1, payload_of(2))]) == 1
    database.close()

results = []
holding = threading.Thread(target=lambda: results.extend(in_children(1, hold)))
holding.start()
os.read(held[0], 1)
writing = threading.Thread(target=write_waiting)
writing.start()
os.read(ready[0], 1)
results += in_children(1, child)
writing.join()
holding.join()
print(results)
database.write("s", [(1, payload_of(1))])
database.close()
""",
        url,
    )
    assert printed == "[0, 0]\n"
    assert events_in(url) == ids(range(1, 3))


def test_a_child_forked_while_its_parent_could_not_stop_leaves_the_file_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/errors.db"
    printed = run(
        """
import sqlite3, threading
from otel_monitoring.errors.database import standstill
standstill.LONGEST_SECONDS = 0.01
database = Database(url)
database.prepare()
other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=0)
other.execute(
    "CREATE TRIGGER slow BEFORE INSERT ON monitoring_error_events BEGIN SELECT count(*) FROM "
    "(WITH RECURSIVE counted(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM counted WHERE x < 10000000) "
    "SELECT x FROM counted); END"
)

def is_locked():
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    other.execute("ROLLBACK")
    return False

def child(_):
    database.abandon()
    refuse()
    assert in_children(1, lambda _: refuse()) == [0]

def refuse():
    try:
        database.groups()
    except StoreError as error:
        assert not error.passing
        print(error, flush=True)
    else:
        raise AssertionError

writing = threading.Thread(target=database.write, args=("s", [(1, payload_of(1))]))
writing.start()
while not is_locked():
    pass
other.close()
print(in_children(1, child))
writing.join()
print(database.groups()[0].count)
database.close()
""",
        url,
    )
    assert printed.count("this process was forked while its parent was at work there") == 2
    assert printed.endswith("[0]\n1\n")


@pytest.mark.threads
def test_threads_may_share_a_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/errors.db", wait_seconds=30)
    database.prepare()
    faults: list[Exception] = []

    def use(thread: int) -> None:
        try:
            for batch in range(10):
                first = thread * 1000 + batch * 20
                assert database.write(f"s{thread}", batch_of(range(first + 1, first + 21))) == 20
                assert database.groups()[0].count >= 20
                assert len(database.events(limit=20)) == 20
        except Exception as fault:  # noqa: BLE001 (shown below)
            faults.append(fault)

    threads = [threading.Thread(target=use, args=(thread,)) for thread in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert database.groups()[0].count == 1200
    database.close()
