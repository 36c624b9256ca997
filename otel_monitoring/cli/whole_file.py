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


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Give a UTF-8 file that only its owner may read, and which has its name once all is written.

    A link is followed; a device or a pipe is written to as it is.

    Raises:
        MonitoringError: it cannot be written; nothing is left of it then.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open("w", encoding="utf-8") as file:
                yield file
        else:
            yield from _replaced(target)
    except OSError as error:
        raise MonitoringError(f"{path} cannot be written ({error.strerror})") from error


def _replaced(target: Path) -> Iterator[TextIO]:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".errors-", suffix=".part")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (mkstemp gives a descriptor)
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink()
        raise
