"""Measures cases, and knows none of them.

All subjects of a case are measured in one process, in turns whose order is shuffled in
each round, so that what the machine does meanwhile meets all of them alike.  Garbage is
collected before each turn, and not in it.
"""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.case import Case, Sample, Subject, Unit

LOST_IN_NOISE = "lost in noise"
"""The verdict where what is added was not more than what the measurement varies by."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on each case.

    Args:
        rounds: at most so many rounds.
        share: of the case's time and count in one round.
    """

    rounds: int
    share: float


FULL = Effort(rounds=1000, share=1.0)
QUICK = Effort(rounds=7, share=0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Our figure beside that of one peer.

    Attributes:
        case, title, unit, at_most: as the case has them.
        peer: the other's name.
        ours, theirs: medians over the rounds; None of what could not be measured.
        ratio: of the two medians.
        paired: the median of the ratios of each round; both ratios are None where there is nothing above the noise.
        missing: what could not be imported, if anything.
    """

    case: str
    title: str
    unit: Unit
    peer: str
    at_most: float | None
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    paired: float | None = None
    missing: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is reached, where there is one and a figure for it.

        It goes by the paired ratio, which a machine that is busy for a while does not shift.
        """
        if self.missing:
            return "not measured"
        if self.ratio is None:
            return LOST_IN_NOISE
        if self.at_most is None or self.paired is None:
            return "-"
        return "reached" if self.paired <= self.at_most else "missed"


def run(case: Case, effort: Effort) -> list[Row]:
    """Measure all subjects of a case and return a row for each peer."""
    samples, missing = _prepare(case)
    gc.collect()
    # What is there by now is not looked through again before each turn.
    gc.freeze()
    try:
        figures = _without_bare(case, _measure(case, samples, effort))
    finally:
        gc.unfreeze()
    return [_row(case, peer, figures, missing) for peer in case.peers]


def _prepare(case: Case) -> tuple[dict[str, Sample], dict[str, str]]:
    samples: dict[str, Sample] = {}
    missing: dict[str, str] = {}
    for subject in _subjects(case):
        try:
            samples[subject.name] = subject.prepare()
        except ImportError as error:
            missing[subject.name] = error.name or str(error)
    return samples, missing


def _subjects(case: Case) -> Iterator[Subject]:
    yield case.ours
    yield from case.peers
    if case.bare is not None:
        yield case.bare


def _measure(case: Case, samples: Mapping[str, Sample], effort: Effort) -> dict[str, list[float]]:
    counts = {name: _count(case, sample, effort) for name, sample in samples.items()}
    if case.bare is not None:
        # What is subtracted has to be of as many calls: the first ones of a turn take longer.
        counts = dict.fromkeys(counts, min(counts.values(), default=1))
    for name, sample in samples.items():
        sample(counts[name])
    figures: dict[str, list[float]] = {name: [] for name in samples}
    turns = list(samples)
    for _ in range(min(case.rounds, effort.rounds)):
        random.shuffle(turns)
        for name in turns:
            figures[name].append(_turn(samples[name], counts[name]))
    return figures


def _turn(sample: Sample, count: int) -> float:
    gc.collect()
    gc.disable()
    try:
        return sample(count)
    finally:
        gc.enable()


def _count(case: Case, sample: Sample, effort: Effort) -> int:
    if case.count is not None:
        return max(10, int(case.count * effort.share))
    # What is done once, with the first call, is no measure of how many fill the time.
    sample(1)
    wanted = case.seconds * effort.share
    count = 1
    while True:
        start = perf_counter()
        sample(count)
        took = perf_counter() - start
        # Nearly all of it, for the start of a thread takes its time too.
        if took >= wanted / 2:
            return max(1, int(count * wanted / took))
        count *= 3


def _without_bare(case: Case, figures: Mapping[str, list[float]]) -> dict[str, list[float]]:
    if case.bare is None:
        return dict(figures)
    bare = figures.get(case.bare.name, [])
    return {
        name: [one - without for one, without in zip(values, bare, strict=True)] if bare else []
        for name, values in figures.items()
    }


def _row(case: Case, peer: Subject, figures: Mapping[str, Sequence[float]], missing: Mapping[str, str]) -> Row:
    ours, theirs = figures.get(case.ours.name, []), figures.get(peer.name, [])
    comparable = bool(ours and theirs) and median(ours) > 0 < median(theirs)
    return Row(
        case=case.name,
        title=case.title,
        unit=case.unit,
        peer=peer.name,
        at_most=peer.at_most,
        ours=median(ours) if ours else None,
        theirs=median(theirs) if theirs else None,
        ratio=median(ours) / median(theirs) if comparable else None,
        paired=median(a / b for a, b in zip(ours, theirs, strict=True) if b > 0) if comparable else None,
        missing=", ".join(sorted({missing[name] for name in _needed(case, peer) if name in missing})),
    )


def _needed(case: Case, peer: Subject) -> tuple[str, ...]:
    return (case.ours.name, peer.name, *((case.bare.name,) if case.bare is not None else ()))
