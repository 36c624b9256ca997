"""Error budgets that burn too fast: one expression, the windows a table, for components, requests and objectives.

The method and the factors are those of Google's SRE workbook: https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.objective import BUDGET_HOURS, BURN_RATES, budget_of
from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.alert import Record
from otel_monitoring.grafana.shipped_rules.terms import bucket, number, quoted, shown_seconds, shown_share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.catalogue.objective import BurnRate
    from otel_monitoring.grafana.alert import Alert
    from otel_monitoring.grafana.shipped_rules.terms import Terms

SUCCESS_BUDGET = "otel_monitoring:operation_success:budget"
LATENCY_BUDGET = "otel_monitoring:operation_latency:budget"

_BURNS = """
(
  $ratio$long > $limit
  and
  $ratio$short > $limit
)
and on ($by) ($events >= $minimum)
"""
_FAILED = """
(
  sum by ($by) (rate(operations_total{$job, outcome="error"}[$window])$which)
  or
  0 * sum by ($by) (rate(operations_total{$job, outcome!="cancelled"}[$window])$which)
)
/
(sum by ($by) (rate(operations_total{$job, outcome!="cancelled"}[$window])$which) > 0)
"""
_SLOW = """
1 - (
  sum by ($by) (rate(${histogram}_bucket{$which, $bucket}[$window]))
  /
  (sum by ($by) (rate(${histogram}_count{$which}[$window])) > 0)
)
"""
_FAILURES = 'sum by ($by) (increase(operations_total{$job, outcome="error"}[$window])$which)'
_COMPONENT = "job, component"
_OPERATION = "job, component, operation"


@dataclass(frozen=True, slots=True)
class Burning:
    """What can burn, and how that is told.

    Attributes:
        name: of the alerts.
        slo: the label that tells them from others of that name.
        category: of the alerts.
        by: the labels of each thing that has a budget.
        ratio: the recorded series of what went wrong, without the window at its end.
        events: PromQL that counts what guards against low traffic, with ``$window`` in it.
        minimum: how many there must be.
        whose: names the thing that has a budget, in the texts.
        happened: what happened to a share of what, in the texts.
    """

    name: str
    _: KW_ONLY
    slo: str
    category: str
    by: str
    ratio: str
    events: str
    minimum: float
    whose: str
    happened: str


def windows(rates: Iterable[BurnRate] = BURN_RATES) -> tuple[str, ...]:
    """Return every window of a table, each once."""
    return tuple(dict.fromkeys(window for rate in rates for window in (rate.short, rate.long)))


def burn_limit(rate: BurnRate, budget: float) -> str:
    """Return the share of failures above which a budget burns so fast, as PromQL writes it.

    Raises:
        QueryError: more than everything would have to fail.
    """
    limit = Decimal(repr(float(rate.factor))) * Decimal(repr(float(budget)))
    if limit >= 1:
        raise QueryError(
            f"a budget of {budget!r} cannot burn {rate.factor:g} times too fast: {limit} of all would have to fail; "
            "raise the objective, or leave that rate out"
        )
    return number(float(limit))


def burn_alerts(
    terms: Terms, burning: Burning, *, budget: float | str, rates: Iterable[BurnRate] = BURN_RATES
) -> Iterator[Alert]:
    """Give an alert for each burn rate.

    Args:
        terms: what the rules are made for.
        burning: what can burn.
        budget: the share that may fail, or the recorded series that holds it for each thing.
        rates: the table.
    """
    for rate in rates:
        factor = number(rate.factor)
        limit = f"on ({burning.by}) ({factor} * {budget})" if isinstance(budget, str) else burn_limit(rate, budget)
        expr = terms.promql(
            _BURNS,
            ratio=burning.ratio,
            long=rate.long,
            short=rate.short,
            limit=limit,
            by=burning.by,
            events=burning.events.replace("$window", rate.long),
            minimum=number(burning.minimum),
        )
        yield terms.alert(
            burning.name,
            expr,
            hold=rate.hold,
            severity=rate.severity,
            category=burning.category,
            labels={"slo": burning.slo, "long": rate.long, "short": rate.short, "burn_rate": factor},
            summary=f"{burning.whose} spends its error budget {factor} times too fast.",
            description=f"{{{{ $value | humanizePercentage }}}} of {burning.happened} over {rate.long}, and the last "
            f"{rate.short} agree. At this rate a budget of {shown_seconds(BUDGET_HOURS * 3600)} lasts "
            f"{BUDGET_HOURS / rate.factor:.4g}h or less.",
        )


def component_records(terms: Terms) -> Iterator[Record]:
    """Give the share of failures of each component, without the operations that have an objective of their own."""
    for window in windows():
        expr = terms.promql(_FAILED, by=_COMPONENT, window=window, which=_apart(terms))
        yield Record(f"job_component:operation_errors:ratio_rate{window}", expr)


def component_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on it."""
    burning = Burning(
        "OperationErrorBudgetBurn",
        slo="operations",
        category="error",
        by=_COMPONENT,
        ratio="job_component:operation_errors:ratio_rate",
        events=terms.promql(_FAILURES, by=_COMPONENT, window="$window", which=_apart(terms)),
        minimum=terms.thresholds.budget_errors_minimum,
        whose="{{ $labels.component }}",
        happened="the operations of {{ $labels.component }} ({{ $labels.job }}) failed",
    )
    yield from burn_alerts(terms, burning, budget=budget_of(terms.thresholds.success_objective))


