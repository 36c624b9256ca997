"""One file of the spool: written through memory, read as a file."""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

from otel_monitoring.errors.framing import HEADER_BYTES, Reading, frame, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEGMENT_BYTES = 1 << 20
LARGEST_PAYLOAD = SEGMENT_BYTES // 4 - HEADER_BYTES
"""So that what is left at a segment's end is never most of it."""


class Segment:
    """A new file that records are put into, one behind the other, until it is full.

    The file is mapped: a record is safe from the end of the process as soon as it is copied,
    without a system call, in which a thread would have to give up the GIL and wait for it.
    All blocks are reserved first, for a store into a mapped file on a full disk is a SIGBUS.

    One thread puts at a time; another may read what lies before ``written`` meanwhile.

    Args:
        path: of the new file.

    Raises:
        OSError: it cannot be made, or the disk is full.

    Attributes:
        end: the bytes that are taken.
        written: the bytes that are taken and filled.
        is_closed: nothing more will be put into it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = self.written = 0
        self.is_closed = False
        self._count = 0
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(descriptor)
            self._map = mmap.mmap(descriptor, SEGMENT_BYTES)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def put(self, payload: bytes) -> bool:
        """Append a record; tell whether there was room for it."""
        number, start = self._count + 1, self.end
        framed = frame(number, payload)
        end = start + len(framed)
        if end > SEGMENT_BYTES:
            return False
        # Taken before it is filled: a signal's exception in between leaves a gap, never two records in one place.
        self.end, self._count = end, number
        self._map[start:end] = framed
        self.written = end
        return True


class SegmentReader:
    """Reads a segment from where it was read to before.

    Args:
        path: of the file.
        name: under which the store keeps how far it has read, the same in every process.

    Attributes:
        at: the bytes that are done with.
        size_bytes: of the file.
        is_lean: whether it was rewritten to take less.
    """

    def __init__(self, path: Path, name: str, size_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        self.name = name
        self.at = 0
        self.size_bytes = size_bytes
        self.is_lean = False

    def read(self, end: int | None = None, *, most: int) -> Reading:
        """Return the next records; ``at`` stays where it is until they are safe elsewhere.

        Args:
            end: how far the writer has come; None reads a file that nobody writes to.
            most: how many records to return at the most.

        Raises:
            OSError: the file cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(self.at)
            data = file.read() if end is None else file.read(max(0, end - self.at))
        reading = read_frames(data, most=most)
        frames = [record._replace(end=record.end + self.at) for record in reading.frames]
        return Reading(frames, reading.end + self.at, reading.damaged)

    def rewrite(self, payloads: list[tuple[int, bytes]]) -> None:
        """Put other, smaller records in place of what is still to be read.

        Whoever reads it afterwards finds either all of the old or all of the new.

        Raises:
            OSError: the new file cannot be written; the old one stays.
        """
        beside = self.path.with_suffix(".new")
        self.size_bytes = write_segment(beside, payloads)
        beside.replace(self.path)
        self.at = 0
        self.is_lean = True


def write_segment(path: Path, payloads: Iterable[tuple[int, bytes]]) -> int:
    """Write a file that holds these records and no more; return its size.

    Raises:
        OSError: it cannot be written; then there is no such file.
    """
    content = b"".join(frame(number, payload) for number, payload in payloads)
    try:
        path.touch(0o600)
        path.write_bytes(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return len(content)


def _reserve(descriptor: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, SEGMENT_BYTES)
    elif os.write(descriptor, bytes(SEGMENT_BYTES)) < SEGMENT_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
