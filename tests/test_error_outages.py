"""While there is no room, no database or no right time, what is accepted is kept and what is not is counted."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import structlog

from tests.keepers import (
    ALL_IN_DETAIL,
    Keepers,
    dropped,
    everything_flows,
    failures,
    found_in,
    keepers_of,
    number_in,
    out_of_reach,
    report,
    stored,
)
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from otel_monitoring import MonitoringService
    from tests.postgres import PostgresServer


pytestmark = [pytest.mark.programs, pytest.mark.usefixtures("silent")]


@pytest.fixture
def keepers(database_url: str, tmp_path: Path) -> Iterator[Keepers]:
    """Starts services that keep errors in one database: of each kind in turn."""
    with keepers_of(database_url, tmp_path / "state") as keepers:
        yield keepers


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[Keepers]:
    """Starts services that keep errors in a file."""
    with keepers_of(f"sqlite:///{tmp_path}/errors.db", tmp_path / "state") as keepers:
        yield keepers


@pytest.fixture
def silent(kept: None) -> None:
    """No log: it is not what is tried here, and takes most of the time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


# Disks


class Disk(Protocol):
    """A folder on a disk that may be full."""

    folder: Path

    def fill(self) -> None:
        """Leave no room on it."""

    def free(self) -> None:
        """Let there be room again."""


class SmallDisk:
    """A disk in memory, which is full where a file takes the rest of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Let a file take what there is."""
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Remove that file."""
        self._ballast.unlink()


class Limit:
    """A limit of how large a file of this process may get, below the size of a segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Let no file grow."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, self._before[1]))

    def free(self) -> None:
        """Let them grow again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@contextmanager
def mounted(folder: Path) -> Generator[Path]:
    """Have a small disk in memory; only root may."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], timeout=60, check=True)


