"""The limits that alerts hold what is measured to: settings, each with a unit, a default and a range."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from otel_monitoring.catalogue.names import did_you_mean
from otel_monitoring.catalogue.objective import bound_problem, share_problem
from otel_monitoring.catalogue.shipped import (
    API_REQUEST_DURATION,
    PROCESSING_TIME,
    PROSPECT_SCORE_DISTRIBUTION,
    REQUEST_DURATION,
)
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COMPONENT = ("component",)
SCORE = ("platform", "score_type")


class AboutThreshold(NamedTuple):
    """What is known of a threshold beside its name and its default.

    Attributes:
        unit: in which it is given.
        above: what it must exceed.
        below: what must exceed it.
        meaning: one sentence for the documentation.
        scope: the labels that may have a value of their own for it.
        problem: says what else is wrong with a value.
    """

    unit: str
    above: float
    below: float
    meaning: str
    scope: tuple[str, ...] = ()
    problem: Callable[[float], str | None] | None = None


class ThresholdRow(NamedTuple):
    """One line of the documentation of the thresholds."""

    name: str
    default: float
    unit: str
    range: str
    scope: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class OwnThreshold:
    """A threshold for one component, or for one kind of score of one platform.

    Attributes:
        labels: whose it is.
        value: in the threshold's unit.
    """

    labels: Mapping[str, str]
    value: float


def _number(default: float, about: AboutThreshold) -> float:
    value: float = field(default=default, metadata={"about": about})
    return value


def _share(
    default: float,
    meaning: str,
    *,
    scope: tuple[str, ...] = (),
    problem: Callable[[float], str | None] | None = None,
) -> float:
    return _number(default, AboutThreshold("share", 0, 1, meaning, scope, problem))


def _count(default: float, unit: str, meaning: str) -> float:
    return _number(default, AboutThreshold(unit, 0, math.inf, meaning))


def _below_highest(default: float, buckets: tuple[float, ...], meaning: str, *, scope: tuple[str, ...] = ()) -> float:
    """Return a limit of a quantile: what a histogram tells ends at its highest bound, beyond which none is reached."""
    return _number(default, AboutThreshold("s", 0, buckets[-1], meaning, scope))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Thresholds:
    """Every limit that the shipped alerts read, checked when made.

    Attributes:
        own: the values for single components, platforms and scores, by ``error_ratio.crawler`` and
            ``prospect_score.linkedin.fit``.

    Raises:
        DeclarationError: a value is no number or out of its range; the message lists all.
    """

    error_ratio: float = _share(
        0.05, "Errors for each completed operation of a component, over 5 minutes.", scope=COMPONENT
    )
    error_ratio_critical_factor: float = _number(
        5, AboutThreshold("times", 1, 1000, "How many times `error_ratio` is critical.")
    )
    error_ratio_critical_most: float = _share(0.5, "What is critical in any case where it exceeds `error_ratio`.")
    operations_minimum: float = _count(20, "operations", "Completed in 10 minutes before a ratio is judged.")
    error_burst: float = _count(25, "errors", "In 10 minutes, of a component that completes next to nothing.")
    success_objective: float = _share(
        0.99,
        "The operations of a component that are to succeed, but those with an objective of their own.",
        problem=lambda value: share_problem("success_objective", value),
    )
    budget_errors_minimum: float = _count(10, "errors", "In the longer window, before a burnt budget is judged.")
    request_latency_seconds: float = _below_highest(
        2.5, REQUEST_DURATION.buckets, "95 % of the requests to an endpoint are to be faster."
    )
    requests_minimum: float = _count(30, "requests", "To an endpoint in 10 minutes, before its latency is judged.")
    latency_objective_seconds: float = _number(
        2.5,
        AboutThreshold(
            "s",
            0,
            REQUEST_DURATION.buckets[-1],
            "The time that requests are to end within; a bucket of `request_duration`.",
            problem=lambda value: bound_problem("latency_objective_seconds", value, REQUEST_DURATION.buckets),
        ),
    )
    latency_objective: float = _share(
        0.95,
        "The requests that are to be as fast.",
        problem=lambda value: share_problem("latency_objective", value),
    )
    budget_requests_minimum: float = _count(
        100, "requests", "In the longer window, before a burnt latency budget is judged."
    )
    processing_time_seconds: float = _below_highest(
        30, PROCESSING_TIME.buckets, "95 % of the calls of an operation are to be faster.", scope=COMPONENT
    )
    processing_minimum: float = _count(10, "operations", "In 10 minutes, before their time is judged.")
    memory_ratio: float = _share(0.9, "Of its memory limit that a process may use.")
    memory_forecast_seconds: float = _number(
        14_400, AboutThreshold("s", 0, 7 * 86_400, "How far ahead the growth of memory is looked at.")
    )
    memory_forecast_ratio: float = _share(0.6, "Of its memory limit that is used before growth is looked at.")
    cpu_percent: float = _number(
        85, AboutThreshold("%", 0, 100, "Of the CPU it may use that a process uses over 15 minutes.")
    )
    stale_seconds: float = _number(
        1800,
        AboutThreshold("s", 0, 31 * 86_400, "Since an operation of a component last succeeded.", scope=COMPONENT),
    )
    rate_limit_reset_seconds: float = _number(
        120, AboutThreshold("s", 0, 86_400, "To the reset of a quota, below which its end is not forecast.")
    )
    rate_limit_ratio: float = _share(0.8, "Of a quota left, above which its end is not forecast.")
    rate_limit_hits: float = _count(10, "hits", "Of a platform's rate limit in 15 minutes.")
    api_error_ratio: float = _share(0.1, "Of the calls to a platform that may fail, over 10 minutes.")
    api_latency_seconds: float = _below_highest(
        5, API_REQUEST_DURATION.buckets, "95 % of the calls to a platform are to be faster."
    )
    api_requests_minimum: float = _count(30, "calls", "To a platform in 10 minutes, before they are judged.")
    prospect_score: float = _share(0.4, "The mean score of an hour is to be at least this.", scope=SCORE)
    low_score: float = _number(
        0.4,
        AboutThreshold(
            "score",
            0,
            1,
            "Scores up to this are low; a bucket of `prospect_score_distribution`.",
            problem=lambda value: bound_problem("low_score", value, PROSPECT_SCORE_DISTRIBUTION.buckets),
        ),
    )
    low_score_share: float = _share(0.6, "Of the scores of 6 hours that may be low.")
    scores_minimum: float = _count(30, "scores", "In 6 hours, before their share is judged.")
    engagement_rate_ratio: float = _share(0.6, "Of last week's engagement for each message that is still well.")
    engagement_expected_minimum: float = _count(
        30, "events", "Expected in 6 hours by last week's rate, before a drop is judged."
    )
    engagement_volume_ratio: float = _share(0.5, "Of last week's engagement of a day that is still well.")
    engagement_minimum: float = _count(50, "events", "On that day last week, before a drop is judged.")
    outreach_minimum: float = _count(100, "messages", "Sent in a day, after which no engagement at all is odd.")
    export_failures: float = _count(5, "failures", "Of an exporter in 15 minutes.")
    own: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)

    def __post_init__(self) -> None:
        """Check every value."""
        given = {name: getattr(self, name) for name in _ABOUT}
        problems = [problem for name, value in given.items() for problem in _value_problems(name, name, value)]
        for key, value in self.own.items():
            problems += _own_problems(key, value)
        if problems:
            raise DeclarationError("; ".join(problems))

    def __repr__(self) -> str:
        """Show what is not as it is by default."""
        given = {name: getattr(self, name) for name, default in _defaults().items() if getattr(self, name) != default}
        shown = [f"{name}={value!r}" for name, value in given.items()] + ([f"own={self.own!r}"] if self.own else [])
        return f"Thresholds({', '.join(shown)})"

    @classmethod
    def read(cls, given: Mapping[str, object]) -> Thresholds:
        """Return the thresholds that names and values give, the others as they are by default.

        Args:
            given: numbers, or text that is a number, by names such as ``error_ratio`` and ``error_ratio.crawler``.

        Raises:
            DeclarationError: a name is unknown or a value does not fit; the message lists all.
        """
        problems = [f"there is no threshold {name!r}{_meant(name)}" for name in given if _base(name) not in _ABOUT]
        values: dict[str, Any] = {name: _as_number(value) for name, value in given.items() if _base(name) in _ABOUT}
        whole = {name: value for name, value in values.items() if name in _ABOUT}
        try:
            made = cls(**whole, own={name: value for name, value in values.items() if name not in _ABOUT})
        except DeclarationError as error:
            raise DeclarationError("; ".join([*problems, str(error)])) from None
        if problems:
            raise DeclarationError("; ".join(problems))
        return made

    def own_of(self, name: str) -> tuple[OwnThreshold, ...]:
        """Return the values of a threshold that single components or scores have for themselves."""
        return tuple(
            OwnThreshold(_scope_labels(key, _ABOUT[name].scope), value)
            for key, value in sorted(self.own.items())
            if _base(key) == name
        )

    @classmethod
    def table(cls) -> tuple[ThresholdRow, ...]:
        """Return the documentation of all thresholds, a row each."""
        defaults = _defaults()
        return tuple(
            ThresholdRow(name, defaults[name], about.unit, _range(about), about.scope, about.meaning)
            for name, about in _ABOUT.items()
        )


_ABOUT: dict[str, AboutThreshold] = {
    one.name: one.metadata["about"] for one in fields(Thresholds) if "about" in one.metadata
}


def _defaults() -> dict[str, float]:
    return {one.name: cast("float", one.default) for one in fields(Thresholds) if one.name in _ABOUT}


def _base(name: object) -> str:
    return str(name).partition(".")[0]


def _scope_labels(key: str, scope: tuple[str, ...]) -> dict[str, str]:
    """Return the labels that stand behind the name; those of several are told apart at the last dot."""
    whose = key.partition(".")[2]
    parts = whose.rsplit(".", len(scope) - 1)
    return dict(zip(scope, parts, strict=True)) if len(parts) == len(scope) and all(parts) else {}


def _own_problems(key: str, value: object) -> Iterator[str]:
    name = _base(key)
    if name not in _ABOUT:
        yield f"there is no threshold {key!r}{_meant(key)}"
        return
    scope = _ABOUT[name].scope
    if not scope:
        yield f"{key!r}: {name} has one value for all; those with values of their own are {', '.join(_scoped())}"
    elif not _scope_labels(key, scope):
        yield f"{key!r} names no {' and '.join(scope)}: write {'.'.join((name, *scope))}"
    yield from _value_problems(key, name, value)


def _value_problems(shown: str, name: str, value: object) -> Iterator[str]:
    about = _ABOUT[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not about.above < value < about.below:
        yield f"{shown} is {value!r}: a number {_range(about)}"
    elif about.problem is not None and (problem := about.problem(value)):
        yield problem


def _range(about: AboutThreshold) -> str:
    return f"above {about.above:.12g}" + ("" if about.below == math.inf else f" and below {about.below:.12g}")


def _as_number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _scoped() -> list[str]:
    return [name for name, about in _ABOUT.items() if about.scope]


def _meant(name: object) -> str:
    return did_you_mean(_base(name), _ABOUT)
