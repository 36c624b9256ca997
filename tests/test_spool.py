"""The spool: what is in it outlives its process, and is read once by whoever comes next."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.errors.segment import LARGEST_PAYLOAD, SEGMENT_BYTES, Segment
from otel_monitoring.errors.spool import LANES, Spool, SpoolFullError
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.errors.spool import Source

ROOT = Path(__file__).parents[1]
MEBIBYTE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the spools of all processes are; not made yet."""
    return tmp_path / "state" / "spool"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    """The spool of this process."""
    spool = Spool(folder, 64 * MEBIBYTE)
    yield spool
    spool.close()


def take(spool: Spool) -> list[bytes]:
    """Take out all there is, as the one that moves records does."""
    taken: list[bytes] = []
    for source in spool.sources():
        growing = source.is_growing
        reading = source.reader.read(source.end, most=1_000_000)
        assert reading.damaged == 0
        taken += [frame.payload for frame in reading.frames]
        source.reader.at = reading.end
        if not growing:
            spool.remove(source)
    return taken


def fill(spool: Spool, record: bytes) -> None:
    """Put in so much that it must be refused."""
    for _ in range(1000):
        spool.put(record)


def of_others(folder: Path) -> list[bytes]:
    """Take out what processes have left that are gone."""
    next_one = Spool(folder, 64 * MEBIBYTE)
    next_one.take_over()
    taken = take(next_one)
    next_one.close()
    return taken


def run_and_die(folder: Path, body: str) -> None:
    """Let another process put records into its spool and be killed."""
    script = f"""
        import os, signal, threading
        from pathlib import Path
        from otel_monitoring.errors.spool import Spool
        spool = Spool(Path({str(folder)!r}), {64 * MEBIBYTE})
        {textwrap.indent(textwrap.dedent(body), " " * 8).strip()}
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def test_nothing_is_made_before_there_is_something_to_keep(folder: Path, spool: Spool) -> None:
    """A service without errors leaves no trace on the disk."""
    spool.prepare()
    spool.take_over()
    assert spool.sources() == []
    assert not folder.exists()


def test_records_come_out_in_the_order_in_which_they_went_in(spool: Spool) -> None:
    """One thread's records keep their order over many segments."""
    records = [f"{number} {'x' * 20_000}".encode() for number in range(200)]
    for record in records:
        spool.put(record)
    assert len(spool.sources()) > 1
    assert take(spool) == records
    assert take(spool) == []


