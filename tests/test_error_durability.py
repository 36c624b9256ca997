"""Whatever becomes of a process, each error whose report has returned is in the store once."""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.keepers import ALL_IN_DETAIL, Keepers, dropped, found_in, keepers_of, number_in, out_of_reach
from tests.nursery import ENDS_WITHIN_SECONDS, Nursery, run_in_a_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_monitoring import MonitoringService


pytestmark = [pytest.mark.programs, pytest.mark.usefixtures("kept")]


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
def nursery(tmp_path: Path) -> Nursery:
    """Forks writers and kills them."""
    return Nursery(tmp_path)


# Killed


def require_each_once(monitoring: MonitoringService, acknowledged: list[int], *, at_most_more: int) -> None:
    """Require that the store has each acknowledged error once, and few others, which may have been in the middle."""
    found = Counter(found_in(monitoring))
    assert not set(acknowledged) - set(found), "lost"
    assert max(found.values()) == 1, "doubled"
    assert len(found) - len(acknowledged) <= at_most_more
    assert sum(group.count for group in monitoring.errors.groups()) == len(found)


THREADS = (1, 3, 64)

KILLED_AT_ANY_MOMENT = f"""
def go_on(monitoring, writer, thread, threads):
    for number in range(300 // threads):
        report(monitoring, writer << 24 | thread << 16 | number, fingerprint=f"writer {{writer % groups}}")
    time.sleep(1000)

def work(writer):
    monitoring = MonitoringService(settings)
    threads = {THREADS}[writer % 3]
    for thread in range(1, threads):
        threading.Thread(target=go_on, args=(monitoring, writer, thread, threads)).start()
    go_on(monitoring, writer, 0, threads)

living = []
for writer in range(kills + 3):
    if len(living) == 3 or writer >= kills:
        until, child = min(living)
        living.remove((until, child))
        time.sleep(max(0, until - time.monotonic()))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if writer < kills:
        living.append((time.monotonic() + chance.uniform(0.005, 0.25), born(work, writer)))
"""


def kills_of(keepers: Keepers, *, in_a_file: int, on_a_server: int) -> int:
    return in_a_file if keepers.url.startswith("sqlite") else on_a_server


def test_each_error_of_writers_that_are_killed_at_any_moment_is_there_once(keepers: Keepers, nursery: Nursery) -> None:
    kills = kills_of(keepers, in_a_file=150, on_a_server=60)
    settings = {**keepers.settings, "errors_per_second": ALL_IN_DETAIL}
    nursery.run(f"kills, groups = {kills}, 7\n{KILLED_AT_ANY_MOMENT}", settings)
    require_each_once(keepers.start(), nursery.acknowledged(), at_most_more=kills * max(THREADS))


def test_each_error_of_a_burst_is_counted_once_though_its_writers_are_killed(
    keepers: Keepers, nursery: Nursery
) -> None:
    """What is only counted has no name to be known by: each writer's are a group, whose number is known."""
    kills = kills_of(keepers, in_a_file=120, on_a_server=40)
    nursery.run(f"kills = groups = {kills}\n{KILLED_AT_ANY_MOMENT}", {**keepers.settings, "errors_per_second": 5})
    acknowledged = Counter(number >> 24 for number in nursery.acknowledged())
    assert len(acknowledged) > kills // 2
    monitoring = keepers.start()
    assert monitoring.errors.flush(ENDS_WITHIN_SECONDS)
    counts = {number_in(group.title) >> 24: group.count for group in monitoring.errors.groups(limit=kills)}
    for writer in range(kills):
        returned = acknowledged[writer]
        assert returned <= counts.get(writer, 0) <= returned + THREADS[writer % 3]


KILLED_WHILE_IT_MOVES = """
def work(writer, step):
    steps = mover_dies_at(step, within)
    monitoring = MonitoringService(settings)
    for number in range(each):
        report(monitoring, writer << 16 | number, **{f"much {part}": "x" * 4000 for part in range(8)})
    monitoring.shutdown(100)
    return steps()

steps = steps_to_die_at(work, 0)
print(ends(((work, writer, step) for writer, step in enumerate(steps, 1)), at_once=2))
"""


def test_a_process_that_is_killed_at_any_step_of_moving_its_errors_loses_and_doubles_none(
    keepers: Keepers, nursery: Nursery
) -> None:
    """They fill segments, which are moved and removed while others take over what those before them left."""
    kills = kills_of(keepers, in_a_file=100, on_a_server=40)
    killed = nursery.run(
        f"kills, each, within = {kills}, 40, '_run'\n{KILLED_WHILE_IT_MOVES}",
        {**keepers.settings, "errors_per_second": ALL_IN_DETAIL},
    )
    assert killed > 0.8 * kills
    require_each_once(keepers.start(), nursery.acknowledged(), at_most_more=kills)


