"""The stand-in's queries and expressions: enough PromQL to tell what runs from what does not, and constants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.grafana_requests import Json, State

Sample = tuple[dict[str, str], float]

UP: list[Sample] = [({"__name__": "up", "instance": "127.0.0.1:19090", "job": "prometheus"}, 1.0)]
COMPARISONS: dict[str, Callable[[float, list[float]], bool]] = {
    "gt": lambda value, params: value > params[0],
    "lt": lambda value, params: value < params[0],
    "gte": lambda value, params: value >= params[0],
    "lte": lambda value, params: value <= params[0],
    "eq": lambda value, params: value == params[0],
    "ne": lambda value, params: value != params[0],
    "within_range": lambda value, params: params[0] < value < params[1],
    "outside_range": lambda value, params: value < params[0] or value > params[1],
}
_SUM_UP = re.compile(r"sum by \(([\w, ]+)\) \(up\)")
_ABSENT = re.compile(r'absent\((\w+)\{(\w+)="([^"]*)"\}\)')
_VECTOR = re.compile(r"\s*vector\(([-0-9.]+)\)\s*")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_MATH = re.compile(r"[\d.\s()<>=!&|+*/-]+")


class SyntaxFailure(Exception):  # noqa: N818 (Prometheus's word for it is the message)
    """A query is no PromQL."""


class EvaluationFailure(Exception):  # noqa: N818 (as above)
    """A query or an expression does not run."""


def run_query(expr: str) -> list[Sample]:
    """Return the samples of a query: constants, ``up``, its sums, what is absent, and for all else none.

    Raises:
        SyntaxFailure: it is no PromQL.
    """
    if expr.count("(") > expr.count(")"):
        # Where Prometheus looks for it: behind the end.
        place = f"1:{len(expr) + 1}"
        raise SyntaxFailure(f'bad_data: invalid parameter "query": {place}: parse error: unclosed left parenthesis')
    try:
        promql_parser.parse(expr)
    except ValueError as error:
        raise SyntaxFailure(f'bad_data: invalid parameter "query": 1:1: parse error: {error}') from None
    constant = _VECTOR.fullmatch(expr)
    if constant:
        return [({}, float(constant[1]))]
    summed, absent = _SUM_UP.fullmatch(expr), _ABSENT.fullmatch(expr)
    if summed:
        return [({name: UP[0][0][name] for name in summed[1].split(", ")}, 1.0)]
    if absent and absent[1] != "up":
        return [({absent[2]: absent[3]}, 1.0)]
    return UP if expr == "up" else []


def run_all(state: State, data: list[Json]) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Run queries and expressions in their order; return the samples and the failures by refId."""
    found: dict[str, list[Sample]] = {}
    failed: dict[str, str] = {}
    for item in data:
        ref_id, model = item["refId"], item["model"]
        try:
            found[ref_id] = _run(state, item, model, found=found, failed=failed)
        except EvaluationFailure as failure:
            failed[ref_id] = str(failure)
    return found, failed


def _run(
    state: State, item: Json, model: Json, *, found: dict[str, list[Sample]], failed: dict[str, str]
) -> list[Sample]:
    ref_id = item["refId"]
    if item["datasourceUid"] not in {"__expr__", "-100"}:
        if item["datasourceUid"] not in state.datasources:
            raise EvaluationFailure(f"failed to build query '{ref_id}': data source not found")
        try:
            return run_query(model["expr"])
        except SyntaxFailure as failure:
            raise EvaluationFailure(f"[sse.dataQueryError] failed to execute query [{ref_id}]: {failure}") from None
    for needed in _needed(model):
        if needed in failed:
            raise EvaluationFailure(
                f"[sse.dependencyError] did not execute expression [{ref_id}] due to a failure of the dependent "
                f"expression or query [{needed}]"
            )
        if needed not in found:
            raise EvaluationFailure(f"[sse.dependencyError] could not find dependent node [{needed}]")
    return _express(model, found)


def _needed(model: Json) -> list[str]:
    if model["type"] == "classic_conditions":
        return [condition["query"]["params"][0] for condition in model["conditions"]]
    if model["type"] == "math":
        return _VARIABLE.findall(model["expression"])
    return [model["expression"].lstrip("$")]


def _express(model: Json, found: dict[str, list[Sample]]) -> list[Sample]:
    kind: str = model["type"]
    if kind == "classic_conditions":
        return _classic(model, found)
    if kind == "math":
        return _math(model["expression"], found)
    samples = found[model["expression"].lstrip("$")]
    if kind == "reduce":
        return [(_bare(labels), value) for labels, value in samples]
    condition = model["conditions"][0]["evaluator"]
    holds = COMPARISONS[condition["type"]]
    return [(_bare(labels), float(holds(value, condition["params"]))) for labels, value in samples]


def _classic(model: Json, found: dict[str, list[Sample]]) -> list[Sample]:
    firing = False
    for number, condition in enumerate(model["conditions"]):
        evaluator = condition["evaluator"]
        samples = found[condition["query"]["params"][0]]
        holds = any(COMPARISONS[evaluator["type"]](value, evaluator["params"]) for _, value in samples)
        joined = condition.get("operator", {}).get("type", "and")
        firing = holds if number == 0 else (firing or holds if joined == "or" else firing and holds)
    return [({}, float(firing))]


def classic_value(model: Json, found: dict[str, list[Sample]]) -> float:
    """Return the value that a classic condition shows when it fires: that of its first query."""
    return found[model["conditions"][0]["query"]["params"][0]][0][1]


def _math(expression: str, found: dict[str, list[Sample]]) -> list[Sample]:
    values: dict[str, Any] = {}
    for name in _VARIABLE.findall(expression):
        if not found[name]:
            return []
        values[name] = found[name][0][1]
    text = _VARIABLE.sub(lambda match: f"({values[match[1]]})", expression)
    if not _MATH.fullmatch(text):
        raise EvaluationFailure(f"invalid math expression: {expression}")
    python = text.replace("&&", " and ").replace("||", " or ")
    return [({}, float(eval(python, {"__builtins__": {}})))]


def _bare(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "__name__"}
