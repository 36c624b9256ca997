"""Grafana's classic conditions, ``{"evaluator", "operator", "query", "reducer"}``, as one node of a rule.

In a classic alert a condition named a query of the panel that it belonged to.  Here the query
is in the condition: ``{"params": ["A", "5m", "now"], "model": {"expr": "…"}}``, as classic
alerts were stored, or shorter ``{"expr": "…"}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import cast

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.exceptions import AlertError
from otel_monitoring.grafana.promql import parse_query
from otel_monitoring.grafana.queries import Json, expression, range_query

BOUNDS = {"gt": 1, "lt": 1, "within_range": 2, "outside_range": 2, "no_value": 0}
REDUCERS = (
    *("avg", "min", "max", "sum", "count", "last", "median", "diff", "diff_abs", "percent_diff"),
    *("percent_diff_abs", "count_non_null"),
)
OPERATORS = ("and", "or")
DEFAULT_SINCE = 300
_KEYS = ("evaluator", "operator", "query", "reducer", "type")
_QUERY_KEYS = ("params", "model", "expr", "datasourceId", "datasourceUid")
_TIME = re.compile(r"(?:now-)?(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def is_classic(condition: Mapping[str, object]) -> bool:
    """Tell whether a condition is one of Grafana's classic ones."""
    return "evaluator" in condition or "reducer" in condition or "query" in condition


def classic_data(conditions: Sequence[Mapping[str, object]], *, where: str, datasource_uid: str) -> list[Json]:
    """Return the nodes of a rule: the queries, and last the one that compares them.

    Raises:
        AlertError: something does not fit; the message says where and what would be right.
        QueryError: a query is no PromQL.
    """
    queries: dict[str, Json] = {}
    compared: list[Json] = []
    for number, condition in enumerate(conditions, 1):
        place = f"{where}, condition {number}"
        refuse_unknown(condition, _KEYS, place)
        node = _query(condition.get("query"), place, taken=queries, datasource_uid=datasource_uid)
        ref_id = str(node["refId"])
        if queries.setdefault(ref_id, node) != node:
            raise AlertError(f"{place}: the name {ref_id!r} is taken by another query: give this one another")
        compared.append(_compared(condition, ref_id, place))
    last = _free_letter(queries)
    return [*queries.values(), expression(last, {"type": "classic_conditions", "conditions": compared})]


def _compared(condition: Mapping[str, object], ref_id: str, where: str) -> Json:
    return {
        "evaluator": _evaluator(condition.get("evaluator"), where),
        "operator": {"type": _kind(condition.get("operator", "and"), "operator", OPERATORS, where)},
        "query": {"params": [ref_id]},
        "reducer": {"type": _kind(condition.get("reducer", "last"), "reducer", REDUCERS, where), "params": []},
        "type": "query",
    }


def _evaluator(given: object, where: str) -> Json:
    kind = _kind(given, "evaluator", tuple(BOUNDS), where)
    params = cast("Mapping[str, object]", given).get("params", []) if isinstance(given, Mapping) else []
    numbers = cast("Sequence[object]", params) if isinstance(params, list | tuple) else [params]
    right = [number for number in numbers if isinstance(number, int | float) and not isinstance(number, bool)]
    # Grafana's UI keeps a second number where there was a range once.
    if len(right) != len(numbers) or len(right) < BOUNDS[kind]:
        raise AlertError(f"{where}: the evaluator {kind!r} takes {BOUNDS[kind]} number(s) in params, not {params!r}")
    return {"type": kind, "params": right[: BOUNDS[kind]]}


def _kind(given: object, key: str, known: tuple[str, ...], where: str) -> str:
    """Read ``{"type": "gt"}`` or ``"gt"``."""
    kind = cast("Mapping[str, object]", given).get("type") if isinstance(given, Mapping) else given
    if not isinstance(kind, str) or kind not in known:
        meant = did_you_mean(kind, known) if isinstance(kind, str) else ""
        raise AlertError(f"{where}: the {key} is {given!r}{meant or '.'} Its type is one of {', '.join(known)}")
    return kind


def _query(given: object, where: str, *, taken: Mapping[str, Json], datasource_uid: str) -> Json:
    query = cast("Mapping[str, object]", {"expr": given} if isinstance(given, str) else given)
    if not isinstance(query, Mapping):
        raise AlertError(f"{where}: the query is {given!r}: write {_EXAMPLE}")
    refuse_unknown(query, _QUERY_KEYS, f"{where}, query")
    expr = _expr(query, where)
    parse_query(expr, where=where)
    params = _params(query, where)
    ref_id = params[0] if params else _same_or_free(expr, taken)
    since = _seconds(params[1], where) if len(params) > 1 else DEFAULT_SINCE
    until = _seconds(params[2], where) if len(params) > 2 else 0  # noqa: PLR2004 (name, from, to)
    if since <= until:
        raise AlertError(f"{where}: the query's time begins {since} s ago and ends {until} s ago: it is empty")
    return range_query(ref_id, expr, datasource_uid, since=since, until=until)


def _params(query: Mapping[str, object], where: str) -> list[str]:
    given = query.get("params") or []
    if not isinstance(given, list | tuple):
        raise AlertError(f"{where}: the query's params are {given!r}: write a name and times, as ['A', '5m', 'now']")
    return [str(param) for param in cast("Sequence[object]", given)]


_EXAMPLE = "{'params': ['A', '5m', 'now'], 'model': {'expr': 'sum(rate(system_errors_total[5m]))'}}"


def _expr(query: Mapping[str, object], where: str) -> str:
    model = query.get("model")
    expr = query.get("expr")
    if expr is None and isinstance(model, Mapping):
        expr = cast("Mapping[str, object]", model).get("expr")
    if not isinstance(expr, str) or not expr.strip():
        raise AlertError(
            f"{where}: the query names no PromQL, and there is no panel that it could be taken from: write {_EXAMPLE}"
        )
    return expr


def _seconds(text: str, where: str) -> int:
    if text == "now":
        return 0
    found = _TIME.fullmatch(text)
    if found is None:
        raise AlertError(f"{where}: the query's time is {text!r}: write it as '5m', 'now-1h' or 'now'")
    return int(found[1]) * _UNITS[found[2]]


def _same_or_free(expr: str, taken: Mapping[str, Json]) -> str:
    for ref_id, node in taken.items():
        model = cast("Json", node["model"])
        times = cast("Json", node["relativeTimeRange"])
        if model["expr"] == expr and times == {"from": DEFAULT_SINCE, "to": 0}:
            return ref_id
    return _free_letter(taken)


def _free_letter(taken: Mapping[str, Json]) -> str:
    return next(letter for letter in ascii_uppercase if letter not in taken)


def refuse_unknown(data: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    """Refuse keys that mean nothing.

    Raises:
        AlertError: there is one; the message names the nearest that means something.
    """
    for key in data:
        if key not in known:
            meant = did_you_mean(str(key), known) or "."
            raise AlertError(f"{where}: there is no key {key!r}{meant} The keys are {', '.join(known)}")
