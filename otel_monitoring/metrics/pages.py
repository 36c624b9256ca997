"""Pages of slots: one page for each thread that records, none shared between writers.

A time series owns a few consecutive slots.  A thread adds only to the slots of its own
page, so that recording takes no lock; a reader adds the pages up.  A page is leased to a
thread while it lives: when the thread ends, the page keeps its counts and goes to the next
thread that asks.  Nothing is lost, nothing goes backwards, and there are never more pages
than threads were alive at once.

Beside its slots a page keeps the label sets that its thread has seen, so that a call
with labels shares nothing with other threads either.

In one process a page is a list: measured against ``array`` and ``memoryview`` it is the
fastest to add to, and it grows in place, so that no copy can lose what a signal handler
records meanwhile.  All that is asked of a page is that ``page[slot] += step`` works and
raises IndexError beyond its end.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    Pick = Callable[[Any], Hashable]

Slots = list[float]
Known = list["tuple[Pick, dict[Hashable, int]] | None"]

GROWTH = 256
"""Slots by which a page grows at the least, so that single new series do not each grow it."""


def _of_system_threads() -> tuple[type[Any], Callable[[], int]]:
    """Return the thread-local class and the ``get_ident`` of the operating system's threads.

    gevent and eventlet put their own in their place, one for each greenlet; greenlets of
    one thread share a page safely, and thousands of them must not lease thousands.
    """
    if "gevent.monkey" in sys.modules:
        original = sys.modules["gevent.monkey"].get_original
        return original("threading", "local"), original("threading", "get_ident")
    if "eventlet.patcher" in sys.modules:
        unpatched = sys.modules["eventlet.patcher"].original("threading")
        return unpatched.local, unpatched.get_ident
    return threading.local, threading.get_ident


def picker(labels: tuple[str, ...]) -> Pick:
    """Return what takes the values of these labels from attributes: one value bare, several as a tuple."""
    return itemgetter(*labels) if labels else tuple


class Page:
    """The slots of one thread, and the slots it knows by label values for each metric.

    Attributes:
        known: for each metric by its number, what takes the label values from attributes and
            the slots by what it takes; None of a metric that the thread has not met.  Each
            thread has takers of its own: without the GIL one for all is counted up and down
            by all, and they wait for one another.
        turn: how often the page was leased; a lease of an earlier turn is void.
    """

    __slots__ = ("known", "slots", "turn")

    def __init__(self) -> None:
        self.slots: Slots = []
        self.known: Known = []
        self.turn = 0


class _Leases:
    """Which page is whose.

    Attributes:
        free: pages without a thread.
        holders: the others, by the number of the thread.  The system gives a thread's
            number to another only when the thread is gone: who has the number may have the
            page.  So what a thread's last finalisers lease, which nobody gives back, goes
            to the next thread of that number.
    """

    def __init__(self) -> None:
        self.free: deque[Page] = deque()
        self.holders: dict[int, Page] = {}

    def take(self, ident: int) -> Page | None:
        """Return a page that no other thread has, if there is one."""
        page = self.holders.get(ident)
        if page is not None:
            return page
        try:
            return self.free.pop()
        except IndexError:
            return None


class _Lease:
    """Held by a thread's local storage alone: it goes when the thread does."""

    __slots__ = ("_ident", "_leases", "_page", "_turn")

    def __init__(self, page: Page, leases: _Leases, ident: int) -> None:
        page.turn += 1
        self._page = page
        self._turn = page.turn
        self._leases = leases
        self._ident = ident
        leases.holders[ident] = page

    def __del__(self) -> None:
        if self._page.turn == self._turn:
            self._leases.holders.pop(self._ident, None)
            self._leases.free.append(self._page)


class Pages:
    """All pages of one service.

    Attributes:
        local: what the calling thread has leased: ``slots``, and ``lease``, which is the
            pair ``(slots, known)``.  A thread in which ``here()`` was not called yet has
            neither, and raises AttributeError, which callers take as "call here()".
    """

    def __init__(self) -> None:
        thread_local, self._ident = _of_system_threads()

        class Local(thread_local):  # type: ignore[misc, valid-type]
            """Without defaults, which all threads would count up and down."""

        self.local: Any = Local()
        self._all: list[Page] = []
        self._leases = _Leases()

    def __len__(self) -> int:
        """Return how many pages there are: at most the threads that were alive at once."""
        return len(self._all)

    def __iter__(self) -> Iterator[Page]:
        """Go through all pages, leased or not."""
        return iter(self._all.copy())

    def here(self) -> Page:
        """Return the page of the calling thread, leasing one where it has none.

        Takes no lock (a finaliser or a signal handler may call it at any moment): a
        deque's and a list's own methods are atomic, with and without the GIL.
        """
        page: Page | None = getattr(self.local, "page", None)
        if page is None:
            ident = self._ident()
            page = self._leases.take(ident)
            if page is None:
                page = Page()
                self._all.append(page)
            self.local.keep = _Lease(page, self._leases, ident)
            self.local.page = page
            self.local.slots = page.slots
            self.local.lease = (page.slots, page.known)
        return page

    def reach(self, end: int) -> Slots:
        """Return the slots of the calling thread's page, at least ``end`` of them."""
        slots = self.here().slots
        missing = end - len(slots)
        if missing > 0:
            slots.extend([0] * max(missing, GROWTH, len(slots) // 4))
        return slots

    def known(self, number: int, labels: tuple[str, ...]) -> dict[Hashable, int]:
        """Return the calling thread's slots by label values for the metric of that number."""
        known = self.here().known
        known.extend([None] * (number + 1 - len(known)))
        entry = known[number]
        if entry is None:
            entry = known[number] = (picker(labels), {})
        return entry[1]

    def forget(self, number: int, key: Hashable) -> None:
        """Make every thread forget one label set of one metric."""
        for page in self:
            entry = page.known[number] if number < len(page.known) else None
            if entry is not None:
                entry[1].pop(key, None)

    def clear(self, start: int, end: int) -> None:
        """Set slots to zero in all pages; nobody may be writing to them any more."""
        for page in self:
            for slot in range(start, min(end, len(page.slots))):
                page.slots[slot] = 0

    def total(self, end: int) -> Slots:
        """Return the element-wise sum of all pages, ``end`` slots long."""
        total: Slots = []
        for page in self:
            slots = page.slots.copy()
            if len(slots) > len(total):
                total, slots = slots, total
            total[: len(slots)] = map(add, slots, total)
        total.extend([0] * (end - len(total)))
        return total

    def start_over(self) -> None:
        """In the child of a fork: every count is the parent's, only this thread is alive."""
        mine = getattr(self.local, "page", None)
        self._leases.free.clear()
        self._leases.holders.clear()
        for page in self:
            page.slots[:] = [0] * len(page.slots)
            if page is mine:
                self._leases.holders[self._ident()] = page
            else:
                page.turn += 1
                self._leases.free.append(page)