KILLED_WHILE_IT_TAKES_OVER = """
def leave(writer):
    mover.COLLECTS_SECONDS = 1000.0
    monitoring = MonitoringService(settings)
    for number in range(20):
        report(monitoring, writer << 16 | number)
    os.kill(os.getpid(), signal.SIGKILL)

def take(step):
    steps = mover_dies_at(step)
    monitoring = MonitoringService(settings)
    monitoring.errors.flush(100)
    monitoring.shutdown(100)
    return steps()

ends([(leave, 0)], at_once=1)
killed = 0
steps = steps_to_die_at(take)
for at in range(0, kills, 2):
    ends([(leave, at + 1), (leave, at + 2)], at_once=2)
    killed += ends([(take, step) for step in steps[at:at + 2]], at_once=2)
print(killed)
"""


def test_two_that_are_killed_while_they_take_over_the_same_lose_and_double_nothing(
    keepers: Keepers, nursery: Nursery
) -> None:
    kills = kills_of(keepers, in_a_file=80, on_a_server=30)
    settings = {**keepers.settings, "errors_per_second": 5}
    killed = nursery.run(f"kills = {kills}\n{KILLED_WHILE_IT_TAKES_OVER}", settings)
    assert killed > 0.5 * kills
    monitoring = keepers.start()
    assert monitoring.errors.flush(ENDS_WITHIN_SECONDS)
    acknowledged = nursery.acknowledged()
    assert len(acknowledged) == 20 * (kills + 1)
    assert monitoring.errors.groups()[0].count == len(acknowledged)


def test_a_process_that_is_killed_while_it_trims_its_spool_loses_no_error(in_a_file: Keepers, nursery: Nursery) -> None:
    """Its database is out of reach; only details go."""
    kills = 40
    small = {"store_errors": out_of_reach(), "errors_spool_bytes": 2 << 20}
    settings = {**in_a_file.settings, **small, "errors_per_second": ALL_IN_DETAIL}
    # Most steps are those of our own functions, which look through what lies in memory already.
    setting = f"kills, each, within, OURS = {kills}, 85, 'keep_bound', ()"
    killed = nursery.run(f"{setting}\n{KILLED_WHILE_IT_MOVES}", settings)
    assert killed > 0.8 * kills
    monitoring = in_a_file.start()
    require_each_once(monitoring, nursery.acknowledged(), at_most_more=kills)
    contexts = Counter(bool(event.context) for event in monitoring.errors.export())
    assert contexts[True]
    assert contexts[False]


SHUT_DOWN = """
def shut_down(round):
    monitoring = MonitoringService(settings)
    together = threading.Barrier(9)
    def go_on(thread):
        together.wait()
        for number in range(3):
            report(monitoring, round << 16 | thread << 8 | number)
    threads = [threading.Thread(target=go_on, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    together.wait()
    monitoring.shutdown(100)
    for thread in threads:
        thread.join()
    monitoring.shutdown(100)

sys.setswitchinterval(1e-4)
for round in range(rounds):
    shut_down(round)
"""


def test_errors_that_come_while_a_service_shuts_down_are_kept(in_a_file: Keepers, nursery: Nursery) -> None:
    rounds = 40
    settings = {**in_a_file.settings, "errors_per_second": ALL_IN_DETAIL}
    nursery.run(f"rounds = {rounds}\n{SHUT_DOWN}", settings)
    acknowledged = nursery.acknowledged()
    assert len(acknowledged) == rounds * 24
    require_each_once(in_a_file.start(), acknowledged, at_most_more=0)


# Forks

FORKING = """
import json, logging, os, sys, threading
import structlog
from otel_monitoring import MonitoringService

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
logging.getLogger("otel_monitoring").addFilter(lambda said: not said.getMessage().startswith("errors wait"))
monitoring = MonitoringService(json.loads(sys.argv[1]))

def report(first, number):
    for at in range(first, first + number):
        monitoring.log_error(f"error {at}")

def forked(work, *arguments):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*arguments)
            monitoring.shutdown(60)
            status = 0
        finally:
            os._exit(status)
    return child

def ended(children):
    return [os.waitpid(child, 0)[1] for child in children]
"""


def run_forking(script: str, settings: dict[str, Any], folder: Path) -> Any:
    """Run a script that forks, and return what it prints, read as JSON."""
    told = {name: value if isinstance(value, int) else str(value) for name, value in settings.items()}
    return json.loads(run_in_a_group([FORKING + script, json.dumps(told)], folder))


