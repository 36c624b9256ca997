"""The sink that keeps errors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from otel_monitoring.errors.encode import encode
from otel_monitoring.errors.spool import SpoolFullError

if TYPE_CHECKING:
    from collections import deque

    from otel_monitoring.errors.bursts import Bursts
    from otel_monitoring.errors.mover import Mover
    from otel_monitoring.errors.record import ErrorRecord
    from otel_monitoring.errors.spool import Spool
    from otel_monitoring.errors.trim import Lose

HELD_AT_MOST = 1000
"""Errors that are held in memory while the spool cannot take them."""

HELD_WHOLE_BYTES = 16_384
"""A larger one is held without its details."""

REASONS = ("context", "damaged", "disk_full", "refused", "spool_full", "too_large", "unwritable")
"""Why errors, or their details, are not kept; each is counted from 0 on."""


class KeepErrors:
    """Puts errors into the spool, each at once.

    Args:
        spool: where they are safe.
        late: takes what the spool cannot take now.
        bursts: tells which are kept in detail.
        mover: is told that there is something to move.
        lose: counts what is not kept.
    """

    takes_nested = True

    def __init__(self, spool: Spool, late: deque[bytes], bursts: Bursts, *, mover: Mover, lose: Lose) -> None:
        self._spool = spool
        self._late = late
        self._bursts = bursts
        self._mover = mover
        self._lose = lose

    def __call__(self, record: ErrorRecord, /) -> None:
        """Keep one error."""
        detailed = self._bursts.lets_through(record.fingerprint, record.time)
        payload, is_whole = encode(record, detailed=detailed)
        if not is_whole:
            self._lose("too_large")
        try:
            self._spool.put(payload)
        except SpoolFullError:
            self._lose("spool_full")
        except OSError as error:
            self._hold(record, payload, error)
        self._mover.wake()

    def _hold(self, record: ErrorRecord, payload: bytes, error: OSError) -> None:
        if len(payload) > HELD_WHOLE_BYTES:
            payload = encode(record, detailed=False)[0]
            self._lose("too_large")
        if len(self._late) >= HELD_AT_MOST:
            self._late.popleft()
            self._lose(_reason(error))
        self._late.append(payload)


def _reason(error: OSError) -> str:
    return "disk_full" if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else "unwritable"
