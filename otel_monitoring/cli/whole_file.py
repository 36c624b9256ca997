"""A file that is written as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from otel_monitoring.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Iterator

READABLE = 0o644
"""By everybody; written by its owner alone."""


@contextmanager
def whole_file(path: Path, *, private: bool = True) -> Iterator[TextIO]:
    """Give a UTF-8 file that has its name once all is written.

    A link is followed; a device or a pipe is written to as it is.

    Args:
        path: where it shall be.
        private: only its owner may read it; else everybody may.

    Raises:
        MonitoringError: it cannot be written; nothing is left of it then.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8") as file:
                yield file
        else:
            yield from _replaced(target, private=private)
    except OSError as error:
        raise MonitoringError(f"{path} cannot be written ({error.strerror})") from error


def _replaced(target: Path, *, private: bool) -> Iterator[TextIO]:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".otel-monitoring-", suffix=".part")
    try:
        if not private:
            Path(temporary).chmod(READABLE)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (mkstemp gives a descriptor)
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink()
        raise
