"""Work that must not be under way while the process forks."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LONGEST_SECONDS = 5.0
"""How long a fork waits for work to end."""


class Standstill:
    """Lets work go on, and holds it up while the process forks.

    Args:
        let_go: called when all work has ended, just before the process forks.
    """

    def __init__(self, let_go: Callable[[], None]) -> None:
        self.was_kept = True
        """Whether this process began with nothing under way; False where a fork could not wait so long."""
        self._let_go = let_go
        self._begin()
        _concerned.add(self)

    @property
    def is_wanted(self) -> bool:
        """Whether a fork waits, so that work should end early."""
        return self._forks > 0

    @contextmanager
    def working(self) -> Generator[None]:
        """Do some work, as soon as no fork is going on."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forks)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def want(self) -> None:
        """Let no work begin from now on."""
        with self._changed:
            self._forks += 1

    def wait(self, until: float) -> None:
        """Wait until all work has ended, and let go; where that takes too long, go on all the same."""
        with self._changed:
            self._is_still = self._changed.wait_for(lambda: not self._working, max(0.0, until - time.monotonic()))
        # What a child has inherited against the rules is not to be touched.
        if self._is_still and self.was_kept:
            self._let_go()

    def end_in_parent(self) -> None:
        """Go on."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def end_in_child(self) -> None:
        """Go on anew, with none of the parent's threads."""
        self.was_kept = self.was_kept and self._is_still
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._working = self._forks = 0
        self._is_still = False


_concerned: weakref.WeakSet[Standstill] = weakref.WeakSet()


def _before_fork() -> None:
    until = time.monotonic() + LONGEST_SECONDS
    standing = list(_concerned)
    for one in standing:
        one.want()
    for one in standing:
        one.wait(until)


def _after_fork_in_parent() -> None:
    for one in list(_concerned):
        one.end_in_parent()


def _after_fork_in_child() -> None:
    for one in list(_concerned):
        one.end_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
