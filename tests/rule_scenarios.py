"""What must raise each shipped alert and what must not, as series over time: the input of ``promtool test rules``.

The series lie two in a hundred beside each limit, and an alert must come in one certain minute: a rule whose limit,
minimum or ``for`` is another fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from otel_monitoring.catalogue.objective import BURN_RATES, DeclaredObjective, Latency, Objective, Objectives

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_monitoring.catalogue.objective import BurnRate

JOB = "otel_monitoring"
MINUTES = {"5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "3h": 180, "6h": 360, "1d": 1440, "3d": 4320}
WEEK = 7 * 1440

OBJECTIVES = Objectives(
    [DeclaredObjective("draft", "writer", Objective(success=0.99, latency=Latency(seconds=1, share=0.95)))]
)


@dataclass(frozen=True)
class Scenario:
    """Series, and what becomes of one alert.

    Attributes:
        name: what happens.
        alert: its name.
        series: the values of series by their names with labels, a value a minute.
        which: labels that tell which of several alerts of that name it is.
        since: the minute in which it begins to fire; None where it never does.
        until: the minute up to which it does not fire where it never does.
        labels: of the alert that fires, beside those of its rule.
        ends: the minute in which it no longer fires, where that matters.
        thresholds: that are not the default ones.
        step: the minutes from one value to the next; all others are multiples of it.
        quiet_from: the minute from which it is not to fire before ``since``, or at all.
    """

    name: str
    alert: str
    series: Mapping[str, str]
    which: Mapping[str, str] = field(default_factory=dict[str, str])
    since: int | None = None
    until: int = 120
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    ends: int | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    step: int = 1
    quiet_from: int = 0

    @property
    def id(self) -> str:
        """How the test is called."""
        which = [value for key, value in self.which.items() if key in {"severity", "long", "slo"}]
        return "-".join((self.alert, *which, self.name.replace(" ", "_")))


def rising(each: float, minutes: int = 240, *, start: float = 0, step: int = 1) -> str:
    """Return a counter that rises by so much in a minute."""
    return f"{start}{each * step:+}x{minutes // step}"


def flat(value: float, minutes: int = 240, *, step: int = 1) -> str:
    """Return a value that stays."""
    return f"{value}+0x{minutes // step}"


def reached(value: float) -> float:
    """Return what a counter has come to: a hair more, since sums may be a hair less, which would be a restart."""
    return value + 1e-6


def absent(minutes: int) -> str:
    """Return no value for so many minutes."""
    return f"_x{minutes}"


def series(name: str, **labels: str) -> str:
    """Return the name of a series of the job."""
    inside = ",".join(f'{key}="{value}"' for key, value in {"job": JOB, **labels}.items())
    return f"{name}{{{inside}}}"


def errors(component: str = "crawler") -> str:
    return series("system_errors_total", component=component, error_type="timeout", instance="a")


def completed(component: str = "crawler", operation: str = "fetch") -> str:
    return series("processing_time_seconds_count", component=component, operation=operation, instance="a")


def error_scenarios() -> Iterator[Scenario]:
    alert, labels = "ComponentErrorRatioHigh", {"component": "crawler", "job": JOB}
    for severity, share, hold in (("critical", 0.25, 5), ("warning", 0.05, 10)):
        which = {"severity": severity}
        above = {errors(): rising(share * 102), completed(): rising(100)}
        below = {errors(): rising(share * 98), completed(): rising(100)}
        yield Scenario("above", alert, above, which=which, since=hold + 1, labels=labels)
        yield Scenario("below", alert, below, which=which)
        yield Scenario(
            "just enough traffic",
            alert,
            {errors(): rising(2.04), completed(): rising(2.04)},
            which=which,
            since=hold + 10,
            labels=labels,
        )
        yield Scenario("low traffic", alert, {errors(): rising(1.96), completed(): rising(1.96)}, which=which)
        yield Scenario("no errors yet", alert, {completed(): rising(100)}, which=which)
        yield Scenario("no operations", alert, {errors(): rising(1)}, which=which)
        reset = {errors(): f"{rising(share * 98, 40)} {rising(share * 98, 80)}", completed(): rising(100)}
        yield Scenario("counter reset", alert, reset, which=which)
        new = {errors(): f"{absent(30)} {flat(3)}", completed(): f"{absent(30)} {rising(40)}"}
        yield Scenario("new component", alert, new, which=which)
        yield Scenario(
            "it goes on for a while",
            alert,
            {errors(): f"{rising(share * 200, 30)} {flat(reached(share * 6000), 90)}", completed(): rising(100)},
            which=which,
            since=hold + 1,
            labels=labels,
            ends=33 + 5,
        )
    own = {"error_ratio.crawler": 0.3}
    yield Scenario(
        "above its own threshold",
        alert,
        {errors(): rising(30.6), completed(): rising(100)},
        which={"severity": "warning"},
        since=11,
        labels=labels,
        thresholds=own,
    )
    yield Scenario(
        "below its own threshold",
        alert,
        {errors(): rising(29.4), completed(): rising(100)},
        which={"severity": "warning"},
        thresholds=own,
    )
    yield Scenario(
        "others have the threshold for all",
        alert,
        {errors("sender"): rising(5.1), completed("sender"): rising(100)},
        which={"severity": "warning"},
        since=11,
        labels={"component": "sender", "job": JOB},
        thresholds=own,
    )
    yield Scenario(
        "critical is never below the warning",
        alert,
        {errors(): rising(60), completed(): rising(100)},
        which={"severity": "critical"},
        thresholds={"error_ratio.crawler": 0.7},
    )
    yield Scenario(
        "critical at most so much",
        alert,
        {errors(): rising(51), completed(): rising(100)},
        which={"severity": "critical"},
        since=6,
        labels=labels,
        thresholds={"error_ratio.crawler": 0.3},
    )
    yield Scenario(
        "critical not below so much",
        alert,
        {errors(): rising(49), completed(): rising(100)},
        which={"severity": "critical"},
        thresholds={"error_ratio.crawler": 0.3},
    )
    burst = "ComponentErrorBurst"
    yield Scenario("above", burst, {errors(): rising(2.55)}, since=15, labels=labels)
    yield Scenario("below", burst, {errors(): rising(2.45)})
    yield Scenario(
        "next to nothing completed", burst, {errors(): rising(5), completed(): rising(1.96)}, since=10, labels=labels
    )
    yield Scenario("enough completed", burst, {errors(): rising(2.6), completed(): rising(2.04)})
    yield Scenario("counter reset", burst, {errors(): f"{rising(2.4, 40)} {rising(2.4, 80)}"})
    yield Scenario("a new component with old errors", burst, {errors(): f"{absent(30)} {flat(1000)}"})


def ended(outcome: str, component: str = "crawler", operation: str = "fetch") -> str:
    return series("operations_total", component=component, operation=operation, outcome=outcome, instance="a")


def burn_scenarios() -> Iterator[Scenario]:
    for rate in BURN_RATES:
        which = {"severity": rate.severity, "long": rate.long}
        yield from _failing(rate, {**which, "slo": "operations"}, "crawler", "fetch")
        yield from _failing(rate, {**which, "slo": "operation_success"}, "writer", "draft")
        yield from _slow_requests(rate, {**which, "slo": "latency"})
        yield from _slow_operations(rate, {**which, "slo": "operation_latency"})
    which = {"severity": "critical", "long": "1h", "slo": "operations"}
    alert = "OperationErrorBudgetBurn"
    cancelled = {ended("cancelled"): rising(900), ended("error"): rising(0), ended("success"): rising(100)}
    yield Scenario("cancelled is no failure", alert, cancelled, which=which)
    closed = {ended("closed"): rising(900), ended("error"): rising(0), ended("success"): rising(100)}
    yield Scenario("a stream left early is no failure", alert, closed, which=which)
    diluted = {ended("cancelled"): rising(900), ended("error"): rising(15), ended("success"): rising(85)}
    labels = {"component": "crawler", "job": JOB}
    yield Scenario("cancelled dilutes nothing", alert, diluted, which=which, since=3, labels=labels)
    own = {ended("error", "writer", "draft"): rising(500), ended("success", "writer", "draft"): rising(500)}
    yield Scenario("an operation with its own objective counts there alone", alert, own, which=which)


def hold_minutes(rate: BurnRate) -> int:
    """Return for how long it must burn."""
    return MINUTES.get(rate.hold) or int(rate.hold.rstrip("m"))


def step_minutes(rate: BurnRate) -> int:
    """Return how far apart values lie, so that days of them are few."""
    return {"6h": 5, "1d": 15, "3d": 60}.get(rate.long, 1)


def up_to(step: int, minutes: float) -> int:
    """Return the first multiple of a step that is not before a minute."""
    return ceil(minutes / step) * step


def _failing(rate: BurnRate, which: Mapping[str, str], component: str, operation: str) -> Iterator[Scenario]:
    alert, step, hold = "OperationErrorBudgetBurn", step_minutes(rate), hold_minutes(rate)
    long, short = MINUTES[rate.long], MINUTES[rate.short]
    failed, done = ended("error", component, operation), ended("success", component, operation)
    labels = {"component": component, "job": JOB}
    if which["slo"] == "operation_success":
        labels["operation"] = operation
    many, limit, last = 10_000, rate.factor * 100, long + hold + 60

    def rises(each: float, minutes: int = last, start: float = 0) -> str:
        return rising(each, minutes, start=start, step=step)

    def failing(share: float) -> dict[str, str]:
        return {failed: rises(limit * share), done: rises(many - limit * share)}

    common: dict[str, Any] = {"which": which, "step": step}
    yield Scenario("above", alert, failing(1.02), since=hold + step, labels=labels, **common)
    yield Scenario("below", alert, failing(0.98), until=last, **common)
    few = {failed: rises(10.2 / long), done: rises(0)}
    begins = up_to(step, long / 1.02)
    yield Scenario("just enough errors", alert, few, since=begins + hold, labels=labels, **common)
    fewer = {failed: rises(9.8 / long), done: rises(0)}
    yield Scenario("low traffic", alert, fewer, until=last, **common)
    spike = {
        failed: f"{flat(0, long, step=step)} {rises(limit * 1.1, short)} "
        + flat(reached(limit * 1.1 * short), hold, step=step),
        done: rises(many, long + short + hold),
    }
    yield Scenario("a spike as long as the short window", alert, spike, until=long + short + hold, **common)
    over = hold + 60
    bad, good = limit * 2.1, many - limit * 2.1
    past = {
        failed: f"{rises(bad, over)} {flat(reached(bad * over), 2 * short, step=step)}",
        done: f"{rises(good, over)} {rises(many, 2 * short, start=reached(good * over + many * step))}",
    }
    end = over + (int(short / step * (1 - 1 / 2.1)) + 1) * step
    yield Scenario("it ends soon after", alert, past, since=hold + step, labels=labels, ends=end, **common)
    reset = {failed: f"{rises(limit * 0.98, 60)} {rises(limit * 0.98)}", done: rises(many - limit * 0.98, last + 60)}
    yield Scenario("counter reset", alert, reset, until=last, **common)


def _slow(
    rate: BurnRate, which: Mapping[str, str], *, alert: str, name: str, bound: str, where: Mapping[str, str]
) -> Iterator[Scenario]:
    step, hold, long, short = step_minutes(rate), hold_minutes(rate), MINUTES[rate.long], MINUTES[rate.short]
    fast = series(f"{name}_bucket", le=bound, **where)
    everything = (series(f"{name}_bucket", le="+Inf", **where), series(f"{name}_count", **where))
    labels = {"job": JOB, **{key: value for key, value in where.items() if key in {"component", "operation"}}}
    limit, last = 0.05 * rate.factor, long + hold + 60

    def served(each: float, slow: float) -> dict[str, str]:
        return {
            fast: rising(each * (1 - slow), last, step=step),
            **dict.fromkeys(everything, rising(each, last, step=step)),
        }

    common: dict[str, Any] = {"which": which, "step": step}
    yield Scenario("above", alert, served(1000, limit * 1.02), since=hold + step, labels=labels, **common)
    yield Scenario("below", alert, served(1000, limit * 0.98), until=last, **common)
    begins = up_to(step, long / 1.02)
    yield Scenario("just enough", alert, served(102 / long, 1), since=begins + hold, labels=labels, **common)
    yield Scenario("low traffic", alert, served(98 / long, 1), until=last, **common)
    yield Scenario("nothing came", alert, served(0, 0), until=last, **common)
    slow_minutes = int(min(short, long * limit * 0.9) // step) * step
    spike = {
        fast: f"{rising(1000, long, step=step)} {flat(reached(1000 * long), slow_minutes, step=step)} "
        + rising(1000, hold, start=reached(1000 * long), step=step),
        **dict.fromkeys(everything, rising(1000, long + short + hold, step=step)),
    }
    yield Scenario("a spike", alert, spike, until=long + slow_minutes + hold, **common)


def _slow_requests(rate: BurnRate, which: Mapping[str, str]) -> Iterator[Scenario]:
    where = {"endpoint": "/a", "method": "GET", "instance": "a"}
    name = "request_duration_seconds"
    yield from _slow(rate, which, alert="RequestLatencyBudgetBurn", name=name, bound="2.5", where=where)


def _slow_operations(rate: BurnRate, which: Mapping[str, str]) -> Iterator[Scenario]:
    where = {"component": "writer", "operation": "draft", "instance": "a"}
    name = "processing_time_seconds"
    yield from _slow(rate, which, alert="OperationLatencyBudgetBurn", name=name, bound="1.0", where=where)


def buckets(name: str, where: Mapping[str, str], *, limit: float, within: float, each: float) -> dict[str, str]:
    """Return a histogram whose calls are as fast as a limit for a share, and the others up to twice as slow."""
    lower, upper = limit / 2, limit * 2
    return {
        series(f"{name}_bucket", le=str(float(lower)), **where): flat(0),
        series(f"{name}_bucket", le=str(float(limit)), **where): rising(each * within),
        series(f"{name}_bucket", le=str(float(upper)), **where): rising(each),
        series(f"{name}_bucket", le="+Inf", **where): rising(each),
        series(f"{name}_count", **where): rising(each),
    }


def latency_scenarios() -> Iterator[Scenario]:
    kinds = (
        ("RequestLatencyHigh", "request_duration_seconds", {"endpoint": "/a", "method": "GET"}, 2.5, 30, 10),
        ("OperationProcessingSlow", "processing_time_seconds", {"component": "c", "operation": "o"}, 30, 10, 15),
        ("PlatformApiLatencyHigh", "api_request_duration_seconds", {"platform": "p"}, 5, 30, 15),
    )
    for alert, name, labels, limit, minimum, hold in kinds:
        where = {**labels, "instance": "a"}
        shown = {**labels, "job": JOB}
        above = buckets(name, where, limit=limit, within=0.949, each=100)
        yield Scenario("above", alert, above, since=hold + 1, labels=shown)
        yield Scenario("below", alert, buckets(name, where, limit=limit, within=0.955, each=100))
        enough = buckets(name, where, limit=limit, within=0, each=minimum * 0.102)
        yield Scenario("just enough", alert, enough, since=hold + 10, labels=shown)
        yield Scenario("low traffic", alert, buckets(name, where, limit=limit, within=0, each=minimum * 0.098))
        yield Scenario("nothing came", alert, buckets(name, where, limit=limit, within=0, each=0))
        calm = buckets(name, where, limit=limit, within=0.955, each=100)
        reset = {key: f"{values.split('x')[0]}x40 {values}" for key, values in calm.items()}
        yield Scenario("counter reset", alert, reset)
    where = {"component": "c", "operation": "o", "instance": "a"}
    own = {"processing_time_seconds.c": 60.0}
    shown = {"component": "c", "operation": "o", "job": JOB}
    slow = buckets("processing_time_seconds", where, limit=60, within=0.949, each=100)
    yield Scenario("above its own", "OperationProcessingSlow", slow, since=16, labels=shown, thresholds=own)
    calm = buckets("processing_time_seconds", where, limit=60, within=0.955, each=100)
    yield Scenario("below its own", "OperationProcessingSlow", calm, thresholds=own)
    alert, where = "SloIndicatorMissing", {"endpoint": "/a", "method": "GET", "instance": "a"}
    count = {series("request_duration_seconds_count", **where): rising(0.1)}
    other = {series("request_duration_seconds_bucket", le="3.0", **where): rising(0.1)}
    right = {series("request_duration_seconds_bucket", le="2.5", **where): rising(0.1)}
    yield Scenario("another bound", alert, count | other, since=16, labels={"job": JOB})
    yield Scenario("the bound is there", alert, count | right)
    yield Scenario("nothing came", alert, {series("request_duration_seconds_count", **where): flat(0)})


def resource_scenarios() -> Iterator[Scenario]:
    where = {"component": "c", "instance": "a"}
    labels = {**where, "job": JOB}
    used, limit = series("memory_usage_bytes", **where), series("memory_limit_bytes", **where)
    high, soon, cpu = "ComponentMemoryHigh", "ComponentMemoryExhaustionForecast", "ComponentCpuHigh"
    yield Scenario("above", high, {used: flat(918), limit: flat(1000)}, since=10, labels=labels)
    yield Scenario("below", high, {used: flat(882), limit: flat(1000)})
    yield Scenario("no limit known", high, {used: flat(918)})
    yield Scenario("a limit of zero", high, {used: flat(918), limit: flat(0)})
    yield Scenario(
        "it will be full", soon, {used: rising(1.5, 240, start=580.5), limit: flat(1000)}, since=70, labels=labels
    )
    yield Scenario("it will not be full", soon, {used: rising(1.2, 50, start=645), limit: flat(1000, 50)}, until=50)
    yield Scenario(
        "it is full enough", soon, {used: rising(2, 240, start=519), limit: flat(1000)}, since=71, labels=labels
    )
    yield Scenario("far from full yet", soon, {used: rising(2, 90, start=400), limit: flat(1000, 90)}, until=90)
    yield Scenario(
        "a start is no growth",
        soon,
        {used: f"{absent(30)} {rising(40, 15, start=100)} {flat(700, 120)}", limit: flat(1000)},
        until=75,
    )
    yield Scenario("it has stopped growing", soon, {used: flat(880), limit: flat(1000)}, until=240)
    busy = series("cpu_usage_percent", **where)
    yield Scenario("above", cpu, {busy: flat(86.7)}, since=5, labels=labels)
    yield Scenario("below", cpu, {busy: flat(83.3)})
    yield Scenario("a short peak", cpu, {busy: f"{flat(60, 29)} {flat(100, 6)} {flat(60, 60)}"})
    yield Scenario(
        "it goes on for a while", cpu, {busy: f"{flat(90, 30)} {flat(50, 90)}"}, since=5, labels=labels, ends=32 + 5
    )


def platform_scenarios() -> Iterator[Scenario]:
    where = {"platform": "p", "limit_type": "api", "instance": "a"}
    labels = {"platform": "p", "limit_type": "api", "job": JOB}
    left = series("rate_limit_remaining", **where)
    quota = series("rate_limit_quota", **where)
    reset = series("rate_limit_reset_timestamp_seconds", **where)
    exhausted, forecast, hits = "RateLimitExhausted", "RateLimitExhaustionForecast", "RateLimitHitsHigh"
    yield Scenario("nothing left", exhausted, {left: flat(0), reset: flat(36_000)}, since=2, labels=labels)
    yield Scenario("one is left", exhausted, {left: flat(1), reset: flat(36_000)})
    yield Scenario("it has reset since", exhausted, {left: flat(0), reset: flat(60)})
    idle = {
        series("rate_limit_remaining", platform="p", limit_type="api", instance="b"): flat(0),
        series("rate_limit_reset_timestamp_seconds", platform="p", limit_type="api", instance="b"): flat(60),
    }
    yield Scenario(
        "the old zero of an idle instance", exhausted, {left: flat(500), reset: flat(36_000), **idle}, until=60
    )
    # 6 000 calls, 10 in a minute: empty after 600 minutes.
    burning = {left: rising(-10, 240, start=6000), quota: flat(10_000)}
    yield Scenario("empty before the reset", forecast, {**burning, reset: flat(612 * 60)}, since=6, labels=labels)
    yield Scenario("empty after the reset", forecast, {**burning, reset: flat(588 * 60)}, until=200)
    yield Scenario(
        "enough is left",
        forecast,
        {left: rising(-10, 60, start=8200), quota: flat(10_000), reset: flat(72_000)},
        until=15,
    )
    yield Scenario(
        "not enough is left",
        forecast,
        {left: rising(-10, 60, start=8100), quota: flat(10_000), reset: flat(72_000)},
        since=16,
        labels=labels,
    )
    yield Scenario(
        "it resets at once",
        forecast,
        {left: rising(-1000, 20, start=7000), quota: flat(10_000), reset: flat(118)},
        until=20,
    )
    soon = {left: rising(-10, 20, start=70), quota: flat(1000), reset: flat(6 * 60 + 123)}
    yield Scenario("it does not reset that soon", forecast, soon, since=6, labels=labels)
    later = {left: rising(-10, 20, start=70), quota: flat(1000), reset: flat(6 * 60 + 118)}
    yield Scenario("it resets too soon to tell", forecast, later, until=20)
    yield Scenario("nobody calls", forecast, {left: flat(10), quota: flat(10_000), reset: flat(72_000)})
    yield Scenario("no history yet", forecast, {left: f"{absent(30)} 6000", quota: flat(10_000), reset: flat(72_000)})
    hit = series("rate_limit_hits_total", **where)
    yield Scenario("above", hits, {hit: rising(0.68)}, since=20, labels=labels)
    yield Scenario("below", hits, {hit: rising(0.653)})
    yield Scenario("counter reset", hits, {hit: f"{rising(0.65, 40)} {rising(0.65)}"})
    yield Scenario(
        "it goes on for a while",
        hits,
        {hit: f"{rising(0.68, 40)} {flat(reached(27.2), 60)}"},
        since=20,
        labels=labels,
        ends=41 + 10,
    )
    calls, api = "api_requests_total", "PlatformApiErrorRatioHigh"
    shown = {"platform": "p", "job": JOB}

    def called(bad: float, *, each: float = 100, outcome: str = "timeout") -> dict[str, str]:
        return {
            series(calls, platform="p", outcome=outcome, instance="a"): rising(each * bad),
            series(calls, platform="p", outcome="success", instance="a"): rising(each * (1 - bad)),
        }

    for outcome in ("server_error", "timeout", "auth_error"):
        yield Scenario(f"{outcome} above", api, called(0.102, outcome=outcome), since=11, labels=shown)
    yield Scenario("below", api, called(0.098))
    for outcome in ("rate_limited", "client_error", "cancelled"):
        yield Scenario(f"{outcome} is another matter", api, called(0.5, outcome=outcome))
    yield Scenario("just enough", api, called(1, each=3.06), since=20, labels=shown)
    yield Scenario("low traffic", api, called(1, each=2.94))
    yield Scenario("nothing came", api, called(1, each=0))


def business_scenarios() -> Iterator[Scenario]:
    where = {"platform": "p", "score_type": "fit", "instance": "a"}
    labels = {"platform": "p", "score_type": "fit", "job": JOB}
    score, alert = series("prospect_score", **where), "ProspectScoreBelowThreshold"

    def scores(mean: float, first: int) -> str:
        swings = " ".join(f"{mean + sign * 0.1 * first:.4f}" for _ in range(60) for sign in (1, -1))
        return f"{mean} {swings}"

    yield Scenario("below", alert, {score: scores(0.392, -1)}, since=6, labels=labels)
    yield Scenario("above", alert, {score: scores(0.408, 1)})
    yield Scenario("nobody scores any more", alert, {score: flat(0.1)})
    own = {"prospect_score.p.fit": 0.6}
    yield Scenario("below its own", alert, {score: scores(0.588, -1)}, since=6, labels=labels, thresholds=own)
    yield Scenario("above its own", alert, {score: scores(0.612, 1)}, thresholds=own)
    low = series("prospect_score_distribution_bucket", le="0.4", **where)
    count = series("prospect_score_distribution_count", **where)
    share = "ProspectLowScoreShareHigh"
    yield Scenario("above", share, {low: rising(61.2), count: rising(100)}, since=31, labels=labels)
    yield Scenario("below", share, {low: rising(58.8), count: rising(100)})
    yield Scenario(
        "just enough",
        share,
        {low: rising(30.6 / 360, 500), count: rising(30.6 / 360, 500)},
        since=353 + 30,
        labels=labels,
    )
    few = {low: rising(29.4 / 360, 500), count: rising(29.4 / 360, 500)}
    yield Scenario("low traffic", share, few, until=500)
    yield Scenario("counter reset", share, {low: f"{rising(58, 50)} {rising(58, 90)}", count: rising(100)})
    yield from _engagement_scenarios()


def _engagement_scenarios() -> Iterator[Scenario]:
    rate, volume, stalled = "EngagementRateDrop", "EngagementVolumeDrop", "EngagementStalled"
    labels, step, day, later = {"platform": "p", "job": JOB}, 20, 1440, 1600
    reply, end = {**labels, "metric_type": "reply"}, WEEK + later
    common: dict[str, Any] = {"step": step}

    def weeks(before: float, after: float, history: int = WEEK) -> str:
        start = reached(before * history) + after * step
        return f"{rising(before, history, step=step)} {rising(after, later, start=start, step=step)}"

    def sent(before: float, after: float, history: int = WEEK) -> dict[str, str]:
        name = series("outreach_attempts_total", platform="p", outcome="sent", instance="a")
        return {name: weeks(before, after, history)}

    def came(before: float, after: float, history: int = WEEK) -> dict[str, str]:
        name = series("engagement_total", platform="p", metric_type="reply", instance="a")
        return {name: weeks(before, after, history)}

    always = sent(1, 1)
    yield Scenario("fell", rate, {**always, **came(0.5, 0.294)}, since=WEEK + 360 + 60, labels=reply, **common)
    yield Scenario("fell a little", rate, {**always, **came(0.5, 0.306)}, until=end, **common)
    fresh = {**_over(2000, "outreach_attempts_total", 1, outcome="sent"), **_over(2000, "engagement_total", 0.01)}
    yield Scenario("missing history", rate, fresh, until=2000, **common)
    yield Scenario("less was sent", rate, {**sent(1, 0.4), **came(0.5, 0.2)}, until=end, **common)
    yield Scenario("too little was expected", rate, {**always, **came(29.4 / 360, 0)}, until=end, **common)
    enough = {**always, **came(30.6 / 360, 0)}
    yield Scenario("enough was expected", rate, enough, since=WEEK + 160 + 60, labels=reply, **common)
    yield Scenario("nothing is sent any more", rate, {**sent(1, 0), **came(0.5, 0)}, until=end, **common)
    old = WEEK + day
    fell = came(0.5, 0.245, old)
    yield Scenario("fell", volume, fell, since=old + 1420 + 60, labels=labels, **common)
    yield Scenario("fell a little", volume, came(0.5, 0.255, old), until=old + later, **common)
    yield Scenario("low traffic", volume, came(49 / day, 0, old), until=old + later, **common)
    enough = came(51 / day, 0, old)
    yield Scenario("just enough traffic", volume, enough, since=old + 740 + 60, labels=labels, **common)
    yield Scenario("sends are recorded", volume, {**sent(1, 1, old), **fell}, until=old + later, **common)
    yield Scenario("missing history", volume, _over(2000, "engagement_total", 0.01), until=2000, **common)
    went = _over(2000, "outreach_attempts_total", 102 / day, outcome="sent")
    yield Scenario("nothing came back", stalled, went, since=1420 + 60, labels=labels, **common)
    little = _over(2000, "outreach_attempts_total", 98 / day, outcome="sent")
    yield Scenario("little was sent", stalled, little, until=2000, **common)
    once = {series("engagement_total", platform="p", metric_type="reply", instance="a"): "0+0x50 1+0x50"}
    yield Scenario("something came back", stalled, {**went, **once}, until=2000, **common)


def _over(minutes: int, name: str, each: float, **labels: str) -> dict[str, str]:
    more = labels or {"metric_type": "reply"}
    return {series(name, platform="p", instance="a", **more): rising(each, minutes, step=20)}


def health_scenarios() -> Iterator[Scenario]:
    labels = {"component": "c", "job": JOB}
    memory, up = series("memory_usage_bytes", component="c", instance="a"), series("up", instance="a")
    stopped, stale = "ComponentStoppedReporting", "ComponentStale"
    gone = f"{flat(1, 30)} stale {absent(90)}"
    yield Scenario("gone", stopped, {memory: gone, up: flat(1)}, since=36, labels=labels, ends=91)
    yield Scenario("its job is gone too", stopped, {memory: gone, up: f"{flat(1, 30)} {flat(0, 90)}"})
    yield Scenario("still there", stopped, {memory: flat(1), up: flat(1)})
    yield Scenario("a short gap", stopped, {memory: f"{flat(1, 30)} stale {absent(3)} {flat(1)}", up: flat(1)})
    success = series("component_last_success_timestamp_seconds", component="c", instance="a")
    yield Scenario("long ago", stale, {success: flat(30)}, since=31 + 5, labels=labels, until=120)
    yield Scenario(
        "one of two instances succeeds",
        stale,
        {
            success: flat(30),
            series("component_last_success_timestamp_seconds", component="c", instance="b"): rising(60),
        },
    )
    yield Scenario("never yet", stale, {success: flat(0)})
    own = {"stale_seconds.c": 3600.0}
    yield Scenario("its own time", stale, {success: flat(30)}, since=61 + 5, labels=labels, thresholds=own)
    yield Scenario("within its own time", stale, {success: flat(30)}, until=60, thresholds=own)
    down, missing = "MonitoringTargetDown", "MonitoringTargetAbsent"
    where = {"instance": "a", "job": JOB}
    yield Scenario("down", down, {up: f"{flat(1, 9)} {flat(0)}"}, since=15, labels=where)
    yield Scenario("down for a moment", down, {up: f"{flat(1, 9)} {flat(0, 4)} {flat(1)}"})
    yield Scenario("up", down, {up: flat(1)})
    yield Scenario("another job is down", down, {'up{job="other",instance="a"}': flat(0)})
    yield Scenario("there is none", missing, {}, since=15, labels={"job": JOB})
    yield Scenario("there is one, though down", missing, {up: flat(0)})
    pushed = series("monitoring_series", metric="jobs_total", instance="a")
    others = pushed.replace(JOB, "other")
    yield Scenario("it pushes", missing, {pushed: flat(3)})
    yield Scenario("another one pushes", missing, {others: flat(3)}, since=15, labels={"job": JOB})
    yield Scenario("it no longer pushes", missing, {pushed: f"{flat(3, 9)} stale"}, since=25, labels={"job": JOB})
    yield Scenario("it is gone for a moment", missing, {up: f"{flat(1, 9)} stale {absent(13)} {flat(1)}"})
    over, failing = "MonitoringSeriesOverflow", "MonitoringExportFailing"
    spilled = series("monitoring_overflow_total", metric="jobs_total", instance="a")
    shown = {"metric": "jobs_total", "job": JOB}
    yield Scenario("again", over, {spilled: f"{flat(7, 60)} {flat(8)}"}, since=61, labels=shown, quiet_from=31)
    yield Scenario("for the first time", over, {spilled: f"{absent(30)} {flat(7)}"}, since=30, labels=shown, ends=60)
    yield Scenario("long ago", over, {spilled: flat(7)}, quiet_from=31)
    failed = series("monitoring_export_failures_total", exporter="pushgateway", instance="a")
    which = {"exporter": "pushgateway", "job": JOB}
    yield Scenario("above", failing, {failed: rising(0.34)}, since=20, labels=which)
    yield Scenario("below", failing, {failed: rising(0.326)})
    yield Scenario("counter reset", failing, {failed: f"{rising(0.32, 40)} {rising(0.32)}"})
    yield Scenario("never", failing, {failed: flat(0)})
    yield Scenario("always", "Watchdog", {}, since=0, labels={})


SCENARIOS = (
    *error_scenarios(),
    *burn_scenarios(),
    *latency_scenarios(),
    *resource_scenarios(),
    *platform_scenarios(),
    *business_scenarios(),
    *health_scenarios(),
)
