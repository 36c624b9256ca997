"""The spool: where an error is safe before the call that reports it returns.

Each process has a folder of its own below the spool's, with a lock file that it holds locked
as long as it lives, and segments.  The lock goes with the process however it ends: then the
folder is left over, and whoever takes its lock may move what is in it.

::

    spool/
        6f1c…-4711/            a process's: its mark and its number
            lock
            000001.errors      segments, in the order in which they were begun
            000002.errors
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.errors.segment import SEGMENT_BYTES, Segment, SegmentReader, write_segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LANES = 8
"""Threads that can put records into the spool at the same time, each into a segment of its own."""

CLOSES_WITHIN_SECONDS = 1.0
"""How long to wait for those who are putting something in when the spool is closed."""

_FOLDER = re.compile(r"[0-9a-f]{16}-\d+")
_SUFFIX = ".errors"
_LOCK = "lock"


class SpoolFullError(OSError):
    """The spool holds twice of what it may, because nothing can be moved out of it fast enough."""


class Source(Protocol):
    """A segment that records are moved out of."""

    @property
    def reader(self) -> SegmentReader:
        """What reads it."""
        ...

    @property
    def end(self) -> int | None:
        """How far its writer has come; None where nobody writes to it."""
        ...

    @property
    def is_growing(self) -> bool:
        """Whether more may come."""
        ...


class _Lane:
    """A segment that is being filled, and the lock of whoever fills it; one that passes has none of its own."""

    def __init__(self, *, is_passing: bool = False) -> None:
        self.lock = threading.Lock()
        self.segment: Segment | None = None
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class _Own:
    """A segment of this process."""

    segment: Segment
    reader: SegmentReader

    @property
    def end(self) -> int:
        return self.segment.written

    @property
    def is_growing(self) -> bool:
        return not self.segment.is_closed


@dataclass(frozen=True, slots=True)
class _Done:
    """A segment that nobody writes to: of a process that is gone, or of one record."""

    reader: SegmentReader
    end: None = None
    is_growing: bool = False


@dataclass(frozen=True, slots=True)
class _Home:
    """The folder of this process, locked."""

    folder: Path
    lock: int


@dataclass(slots=True)
class _Leftover:
    """The folder of a process that is gone, locked by us."""

    folder: Path
    lock: int
    sources: list[_Done] = field(default_factory=list)


class _Stock:
    """What this process has put in since it began, or since the spool was closed.

    Args:
        lanes: how many there may be.
    """

    def __init__(self, lanes: int) -> None:
        self.homes: dict[int, _Home] = {}
        self.numbers = itertools.count(1)
        self.lanes = [_Lane()]
        self.passing: set[_Lane] = set()
        self.own: dict[str, _Own | _Done] = {}
        self.spare: deque[Segment] = deque()
        self._most_lanes = lanes

    def take_lane(self) -> _Lane:
        """Return a lane that is locked now: one that was free, a new one while there are few, or a passing one."""
        for lane in self.lanes:
            if lane.lock.acquire(blocking=False):
                return lane
        lane = _Lane(is_passing=len(self.lanes) >= self._most_lanes)
        lane.lock.acquire()
        if lane.is_passing:
            self.passing.add(lane)
        else:
            self.lanes.append(lane)
        return lane

    def give_back(self, lane: _Lane) -> None:
        """Let others have a lane."""
        lane.lock.release()
        self.passing.discard(lane)

    def size_bytes(self) -> int:
        """Return how much is taken on the disk."""
        return sum(source.reader.size_bytes for source in self.own.copy().values())

    def is_empty(self) -> bool:
        """Tell whether all that was put in has been moved."""
        return all(isinstance(source, _Own) and source.end == source.reader.at for source in self.own.values())

    def wait_for_callers(self, seconds: float) -> bool:
        """Keep the lanes from everybody for good; tell whether nobody is in the middle of one of them."""
        until = time.monotonic() + seconds
        lanes = (*self.lanes, *self.passing.copy())
        taken = [lane.lock.acquire(timeout=max(0.0, until - time.monotonic())) for lane in lanes]
        return all(taken)


class Spool:
    """Takes records from any thread, and gives them to the one that moves them.

    Nobody waits for anybody, nor for what the same thread is in the middle of, as a signal
    handler would: who finds a lane taken uses another, and where all are, a file of its own.

    Args:
        folder: of the spools of all processes; made when the first record comes.
        bound_bytes: how much it shall hold; twice as much is refused.
    """

    def __init__(self, folder: Path, bound_bytes: int) -> None:
        self.folder = folder
        self.bound_bytes = bound_bytes
        # Half of what may be there stays for segments that are full.
        self._most_lanes = min(LANES, max(1, bound_bytes // (2 * SEGMENT_BYTES)))
        self._begin()

    def _begin(self) -> None:
        self._stock = _Stock(self._most_lanes)
        self._leftovers: dict[str, _Leftover] = {}

    def after_fork_in_child(self) -> None:
        """Begin anew: the files and locks are the parent's."""
        locks = [home.lock for home in self._stock.homes.values()]
        locks += [leftover.lock for leftover in self._leftovers.values()]
        for lock in locks:
            os.close(lock)  # else the parent's folder would stay locked as long as the child lives
        self._begin()

    # Putting in

    def put(self, payload: bytes) -> None:
        """Append a record; it survives the end of the process from here on.

        Raises:
            SpoolFullError: there is too much already.
            OSError: the folder cannot be written to, or the disk is full.
        """
        stock, lane = self._take_lane()
        try:
            if lane.is_passing:
                self._put_apart(stock, payload)
            else:
                self._put_into(lane, stock, payload)
        finally:
            stock.give_back(lane)

    def _take_lane(self) -> tuple[_Stock, _Lane]:
        while True:
            stock = self._stock
            lane = stock.take_lane()
            # Who closes puts another stock there first, and then waits for those who have a lane.
            if stock is self._stock:
                return stock, lane
            stock.give_back(lane)

    def _put_into(self, lane: _Lane, stock: _Stock, payload: bytes) -> None:
        segment = lane.segment
        if segment is not None and segment.put(payload):
            return
        lane.segment = self._fresh_segment(stock)
        if segment is not None:
            # Behind the line above: what is closed may be removed, so it must be nobody's any more.
            segment.is_closed = True
        lane.segment.put(payload)

    def _fresh_segment(self, stock: _Stock) -> Segment:
        try:
            return stock.spare.popleft()
        except IndexError:
            return self._new_segment(stock)

    def _new_segment(self, stock: _Stock) -> Segment:
        path = self._new_path(stock, SEGMENT_BYTES)
        segment = Segment(path)
        stock.own[path.name] = _Own(segment, _reader_of(path))
        return segment

    def _put_apart(self, stock: _Stock, payload: bytes) -> None:
        path = self._new_path(stock, len(payload))
        write_segment(path, [(1, payload)])
        stock.own[path.name] = _Done(_reader_of(path, path.stat().st_size))

    def _new_path(self, stock: _Stock, size_bytes: int) -> Path:
        # What others have left does not count: who comes to a full spool shall be able to report, too.
        if stock.size_bytes() + size_bytes > 2 * max(self.bound_bytes, SEGMENT_BYTES):
            raise SpoolFullError(errno.ENOSPC, "it holds twice of what it may")
        return self._home(stock).folder / f"{next(stock.numbers):06d}{_SUFFIX}"

    def _home(self, stock: _Stock) -> _Home:
        home = stock.homes.get(0)
        if home is not None:
            return home
        _make_folder(self.folder)
        folder = self.folder / f"{os.urandom(8).hex()}-{os.getpid()}"
        folder.mkdir(mode=0o700)
        made = _Home(folder, _lock_new(folder / _LOCK))
        home = stock.homes.setdefault(0, made)
        if home is not made:  # another thread was first
            _clear(folder)
            os.close(made.lock)
        return home

    # Taking out, by one thread

    def prepare(self) -> None:
        """Have a segment ready, so that no caller has to make it; not where that would be beyond the bound.

        Raises:
            OSError: the folder cannot be written to, or the disk is full.
        """
        stock = self._stock
        if stock.homes and not stock.spare and self.size_bytes() + SEGMENT_BYTES <= self.bound_bytes:
            stock.spare.append(self._new_segment(stock))

    def sources(self) -> list[Source]:
        """Return the segments that there are: those of processes that are gone, then our own, the oldest first."""
        left = [source for leftover in self._leftovers.values() for source in leftover.sources]
        own = self._stock.own.copy()  # at once: other threads add to it
        return [*left, *(own[name] for name in sorted(own))]

    def remove(self, source: Source) -> None:
        """Remove a segment all of whose records have been moved, and the folder that it was the last of.

        Raises:
            OSError: it cannot be removed.
        """
        path = source.reader.path
        path.unlink(missing_ok=True)
        leftover = self._leftovers.get(path.parent.name)
        if leftover is None:
            self._stock.own.pop(path.name, None)
            return
        leftover.sources = [other for other in leftover.sources if other is not source]
        if not leftover.sources:
            self._dissolve(leftover)

    def take_over(self) -> None:
        """Lock the folders of processes that are gone: what is in them is ours to move.

        Raises:
            OSError: the spool's folder cannot be read.
        """
        for folder in self._others():
            lock = _lock_left(folder / _LOCK)
            if lock is None:
                continue
            leftover = _Leftover(folder, lock)
            paths = sorted(folder.glob(f"*{_SUFFIX}"))
            leftover.sources += (_Done(_reader_of(path, path.stat().st_size)) for path in paths)
            self._leftovers[folder.name] = leftover
            if not paths:
                self._dissolve(leftover)

    def has_others(self) -> bool:
        """Tell whether there are folders of other processes, which may be gone.

        Raises:
            OSError: the spool's folder cannot be read.
        """
        return any(True for _ in self._others())

    def _others(self) -> Iterator[Path]:
        known = {*self._leftovers, *(home.folder.name for home in self._stock.homes.values())}
        if not self.folder.is_dir():
            return
        for folder in sorted(self.folder.iterdir()):
            if _FOLDER.fullmatch(folder.name) and folder.name not in known:
                yield folder

    def _dissolve(self, leftover: _Leftover) -> None:
        self._leftovers.pop(leftover.folder.name)
        _clear(leftover.folder)
        os.close(leftover.lock)

    def size_bytes(self) -> int:
        """Return how much is taken on the disk."""
        return sum(source.reader.size_bytes for source in self.sources())

    def close(self) -> list[str]:
        """Let go of all: an empty folder is removed, another is left to whoever comes.

        A record that is put in from now on goes into a new folder.

        Returns:
            The names of those of the segments that were removed of which records had been moved.

        Raises:
            OSError: what is empty cannot be removed.
        """
        stock, leftovers = self._stock, self._leftovers
        self._begin()
        while leftovers:
            os.close(leftovers.popitem()[1].lock)
        is_quiet = stock.wait_for_callers(CLOSES_WITHIN_SECONDS)
        home = stock.homes.pop(0, None)
        if home is None:
            return []
        try:
            if not (is_quiet and stock.is_empty()):
                return []
            _clear(home.folder)
            return [source.reader.name for source in stock.own.values() if source.reader.at]
        finally:
            os.close(home.lock)


def _reader_of(path: Path, size_bytes: int = SEGMENT_BYTES) -> SegmentReader:
    return SegmentReader(path, f"{path.parent.name}/{path.name}", size_bytes)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)  # mkdir's own parents could be entered by everybody
        folder.mkdir(mode=0o700, exist_ok=True)


def _clear(folder: Path) -> None:
    """Remove a folder; its lock comes last, so that another process can go on where this one is killed."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == _LOCK):
        path.unlink(missing_ok=True)
    folder.rmdir()


def _lock_new(path: Path) -> int:
    """Make a lock file that nobody has ever seen unlocked."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _flock(descriptor)
    beside.rename(path)
    return descriptor


def _lock_left(path: Path) -> int | None:
    """Lock the lock file of a process that may be gone; None where it is not, or where nothing is to be locked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # being made or cleared by another process, or left when it was
        return None
    if _flock(descriptor) and path.exists():
        return descriptor
    os.close(descriptor)
    return None


def _flock(descriptor: int) -> bool:
    import fcntl  # not on every system

    try:
        # Of this open file, not of the process: to close another descriptor of it must not unlock it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
