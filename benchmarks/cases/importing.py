"""The first import, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.case import OURS, Case, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.case import Sample

TOP = Path(__file__).parents[2]
LIMIT_SECONDS = 0.3
PROGRAM = "from time import perf_counter as t; start = t(); import {module}; print(t() - start)"


def _imported(module: str) -> Callable[[], Sample]:
    def prepare() -> Sample:
        package = module.partition(".")[0]
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return lambda count: _in_a_new_process(module)  # noqa: ARG005 (one import is all there is)

    return prepare


def _in_a_new_process(module: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module=module)]
    return float(subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout)


def _limit() -> Sample:
    return lambda count: LIMIT_SECONDS  # noqa: ARG005 (the same each time)


CASES = (
    Case(
        name="import",
        title="First import in a new process",
        ours=Subject(OURS, _imported("otel_monitoring")),
        peers=(
            Subject("the limit", _limit, at_most=1),
            Subject("prometheus_client", _imported("prometheus_client")),
            Subject("opentelemetry.sdk.metrics", _imported("opentelemetry.sdk.metrics")),
            Subject("logfire", _imported("logfire")),
        ),
        rounds=10,
        count=1,
    ),
)
