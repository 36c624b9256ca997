"""What one benchmark compares: our way to do a thing and the ways of others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "otel_monitoring"


class Unit(StrEnum):
    """What a figure counts."""

    SECONDS = "s"
    BYTES = "B"


class Sample(Protocol):
    """Does a thing so many times and tells what one took."""

    def __call__(self, count: int) -> float:
        """Return the figure of one call, one series, one line: whatever the case counts."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to do what a case measures.

    Args:
        name: who does it.
        prepare: imports and builds what is needed, and returns what is measured; raises
            ImportError where something is not installed.
        at_most: the target: our figure, as a share of this subject's.
    """

    name: str
    prepare: Callable[[], Sample]
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that is measured.

    Args:
        name: what ``--only`` takes.
        title: what is done, and what the figure is of.
        ours: our way.
        peers: the others, each compared with ours.
        bare: without any; what it takes is subtracted from all the others.
        unit: of the figures.
        rounds: how often each subject is measured.
        count: the times in one round; None finds how many fill ``seconds``.
        seconds: how long one subject is measured in one round.
    """

    name: str
    title: str
    ours: Subject
    peers: tuple[Subject, ...]
    bare: Subject | None = None
    unit: Unit = Unit.SECONDS
    rounds: int = 51
    count: int | None = None
    seconds: float = 0.01
