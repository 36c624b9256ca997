"""The table of error groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from otel_monitoring.cli.harmless import one_line
from otel_monitoring.cli.quantities import ago, local_time
from otel_monitoring.errors.stored import ErrorGroup, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

SHORT_ID = 8
"""Digits of a fingerprint that are shown; two of 10 000 groups share them once in 86 stores."""

STATUS_STYLES = {
    Status.NEW: "red",
    Status.REGRESSED: "bold magenta",
    Status.RESOLVED: "green",
    Status.MUTED: "dim",
}

_EXACT_FROM_COLUMNS = 200
_LONGEST_COMPONENT = 24


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: what it says of a group, and from which width of the terminal on it is there."""

    heading: str
    cell: Callable[[ErrorGroup], Text]
    from_columns: int = 0
    justify: Literal["left", "right"] = "left"
    cuttable: bool = False


def group_table(groups: Iterable[ErrorGroup], now: datetime, columns: int) -> Table:
    """Return the table of groups that a terminal of so many columns has room for.

    The title takes what the others leave; nothing else is cut but a long component.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    shown = [column for column in _columns(now, columns) if columns >= column.from_columns]
    for column in shown:
        table.add_column(column.heading, justify=column.justify, no_wrap=not column.cuttable)
    for group in groups:
        table.add_row(*(column.cell(group) for column in shown))
    return table


def status_text(status: Status) -> Text:
    """Return a status in its colour."""
    return Text(status.value, STATUS_STYLES[status])


def _columns(now: datetime, columns: int) -> tuple[_Column, ...]:
    def when(moment: datetime) -> Text:
        exact = f"{local_time(moment)} ({ago(moment, now)})"
        return Text(exact if columns >= _EXACT_FROM_COLUMNS else ago(moment, now))

    def component(group: ErrorGroup) -> Text:
        text = Text(one_line(group.component))
        if columns < _EXACT_FROM_COLUMNS:
            text.truncate(_LONGEST_COMPONENT, overflow="ellipsis")
        return text

    return (
        _Column("id", lambda group: Text(group.fingerprint[:SHORT_ID], "bold")),
        _Column("status", lambda group: status_text(group.status)),
        _Column("count", lambda group: Text(f"{group.count}"), justify="right"),
        _Column("last seen", lambda group: when(group.last_seen), from_columns=60),
        _Column("first seen", lambda group: when(group.first_seen), from_columns=100),
        _Column("component", component, from_columns=80),
        _Column("title", _title, cuttable=True),
    )


def _title(group: ErrorGroup) -> Text:
    return Text(one_line(group.title), no_wrap=True, overflow="ellipsis")
