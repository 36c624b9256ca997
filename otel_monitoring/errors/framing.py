"""How records lie in a file that may end in the middle of one.

A frame is a header and a payload.  The header holds a mark, the payload's length, the
record's number in its file, and the CRC-32 (ISO-HDLC, as zlib has it) of number and payload,
all little-endian.  The mark begins with a byte that no UTF-8 text holds: whatever is broken,
the next frame can be found behind it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

MARK = b"\xf5ERR"
_HEADER = struct.Struct("<4sIQI")
_NUMBER = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size


class Frame(NamedTuple):
    """One record: its number in the file, its bytes, and where the next one begins."""

    number: int
    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file.

    Attributes:
        frames: the whole records, in the file's order.
        end: where to go on.
        damaged: stretches that hold no record, though they are not empty: a record each, at the least.
    """

    frames: list[Frame]
    end: int
    damaged: int


def frame(number: int, payload: bytes) -> bytes:
    """Return a record as it lies in the file."""
    checksum = crc32(payload, crc32(_NUMBER.pack(number)))
    return _HEADER.pack(MARK, len(payload), number, checksum) + payload


def read_frames(data: bytes, at: int = 0, *, most: int) -> Reading:
    """Return the records from a place on.

    Args:
        data: the file, as far as its writer has written.
        at: where to begin.
        most: how many to return at the most.
    """
    frames: list[Frame] = []
    damaged = 0
    while at < len(data) and len(frames) < most:
        found = _frame_at(data, at) or _next_frame(data, at + 1)
        beginning = len(data) if found is None else found.end - len(found.payload) - HEADER_BYTES
        # What is empty was reserved by a call that an exception of another thread's or a signal's ended.
        damaged += bool(data[at:beginning].strip(b"\0"))
        at = beginning
        if found is not None:
            frames.append(found)
            at = found.end
    return Reading(frames, at, damaged)


def _frame_at(data: bytes, at: int) -> Frame | None:
    beginning = at + HEADER_BYTES
    if beginning > len(data):
        return None
    mark, length, number, checksum = _HEADER.unpack_from(data, at)
    end = beginning + length
    if mark != MARK or end > len(data):
        return None
    payload = data[beginning:end]
    return Frame(number, payload, end) if crc32(payload, crc32(_NUMBER.pack(number))) == checksum else None


def _next_frame(data: bytes, at: int) -> Frame | None:
    while (at := data.find(MARK, at)) >= 0:
        found = _frame_at(data, at)
        if found is not None:
            return found
        at += 1
    return None