def test_files_are_for_their_owner_only(folder: Path, spool: Spool) -> None:
    """Whatever the umask is, nobody else may read or enter."""
    before = os.umask(0)
    try:
        spool.put(b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_threads_lose_nothing_to_each_other(spool: Spool) -> None:
    """64 threads put at the same time; each record is there once, whole."""
    together = threading.Barrier(64)

    def put(name: int) -> None:
        together.wait()
        for number in range(200):
            spool.put(f"{name}:{number}:{'y' * (number % 50)}".encode())

    threads = [threading.Thread(target=put, args=(name,)) for name in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{name}:{number}:{'y' * (number % 50)}".encode() for name in range(64) for number in range(200)}
    taken = take(spool)
    assert set(taken) == expected
    assert len(taken) == len(expected)


def test_what_is_read_while_others_write_is_whole(spool: Spool) -> None:
    """A reader that goes on all the time sees each record once and none half-written."""
    done = threading.Event()

    def put() -> None:
        for number in range(20_000):
            spool.put(f"{threading.get_ident()}:{number}".encode())
        done.set()

    writer = threading.Thread(target=put)
    writer.start()
    taken: list[bytes] = []
    while not done.is_set():
        taken += take(spool)
    writer.join()
    taken += take(spool)
    assert [int(record.split(b":")[1]) for record in taken] == list(range(20_000))


def test_a_signal_handler_puts_while_its_own_thread_is_putting(spool: Spool) -> None:
    """The handler waits for no lock that its own thread holds."""
    handled = 0
    ended = threading.Event()

    def handle(number: int, frame: object) -> None:
        nonlocal handled
        spool.put(b"from the handler")
        handled += 1
        if not ended.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0.0005)  # not before: a slow machine would interrupt itself for ever

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    try:
        for _ in range(30_000):
            spool.put(b"from the thread")
    finally:
        ended.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    taken = take(spool)
    assert taken.count(b"from the thread") == 30_000
    assert taken.count(b"from the handler") == handled > 0


def test_a_killed_process_leaves_all_that_it_put(folder: Path) -> None:
    """The next one finds each record, and then nothing is left on the disk."""
    run_and_die(folder, "for number in range(5000): spool.put(f'{number} {\"z\" * 500}'.encode())")
    taken = of_others(folder)
    assert [int(record.split()[0]) for record in taken] == list(range(5000))
    assert list(folder.iterdir()) == []


def test_what_threads_left_in_many_lanes_is_found(folder: Path) -> None:
    """A process that is killed while many threads put leaves what each of them has put."""
    run_and_die(
        folder,
        """
        def put(name):
            for number in range(300):
                spool.put(f"{name}:{number}".encode())
        threads = [threading.Thread(target=put, args=(name,)) for name in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    assert len(set(of_others(folder))) == 6000


def test_a_living_process_is_left_alone(folder: Path, spool: Spool) -> None:
    """Only what nobody holds any more is taken over."""
    spool.put(b"mine")
    assert of_others(folder) == []
    assert take(spool) == [b"mine"]


def test_two_that_take_over_do_not_take_the_same(folder: Path) -> None:
    """The one who has the lock has it all."""
    run_and_die(folder, "spool.put(b'left')")
    first, second = Spool(folder, MEBIBYTE), Spool(folder, MEBIBYTE)
    first.take_over()
    second.take_over()
    assert (take(first), take(second)) == ([b"left"], [])
    first.close()
    second.close()


def test_what_was_taken_over_and_not_moved_is_left_again(folder: Path) -> None:
    """Whoever gives up leaves it to the next."""
    run_and_die(folder, "spool.put(b'left')")
    gives_up = Spool(folder, MEBIBYTE)
    gives_up.take_over()
    gives_up.close()
    assert of_others(folder) == [b"left"]


def test_closing_keeps_what_was_not_moved_and_goes_on_in_a_new_folder(folder: Path, spool: Spool) -> None:
    """What is put in after the end waits for the next process, too."""
    spool.put(b"before")
    spool.close()
    spool.put(b"after")
    assert of_others(folder) == [b"before"]
    assert take(spool) == [b"after"]


def test_a_forked_child_has_a_spool_of_its_own(folder: Path, spool: Spool) -> None:
    """Neither takes the other's records, and a parent that is gone is taken over while the child lives."""
    spool.put(b"parent")
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool.after_fork_in_child()
            spool.put(b"child")
            os.write(ready[1], b"1")
            os.read(go[0], 1)
        finally:
            os._exit(0)
    os.read(ready[0], 1)
    assert take(spool) == [b"parent"]
    spool.put(b"parent again")
    spool.close()
    # What was taken out already is known by its number; the file holds it until it is full.
    assert of_others(folder) == [b"parent", b"parent again"]
    os.write(go[1], b"1")
    os.waitpid(child, 0)
    assert of_others(folder) == [b"child"]


def test_a_folder_that_cannot_be_written_is_said_and_tried_again(tmp_path: Path) -> None:
    """Once the way is free, records go in."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool", MEBIBYTE)
    with pytest.raises(OSError, match="exists"):
        spool.put(b"x")
    (tmp_path / "spool").unlink()
    spool.put(b"x")
    assert take(spool) == [b"x"]
    spool.close()


def test_a_full_spool_refuses_at_twice_its_bound(folder: Path) -> None:
    """While nobody empties it, it takes no more of the disk than that."""
    spool = Spool(folder, 2 * MEBIBYTE)
    with pytest.raises(SpoolFullError):
        fill(spool, bytes(10_000))
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 5 * MEBIBYTE
    take(spool)
    spool.put(b"again")
    assert take(spool) == [b"again"]
    spool.close()


def test_a_full_disk_raises_and_loses_nothing_that_was_in(folder: Path, spool: Spool) -> None:
    """The limit of a process's file size stands for the disk: no block of a segment can be had."""
    import resource

    spool.put(b"in time")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT_BYTES // 2, hard))
    try:
        with pytest.raises(OSError, match="large") as raised:
            fill(spool, bytes(LARGEST_PAYLOAD))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert raised.value.errno == errno.EFBIG
    spool.put(b"when there is room again")
    taken = take(spool)
    assert taken[0] == b"in time"
    assert taken[-1] == b"when there is room again"


def test_a_prepared_segment_is_used_next(folder: Path, spool: Spool) -> None:
    """The caller who fills a segment finds the next one ready."""
    spool.put(b"first")
    spool.prepare()
    prepared = len(list(folder.rglob("*.errors")))
    for _ in range(SEGMENT_BYTES // LARGEST_PAYLOAD + 1):
        spool.put(bytes(LARGEST_PAYLOAD))
    assert prepared == 2
    assert len(list(folder.rglob("*.errors"))) == 2


def test_a_call_that_an_exception_ends_leaves_a_gap_and_no_more(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a record: the ones before and after it are whole."""
    segment = Segment(tmp_path / "000001.errors")
    segment.put(b"before")
    segment.end += 100  # taken, and never filled
    segment.put(b"after")
    spool = Spool(tmp_path, MEBIBYTE)
    folder = tmp_path / f"{'0' * 16}-1"
    folder.mkdir()
    (folder / "lock").touch()
    segment.path.rename(folder / segment.path.name)
    spool.take_over()
    assert take(spool) == [b"before", b"after"]
    spool.close()


def test_lanes_are_few(spool: Spool) -> None:
    """However many threads there are, they share some segments."""
    threads = [threading.Thread(target=lambda: fill(spool, b"x")) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.sources()) <= 2 * LANES


def test_rewriting_leaves_the_numbers_and_the_rest(folder: Path, spool: Spool) -> None:
    """What was read is gone, what was not is there in its smaller form under its number."""
    for number in range(50):
        spool.put(f"{number} {'x' * LARGEST_PAYLOAD}"[:LARGEST_PAYLOAD].encode())
    source: Source = wait_until(lambda: next(iter(spool.sources()), None)) or pytest.fail("no source")
    first = source.reader.read(source.end, most=1)
    source.reader.at = first.end
    rest = source.reader.read(source.end, most=100)
    source.reader.rewrite([(frame.number, b"small") for frame in rest.frames])
    again = source.reader.read(None, most=100)
    assert [(frame.number, frame.payload) for frame in again.frames] == [(n.number, b"small") for n in rest.frames]
    assert again.frames[0].number == 2
