"""Moves errors from the spool into the database, in a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.errors.trim import keep_bound
from otel_monitoring.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_monitoring.errors.framing import Reading
    from otel_monitoring.errors.spool import Source, Spool
    from otel_monitoring.errors.stored import Payload
    from otel_monitoring.metrics.incidents import Incidents

BATCH = 500
COLLECTS_SECONDS = 0.1
"""What comes so soon after an error goes into the database together with it."""

LOOKS_AROUND_SECONDS = 30.0
"""How often to look for what processes have left that are gone."""

PRUNES_SECONDS = 600.0
SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries, while the database does not take what it is given."""


class Target(Protocol):
    """Where errors are moved to; a ``Database``, each of whose methods may raise a StoreError."""

    def prepare(self) -> None:
        """Be ready for the first batch."""
        ...

    def write(self, stream: str, batch: Sequence[tuple[int, Payload]]) -> int:
        """Keep the errors of a segment with their numbers in it, unless they are kept already; return how many."""
        ...

    def write_loose(self, batch: Sequence[Payload]) -> int:
        """Keep errors of no segment, unless they are kept already; return how many."""
        ...

    def forget_stream(self, stream: str) -> None:
        """Forget how far a segment was read: it is gone."""
        ...


class Tally(Protocol):
    """Counts what happens to errors on their way."""

    def lose(self, reason: str, amount: float = 1) -> None:
        """Count what will not be stored."""
        ...

    def store(self, amount: int) -> None:
        """Count errors that are in the database."""
        ...

    def fail(self) -> None:
        """Count a try that failed."""
        ...