@pytest.fixture(params=["mounted", "limited"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be full: a real one where it may be mounted, and a limit that stands for it."""
    if request.param == "mounted":
        with mounted(tmp_path / "disk") as folder:
            yield SmallDisk(folder)
        return
    limit = Limit(tmp_path)
    yield limit
    limit.free()


def test_a_full_disk_costs_only_what_is_counted(disk: Disk, tmp_path: Path) -> None:
    with keepers_of(f"sqlite:///{disk.folder}/errors.db", tmp_path) as keepers:
        monitoring = keepers.start(errors_spool_dir=disk.folder / "spool", errors_per_second=ALL_IN_DETAIL)
        report(monitoring, range(10))
        everything_flows(monitoring)
        disk.fill()
        report(monitoring, range(10, 5000), much="x" * 600)
        wait_until(lambda: failures(monitoring))
        disk.free()
        everything_flows(monitoring)
        found, lost = found_in(monitoring), dropped(monitoring)
        assert found[:10] == list(range(10))
        assert found == sorted(set(found))
        assert set(lost) == {"disk_full"}
        assert len(found) == 5000 - lost["disk_full"]
        report(monitoring, range(5000, 5010))
        assert found_in(monitoring)[-10:] == list(range(5000, 5010))


def test_where_only_the_spool_is_on_a_full_disk_errors_go_to_the_database_from_memory(
    disk: Disk, postgres: PostgresServer, tmp_path: Path
) -> None:
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start(errors_spool_dir=disk.folder / "spool", errors_per_second=ALL_IN_DETAIL)
        disk.fill()
        for start in range(0, 2000, 500):
            report(monitoring, range(start, start + 500))
            assert monitoring.errors.flush()
        assert found_in(monitoring) == list(range(2000))
        disk.free()
        report(monitoring, range(2000, 2500))
        assert list((disk.folder / "spool").rglob("*.errors"))
        assert found_in(monitoring) == list(range(2500))
        assert dropped(monitoring) == {}


class Unwritable(NamedTuple):
    """A place that cannot be written to, and what changes that."""

    folder: Path
    free: Callable[[], object]


@pytest.fixture(params=["read-only disk", "file in its place"])
def unwritable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Unwritable]:
    """A folder in which nothing can be made; permissions would not keep root from it."""
    folder = tmp_path / "place"
    if request.param == "file in its place":
        folder.write_text("not a folder")
        yield Unwritable(folder / "store", folder.unlink)
        return
    with mounted(folder):

        def remount(how: str) -> None:
            subprocess.run(["mount", "-o", f"remount,{how}", folder], timeout=60, check=True)

        remount("ro")
        yield Unwritable(folder / "store", lambda: remount("rw"))


def test_a_folder_that_cannot_be_written_to_costs_only_what_is_counted(unwritable: Unwritable, tmp_path: Path) -> None:
    with keepers_of(f"sqlite:///{unwritable.folder}/errors.db", tmp_path) as keepers:
        monitoring = keepers.start(errors_spool_dir=unwritable.folder / "spool", errors_per_second=ALL_IN_DETAIL)
        report(monitoring, range(1500))
        wait_until(lambda: failures(monitoring))
        unwritable.free()
        everything_flows(monitoring)
        found, lost = found_in(monitoring), dropped(monitoring)
        assert set(lost) == {"unwritable"}
        assert found == list(range(lost["unwritable"], 1500))
        assert len(found) >= 1000


def test_where_only_the_spool_cannot_be_written_to_errors_go_to_the_database_from_memory(
    unwritable: Unwritable, postgres: PostgresServer, tmp_path: Path
) -> None:
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start(errors_spool_dir=unwritable.folder / "spool", errors_per_second=ALL_IN_DETAIL)
        report(monitoring, range(500))
        assert found_in(monitoring) == list(range(500))
        unwritable.free()
        report(monitoring, range(500, 600))
        assert found_in(monitoring) == list(range(600))
        assert dropped(monitoring) == {}


# Bounded


def size_of(keepers: Keepers) -> int:
    """Return how many bytes wait on the disk."""
    return sum(path.stat().st_size for path in keepers.segments())


def test_a_spool_that_is_full_lets_the_oldest_details_go_first_and_counts_them(
    in_a_file: Keepers, tmp_path: Path
) -> None:
    bound = 3 << 20
    settings = {"errors_spool_bytes": bound, "errors_per_second": ALL_IN_DETAIL}
    with in_a_file.start(**settings, store_errors=out_of_reach()) as waiting:
        for number in range(1500):
            report(waiting, [number], **{f"much {part}": "x" * 4000 for part in range(2)})
            assert size_of(in_a_file) <= 2 * bound
            if number % 100 == 99:
                waiting.errors.flush()
        lost = dropped(waiting)
    assert size_of(in_a_file) <= bound
    assert set(lost) == {"context"}
    monitoring = in_a_file.start()
    everything_flows(monitoring)
    events = list(monitoring.errors.export())
    assert [number_in(event.message) for event in events] == list(range(1500))
    assert lost["context"] == sum(not event.context for event in events)
    has_details = [bool(event.context) for event in events]
    assert has_details == sorted(has_details)


def test_where_all_details_are_gone_the_oldest_errors_go_and_are_counted(in_a_file: Keepers) -> None:
    settings = {"errors_spool_bytes": 1 << 20, "errors_per_second": ALL_IN_DETAIL}
    with in_a_file.start(**settings, store_errors=out_of_reach()) as waiting:
        for number in range(9000):
            report(waiting, [number])
            if number % 500 == 499:
                waiting.errors.flush()
        lost = dropped(waiting)
    assert set(lost) == {"spool_full"}
    assert found_in(in_a_file.start()) == list(range(lost["spool_full"], 9000))


def test_what_others_have_left_takes_no_room_from_who_comes(postgres: PostgresServer, tmp_path: Path) -> None:
    """They left more than a spool may hold, and the next one hangs in moving it when errors come."""
    big = {f"much {part}": "x" * 4000 for part in range(8)}
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        assert keepers.start().errors.groups() == []
        for _ in range(2):
            with keepers.start(store_errors=out_of_reach(), errors_per_second=ALL_IN_DETAIL) as leaving:
                report(leaving, range(150), **big)
        assert size_of(keepers) > 8 << 20
        monitoring = keepers.start(errors_spool_bytes=4 << 20, errors_per_second=ALL_IN_DETAIL)
        with locked(keepers.url):
            report(monitoring, [1000])
            wait_until(lambda: somebody_waits_for_a_lock(postgres))
            report(monitoring, range(1001, 2001), much="x" * 2000)
        everything_flows(monitoring)
        assert found_in(monitoring)[-1001:] == list(range(1000, 2001))
        assert dropped(monitoring).keys() <= {"context"}


# Out of reach


@contextmanager
def locked(url: str) -> Generator[None]:
    """Hold a database locked from another process."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        hold = f"import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); c.execute('BEGIN EXCLUSIVE')"
    else:
        hold = f"import psycopg; c = psycopg.connect({url!r}); c.execute('LOCK TABLE monitoring_error_groups')"
    command = [sys.executable, "-c", f"{hold}; print(flush=True); input(); c.rollback(); c.close()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline()
            yield
            holder.communicate(b"\n", timeout=60)
            assert holder.returncode == 0
        finally:
            holder.kill()


def report_from_threads(monitoring: MonitoringService, *, threads: int, each: int, start: int = 0) -> None:
    """Report errors from several threads at once; return when all calls have returned."""
    together = threading.Barrier(threads)

    def go_on(thread: int) -> None:
        together.wait()
        report(monitoring, range(start + thread * each, start + (thread + 1) * each))

    reporting = [threading.Thread(target=go_on, args=(thread,)) for thread in range(threads)]
    for thread in reporting:
        thread.start()
    for thread in reporting:
        thread.join(60)
    assert not any(thread.is_alive() for thread in reporting)


def test_64_threads_lose_nothing_to_each_other(keepers: Keepers) -> None:
    monitoring = keepers.start(errors_per_second=ALL_IN_DETAIL)
    report_from_threads(monitoring, threads=64, each=40)
    assert sorted(found_in(monitoring)) == list(range(64 * 40))
    assert dropped(monitoring) == {}


def test_callers_do_not_wait_while_another_process_holds_the_database_locked(keepers: Keepers) -> None:
    monitoring = keepers.start(errors_per_second=ALL_IN_DETAIL)
    assert monitoring.errors.groups() == []
    with locked(keepers.url):
        report_from_threads(monitoring, threads=64, each=40)
        assert stored(monitoring) == 0
    everything_flows(monitoring)
    assert sorted(found_in(monitoring)) == list(range(64 * 40))
    assert dropped(monitoring) == {}


class Reports:
    """Reports an error when it is let go of."""

    def __init__(self, monitoring: MonitoringService, number: int, threads: set[str]) -> None:
        self._monitoring = monitoring
        self._number = number
        self._threads = threads
        self._itself = self  # so that only the garbage collector lets go of it

    def __del__(self) -> None:
        self._threads.add(threading.current_thread().name)
        report(self._monitoring, [self._number])


def test_an_error_of_a_finaliser_is_kept_wherever_that_runs(in_a_file: Keepers) -> None:
    """The garbage collector runs it in any thread in the middle of anything, in the mover's too."""
    monitoring = in_a_file.start(errors_per_second=ALL_IN_DETAIL)
    threads: set[str] = set()
    gc.collect()
    gc.disable()
    try:
        for number in range(0, 400, 2):
            Reports(monitoring, number, threads)
            report(monitoring, [number + 1])
            if number % 40 == 0:
                # At the next allocation of whoever comes first: this thread waits.
                flushing = threading.Thread(target=monitoring.errors.flush)
                flushing.start()
                gc.enable()
                flushing.join(60)
                gc.disable()
                assert not flushing.is_alive()
    finally:
        gc.enable()
    gc.collect()
    assert sorted(found_in(monitoring)) == list(range(400))
    assert any(name.startswith("otel-monitoring") for name in threads), threads


def test_a_signal_handler_reports_while_its_own_thread_waits_for_the_store(in_a_file: Keepers) -> None:
    monitoring = in_a_file.start(errors_per_second=ALL_IN_DETAIL)
    handled = itertools.count()
    ended = threading.Event()

    def handle(*_: object) -> None:
        report(monitoring, [next(handled)])
        if not ended.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0.0005)  # not before this one has ended

    before = signal.signal(signal.SIGALRM, handle)
    handle()
    try:
        for _ in range(10):
            assert monitoring.errors.flush(60)
    finally:
        ended.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert found_in(monitoring) == list(range(next(handled)))


def somebody_waits_for_a_lock(postgres: PostgresServer) -> bool:
    return bool(postgres.run("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


def test_callers_do_not_wait_for_what_the_mover_hangs_in(postgres: PostgresServer, tmp_path: Path) -> None:
    """It waits for a lock in the middle of its work, and goes on waiting until all calls have returned."""
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start(errors_per_second=ALL_IN_DETAIL)
        assert monitoring.errors.groups() == []
        with locked(keepers.url):
            report(monitoring, [0])
            wait_until(lambda: somebody_waits_for_a_lock(postgres))
            report_from_threads(monitoring, threads=64, each=40, start=1)
        assert sorted(found_in(monitoring)) == list(range(64 * 40 + 1))


def has_risen(number: Callable[[], int], before: int) -> bool:
    """Tell whether a number is higher than before."""
    return number() > before


@pytest.mark.parametrize("per_second", [ALL_IN_DETAIL, 5], ids=["in detail", "in bursts"])
def test_a_server_that_stops_and_breaks_down_under_load_costs_nothing(
    postgres: PostgresServer, tmp_path: Path, per_second: int
) -> None:
    stopping = threading.Event()
    reported = [0, 0, 0]

    def go_on(thread: int) -> None:
        while not stopping.is_set():
            report(monitoring, [thread << 24 | reported[thread]])
            reported[thread] += 1
            stopping.wait(0.001)

    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start(errors_per_second=per_second)
        threads = [threading.Thread(target=go_on, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        try:
            for end in (postgres.kill, postgres.stop):
                wait_until(partial(has_risen, partial(stored, monitoring), stored(monitoring)))
                failed = failures(monitoring)
                end()
                wait_until(partial(has_risen, partial(failures, monitoring), failed))
                postgres.start()
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        everything_flows(monitoring)
        assert monitoring.errors.groups()[0].count == sum(reported)
        assert dropped(monitoring) == {}
        if per_second == ALL_IN_DETAIL:
            assert sorted(found_in(monitoring)) == [
                thread << 24 | number for thread in range(3) for number in range(reported[thread])
            ]


class Proxy:
    """Stands between a service and its PostgreSQL; it may hold back what passes, or lose answers.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self._commits: Iterator[bool] = itertools.repeat(True)
        self.lost = 0
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def url_for(self, url: str) -> str:
        """Return the URL of the same database by way of this."""
        return url.replace(f":{self._server}/", f":{self._listening.getsockname()[1]}/")

    def hold(self) -> None:
        """Let nothing pass."""
        self._open.clear()

    def let_go(self) -> None:
        """Let all pass, also what was held."""
        self._commits = itertools.repeat(True)
        self._open.set()

    def lose_every_second_commit(self) -> None:
        """Break every second connection where the server answers that it has committed; nobody hears of it."""
        self._commits = itertools.cycle([True, False])

    def close(self) -> None:
        """Break all connections."""
        self.let_go()
        for one in (self._listening, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(30)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                self._sockets.append(client)
                server = socket.create_connection(("127.0.0.1", self._server))
                self._sockets.append(server)
                for pump in (self._ask, self._answer):
                    self._threads.append(threading.Thread(target=pump, args=(client, server)))
                    self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                self._open.wait()
                server.sendall(data)
        self._end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                self._open.wait()
                if b"COMMIT\0" in data and not next(self._commits):
                    self.lost += 1
                    break
                client.sendall(data)
        self._end(client, server)

    def _end(self, *both: socket.socket) -> None:
        for one in both:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """Stands in front of the PostgreSQL."""
    proxy = Proxy(postgres.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("per_second", [ALL_IN_DETAIL, 5], ids=["in detail", "in bursts"])
def test_what_was_committed_though_the_answer_was_lost_is_there_once(
    postgres: PostgresServer, proxy: Proxy, tmp_path: Path, per_second: int
) -> None:
    with keepers_of(proxy.url_for(postgres.create_database()), tmp_path) as keepers:
        monitoring = keepers.start(errors_per_second=per_second)
        assert monitoring.errors.groups() == []
        proxy.lose_every_second_commit()
        for start in range(0, 2000, 100):
            report(monitoring, range(start, start + 100))
            monitoring.errors.flush()
        proxy.let_go()
        assert proxy.lost >= 5
        everything_flows(monitoring)
        (group,) = monitoring.errors.groups()
        assert group.count == 2000
        assert dropped(monitoring) == {}
        if per_second == ALL_IN_DETAIL:
            assert found_in(monitoring) == list(range(2000))


def test_callers_and_the_end_do_not_wait_for_a_server_that_does_not_answer(
    postgres: PostgresServer, proxy: Proxy, tmp_path: Path
) -> None:
    with keepers_of(proxy.url_for(postgres.create_database()), tmp_path) as keepers:
        monitoring = keepers.start(errors_per_second=ALL_IN_DETAIL, shutdown_timeout_seconds=0.1)
        assert monitoring.errors.groups() == []
        proxy.hold()
        report_from_threads(monitoring, threads=64, each=40)
        monitoring.shutdown()
        report(monitoring, range(64 * 40, 64 * 40 + 10))
        assert stored(monitoring) == 0
        proxy.let_go()
        wait_until(lambda: sorted(found_in(monitoring)) == list(range(64 * 40 + 10)))


# Clocks


@contextmanager
def clock(says: Callable[[], float]) -> Generator[None]:
    """Change what time it is for this process: the machine's clock belongs to all."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", says)
        yield


def test_a_clock_that_goes_backwards_loses_and_doubles_nothing(keepers: Keepers) -> None:
    monitoring = keepers.start(errors_per_second=ALL_IN_DETAIL, errors_keep_days=36_500)
    began = time.time()
    for at in range(300):
        # Back a little each time, now and then by an hour, and at last to before 1970.
        moment = -5.0 if at == 299 else began - at * 0.01 - 3600 * (at // 50)
        with clock(partial(float, moment)):
            report(monitoring, [at])
    assert sorted(found_in(monitoring)) == list(range(300))
    assert found_in(monitoring)[::-1] == list(range(300))
    assert dropped(monitoring) == {}


def test_a_burst_is_counted_in_full_whatever_the_clock_says(keepers: Keepers) -> None:
    monitoring = keepers.start(errors_per_second=2)
    now, ticks = time.time(), itertools.cycle([0, 1, 0, -1])
    with clock(lambda: now + next(ticks)):
        report(monitoring, range(300))
    (group,) = monitoring.errors.groups()
    assert group.count == 300


def test_a_clock_that_goes_back_by_a_year_delays_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start()
        assert monitoring.errors.groups() == []
        postgres.stop()
        report(monitoring, [1])
        wait_until(lambda: failures(monitoring))
        a_year_ago = time.time() - 365 * 86_400
        with clock(lambda: a_year_ago):
            report(monitoring, [2])
            postgres.start()
            wait_until(lambda: stored(monitoring) == 2)
