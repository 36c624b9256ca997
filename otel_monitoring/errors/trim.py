"""What is let go of where the spool is full: first details, the oldest first, and errors only after all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from otel_monitoring.errors.segment import SegmentReader
    from otel_monitoring.errors.spool import Source, Spool
    from otel_monitoring.errors.stored import Payload

EVERYTHING = 1 << 30
DETAILS = ("context", "chain")


class Lose(Protocol):
    """Counts what the store will not have."""

    def __call__(self, reason: str, amount: float = 1) -> None:
        """Count so many errors, or their details, under a reason."""
        ...


def keep_bound(spool: Spool, lose: Lose) -> None:
    """Make the spool take no more than its bound, or as little as can be.

    Raises:
        OSError: a file can be neither rewritten nor removed.
    """
    while spool.size_bytes() > spool.bound_bytes:
        full = [source for source in spool.sources() if not source.is_growing]
        if not full:
            return
        rich = next((source for source in full if not source.reader.is_lean), None)
        if rich is None or not _let_details_go(rich.reader, lose):
            _let_errors_go(spool, full[0], lose)


def without_details(payload: Payload) -> Payload:
    """Return an error without its context and its traceback."""
    kept: Payload = payload.copy()
    kept["context"] = {}
    kept["chain"] = []
    return kept


def _let_details_go(reader: SegmentReader, lose: Lose) -> bool:
    reading = reader.read(most=EVERYTHING)
    lean = [(frame.number, _lean(frame.payload)) for frame in reading.frames]
    try:
        reader.rewrite(lean)
    except OSError:  # no room for the smaller file beside the larger one
        return False
    shortened = sum(len(payload) < len(frame.payload) for (_, payload), frame in zip(lean, reading.frames, strict=True))
    lose("context", shortened)
    lose("damaged", reading.damaged)
    return True


def _lean(payload: bytes) -> bytes:
    error: Payload = json.loads(payload)
    if not any(error.get(detail) for detail in DETAILS):
        return payload
    return json.dumps(without_details(error), ensure_ascii=False, separators=(",", ":")).encode()


def _let_errors_go(spool: Spool, source: Source, lose: Lose) -> None:
    reading = source.reader.read(source.end, most=EVERYTHING)
    spool.remove(source)
    lose("spool_full", len(reading.frames) + reading.damaged)
