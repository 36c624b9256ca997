"""The store of errors as an application uses it: what was reported is found, grouped, and let go of in time."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import structlog

from otel_monitoring import ConfigurationError, MonitoringService
from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, Status
from otel_monitoring.exceptions import StoreError, UnknownGroupError
from tests.keepers import QUIET, Keepers, dropped, failures, keepers_of, reasons, stored
from tests.logging_state import bare_root, fail
from tests.servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import ModuleType

    from tests.postgres import PostgresServer

pytestmark = pytest.mark.usefixtures("kept")

ROOT = Path(__file__).parents[1]
SECRET = "hunter2-of-the-shop"


@pytest.fixture
def keepers(database_url: str, tmp_path: Path) -> Iterator[Keepers]:
    """Starts services that keep errors in one database: of each kind in turn."""
    with keepers_of(database_url, tmp_path / "state") as keepers:
        yield keepers


@pytest.fixture
def monitoring(keepers: Keepers) -> MonitoringService:
    """A service that keeps its errors, and raises where something of its own is wrong."""
    return keepers.start(strict=True)


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[Keepers]:
    """Starts services that keep errors in a file."""
    with keepers_of(f"sqlite:///{tmp_path}/errors.db", tmp_path / "state") as keepers:
        yield keepers


def the_group(monitoring: MonitoringService) -> ErrorGroup:
    (group,) = monitoring.errors.groups()
    return group


def messages(events: list[ErrorEvent]) -> list[str]:
    return [event.message for event in events]


def report(monitoring: MonitoringService, *texts: str, **arguments: Any) -> None:
    for text in texts:
        monitoring.log_error(text, **arguments)


def score(prospect: int) -> NoReturn:
    raise ValueError(f"prospect {prospect} has no score")


def raised_by(raising: Any, *arguments: object) -> Exception:
    """Return the exception that a function raises."""
    try:
        raising(*arguments)
    except Exception as error:  # noqa: BLE001 (whichever)
        return error
    raise AssertionError("it raises nothing")


# What is kept


def test_a_question_sees_what_was_reported_just_before(monitoring: MonitoringService) -> None:
    for number in range(1, 6):
        monitoring.log_error(f"order {number} is lost", component="orders")
        assert the_group(monitoring).count == number
        assert messages(monitoring.errors.events()) == [f"order {n} is lost" for n in range(number, 0, -1)]


def test_an_event_says_all_that_is_known_of_an_error(keepers: Keepers) -> None:
    monitoring = keepers.start(strict=True, release="1.4.2")
    before = datetime.now(UTC)
    monitoring.log_error(
        "no score", component="scorer", context={"prospect": 7, "tried": [1, None]}, exception=raised_by(score, 7)
    )
    (event,) = monitoring.errors.events()
    assert before - timedelta(microseconds=1) <= event.time <= datetime.now(UTC)
    assert (event.error_type, event.component, event.message) == ("ValueError", "scorer", "no score")
    assert (event.service, event.release, event.pid) == ("shop", "1.4.2", os.getpid())
    assert event.host
    assert event.context == {"prospect": 7, "tried": [1, None]}
    (link,) = event.chain
    assert (link["type"], link["message"]) == ("ValueError", "prospect 7 has no score")
    assert [(frame.get("function"), frame.get("in_app")) for frame in link["frames"]] == [
        ("raised_by", True),
        ("score", True),
    ]


def test_a_group_says_what_its_errors_have_in_common(keepers: Keepers) -> None:
    monitoring = keepers.start(strict=True, release="1.4.2")
    for prospect in (1, 22, 333):
        monitoring.log_error("no score", component="scorer", exception=raised_by(score, prospect))
    group = the_group(monitoring)
    events = monitoring.errors.events()
    assert (group.title, group.error_type) == ("ValueError: prospect 333 has no score", "ValueError")
    assert (group.component, group.service, group.last_release) == ("scorer", "shop", "1.4.2")
    assert (group.status, group.count, group.resolved_at) == (Status.NEW, 3, None)
    assert (group.first_seen, group.last_seen) == (events[-1].time, events[0].time)
    assert {event.fingerprint for event in events} == {group.fingerprint}


def test_different_faults_are_different_groups(monitoring: MonitoringService) -> None:
    report(monitoring, "no route to mail-1", "no route to mail-22", component="mailer")
    report(monitoring, "no answer", component="mailer")
    report(monitoring, "no answer", component="scorer")
    assert sorted(group.count for group in monitoring.errors.groups()) == [1, 1, 2]


def test_the_application_may_say_what_belongs_together(monitoring: MonitoringService) -> None:
    report(monitoring, "it is late", "it is too late", fingerprint="lateness")
    assert the_group(monitoring).count == 2


def test_errors_come_through_every_door_and_each_once(monitoring: MonitoringService) -> None:
    bare_root()
    monitoring.configure_logging(stream=StringIO())
    structlog.get_logger().error("by structlog", component="logs")
    logging.getLogger("shop").error("by logging")
    error = raised_by(monitoring.operation("score")(score), 7)
    logging.getLogger("shop").error("the same again", exc_info=error)
    monitoring.log_error("and once more", exception=error)
    assert sorted(messages(monitoring.errors.events())) == ["by logging", "by structlog", "prospect 7 has no score"]


def test_what_is_secret_is_on_no_disk(in_a_file: Keepers, tmp_path: Path) -> None:
    monitoring = in_a_file.start(strict=True)
    monitoring.log_error(
        f"no login with password={SECRET}",
        context={"password": SECRET, "headers": {"Authorization": f"Bearer {SECRET}"}},
        exception=raised_by(fail, PermissionError(f"postgresql://shop:{SECRET}@db/shop refuses")),
    )
    assert len(monitoring.errors.events()) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_all_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with keepers_of(f"sqlite:///{tmp_path}/new/errors.db", tmp_path / "state") as keepers:
            monitoring = keepers.start()
            report(monitoring, "it does not work")
            assert the_group(monitoring).count == 1
            modes = {path.name: path.stat().st_mode for path in tmp_path.rglob("*")}
    finally:
        os.umask(before)
    assert set(modes) >= {"new", "errors.db", "errors.db-wal", "state", "spool", "lock", "000001.errors"}
    assert {stat.S_IMODE(mode) for mode in modes.values() if stat.S_ISDIR(mode)} == {0o700}
    assert {stat.S_IMODE(mode) for mode in modes.values() if stat.S_ISREG(mode)} == {0o600}


def test_without_a_place_errors_are_kept_in_the_state_folder(tmp_path: Path) -> None:
    with MonitoringService(**QUIET, store_errors=True, state_dir=tmp_path / "state") as monitoring:
        monitoring.log_error("it does not work")
        assert the_group(monitoring).count == 1
    assert (tmp_path / "state" / "errors.db").is_file()


def test_a_service_without_errors_leaves_nothing(in_a_file: Keepers, tmp_path: Path) -> None:
    with in_a_file.start():
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_and_what_is_not_is_counted(monitoring: MonitoringService) -> None:
    report(monitoring, *(f"order {number} is lost" for number in range(30)))
    assert the_group(monitoring).count == 30
    assert stored(monitoring) == 30
    assert dropped(monitoring) == {}
    assert reasons(monitoring) >= {"context", "damaged", "disk_full", "refused", "spool_full", "unwritable"}


def test_an_error_of_any_size_and_make_is_kept(monitoring: MonitoringService) -> None:
    context = {f"key {number}": "x" * 10_000_000 for number in range(3)}
    context["lone surrogate \udc80"] = "\udc80"
    monitoring.log_error("y" * 10_000_000, error_type="z" * 10_000, component="\ud800", context=context)
    assert the_group(monitoring).count == len(monitoring.errors.events()) == 1


def test_what_the_database_refuses_is_counted(postgres: PostgresServer, tmp_path: Path) -> None:
    """Its encoding lacks some characters; only the errors that need them are not kept."""
    url = postgres.create_database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with keepers_of(url, tmp_path) as keepers:
        monitoring = keepers.start(strict=True)
        report(monitoring, "Z\u00fcrich", "\u6771\u4eac", "Zagreb")
        assert messages(monitoring.errors.events()) == ["Zagreb", "Z\u00fcrich"]
        assert dropped(monitoring) == {"refused": 1}


# Lines of code


def module_of(path: Path) -> ModuleType:
    """Import a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A module of the application, written some time ago."""
    path = tmp_path / "pricing.py"
    path.write_text(f"def price(goods):\n    return goods['price'] if goods else login(password='{SECRET}')\n")
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


def last_frame(monitoring: MonitoringService) -> dict[str, Any]:
    (event,) = monitoring.errors.events()
    return {**event.chain[0]["frames"][-1]}


def test_a_frame_shows_its_line_without_what_is_secret(monitoring: MonitoringService, code: Path) -> None:
    monitoring.log_error("no price", exception=raised_by(module_of(code).price, []))
    frame = last_frame(monitoring)
    assert (frame["module"], frame["function"], frame["line"]) == ("pricing", "price", 2)
    assert frame["source"].startswith("return goods['price'] if goods else login(password=")
    assert SECRET not in frame["source"]


def test_a_line_that_was_changed_since_is_not_shown(monitoring: MonitoringService, code: Path) -> None:
    error = raised_by(module_of(code).price, [])
    code.write_text("# in new words\n" * 3)
    in_an_hour = time.time() + 3600
    os.utime(code, (in_an_hour, in_an_hour))
    monitoring.log_error("no price", exception=error)
    assert "source" not in last_frame(monitoring)


# What is said of groups


def test_a_resolved_group_regresses_when_its_fault_is_back(monitoring: MonitoringService) -> None:
    report(monitoring, "no route")
    group = the_group(monitoring)
    resolved = monitoring.errors.resolve(group.fingerprint[:6])
    assert (resolved.status, resolved.count) == (Status.RESOLVED, 1)
    assert resolved.resolved_at
    assert monitoring.errors.groups(unresolved=True) == []
    report(monitoring, "no route")
    (back,) = monitoring.errors.groups(unresolved=True)
    assert (back.status, back.count) == (Status.REGRESSED, 2)


def test_what_was_reported_before_it_was_resolved_is_no_regression(monitoring: MonitoringService) -> None:
    report(monitoring, "no route", "no route")
    fingerprint = the_group(monitoring).fingerprint
    report(monitoring, "no route")
    assert monitoring.errors.resolve(fingerprint).count == 3
    assert the_group(monitoring).status is Status.RESOLVED


def test_a_muted_group_is_counted_on_and_wants_no_attention(monitoring: MonitoringService) -> None:
    report(monitoring, "no route")
    monitoring.errors.mute(the_group(monitoring).fingerprint)
    report(monitoring, "no route")
    assert monitoring.errors.groups(unresolved=True) == []
    (muted,) = monitoring.errors.groups(status=Status.MUTED)
    assert muted.count == 2


@pytest.mark.parametrize("said", ["resolve", "mute"])
def test_what_was_said_of_a_group_can_be_taken_back(monitoring: MonitoringService, said: str) -> None:
    report(monitoring, "no route")
    fingerprint = the_group(monitoring).fingerprint
    getattr(monitoring.errors, said)(fingerprint)
    assert monitoring.errors.reopen(fingerprint).status is Status.NEW
    report(monitoring, "no route")
    assert the_group(monitoring).status is Status.NEW


def test_a_group_that_is_not_there_is_said_so(monitoring: MonitoringService) -> None:
    report(monitoring, "no route")
    for ask in (monitoring.errors.group, monitoring.errors.resolve, monitoring.errors.events):
        with pytest.raises(UnknownGroupError, match=r"no group of errors .* begins with 'nowhere'"):
            ask("nowhere")


# Who is asked for


def test_groups_and_events_are_found_by_what_is_known_of_them(monitoring: MonitoringService) -> None:
    report(monitoring, "no route", component="mailer")
    between = datetime.now(UTC)
    report(monitoring, "no score", component="scorer")
    errors = monitoring.errors
    mailing = errors.groups(component="mailer")[0].fingerprint
    errors.mute(mailing)
    assert [group.component for group in errors.groups()] == ["scorer", "mailer"]
    assert [group.component for group in errors.groups(limit=1)] == ["scorer"]
    assert [group.component for group in errors.groups(since=between)] == ["scorer"]
    assert [group.component for group in errors.groups(status=[Status.MUTED])] == ["mailer"]
    assert len(errors.groups(status=[Status.MUTED, Status.NEW])) == 2
    assert not errors.groups(service="another")
    assert not errors.events(service="another")
    assert messages(errors.events(mailing)) == messages(errors.events(component="mailer")) == ["no route"]
    assert messages(errors.events(since=between)) == ["no score"]
    assert messages(errors.events(until=between)) == ["no route"]
    assert messages(errors.events(limit=1)) == ["no score"]
    assert messages(list(errors.export())) == ["no route", "no score"]
    assert errors.group(mailing[:5]).status is Status.MUTED


def test_several_services_share_a_store(keepers: Keepers) -> None:
    keepers.leave_over("no route to mail-1", service_name="desk")
    shop = keepers.start(service_name="shop")
    report(shop, "no route to mail-1", "no route to mail-2")
    assert {group.service: group.count for group in shop.errors.groups()} == {"desk": 1, "shop": 2}
    assert [group.count for group in shop.errors.groups(service="desk")] == [1]
    assert [event.service for event in shop.errors.events(service="desk")] == ["desk"]


def test_a_question_takes_in_what_processes_left_that_are_gone(keepers: Keepers) -> None:
    """Also one who has looked around just before."""
    (segment,) = keepers.leave_over("error 1")
    left = segment.parent.rename(keepers.folder / segment.parent.name)
    monitoring = keepers.start(strict=True)
    assert monitoring.errors.groups() == []
    left.rename(keepers.spool / left.name)
    assert messages(monitoring.errors.events()) == ["error 1"]


def test_what_was_left_is_taken_in_at_the_next_start_though_nothing_happens(keepers: Keepers) -> None:
    """Without an error and without a question."""
    keepers.leave_over("error 1", "error 2")
    monitoring = keepers.start()
    wait_until(lambda: stored(monitoring) == 2)
    assert messages(monitoring.errors.events()) == ["error 2", "error 1"]


# Bursts


def test_a_burst_is_counted_in_full_and_sampled_in_detail(keepers: Keepers) -> None:
    monitoring = keepers.start(strict=True, errors_per_second=5)
    for number in range(200):
        monitoring.log_error(f"order {number} is lost", component="orders")
        monitoring.log_error("no route", component="mailer") if number < 3 else None
    counts = {group.component: group.count for group in monitoring.errors.groups()}
    assert counts == {"orders": 200, "mailer": 3}
    assert stored(monitoring) == 203
    assert dropped(monitoring) == {}
    in_detail = Counter(int(event.time.timestamp()) for event in monitoring.errors.events(component="orders"))
    assert all(kept <= 5 for kept in in_detail.values())
    assert messages(monitoring.errors.events(component="orders", limit=1000))[-5:] == [
        f"order {number} is lost" for number in (4, 3, 2, 1, 0)
    ]


# Letting go


def test_the_oldest_go_where_they_are_too_many(monitoring: MonitoringService) -> None:
    for number in range(8):
        monitoring.log_error(f"error {number}", context={"much": "x" * 4000}, fingerprint="one")
    assert the_group(monitoring).count == 8
    pruned = monitoring.errors.prune(keep_bytes=15_000)
    assert pruned.events == 5
    assert messages(monitoring.errors.events()) == ["error 7", "error 6", "error 5"]
    assert the_group(monitoring).count == 8


@contextmanager
def days_ago(days: float) -> Generator[None]:
    """Set the clock back, as nothing but a test can: errors of long ago are not to be had otherwise."""
    real = time.time
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: real() - 86_400 * days)
        yield


def report_old_and_new(monitoring: MonitoringService) -> None:
    for days in (50, 40, 20, 0):
        with days_ago(days):
            report(monitoring, f"{days} days ago", fingerprint="young" if days < 30 else "old")


def test_what_is_too_old_goes_with_its_group(keepers: Keepers) -> None:
    monitoring = keepers.start(strict=True, errors_keep_days=100)
    report_old_and_new(monitoring)
    assert [group.count for group in monitoring.errors.groups()] == [2, 2]
    pruned = monitoring.errors.prune(keep_days=30)
    assert (pruned.events, pruned.groups) == (2, 1)
    assert [group.title for group in monitoring.errors.groups()] == ["0 days ago"]


def test_a_muted_group_stays_however_old_it_is(keepers: Keepers) -> None:
    monitoring = keepers.start(strict=True, errors_keep_days=100)
    report_old_and_new(monitoring)
    monitoring.errors.mute(monitoring.errors.groups()[1].fingerprint)
    assert monitoring.errors.prune(keep_days=30).groups == 0
    assert monitoring.errors.groups(status=Status.MUTED)[0].count == 2


def test_a_service_prunes_by_itself_as_its_settings_say(keepers: Keepers) -> None:
    with keepers.start(errors_keep_days=100) as first:
        report_old_and_new(first)
        for number in range(8):
            first.log_error(f"error {number}", context={"much": "x" * 4000}, fingerprint="young")
        assert len(first.errors.events()) == 12
    second = keepers.start(strict=True, errors_keep_bytes="15kB")
    assert messages(second.errors.events()) == ["error 7", "error 6", "error 5"]
    assert [group.count for group in second.errors.groups()] == [10]


# Without a store, without a database


@pytest.mark.parametrize("settings", [{}, {"store_errors": False}, {"store_errors": True, "disabled": True}])
def test_without_a_store_errors_are_counted_and_there_is_nothing_to_ask(settings: dict[str, Any]) -> None:
    with MonitoringService(**QUIET, **settings) as monitoring:
        monitoring.log_error("it does not work")
        with pytest.raises(ConfigurationError, match="store_errors is not set"):
            _ = monitoring.errors


def test_a_database_out_of_reach_is_said_to_who_asks_and_to_nobody_else(tmp_path: Path) -> None:
    url = f"postgresql://shop:{SECRET}@127.0.0.1:{free_port()}/errors"
    with keepers_of(url, tmp_path) as keepers:
        monitoring = keepers.start()
        report(monitoring, "it does not work")
        with pytest.raises(StoreError, match="cannot be reached") as raised:
            monitoring.errors.groups()
        assert SECRET not in str(raised.value)
        wait_until(lambda: failures(monitoring))
        assert dropped(monitoring) == {}


def test_what_waits_goes_in_as_soon_as_the_database_is_there(postgres: PostgresServer, tmp_path: Path) -> None:
    with keepers_of(postgres.create_database(), tmp_path) as keepers:
        monitoring = keepers.start()
        postgres.stop()
        report(monitoring, "it does not work", "it does not work")
        wait_until(lambda: failures(monitoring))
        postgres.start()
        wait_until(lambda: stored(monitoring) == 2)
        assert the_group(monitoring).count == 2


# Life


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield listening.getsockname()[1]


def test_the_end_does_not_wait_for_a_database_that_hangs(silent_server: int, tmp_path: Path) -> None:
    """A connection could take a day here; shutdown and the process end all the same."""
    url = f"postgresql://shop:x@127.0.0.1:{silent_server}/errors?connect_timeout=86400"
    program = f"""
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService(
            {QUIET!r}, store_errors={url!r}, state_dir={str(tmp_path)!r}, shutdown_timeout_seconds=0.2
        )
        monitoring.log_error("it does not work")
        monitoring.shutdown()
        print("shut down", flush=True)
        monitoring.log_error("still not")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    assert "shut down" in done.stdout
    with keepers_of(f"sqlite:///{tmp_path}/errors.db", tmp_path) as keepers:
        (spool,) = tmp_path.glob("spool-*")
        found = keepers.start(errors_spool_dir=spool).errors.events()
        assert messages(found) == ["still not", "it does not work"]


def test_errors_after_the_end_are_kept_for_the_next_start(keepers: Keepers) -> None:
    with keepers.start() as first:
        report(first, "before")
    report(first, "after", "long after")
    first.shutdown()
    report(first, "when it was shut down twice")
    second = keepers.start()
    # The first one lives on, and so does its last folder, until its process ends.
    assert messages(second.errors.events()) == ["long after", "after", "before"]


def test_the_end_moves_what_is_there_and_leaves_no_files(keepers: Keepers) -> None:
    with keepers.start() as first:
        report(first, *(f"order {number} is lost" for number in range(7)))
    assert list(keepers.spool.iterdir()) == []
    assert the_group(keepers.start()).count == 7
