"""The command: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import ALL
from benchmarks.runner import FULL, QUICK, Row, run
from benchmarks.table import show, write_document, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.case import Case


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and show it."""
    asked = _parser().parse_args(arguments)
    cases = _chosen(asked.only)
    effort = QUICK if asked.quick else FULL
    rows: list[Row] = []
    for case in cases:
        print(f"measuring {case.name} …", file=sys.stderr, flush=True)
        rows += run(case, effort)
    show(rows)
    if asked.json:
        write_json(asked.json, rows)
    if asked.write:
        write_document(asked.write, rows, " (quick run)" if asked.quick else "")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(case.name for case in ALL)
    parser.add_argument("--quick", action="store_true", help="few, short rounds: for a look, not for figures")
    parser.add_argument("--only", action="append", metavar="NAME", help=f"cases whose name begins so; of {names}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, in seconds and bytes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="rewrite the table between the marks of a document")
    return parser


def _chosen(names: Sequence[str] | None) -> list[Case]:
    if not names:
        return list(ALL)
    chosen = [case for case in ALL if case.name.startswith(tuple(names))]
    unknown = [name for name in names if not any(case.name.startswith(name) for case in ALL)]
    if unknown:
        raise SystemExit(f"no case is called {', '.join(unknown)}: there are {', '.join(case.name for case in ALL)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
