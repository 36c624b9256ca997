"""What an exposition is made by, and how its bytes are made smaller."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator

Render = Callable[[str | None], tuple[bytes, str]]
"""Takes the value of an ``Accept`` header (None where there is none), gives a body and its content type."""

TINY_BYTES = 512
"""A shorter body fits in one packet either way and is sent as it is."""

# Exposition text shrinks to a tenth at the lowest level, and to little less at several times the cost.
_GZIP_LEVEL = 1

# RFC 9110, 12.5.3: a coding's token, or "*", and perhaps its weight.
_CODING = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*)?")


def compress(body: bytes, accept_encoding: str | None) -> tuple[bytes, str | None]:
    """Return a body as its reader takes it, and the name of its coding where it has one.

    Args:
        body: the plain bytes.
        accept_encoding: the value of the request's ``Accept-Encoding`` header.
    """
    if len(body) < TINY_BYTES or not _takes_gzip(accept_encoding or ""):
        return body, None
    return gzip.compress(body, _GZIP_LEVEL, mtime=0), "gzip"


def _takes_gzip(accept_encoding: str) -> bool:
    weights = dict(_weights(accept_encoding))
    named = [weights[name] for name in ("gzip", "x-gzip") if name in weights]
    weight = max(named, default=weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


def _weights(accept_encoding: str) -> Iterator[tuple[str, float]]:
    """Go through the codings and their weights; what is not well formed is passed over."""
    for part in accept_encoding.lower().split(","):
        found = _CODING.fullmatch(part)
        if found is not None:
            yield found[1], float(found[2] or 1)
