"""Records in a file: whatever is broken costs what is broken, and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.errors.framing import HEADER_BYTES, MARK, Frame, Reading, frame, read_frames

payloads = st.lists(st.text(max_size=60).map(str.encode), max_size=12)


def written(records: list[bytes]) -> bytes:
    """Return the file that holds these records, numbered from 1 on."""
    return b"".join(frame(number, payload) for number, payload in enumerate(records, 1))


def read(data: bytes, at: int = 0, most: int = 1000) -> Reading:
    """Read all there is."""
    return read_frames(data, at, most=most)


def contents(reading: Reading) -> list[tuple[int, bytes]]:
    """Return numbers and payloads."""
    return [(record.number, record.payload) for record in reading.frames]


@given(payloads)
def test_what_was_written_is_read(records: list[bytes]) -> None:
    """Records come back whole, in order, with their numbers, and nothing is called damaged."""
    data = written(records)
    reading = read(data)
    assert contents(reading) == list(enumerate(records, 1))
    assert (reading.end, reading.damaged) == (len(data), 0)


@given(payloads, st.integers(min_value=0, max_value=400))
def test_empty_space_behind_the_records_is_no_damage(records: list[bytes], room: int) -> None:
    """A file is reserved before it is filled."""
    reading = read(written(records) + bytes(room))
    assert (len(reading.frames), reading.damaged) == (len(records), 0)


@given(payloads.filter(bool), st.data())
def test_a_torn_end_costs_only_its_record(records: list[bytes], data: st.DataObject) -> None:
    """A file that was cut in the middle of its last record holds all the others."""
    whole = written(records)
    last = HEADER_BYTES + len(records[-1])
    cut = data.draw(st.integers(min_value=1, max_value=last - 1))
    reading = read(whole[: len(whole) - cut])
    assert contents(reading) == list(enumerate(records, 1))[:-1]
    assert reading.damaged == 1


@given(payloads.filter(bool), st.data())
def test_a_byte_that_changed_costs_only_its_record(records: list[bytes], data: st.DataObject) -> None:
    """Wherever it is, mark, length, number, checksum or payload: the rest is found."""
    whole = bytearray(written(records))
    at = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    whole[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    reading = read(bytes(whole))
    expected = list(enumerate(records, 1))
    ends = [sum(HEADER_BYTES + len(record) for record in records[:number]) for number in range(1, len(records) + 1)]
    broken = next(index for index, end in enumerate(ends) if at < end)
    assert contents(reading) == expected[:broken] + expected[broken + 1 :]
    assert reading.damaged == 1


def test_a_gap_between_records_is_passed_over() -> None:
    """A call that an exception ended between taking the place and filling it leaves zeros."""
    data = frame(1, b"one") + bytes(50) + frame(3, b"three")
    assert contents(read(data)) == [(1, b"one"), (3, b"three")]
    assert read(data).damaged == 0


def test_reading_goes_on_where_it_stopped() -> None:
    """So many records at a time, each once."""
    data = written([b"a", b"b", b"c"])
    first = read(data, most=2)
    assert contents(first) == [(1, b"a"), (2, b"b")]
    assert contents(read(data, first.end)) == [(3, b"c")]


def test_a_header_that_promises_more_than_there_is_hides_nothing_behind_it() -> None:
    """A length that was broken to something huge costs its record only."""
    huge = MARK + (0xFFFF_FFFF).to_bytes(4, "little") + bytes(12)
    assert contents(read(huge + frame(2, b"two"))) == [(2, b"two")]


@pytest.mark.parametrize("data", [b"", bytes(10), MARK, MARK * 100, b"x" * 1000])
def test_what_holds_no_record_gives_none(data: bytes) -> None:
    """Whatever bytes there are, reading ends at their end."""
    reading = read(data)
    assert reading.frames == []
    assert reading.end == len(data)


def test_the_format_is_the_one_that_is_documented() -> None:
    """Files outlive a release: what one has written the next must read."""
    expected = "f5455252 02000000 0700000000000000 b3de29e3 7b7d".replace(" ", "")
    assert frame(7, b"{}").hex() == expected
    assert read(frame(7, b"{}")).frames == [Frame(7, b"{}", HEADER_BYTES + 2)]
