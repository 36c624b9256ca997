"""Which OpenTelemetry span the calling code runs in."""

from __future__ import annotations

import sys


def current_span() -> tuple[str, str] | tuple[None, None]:
    """Return the active span's trace id and span id as lower-case hex, or two times None.

    Nothing is imported: where nobody has loaded the tracing API, no span can be active.
    """
    # Another thread may be in the middle of importing it: then it has no such function yet.
    get_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if get_span is None:
        return None, None
    context = get_span().get_span_context()
    if not context.is_valid:
        return None, None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"
