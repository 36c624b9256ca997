"""Queries that need no recorded series: each name replaced by what it stands for.

A rule of Grafana's works where no rule of Prometheus's is loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_monitoring.grafana.alert import Record, RuleGroup

_TOKEN = re.compile(
    r"""
    (?P<skipped> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `[^`]*` | \#[^\n]*  # text and comments
      | \{(?:[^}"'`]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\} )         # matchers
    | (?P<name> [a-zA-Z_:][a-zA-Z0-9_:]* ) (?: \s*\{\s*\} )?                     # {} selects nothing
    | [0-9][0-9a-zA-Z_.:]*                                                   # numbers and durations
    """,
    re.VERBOSE,
)
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\Z", re.IGNORECASE)
_SELECTS = re.compile(r"\s*(?:\[|\{|offset\b|@)")


class Definitions:
    """What recorded series stand for, without any of them in it.

    Args:
        groups: whose records they are; a record may read those above it.

    Raises:
        QueryError: a record cannot be put into a query as it is used.
    """

    def __init__(self, groups: Iterable[RuleGroup]) -> None:
        self._expr: dict[str, str] = {}
        for group in groups:
            for record in group.records:
                self._add(record)

    def expanded(self, expr: str, *, where: str) -> str:
        """Return a query in which recorded series are replaced by what they stand for.

        Args:
            expr: PromQL.
            where: whose query it is; a message begins with it.

        Raises:
            QueryError: it selects from a recorded series, or takes it over time.
        """

        def replaced(token: re.Match[str]) -> str:
            name = token["name"]
            if name not in self._expr or _GROUPING.search(expr[: token.start()]):
                return token[0]
            if _SELECTS.match(expr, token.end()):
                raise QueryError(
                    f"{where}: {name!r} is a recorded series, and a rule for Grafana holds what it stands for: "
                    "select by label, range or offset inside of its definition"
                )
            return f"({self._expr[name]})"

        return _TOKEN.sub(replaced, expr)

    def _add(self, record: Record) -> None:
        own = _with_labels(self.expanded(record.expr, where=f"record {record.name!r}"), record.labels)
        there = self._expr.get(record.name)
        self._expr[record.name] = own if there is None else f"{there}\nor\n{own}"


def _with_labels(expr: str, labels: Mapping[str, str]) -> str:
    """Return a query whose result carries these labels, as that of a recording rule does."""
    for name, value in labels.items():
        replacement = _quoted(value.replace("$", "$$"))
        expr = f'label_replace({expr}, "{name}", {replacement}, "", "")'
    return expr


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
