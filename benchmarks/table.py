"""Shows rows: in the terminal, in a document, as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import sysconfig
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.runner import Row

COLUMNS = ("what", "ours", "beside", "takes", "ratio", "paired", "target", "verdict")
PARTS_BELOW = 0.2
"""Ratios below are shown as parts of one: 1/8."""

NONE = "-"
_STEPS: dict[Unit, tuple[tuple[float, float, str], ...]] = {
    Unit.SECONDS: ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (math.inf, 1.0, "s")),
    Unit.BYTES: ((1e4, 1.0, "B"), (1e7, 1e-3, "kB"), (math.inf, 1e-6, "MB")),
}
_RULES = "---", "---:", "---", "---:", "---:", "---:", "---:", "---"


def describe_machine() -> str:
    """Return on what was measured, without a date."""
    interpreter = f"{platform.python_implementation()} {platform.python_version()} ({gil_state()})"
    return f"{interpreter}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def gil_state() -> str:
    """Return in words whether threads of this interpreter run at the same time."""
    return "free-threaded" if is_free_threaded() else "with the GIL"


def is_free_threaded() -> bool:
    """Tell whether the interpreter runs without the GIL now."""
    running = getattr(sys, "_is_gil_enabled", None)
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and running is not None and not running()


def figure(value: float | None, unit: Unit) -> str:
    """Return a figure with three digits and a unit that suits it."""
    if value is None:
        return NONE
    scale, name = next((scale, name) for below, scale, name in _STEPS[unit] if value < below)
    scaled = value * scale
    digits = 0 if scaled >= 100 else (1 if scaled >= 10 else 2)  # noqa: PLR2004 (three digits)
    return f"{scaled:,.{digits}f} {name}".replace(",", " ")


def share(value: float | None) -> str:
    """Return a ratio, a small one as a part of one."""
    if value is None:
        return NONE
    if value <= 0:
        return "0"
    if value >= PARTS_BELOW:
        return f"{value:.2f}"
    return f"1/{1 / value:.3g}"


def cells(row: Row) -> tuple[str, ...]:
    """Return what a table shows of a row, one text for each of ``COLUMNS``."""
    target = f"≤ {share(row.at_most)}" if row.at_most is not None else NONE
    verdict = f"not measured: {row.missing} is not installed" if row.missing else row.verdict
    ours, theirs = figure(row.ours, row.unit), figure(row.theirs, row.unit)
    return row.title, ours, row.peer, theirs, share(row.ratio), share(row.paired), target, verdict


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a table; without rich as Markdown."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(describe_machine(), markdown(rows), sep="\n\n")
        return
    table = Table(*COLUMNS, title=describe_machine())
    colours = {"reached": "green", "missed": "red", "not measured": "yellow"}
    previous = ""
    for row in rows:
        what, ours, *others = cells(row)
        repeated = row.case == previous
        table.add_row("" if repeated else what, "" if repeated else ours, *others, style=colours.get(row.verdict))
        previous = row.case
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [COLUMNS, _RULES, *map(cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows with their plain numbers, in seconds and bytes."""
    content = {"machine": describe_machine(), "rows": [asdict(row) | {"verdict": row.verdict} for row in rows]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_document(path: Path, rows: Iterable[Row], note: str) -> None:
    """Replace the table between the document's marks, ours for this kind of interpreter.

    Raises:
        ValueError: the document has no such marks.
    """
    kind = "free-threaded" if is_free_threaded() else "gil"
    begin, end = f"<!-- benchmarks {kind} begin -->", f"<!-- benchmarks {kind} end -->"
    text = path.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise ValueError(f"{path} has no lines {begin!r} and {end!r} to put the table between")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    table = f"{begin}\n{describe_machine()}{note}. {OURS} is “ours”.\n\n{markdown(rows)}{end}"
    path.write_text(before + table + after, encoding="utf-8")