def request_records(terms: Terms) -> Iterator[Record]:
    """Give the share of requests that were slower than the objective."""
    bound = bucket(terms.thresholds.latency_objective_seconds)
    for window in windows():
        expr = terms.promql(
            _SLOW, by="job", histogram="request_duration_seconds", which=terms.watched, bucket=bound, window=window
        )
        yield Record(f"job:slow_requests:ratio_rate{window}", expr)


def request_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on it."""
    limits = terms.thresholds
    seconds, share = shown_seconds(limits.latency_objective_seconds), budget_of(limits.latency_objective)
    burning = Burning(
        "RequestLatencyBudgetBurn",
        slo="latency",
        category="performance",
        by="job",
        ratio="job:slow_requests:ratio_rate",
        events=terms.promql("sum by (job) (increase(request_duration_seconds_count{$job}[$window]))", window="$window"),
        minimum=limits.budget_requests_minimum,
        whose="{{ $labels.job }}",
        happened=f"the requests to {{{{ $labels.job }}}} took longer than {seconds}, where {shown_share(share)} may,",
    )
    yield from burn_alerts(terms, burning, budget=share)


def objective_records(terms: Terms) -> Iterator[Record]:
    """Give what the alerts on objectives read: budgets and ratios; nothing where nothing was declared."""
    yield from _success_records(terms)
    yield from _latency_records(terms)


def objective_alerts(terms: Terms) -> Iterator[Alert]:
    """Give the alerts on what was declared beside functions; nothing where nothing was."""
    yield from _success_alerts(terms)
    yield from _latency_alerts(terms)


def _success_records(terms: Terms) -> Iterator[Record]:
    promised = [one for one in terms.objectives if one.objective.success is not None]
    for one in promised:
        budget = number(budget_of(one.objective.success or 0.0))
        whose = {"job": terms.job, "component": one.component, "operation": one.operation}
        yield Record(SUCCESS_BUDGET, f"vector({budget})", whose)
    for window in windows() if promised else ():
        which = f" and on ({_OPERATION}) {SUCCESS_BUDGET}"
        expr = terms.promql(_FAILED, by=_OPERATION, window=window, which=which)
        yield Record(f"job_component_operation:operation_errors:ratio_rate{window}", expr)


def _latency_records(terms: Terms) -> Iterator[Record]:
    promised = [(one, one.objective.latency) for one in terms.objectives if one.objective.latency is not None]
    for one, latency in promised:
        whose = {"job": terms.job, "component": one.component, "operation": one.operation}
        yield Record(LATENCY_BUDGET, f"vector({number(budget_of(latency.share))})", whose)
    for one, latency in promised:
        whose = {"component": one.component, "operation": one.operation}
        which = f"{terms.watched}, component={quoted(one.component)}, operation={quoted(one.operation)}"
        for window in windows():
            expr = terms.promql(
                _SLOW,
                by=_OPERATION,
                histogram="processing_time_seconds",
                which=which,
                bucket=bucket(latency.seconds),
                window=window,
            )
            yield Record(f"job_component_operation:slow_operations:ratio_rate{window}", expr, whose)


def _success_alerts(terms: Terms) -> Iterator[Alert]:
    if any(one.objective.success is not None for one in terms.objectives):
        burning = Burning(
            "OperationErrorBudgetBurn",
            slo="operation_success",
            category="error",
            by=_OPERATION,
            ratio="job_component_operation:operation_errors:ratio_rate",
            events=terms.promql(_FAILURES, by=_OPERATION, window="$window", which=""),
            minimum=terms.thresholds.budget_errors_minimum,
            whose="{{ $labels.component }}/{{ $labels.operation }}",
            happened="the calls of {{ $labels.component }}/{{ $labels.operation }} ({{ $labels.job }}) failed",
        )
        yield from burn_alerts(terms, burning, budget=SUCCESS_BUDGET)


def _latency_alerts(terms: Terms) -> Iterator[Alert]:
    if any(one.objective.latency is not None for one in terms.objectives):
        burning = Burning(
            "OperationLatencyBudgetBurn",
            slo="operation_latency",
            category="performance",
            by=_OPERATION,
            ratio="job_component_operation:slow_operations:ratio_rate",
            events=terms.promql(
                "sum by ($by) (increase(processing_time_seconds_count{$job}[$window]))", by=_OPERATION, window="$window"
            ),
            minimum=terms.thresholds.budget_requests_minimum,
            whose="{{ $labels.component }}/{{ $labels.operation }}",
            happened="the calls of {{ $labels.component }}/{{ $labels.operation }} ({{ $labels.job }}) took longer "
            "than their objective",
        )
        yield from burn_alerts(terms, burning, budget=LATENCY_BUDGET)


def _apart(terms: Terms) -> str:
    """Return what leaves operations with an objective of their own out of their component's."""
    promised = any(one.objective.success is not None for one in terms.objectives)
    return f" unless on ({_OPERATION}) {SUCCESS_BUDGET}" if promised else ""