@pytest.mark.parametrize("per_second", [ALL_IN_DETAIL, 5], ids=["in detail", "in bursts"])
def test_processes_forked_under_load_lose_and_double_nothing(keepers: Keepers, tmp_path: Path, per_second: int) -> None:
    statuses, written = run_forking(
        """
stopping = threading.Event()
written = [0, 0]
def go_on(thread):
    while not stopping.is_set():
        report(thread << 24 | written[thread], 1)
        written[thread] += 1
        stopping.wait(0.0005)
threads = [threading.Thread(target=go_on, args=(thread,)) for thread in range(2)]
for thread in threads:
    thread.start()
statuses = ended([forked(report, (8 + child) << 24, 50) for child in range(8)])
stopping.set()
for thread in threads:
    thread.join()
monitoring.shutdown(60)
print(json.dumps([statuses, written]))
""",
        {**keepers.settings, "errors_per_second": per_second},
        tmp_path,
    )
    assert statuses == [0] * 8
    monitoring = keepers.start()
    assert sum(group.count for group in monitoring.errors.groups()) == sum(written) + 8 * 50
    if per_second == ALL_IN_DETAIL:
        expected = [thread << 24 | at for thread in range(2) for at in range(written[thread])]
        expected += [(8 + child) << 24 | at for child in range(8) for at in range(50)]
        assert sorted(found_in(monitoring)) == expected


@pytest.mark.parametrize("spool", ["usable", "unusable"])
def test_a_fork_with_a_filled_queue_doubles_nothing(in_a_file: Keepers, tmp_path: Path, spool: str) -> None:
    """Errors wait on the disk, or in memory where nothing can be written to that; most of them only count."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    in_a_file.url = f"sqlite:///{blocked}/errors.db"
    if spool == "unusable":
        in_a_file.spool = blocked / "spool"
    statuses = run_forking(
        f"""
report(0, 200)
reading, writing = os.pipe()
def work(child):
    os.close(writing)
    report(1000 * child, 10)
    os.read(reading, 1)  # until the parent closes its end
children = [forked(work, child) for child in range(1, 4)]
os.unlink({str(blocked)!r})
os.close(writing)
report(200, 10)
monitoring.shutdown(60)
print(json.dumps(ended(children)))
""",
        {**in_a_file.settings, "errors_per_second": 3},
        tmp_path,
    )
    assert statuses == [0, 0, 0]
    (group,) = in_a_file.start().errors.groups()
    assert group.count == 200 + 3 * 10 + 10


# Damaged


HEADER = struct.Struct("<4sIQI")
"""Mark, length, number and checksum of a record, as the framing describes them."""


def record_of(data: bytes, text: str) -> slice:
    """Return where in a segment the record of an error lies, with its header."""
    mark = HEADER.unpack_from(data)[0]
    start = data.rindex(mark, 0, data.index(text.encode()))
    return slice(start, start + HEADER.size + HEADER.unpack_from(data, start)[1])


def flipped(at: int) -> Callable[[bytes], bytes]:
    """Return what damages one byte of a record."""
    return lambda record: bytes(byte ^ 0x55 if at % len(record) == place else byte for place, byte in enumerate(record))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "its mark": flipped(0),
    "its length": flipped(4),
    "its length, to more than there is": flipped(7),
    "its number": flipped(8),
    "its checksum": flipped(16),
    "its first character": flipped(HEADER.size),
    "its last character": flipped(-1),
    "half of it": lambda record: record[: len(record) // 2] + bytes(len(record) - len(record) // 2),
    "all of it": lambda record: os.urandom(len(record)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("number", [0, 4, 9])
def test_damage_costs_only_the_record_that_it_hits_and_is_told(
    in_a_file: Keepers, damage: Callable[[bytes], bytes], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    (segment,) = in_a_file.leave_over(*(f"error {number}." for number in range(10)))
    data = segment.read_bytes()
    hit = record_of(data, f"error {number}.")
    segment.write_bytes(data[: hit.start] + damage(data[hit]) + data[hit.stop :])
    monitoring = in_a_file.start(errors_per_second=ALL_IN_DETAIL)
    found = [event.message for event in monitoring.errors.export()]
    assert found == [f"error {kept}." for kept in range(10) if kept != number]
    assert dropped(monitoring) == {"damaged": 1}
    assert "1 record(s) of the spool of errors are damaged and lost" in caplog.text


def test_a_torn_end_costs_only_the_record_that_it_tears(in_a_file: Keepers) -> None:
    (segment,) = in_a_file.leave_over(*(f"error {number}." for number in range(10)))
    os.truncate(segment, record_of(segment.read_bytes(), "error 9.").stop - 5)
    monitoring = in_a_file.start(errors_per_second=ALL_IN_DETAIL)
    assert len(monitoring.errors.events()) == 9
    assert dropped(monitoring) == {"damaged": 1}


@pytest.mark.parametrize("content", [b"", bytes(5000), os.urandom(5000), b"a letter to somebody"])
def test_a_file_that_holds_nothing_to_be_read_stops_nobody(in_a_file: Keepers, content: bytes) -> None:
    (segment,) = in_a_file.leave_over("error 1")
    segment.with_name("000000.errors").write_bytes(content)
    monitoring = in_a_file.start()
    monitoring.log_error("error 2")
    assert [event.message for event in monitoring.errors.export()] == ["error 1", "error 2"]
    assert dropped(monitoring).get("damaged", 0) == bool(content.strip(b"\0"))
    monitoring.shutdown()
    assert not in_a_file.segments()