class _Bell:
    """Wakes a thread.

    Who rings waits for nobody, nor for what the same thread is in the middle of: a signal
    handler or a finaliser may ring while its thread rings or listens, where an ``Event`` would
    wait for its own lock for ever.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()
        self._has_rung = False

    def ring_once(self) -> None:
        """Wake the thread, unless somebody has since it was quiet."""
        if not self._has_rung:
            self._has_rung = True
            self._rings.put(None)

    def ring(self) -> None:
        """Wake the thread, though it may have heard somebody ring and be waiting for more."""
        self._rings.put(None)

    def listen(self, seconds: float) -> bool:
        """Wait for a ring, at most so long; tell whether there was one."""
        if seconds <= 0:
            return False
        try:
            self._rings.get(timeout=seconds)
        except Empty:
            return False
        return True

    def quiet(self) -> None:
        """Forget all rings; what they were for is to be looked for after this."""
        while not self._rings.empty():
            self._rings.get()
        self._has_rung = False


class Mover:
    """Empties the spool as long as the process lives, and takes in what others have left.

    Args:
        spool: where errors come from.
        late: errors that the spool could not take when they came.
        target: where they go.
        tally: hears of what is moved and of what is lost.
        incidents: hears of what goes wrong.
        complete: adds to an error what was too slow to find out when it was reported.
        prune: lets go of what is too old; called now and then.
    """

    def __init__(
        self,
        spool: Spool,
        late: deque[bytes],
        target: Target,
        *,
        tally: Tally,
        incidents: Incidents,
        complete: Callable[[Payload], None],
        prune: Callable[[], object],
    ) -> None:
        self._spool = spool
        self._late = late
        self._target = target
        self._tally = tally
        self._incidents = incidents
        self._complete = complete
        self._prune = prune
        self._begin()

    def _begin(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell = _Bell()
        self._asked: deque[_Flush] = deque()
        self._is_stopping = False
        self._look_around_at = self._prune_at = 0.0

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread is the parent's, and so is what waits in memory."""
        self._late.clear()
        self._begin()

    def wake(self) -> None:
        """Say that there is something to move; returns at once."""
        self._bell.ring_once()
        if self._thread is None and not self._is_stopping:
            self._start()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that was reported before is in the database, also by others; tell whether it is."""
        if self._is_stopping:
            return False
        asked = _Flush()
        self._asked.append(asked)
        self._bell.ring()
        self.wake()
        return asked.done.wait(timeout_seconds) and asked.succeeded

    def stop(self, timeout_seconds: float) -> None:
        """Move what is there, wait for that at most so long, and move no more."""
        until = time.monotonic() + timeout_seconds
        self._is_stopping = True
        self._bell.ring()
        if self._starting.acquire(timeout=timeout_seconds):  # or another thread is just starting it
            self._starting.release()
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
        if self._late and not self.is_running:
            self._give_up(len(self._late))

    def _give_up(self, lost: int) -> None:
        self._late.clear()
        self._tally.lose("unwritable", lost)
        text = f"{lost} error(s) that waited in memory are lost: neither the spool nor the database has taken them"
        self._incidents.warn_once("error store", "end", lambda: text)

    @property
    def is_running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        if self._starting.acquire(blocking=False):
            try:
                if self._thread is None and not self._is_stopping:
                    thread = threading.Thread(target=self._run, name="otel-monitoring errors", daemon=True)
                    thread.start()
                    self._thread = thread
            finally:
                self._starting.release()

    # In the thread

    def _run(self) -> None:
        pause, stopping = 0.0, False
        while not stopping:
            self._wait(pause)
            self._bell.quiet()
            stopping = self._is_stopping
            succeeded = self._serve([self._asked.popleft() for _ in range(len(self._asked))])
            pause = 0.0 if succeeded else min(max(SHORTEST_PAUSE_SECONDS, 2 * pause), LONGEST_PAUSE_SECONDS)
        self._close()

    def _wait(self, pause: float) -> None:
        """Wait until there is something to move, or in a pause until it is over or somebody waits for us."""
        if not pause:
            if self._bell.listen(LOOKS_AROUND_SECONDS):
                self._let_more_come()
            return
        until = time.monotonic() + pause
        while not self._is_urgent and self._bell.listen(until - time.monotonic()):
            self._let_more_come()
            self._bell.quiet()
            self._tend_spool()

    @property
    def _is_urgent(self) -> bool:
        return self._is_stopping or bool(self._asked)

    def _let_more_come(self) -> None:
        until = time.monotonic() + COLLECTS_SECONDS
        while not self._is_urgent and self._bell.listen(until - time.monotonic()):
            pass

    def _serve(self, asked: list[_Flush]) -> bool:
        """Move all there is, for those who wait for it too; tell whether that went well."""
        if asked:
            self._look_around_at = 0.0
        succeeded = False
        with self._incidents.contained("moving errors into the store"):
            succeeded = self._pass()
        for flush in asked:
            flush.end(succeeded=succeeded)
        return succeeded

    def _pass(self) -> bool:
        try:
            done = [self._try(self._look_around)]
            self._take_late()
            self._target.prepare()
            done += [self._try(partial(self._move, source)) for source in self._spool.sources()]
            self._prune_sometimes()
        except StoreError as error:
            self._complain(error)
            return False
        finally:
            self._tend_spool()
        return all(done)

    def _try(self, step: Callable[[], object]) -> bool:
        """Do something with the spool's files, and tell whether it went well; what did not stops nothing else."""
        try:
            step()
        except OSError as error:
            self._complain(error)
            return False
        return True

    def _tend_spool(self) -> None:
        self._try(partial(keep_bound, self._spool, self._tally.lose))
        if not self._is_stopping:
            self._try(self._spool.prepare)

    def _close(self) -> None:
        try:
            for stream in self._spool.close():
                self._target.forget_stream(stream)
        except (StoreError, OSError) as error:
            self._complain(error)

    def _move(self, source: Source) -> None:
        reader = source.reader
        while True:
            growing, end = source.is_growing, source.end
            if growing and end == reader.at:
                return
            reading = reader.read(end, most=BATCH)
            self._write(reader.name, reading)
            reader.at = reading.end
            if len(reading.frames) < BATCH:
                break
        if not growing:
            self._spool.remove(source)
            self._target.forget_stream(reader.name)

    def _write(self, stream: str, reading: Reading) -> None:
        batch: list[tuple[int, Payload]] = [(frame.number, json.loads(frame.payload)) for frame in reading.frames]
        for _, payload in batch:
            with self._incidents.contained("completing an error"):  # another release may have written it
                self._complete(payload)
        if batch:
            self._tally.store(self._target.write(stream, batch))
        if reading.damaged:
            self._tally.lose("damaged", reading.damaged)
            text = f"{reading.damaged} record(s) of the spool of errors are damaged and lost ({stream})"
            self._incidents.warn_once("damaged", stream, lambda: text)

    def _take_late(self) -> None:
        """Put what came while the spool could not take it where it belongs, or into the database directly."""
        while self._late:
            payload = self._late.popleft()
            try:
                self._spool.put(payload)
            except OSError:
                self._late.appendleft(payload)
                self._write_late()
                return

    def _write_late(self) -> None:
        self._target.prepare()
        while self._late:
            several = [self._late.popleft() for _ in range(min(BATCH, len(self._late)))]
            try:
                self._tally.store(self._target.write_loose([json.loads(payload) for payload in several]))
            except StoreError:
                self._late.extendleft(reversed(several))
                raise

    def _look_around(self) -> None:
        now = time.monotonic()
        if now >= self._look_around_at:
            self._look_around_at = now + LOOKS_AROUND_SECONDS
            self._spool.take_over()

    def _prune_sometimes(self) -> None:
        now = time.monotonic()
        if now >= self._prune_at:
            self._prune_at = now + PRUNES_SECONDS
            self._prune()

    def _complain(self, error: StoreError | OSError) -> None:
        self._tally.fail()
        text = f"the spool {self._spool.folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
        self._incidents.warn_once("error store", text, lambda: f"errors wait to be stored, to be tried again: {text}")


class _Flush:
    """Somebody waits for what was reported before."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.succeeded = False

    def end(self, *, succeeded: bool) -> None:
        self.succeeded = succeeded
        self.done.set()
