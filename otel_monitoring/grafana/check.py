"""Holds each query to PromQL's grammar and to the catalogue, when its panel or rule is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.buckets import bound_problems, quantile_problems
from otel_monitoring.grafana.counters import counter_problems
from otel_monitoring.grafana.dashboard import NO_RECORDED
from otel_monitoring.grafana.joins import join_problems
from otel_monitoring.grafana.labels import label_problems
from otel_monitoring.grafana.promql import metric_name, parse_query, parts, selectors, unwrapped
from otel_monitoring.grafana.series import KnownSeries
from otel_monitoring.grafana.values import value_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_monitoring.catalogue import Catalogue


def check_query(
    expr: str,
    catalogue: Catalogue,
    *,
    where: str,
    recorded: Mapping[str, frozenset[str]] = NO_RECORDED,
    foreign: Iterable[str] = (),
) -> None:
    """Refuse a query that is no PromQL, or that names what the catalogue does not hold.

    Args:
        expr: the PromQL; Grafana's variables may stand in it.
        catalogue: what is declared.
        where: whose query it is, as in ``panel 'Backlog'``; the message begins with it.
        recorded: the series that recording rules make, by name, with their labels.
        foreign: names of others' metrics that this query may name, beside those that the
            catalogue allows to all; ``*`` stands for any text.

    Raises:
        QueryError: the message says what is wrong and what would be right.
    """
    tree = parse_query(expr, where=where)
    try:
        problems = list(dict.fromkeys(_problems(tree, KnownSeries(catalogue, recorded=recorded, foreign=foreign))))
    except RecursionError:
        raise QueryError(f"{where}: more operators stand within each other than can be followed") from None
    if problems:
        raise QueryError(f"{where}: {'; '.join(problems)} (in {expr})")


def _problems(tree: promql.Expr, known: KnownSeries) -> Iterator[str]:
    missing = list(_missing(tree, known))
    yield from missing
    yield from _result_problems(tree)
    yield from _problems_within(tree, known)
    if not missing:
        yield from counter_problems(tree, known)


def _result_problems(tree: promql.Expr) -> Iterator[str]:
    match unwrapped(tree):
        case promql.MatrixSelector() | promql.SubqueryExpr():
            yield "the result is a range of samples, which nothing can show: put it into a function such as rate()"
        case promql.StringLiteral():
            yield "the result is text, which nothing can show"
        case _:
            return


def _missing(tree: promql.Expr, known: KnownSeries) -> Iterator[str]:
    for selector in selectors(tree):
        name = metric_name(selector)
        if name is not None and known.find(name) is None:
            yield known.missing(name)


def _problems_within(expr: promql.Expr, known: KnownSeries) -> Iterator[str]:
    yield from label_problems(expr, known)
    match expr:
        case promql.VectorSelector():
            yield from _alternative_problems(expr)
            yield from bound_problems(expr, known)
            yield from value_problems(expr, known)
        case promql.Call():
            yield from quantile_problems(expr, known)
        case promql.BinaryExpr():
            yield from join_problems(expr, known)
        case _:
            pass
    for part in parts(expr):
        yield from _problems_within(part, known)


def _alternative_problems(selector: promql.VectorSelector) -> Iterator[str]:
    if selector.matchers.or_matchers:
        yield "Prometheus knows no 'or' between matchers: join two selectors with 'or', or use =~"
