"""What has threads or sockets, and must know when it finds itself in a forked child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that a forked child inherits without its threads."""

    def after_fork_in_child(self) -> None:
        """Put right what the fork has left half: only the calling thread is there."""


_concerned: weakref.WeakSet[Forked] = weakref.WeakSet()
"""All that live: a fork hook cannot be taken back, so there is one, and it asks here."""


def tell_after_fork(part: Forked) -> None:
    """Have ``part.after_fork_in_child`` called in each forked child, as long as ``part`` lives."""
    _concerned.add(part)


def _after_fork_in_child() -> None:
    for part in list(_concerned):
        part.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
