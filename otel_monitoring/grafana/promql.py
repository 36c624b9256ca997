"""PromQL as it stands in a panel: read in spite of Grafana's variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser

from otel_monitoring.exceptions import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "grafana_variable"
"""What stands for a variable where a name or a label's value is expected."""

_DURATION = "5m"
_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"
_REFERENCE = r"\$\{(?P<braced>\w+)(?:\.\w+)?(?::[^}]*)?\}|\[\[(?P<old>\w+)(?::\w+)?\]\]|\$(?P<plain>\w+)"
_PIECE = re.compile(rf"(?P<text>{_TEXT})|(?P<comment>#[^\n]*)|{_REFERENCE}|(?P<other>.)", re.DOTALL)
_IN_TEXT = re.compile(_REFERENCE)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_NUMBERS = re.compile(r"__(interval_ms|rate_interval_ms|range_s|range_ms|from|to)")
_DURATIONS = re.compile(r"__(interval|rate_interval|range|auto_interval\w*)")
_LABEL_LIST = re.compile(r"(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\Z")
_AFTER_OFFSET = re.compile(r"offset\s+-?\Z")


def parse_query(expr: str, *, where: str) -> promql_parser.Expr:
    """Return the syntax tree of a query in which Grafana's variables may stand.

    A variable becomes what fits its place: a duration in a range or after ``offset``, a name
    before braces and among labels, else a number; in text it becomes ``grafana_variable``.

    Args:
        expr: the PromQL.
        where: whose query it is; the message begins with it.

    Raises:
        QueryError: it is no PromQL.
    """
    problem: Exception | None = None
    for elsewhere in ("1", VARIABLE):
        try:
            return promql_parser.parse(without_variables(expr, elsewhere=elsewhere))
        except ValueError as error:
            problem = problem or error
    raise QueryError(f"{where}: {expr!r} is no PromQL: {problem}") from None


def without_variables(expr: str, *, elsewhere: str = "1") -> str:
    """Return a query with text of the right form in the place of each variable.

    Args:
        expr: the query.
        elsewhere: what becomes of a variable of which the place says nothing.
    """
    done = ""
    for piece in _PIECE.finditer(expr):
        if piece["text"] is not None:
            done += _IN_TEXT.sub(VARIABLE, _quoted(piece["text"]))
        elif piece["other"] is not None:
            done += piece["other"]
        elif piece["comment"] is None:
            done += _stand_in(piece, done, expr[piece.end() :], elsewhere)
    return done


def _quoted(text: str) -> str:
    """Return raw text in double quotes: promql-parser reads escapes between backticks too."""
    if not text.startswith("`"):
        return text
    return '"' + text[1:-1].translate(_ESCAPES) + '"'


def _stand_in(piece: re.Match[str], before: str, after: str, elsewhere: str) -> str:
    name = piece["braced"] or piece["old"] or piece["plain"]
    if _NUMBERS.fullmatch(name):
        return "1"
    if _DURATIONS.fullmatch(name):
        return _DURATION
    in_range = before.rfind("[") > before.rfind("]")
    if in_range or _AFTER_OFFSET.search(before):
        return "1" if re.match(r"(ms|[smhdwy])\b", after) else _DURATION
    touching = before[-1:].isalnum() or before[-1:] in {"_", ":"} or re.match(r"[\w:{\[]", after) is not None
    return VARIABLE if touching or _LABEL_LIST.search(before) else elsewhere


def parts(expr: promql_parser.Expr) -> Iterator[promql_parser.Expr]:
    """Go through the expressions that an expression is directly made of."""
    match expr:
        case promql_parser.AggregateExpr():
            if expr.param is not None:
                yield expr.param
            yield expr.expr
        case promql_parser.BinaryExpr():
            yield expr.lhs
            yield expr.rhs
        case promql_parser.Call():
            yield from expr.args
        case promql_parser.MatrixSelector():
            yield expr.vector_selector
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            yield expr.expr
        case _:
            return


def selectors(expr: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    """Go through all series that a query selects."""
    if isinstance(expr, promql_parser.VectorSelector):
        yield expr
    for part in parts(expr):
        yield from selectors(part)


def matchers(selector: promql_parser.VectorSelector) -> Iterator[promql_parser.Matcher]:
    """Go through a selector's matchers, those joined by ``or`` too."""
    yield from selector.matchers.matchers
    for alternative in selector.matchers.or_matchers:
        yield from alternative


def metric_name(selector: promql_parser.VectorSelector) -> str | None:
    """Return the metric that is selected by its whole name, None where a pattern or a variable does."""
    if selector.name is not None:
        return None if VARIABLE in selector.name else selector.name
    named = [
        one.value for one in matchers(selector) if one.name == "__name__" and one.op == promql_parser.MatchOp.Equal
    ]
    return named[0] if len(named) == 1 and VARIABLE not in named[0] else None


def unwrapped(expr: promql_parser.Expr) -> promql_parser.Expr:
    """Return what stands inside of parentheses."""
    while isinstance(expr, promql_parser.ParenExpr):
        expr = expr.expr
    return expr
