"""How a bucket's bound is written in the label ``le``."""

from __future__ import annotations

from decimal import Decimal

GO_EXPONENT_FROM = 1e6
"""From here on Go writes numbers with an exponent."""


def bound_text(bound: float) -> str:
    """Return a bucket bound as Go writes it, ``1.048576e+06``.

    Prometheus 3 rewrites bounds that way, so that a query finds the same text in any version.
    """
    if abs(bound) < GO_EXPONENT_FROM:
        return repr(bound)
    digits, exponent = f"{Decimal(repr(bound)).normalize():e}".split("e")
    return f"{digits}e{int(exponent):+03d}"
