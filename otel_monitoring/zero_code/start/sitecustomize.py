"""Imported by Python as it starts, since this folder stands first in PYTHONPATH; the environment's own comes first.

Nothing is imported here but the standard library until it is known that this Python has
the package: the command that was started may belong to another environment.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

_LINEAGE = "_OTEL_MONITORING_LINEAGE"
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib costs every child its import)


def _run_shadowed() -> None:
    """Run the ``sitecustomize`` that would be found without this folder; what it raises is Python's to say."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]  # noqa: PTH100
    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        shadowed = module_from_spec(spec)
        # Whoever imports it later gets that one, as without us.
        sys.modules[__name__] = shadowed
        spec.loader.exec_module(shadowed)


def _begin() -> None:
    if find_spec("otel_monitoring") is None:
        # Nobody has asked it of the children of an instrumented process.
        if _LINEAGE not in os.environ and sys.__stderr__ is not None:
            told = f"otel-monitoring: not instrumented: {sys.executable} has no otel_monitoring; install it there\n"
            os.write(2, told.encode(errors="backslashreplace"))
        return
    from otel_monitoring.zero_code.bootstrap import begin

    begin()


try:
    _run_shadowed()
finally:
    _begin()
