"""What an operation promises: how often it succeeds, and within which time.

The burn rates are those of Google's SRE workbook, "Alerting on SLOs", for a budget of 30 days:
https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeGuard

from otel_monitoring.catalogue.names import nearest
from otel_monitoring.catalogue.shipped import PROCESSING_TIME
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate:
    """How much too fast an error budget may go before somebody hears of it.

    Attributes:
        factor: how many times as fast as the budget lasts.
        long: the window over which it is judged, as PromQL writes it.
        short: a later part of it, which must agree; it ends the alert soon after the burning.
        hold: for how long both must.
        severity: of the alert.
    """

    factor: float
    long: str
    short: str
    hold: str
    severity: str


BURN_RATES = (
    BurnRate(factor=14.4, long="1h", short="5m", hold="2m", severity="critical"),
    BurnRate(factor=6, long="6h", short="30m", hold="15m", severity="critical"),
    BurnRate(factor=3, long="1d", short="2h", hold="1h", severity="warning"),
    BurnRate(factor=1, long="3d", short="6h", hold="3h", severity="warning"),
)

BUDGET_HOURS = 30 * 24
"""How long an error budget is to last."""


def budget_of(share: float) -> float:
    """Return what is left to fail of a share that is to succeed, as decimal fractions have it: 0.01 of 0.99."""
    return float(1 - Decimal(repr(float(share))))


def share_problem(name: str, share: object, *, burn_rates: Iterable[BurnRate] = BURN_RATES) -> str | None:
    """Say what is wrong with a share as an objective, or return None."""
    if not _is_number(share) or not 0 < share < 1:
        return f"{name} is {share!r}: a share above 0 and below 1, such as 0.99"
    fastest = max(burn_rates, key=lambda rate: rate.factor)
    if fastest.factor * budget_of(share) >= 1:
        most = 1 / budget_of(share)
        return (
            f"{name} is {share!r}, so that its budget burns {most:.4g} times too fast where everything fails, and the "
            f"alert for {fastest.factor:g} times could never fire: a share above {_least_share(fastest.factor)}"
        )
    return None


def bound_problem(name: str, seconds: object, buckets: Sequence[float]) -> str | None:
    """Say what is wrong with a duration as the bound of an objective over a histogram, or return None."""
    usable = buckets[:-1]  # what lies above the highest bound is only known as "more than that"
    if not _is_number(seconds) or seconds not in usable:
        close = min(usable, key=lambda bound: abs(bound - seconds)) if _is_number(seconds) else usable[len(usable) // 2]
        known = ", ".join(f"{bound:g}" for bound in usable)
        return f"{name} is {seconds!r}: a bound of a bucket below the highest, such as {close:g}, of {known}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How fast an operation is to be.

    Args:
        seconds: the time within which it is to end; one of the buckets of ``processing_time`` but the highest.
        share: of the calls that are to be as fast, for instance 0.95.

    Raises:
        DeclarationError: one of them does not fit; the message says what would.
    """

    seconds: float
    share: float

    def __post_init__(self) -> None:
        """Check both."""
        _refuse(
            bound_problem("latency seconds", self.seconds, PROCESSING_TIME.buckets),
            share_problem("latency share", self.share),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What an operation promises; alerts tell when it burns its error budget too fast.

    Args:
        success: the share of the calls that are to succeed, for instance 0.99.
        latency: how fast they are to be.

    Raises:
        DeclarationError: the objective says nothing, or what it says does not fit.
    """

    success: float | None = None
    latency: Latency | None = None

    def __post_init__(self) -> None:
        """Check what is given."""
        if self.success is None and self.latency is None:
            _refuse("it says nothing: give success=0.99, latency=Latency(seconds=2.5, share=0.95) or both")
        if self.success is not None:
            _refuse(share_problem("success", self.success))
        if self.latency is not None and not isinstance(self.latency, Latency):
            _refuse(f"latency is {self.latency!r}: write Latency(seconds=2.5, share=0.95)")


@dataclass(frozen=True, slots=True)
class DeclaredObjective:
    """An objective and the operation that promises it."""

    operation: str
    component: str
    objective: Objective


class Objectives:
    """The objectives that were declared beside functions, one for an operation of a component."""

    def __init__(self, declared: Iterable[DeclaredObjective] = ()) -> None:
        self._lock = threading.Lock()
        self._declared: dict[tuple[str, str], DeclaredObjective] = {}
        for one in declared:
            self.declare(one.operation, one.component, one.objective)

    def __iter__(self) -> Iterator[DeclaredObjective]:
        """Go through them, by component and operation."""
        return iter(sorted(self._declared.values(), key=lambda one: (one.component, one.operation)))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._declared)

    def declare(self, operation: str, component: str, objective: Objective) -> None:
        """Add an objective; the same one may be declared again.

        Raises:
            DeclarationError: it is none, or the operation has promised something else before.
        """
        whose = f"of the operation {operation!r} of {component!r}"
        if not isinstance(objective, Objective):
            raise DeclarationError(f"the objective {whose} is {objective!r}: write Objective(success=0.99)")
        with self._lock:
            there = self._declared.setdefault(
                (component, operation), DeclaredObjective(operation, component, objective)
            ).objective
        if there != objective:
            raise DeclarationError(f"the objective {whose} was {there!r} and is now {objective!r}: declare it once")

    def of(self, operation: str, component: str) -> Objective:
        """Return the objective of an operation.

        Raises:
            LookupError: none was declared for it; the message names the operation that looks most like it.
        """
        found = self._declared.get((component, operation))
        if found is None:
            close = nearest(f"{component}/{operation}", [f"{one.component}/{one.operation}" for one in self])
            meant = f"; did you mean {close!r}?" if close else ""
            raise LookupError(f"the operation {operation!r} of {component!r} has no objective{meant}")
        return found.objective


def _least_share(factor: float) -> float:
    """Return the least share, to four digits and rounded up, whose budget can burn so fast."""
    return math.ceil((1 - 1 / factor) * 10_000) / 10_000


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(*problems: str | None) -> None:
    found = [problem for problem in problems if problem]
    if found:
        raise DeclarationError("objective: " + "; ".join(found))
