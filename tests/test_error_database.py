"""The database of errors, on SQLite and PostgreSQL alike: what is written is there, once, and can be asked for."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_monitoring.errors.database.database import Database
from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, Payload, Status
from otel_monitoring.exceptions import UnknownGroupError
from tests.stored_errors import MAIL, NOON, TRADE, batch_of, counted_only, id_of, payload_of, run_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

A_SECOND = timedelta(seconds=1)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, UTC)


@pytest.fixture
def refused() -> list[tuple[Payload, str]]:
    return []


@pytest.fixture
def database(database_url: str, refused: list[tuple[Payload, str]]) -> Iterator[Database]:
    database = Database(database_url, refused=lambda payload, reason: refused.append((payload, reason)))
    database.prepare()
    yield database
    database.close()


def the_group(database: Database) -> ErrorGroup:
    (group,) = database.groups()
    return group


def ids(events: list[ErrorEvent]) -> list[int]:
    return [int(event.id, 16) for event in events]


def test_an_event_is_read_as_it_was_written(database: Database) -> None:
    payload = payload_of(1, time=NOON + 0.123456)
    database.write("s", [(1, payload)])
    (event,) = database.events()
    assert event == ErrorEvent(
        id=id_of(1),
        fingerprint=MAIL,
        time=datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC),
        error_type="OSError",
        component="mailer",
        message="no route",
        service="shop",
        host="web-1",
        pid=4711,
        release="1.2.3",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id="b7ad6b7169203331",
        context={"to": 5, "tags": ["a", None]},
        chain=tuple(payload.get("chain", ())),
    )


def test_a_group_says_what_its_events_have_in_common(database: Database) -> None:
    database.write("s", batch_of([3, 1, 2]))
    assert the_group(database) == ErrorGroup(
        fingerprint=MAIL,
        title="OSError: no route",
        error_type="OSError",
        component="mailer",
        service="shop",
        status=Status.NEW,
        count=3,
        first_seen=moment(1),
        last_seen=moment(3),
        resolved_at=None,
        last_release="1.2.3",
    )


def test_the_watermark_rises_with_each_batch(database: Database) -> None:
    assert database.last_number("s") == 0
    assert database.write("s", batch_of(range(1, 6))) == 5
    assert database.last_number("s") == 5
    assert database.last_number("another") == 0


def test_a_batch_that_comes_again_is_passed_over(database: Database) -> None:
    batch = [*batch_of(range(1, 4)), (4, counted_only(4))]
    assert database.write("s", batch) == 4
    assert database.write("s", batch) == 0
    assert database.write("s", [*batch, (5, payload_of(5))]) == 1
    assert the_group(database).count == 5
    assert database.last_number("s") == 5


def test_a_batch_that_comes_again_after_its_stream_was_forgotten_counts_no_event_twice(database: Database) -> None:
    database.write("s", batch_of(range(1, 8)))
    database.forget_stream("s")
    assert database.last_number("s") == 0
    assert database.write("s", batch_of(range(1, 11))) == 3
    assert the_group(database).count == 10
    assert sorted(ids(database.events())) == list(range(1, 11))


def test_each_stream_has_numbers_of_its_own(database: Database) -> None:
    database.write("s", [(1, payload_of(1))])
    assert database.write("t", [(1, payload_of(2))]) == 1
    assert the_group(database).count == 2


def test_an_empty_batch_changes_nothing(database: Database) -> None:
    assert database.write("s", []) == 0
    assert database.write_loose([]) == 0
    assert database.last_number("s") == 0


def test_loose_errors_that_come_again_are_passed_over(database: Database) -> None:
    payloads = [payload_of(number) for number in range(1, 101)]
    assert database.write_loose(payloads[:40]) == 40
    assert database.write_loose(payloads[30:]) == 60
    assert database.write_loose(payloads) == 0
    assert the_group(database).count == 100
    assert len(database.events(limit=1000)) == 100


def test_an_id_that_comes_twice_in_a_batch_is_one_event(database: Database) -> None:
    assert database.write_loose([payload_of(1), payload_of(2), payload_of(1)]) == 2
    assert the_group(database).count == 2


def test_errors_of_a_burst_are_counted_and_are_no_events(database: Database) -> None:
    batch = [(1, payload_of(1)), *((number, counted_only(number)) for number in range(2, 1001))]
    assert database.write("s", batch) == 1000
    assert the_group(database).count == 1000
    assert the_group(database).last_seen == moment(1000)
    assert ids(database.events()) == [1]


def test_the_latest_error_says_what_its_group_is_like_whatever_comes_last(database: Database) -> None:
    latest = payload_of(
        9, title="new", error_type="New", component="late", service="shop2", release="2.0", time=NOON + 9
    )
    earlier = payload_of(2, title="old", time=NOON + 2)
    database.write("s", [(1, latest), (2, earlier)])
    database.write("t", [(1, payload_of(1, title="oldest", release="1.0"))])
    group = the_group(database)
    assert (group.title, group.error_type, group.component, group.service) == ("new", "New", "late", "shop2")
    assert (group.first_seen, group.last_seen, group.last_release) == (moment(1), moment(9), "2.0")


def test_counts_and_times_are_right_whatever_order_errors_come_in(database: Database) -> None:
    numbers = list(range(1, 61))
    random.Random(5).shuffle(numbers)
    for at in range(0, 60, 7):
        database.write(f"s{at}", list(enumerate((payload_of(number) for number in numbers[at : at + 7]), 1)))
    group = the_group(database)
    assert (group.count, group.first_seen, group.last_seen) == (60, moment(1), moment(60))


def test_a_resolved_group_regresses_with_an_error_after_that(database: Database) -> None:
    database.write("s", batch_of([1]))
    resolved = database.set_status(MAIL, Status.RESOLVED, moment(5))
    assert (resolved.status, resolved.resolved_at) == (Status.RESOLVED, moment(5))
    database.write("s", batch_of([6]))
    group = the_group(database)
    assert (group.status, group.resolved_at) == (Status.REGRESSED, moment(5))


def test_leftovers_from_before_do_not_make_a_resolved_group_regress(database: Database) -> None:
    database.write("s", batch_of([1]))
    database.set_status(MAIL, Status.RESOLVED, moment(5))
    database.write("s", batch_of([3, 4, 5]))
    assert the_group(database).status is Status.RESOLVED
    assert the_group(database).count == 4


def test_one_later_error_among_leftovers_makes_a_resolved_group_regress(database: Database) -> None:
    database.write("s", batch_of([1]))
    database.set_status(MAIL, Status.RESOLVED, moment(5))
    database.write("s", [(2, counted_only(6)), (3, payload_of(2))])
    assert the_group(database).status is Status.REGRESSED


def test_a_muted_group_stays_muted(database: Database) -> None:
    database.write("s", batch_of([1]))
    assert database.set_status(MAIL, Status.MUTED, moment(1)).status is Status.MUTED
    database.write("s", batch_of([9]))
    assert the_group(database).status is Status.MUTED


def test_what_was_said_of_a_group_can_be_taken_back(database: Database) -> None:
    database.write("s", batch_of([1]))
    database.set_status(MAIL, Status.RESOLVED, moment(1))
    group = database.set_status(MAIL, Status.NEW, moment(2))
    assert (group.status, group.resolved_at) == (Status.NEW, None)
    database.write("s", batch_of([9]))
    assert the_group(database).status is Status.NEW


def test_nothing_can_be_said_of_a_group_that_is_not_there(database: Database) -> None:
    with pytest.raises(UnknownGroupError, match="no group of errors 'aaaa"):
        database.set_status(MAIL, Status.MUTED, moment(1))


def test_a_time_without_a_zone_is_in_utc(database: Database) -> None:
    database.write("s", batch_of([1]))
    group = database.set_status(MAIL, Status.RESOLVED, moment(5).replace(tzinfo=None))
    assert group.resolved_at == moment(5)
    assert database.groups(since=moment(1).replace(tzinfo=None))
    assert not database.groups(since=moment(2).replace(tzinfo=None))


def test_groups_come_with_the_last_seen_first(database: Database) -> None:
    database.write("s", [(1, payload_of(1)), (2, payload_of(2, fingerprint=TRADE)), (3, payload_of(3))])
    assert [group.fingerprint for group in database.groups()] == [MAIL, TRADE]
    assert [group.fingerprint for group in database.groups(limit=1)] == [MAIL]


def test_groups_are_found_by_what_is_known_of_them(database: Database) -> None:
    trade = payload_of(
        2, fingerprint=TRADE, component="trader", service="desk", title="rate 50%_ gone", error_type="RateError"
    )
    database.write("s", [(1, payload_of(1)), (2, trade)])
    database.set_status(TRADE, Status.MUTED, moment(3))

    def found(groups: list[ErrorGroup]) -> set[str]:
        return {group.fingerprint for group in groups}

    assert found(database.groups(status=[Status.MUTED])) == {TRADE}
    assert found(database.groups(status=[Status.NEW, Status.MUTED])) == {MAIL, TRADE}
    assert found(database.groups(status=[])) == set()
    assert found(database.groups(component="mailer")) == {MAIL}
    assert found(database.groups(service="desk")) == {TRADE}
    assert found(database.groups(service="desk", component="mailer")) == set()
    assert found(database.groups(since=moment(2))) == {TRADE}
    assert found(database.groups(search="NO ROUTE")) == {MAIL}
    assert found(database.groups(search="rateerr")) == {TRADE}
    assert found(database.groups(search="50%_")) == {TRADE}
    assert found(database.groups(search="5_%")) == set()


def test_a_group_is_found_by_the_beginning_of_its_fingerprint(database: Database) -> None:
    alike = ["abcd000000000000", "abcd111111111111", "ffff000000000000"]
    database.write("s", [(at, payload_of(at, fingerprint=alike[at - 1], title=f"title {at}")) for at in (1, 2, 3)])
    assert database.group("f").fingerprint == alike[2]
    assert database.group(" ABCD0 ").fingerprint == alike[0]
    with pytest.raises(UnknownGroupError, match=r"begins with 'abcd'.*\n  abcd0{12}  title 1\n  abcd1{12}  title 2$"):
        database.group("abcd")
    for nothing in ("e", "%", "", "ffff0000000000001"):
        with pytest.raises(UnknownGroupError, match="no group of errors"):
            database.group(nothing)


def test_a_whole_fingerprint_is_meant_even_where_others_begin_with_it(database: Database) -> None:
    fingerprints = ["ab", *(f"ab{number:02d}" for number in range(20))]
    database.write("s", [(at, payload_of(at, fingerprint=name)) for at, name in enumerate(fingerprints, 1)])
    assert database.group("ab").fingerprint == "ab"
    with pytest.raises(UnknownGroupError, match=r"ab08  OSError: no route\n  …$"):
        database.group("a")


def test_events_come_newest_first_and_page_by_page(database: Database) -> None:
    same_moment = [payload_of(number, time=NOON + number // 4) for number in range(40)]
    database.write("s", list(enumerate(same_moment, 1)))
    seen: list[ErrorEvent] = []
    while page := database.events(limit=7, before=seen[-1] if seen else None):
        seen += page
    assert ids(seen) == list(reversed(range(40)))


def test_events_are_found_by_what_is_known_of_them(database: Database) -> None:
    other = payload_of(3, fingerprint=TRADE, component="trader", service="desk")
    database.write("s", [(1, payload_of(1)), (2, payload_of(2)), (3, other)])
    assert ids(database.events(fingerprint=MAIL)) == [2, 1]
    assert ids(database.events(component="trader")) == [3]
    assert ids(database.events(service="shop", limit=1)) == [2]
    assert ids(database.events(since=moment(2))) == [3, 2]
    assert ids(database.events(until=moment(2))) == [1]
    assert ids(database.events(since=moment(2), until=moment(3), fingerprint=None)) == [2]


def test_all_events_can_be_gone_through_oldest_first_while_others_write(database: Database) -> None:
    database.write("s", batch_of(range(1, 501)))
    going = database.stream_events(fingerprint=MAIL)
    first = next(going)
    assert database.write("s", batch_of([501])) == 1
    assert ids([first, *going]) == list(range(1, 502))
    assert list(database.stream_events(component="none")) == []


def test_a_payload_that_cannot_be_kept_stops_no_other(database: Database, refused: list[tuple[Payload, str]]) -> None:
    wrong: list[Payload] = [
        {"id": "x" * 65, "time": NOON, "fingerprint": MAIL},
        {"id": "1", "time": NOON, "fingerprint": ""},
        {"id": "2", "time": float("nan"), "fingerprint": MAIL},
        {"id": "3", "time": 1e300, "fingerprint": MAIL},
        {"id": "4", "time": "now", "fingerprint": MAIL},  # type: ignore[typeddict-item]
        {"id": "5", "time": NOON, "fingerprint": MAIL, "pid": 2**70},
        {"id": "6", "time": NOON, "fingerprint": MAIL, "title": 5},  # type: ignore[typeddict-item]
        {"id": "7", "time": NOON, "fingerprint": MAIL, "context": {"a": object()}},  # type: ignore[dict-item]
        {},
    ]
    right = payload_of(1)
    batch = list(enumerate([*wrong[:5], right, *wrong[5:]], 1))
    assert database.write("s", batch) == 1
    assert database.last_number("s") == len(batch)
    assert [payload for payload, _ in refused] == wrong
    assert refused[0][1] == "its id has 65 characters, which should be 1 to 64"
    assert refused[7][1] == "its context cannot be written as JSON"


def test_a_payload_of_another_release_may_lack_what_this_one_knows(database: Database) -> None:
    assert database.write_loose([{"id": "1", "time": NOON, "fingerprint": MAIL}]) == 1
    (event,) = database.events()
    assert (event.message, event.context, event.chain, event.release) == ("", {}, (), None)


@pytest.mark.parametrize("unwelcome", [[1], [13], [20], [1, 2, 19, 20], list(range(1, 21))])
def test_what_the_database_itself_refuses_stops_no_other(
    database: Database, database_url: str, refused: list[tuple[Payload, str]], unwelcome: list[int]
) -> None:
    refuse_in_future(database_url)
    batch = [
        (number, payload_of(number, message="unwelcome" if number in unwelcome else "welcome"))
        for number in range(1, 21)
    ]
    assert database.write("s", batch) == 20 - len(unwelcome)
    assert sorted(ids(database.events())) == [number for number in range(1, 21) if number not in unwelcome]
    assert [payload.get("id") for payload, _ in refused] == [id_of(number) for number in unwelcome]
    assert all(reason.startswith("the database refuses it") for _, reason in refused)
    assert database.last_number("s") == 20
    assert sum(group.count for group in database.groups()) == 20 - len(unwelcome)


def refuse_in_future(database_url: str) -> None:
    """Let the database refuse events that say that they are unwelcome."""
    if database_url.startswith("sqlite"):
        run_sql(
            database_url,
            "CREATE TRIGGER refuse BEFORE INSERT ON monitoring_error_events WHEN NEW.message = 'unwelcome' "
            "BEGIN SELECT RAISE(ABORT, 'not here'); END",
        )
    else:
        run_sql(database_url, "ALTER TABLE monitoring_error_events ADD CHECK (message <> 'unwelcome')")


TEXTS = st.text(st.characters(), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(message=TEXTS, title=TEXTS, context=st.dictionaries(TEXTS, PLAIN, max_size=4), seconds=st.floats(-6e10, 2.5e11))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_can_be_kept(
    database: Database, message: str, title: str, context: dict[str, object], seconds: float
) -> None:
    payload = payload_of(1, message=message, title=title, time=seconds)
    payload["context"] = context  # type: ignore[typeddict-item]
    run_anew(database, payload)
    (event,) = database.events()
    assert event.message == storable(message)
    assert event.time.timestamp() == pytest.approx(seconds, abs=1e-4)
    assert event.context == json.loads(storable(json.dumps(context, ensure_ascii=False)))
    assert database.events(before=event) == []


def run_anew(database: Database, payload: Payload) -> None:
    database.prune(keep_seconds=None, keep_bytes=0, now=NOON)
    assert database.write_loose([payload]) == 1


def storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def test_preparing_again_changes_nothing(database: Database, database_url: str) -> None:
    database.write("s", batch_of([1]))
    database.prepare()
    another = Database(database_url)
    another.prepare()
    assert the_group(another).count == 1
    another.close()


def test_a_closed_database_opens_again_when_it_is_used(database: Database) -> None:
    database.write("s", batch_of([1]))
    database.close()
    database.close()
    assert the_group(database).count == 1


def test_the_size_grows_with_what_is_kept(database: Database) -> None:
    before = database.size_bytes()
    database.write("s", batch_of(range(1, 301), message="x" * 3000))
    database.close()
    assert database.size_bytes() > before + 100_000
