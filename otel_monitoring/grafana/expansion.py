"""Queries that need no recorded series: each name replaced by what it stands for.

A rule of Grafana's works where no rule of Prometheus's is loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser as promql

from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.promql import metric_name, selectors

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
    """What recorded series stand for.

    Args:
        groups: whose records they are.
    """

    def __init__(self, groups: Iterable[RuleGroup]) -> None:
        self._records: dict[str, list[Record]] = {}
        for group in groups:
            for record in group.records:
                self._records.setdefault(record.name, []).append(record)

    def expanded(self, expr: str, *, where: str) -> str:
        """Return a query in which recorded series are replaced by what they stand for, down to what is measured.

        Args:
            expr: PromQL.
            where: whose query it is; a message begins with it.

        Raises:
            QueryError: it selects from a recorded series, takes it over time, or a record reads itself.
        """
        text = self._expanded(expr, where, ())
        for selector in selectors(promql.parse(text)):
            self._refuse_what_is_left(metric_name(selector), where)
        return text

    def _expanded(self, expr: str, where: str, within: tuple[str, ...]) -> str:
        def replaced(token: re.Match[str]) -> str:
            name = token["name"]
            if token[0].startswith("#"):
                return ""  # a comment would hide what comes behind it now
            if name not in self._records or _GROUPING.search(expr[: token.start()]):
                return token[0]
            if _SELECTS.match(expr, token.end()):
                self._refuse_what_is_left(name, where)
            return f"({self._definition(name, within)})"

        return _TOKEN.sub(replaced, expr).rstrip()

    def _refuse_what_is_left(self, name: str | None, where: str) -> None:
        if name in self._records:
            raise QueryError(
                f"{where}: {name!r} is a recorded series, and a rule for Grafana holds what it stands for: "
                "name it alone, and select by label, range or offset inside of its definition"
            )

    def _definition(self, name: str, within: tuple[str, ...]) -> str:
        """Return what one name stands for: all that is recorded under it."""
        if name in within:
            raise QueryError(f"record {name!r} reads itself, through {' and '.join(within)}: it stands for nothing")
        where, inside = f"record {name!r}", (*within, name)
        written = [_with_labels(self._expanded(one.expr, where, inside), one.labels) for one in self._records[name]]
        return "\nor\n".join(written)


def _with_labels(expr: str, labels: Mapping[str, str]) -> str:
    """Return a query whose result carries these labels, as that of a recording rule does."""
    for name, value in labels.items():
        replacement = _quoted(value.replace("$", "$$"))
        expr = f'label_replace({expr}, "{name}", {replacement}, "", "")'
    return expr


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
