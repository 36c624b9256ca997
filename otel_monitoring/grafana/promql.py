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

LONGEST = 20_000
DEEPEST = 100
"""How many characters a query may have, and how many brackets within each other: promql-parser ends the process at
some ten thousand brackets."""

_DURATION = "5m"
_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"
_REFERENCE = r"\$\{(?P<braced>\w+)(?:\.\w+)?(?::[^}]*)?\}|\[\[(?P<old>\w+)(?::\w+)?\]\]|\$(?P<plain>\w+)"
_PIECE = re.compile(rf"(?P<text>{_TEXT})|(?P<comment>#[^\n]*)|{_REFERENCE}|(?P<other>.)", re.DOTALL)
_IN_TEXT = re.compile(_REFERENCE)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_NUMBERS = re.compile(r"__(interval_ms|rate_interval_ms|range_s|range_ms|from|to)")
_DURATIONS = re.compile(r"__(interval|rate_interval|range|auto_interval\w*)")
_LABEL_LIST = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\Z", re.IGNORECASE)
_AFTER_OFFSET = re.compile(r"\boffset\s+-?\Z", re.IGNORECASE)
_UNIT_OF_TIME = re.compile(r"(ms|[smhdwy])\b")
_OPERATOR_OF_MATCHER = re.compile(r"\s*(=|!)")
_REST_OF_NAME = re.compile(r"[\w:{\[]")


def parse_query(expr: str, *, where: str) -> promql_parser.Expr:
    """Return the syntax tree of a query in which Grafana's variables may stand.

    A variable becomes what fits its place: a duration in a range or after ``offset``, a name
    before braces and among labels, else a number; in text it becomes ``grafana_variable``.

    Args:
        expr: the PromQL.
        where: whose query it is; the message begins with it.

    Raises:
        QueryError: it is no PromQL, or longer or deeper than anybody could read.
    """
    _refuse_monster(expr, where)
    problem: Exception | None = None
    for elsewhere in ("1", VARIABLE):
        try:
            return promql_parser.parse(without_variables(expr, elsewhere=elsewhere))
        except ValueError as error:
            problem = problem or error
    raise QueryError(f"{where}: {problem}, so this is no PromQL (in {expr})")


def without_variables(expr: str, *, elsewhere: str = "1") -> str:
    """Return a query with text of the right form in the place of each variable, and without comments.

    Args:
        expr: the query.
        elsewhere: what becomes of a variable of which the place says nothing.
    """
    done: list[str] = []
    code = ""  # what is done, with nothing in its texts: a bracket in there is none
    for piece in _PIECE.finditer(expr):
        if piece["text"] is not None:
            done.append(_IN_TEXT.sub(VARIABLE, _quoted(piece["text"])))
            code += '""'
        elif piece["comment"] is None:
            done.append(piece["other"] or _stand_in(piece, code, expr[piece.end() :], elsewhere))
            code += done[-1]
    return "".join(done)


def _refuse_monster(expr: str, where: str) -> None:
    if not isinstance(expr, str) or not expr.strip():
        raise QueryError(f"{where}: {expr!r} is no query: write PromQL, such as 'up == 0'")
    if len(expr) > LONGEST:
        raise QueryError(f"{where}: the query has {len(expr)} characters, and {LONGEST} are the most")
    depth = deepest = 0
    for character in expr:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise QueryError(f"{where}: {deepest} brackets stand within each other, and {DEEPEST} are the most")


def _quoted(text: str) -> str:
    """Return raw text in double quotes: promql-parser reads escapes between backticks too."""
    return f'"{text[1:-1].translate(_ESCAPES)}"' if text.startswith("`") else text


def _stand_in(piece: re.Match[str], before: str, after: str, elsewhere: str) -> str:
    name = piece["braced"] or piece["old"] or piece["plain"]
    if _NUMBERS.fullmatch(name):
        return "1"
    if _DURATIONS.fullmatch(name):
        return _DURATION
    if _is_open(before, "[", "]") or _AFTER_OFFSET.search(before):
        return "1" if _UNIT_OF_TIME.match(after) else _DURATION
    touching = before[-1:].isalnum() or before[-1:] in {"_", ":"} or _REST_OF_NAME.match(after) is not None
    if touching or _LABEL_LIST.search(before):
        return VARIABLE
    if _is_open(before, "{", "}"):
        return VARIABLE if _OPERATOR_OF_MATCHER.match(after) else f'{VARIABLE}="{VARIABLE}"'
    return elsewhere


def _is_open(text: str, opening: str, closing: str) -> bool:
    return text.rfind(opening) > text.rfind(closing)


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
