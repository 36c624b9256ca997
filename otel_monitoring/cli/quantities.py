"""Times and sizes as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|m|h|d|w)", re.ASCII)
_SPAN_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_SHOWN_SPANS = (("years", 31_557_600), ("months", 2_629_800), ("days", 86_400), ("h", 3_600), ("min", 60))
_SHOWN_SIZES = (("TB", 1000**4), ("GB", 1000**3), ("MB", 1000**2), ("kB", 1000))


def read_moment(text: str, now: datetime) -> datetime:
    """Return the moment that is meant by a span before now or by a time of ISO 8601.

    Args:
        text: ``30m``, ``2h``, ``3d``, ``1w``, or a date or time, local where it names no zone.
        now: what spans are counted back from.

    Raises:
        ValueError: it is neither; the message says what would be.
    """
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return now - timedelta(seconds=float(span[1]) * _SPAN_SECONDS[span[2]])
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a span such as 30m, 2h, 3d or 1w "
            "nor a time such as 2026-11-25 or 2026-11-25T13:30:00Z"
        ) from None


def ago(moment: datetime, now: datetime) -> str:
    """Say how long before now a moment was: ``3 min ago``; what is ahead is ``in 3 min``."""
    seconds = round((now - moment).total_seconds())
    unit, length = next((span for span in _SHOWN_SPANS if abs(seconds) >= 2 * span[1]), ("s", 1))
    span = f"{abs(seconds) // length} {unit}"
    return f"in {span}" if seconds < 0 else f"{span} ago"


def local_time(moment: datetime) -> str:
    """Write a moment in the local zone, to the second, with the zone's offset."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def shown_size(size_bytes: int) -> str:
    """Write a number of bytes with four digits that count: ``12.35 MB``."""
    unit, length = next((size for size in _SHOWN_SIZES if size_bytes >= size[1]), ("bytes", 1))
    return f"{size_bytes / length:.4g} {unit}" if length > 1 else f"{size_bytes} {unit}"


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 event``, ``2 events``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
