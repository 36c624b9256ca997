"""The page of one error group: what it is, its last event with the traceback, its last occurrences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from otel_monitoring.cli.error_chain import chain_lines
from otel_monitoring.cli.error_table import status_text
from otel_monitoring.cli.harmless import harmless, lines_of, one_line
from otel_monitoring.cli.quantities import ago, local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, Plain

_LONGEST_LABEL = 30
_INDENT = "  "


def page_lines(
    group: ErrorGroup, events: Sequence[ErrorEvent], now: datetime, *, shown: int = 1, full: bool = False
) -> Iterator[Text]:
    """Go through the lines of the page; none is wrapped, the terminal does that.

    Args:
        group: what the page is of.
        events: its last ones, the newest first.
        now: what "3 min ago" counts from.
        shown: which of the events, if there are any, is shown with all that is known of it; 1 is the newest.
        full: show each frame of tracebacks, those of libraries too.
    """
    yield Text.assemble(status_text(group.status), "  ", (one_line(group.title), "bold"))
    yield from _listed(_about_group(group, now))
    if not events:
        yield from (Text(), Text("No event of it is kept in detail any more.", "dim"))
        return
    yield from _event_lines(events[shown - 1], shown, now, full=full)
    yield from _headed("Last events")
    yield from _occurrences(events, shown, now)


def _about_group(group: ErrorGroup, now: datetime) -> Iterator[tuple[str, str]]:
    yield "id", group.fingerprint
    yield "count", f"{group.count:,}"
    yield "last seen", _when(group.last_seen, now)
    yield "first seen", _when(group.first_seen, now)
    if group.resolved_at is not None:
        yield "resolved", _when(group.resolved_at, now)
    yield "type", group.error_type
    yield "component", group.component
    yield "service", group.service
    if group.last_release is not None:
        yield "last release", group.last_release


def _event_lines(event: ErrorEvent, number: int, now: datetime, *, full: bool) -> Iterator[Text]:
    yield from _headed("Last event" if number == 1 else f"Event {number}, counted from the last")
    yield from _listed(_about_event(event, now))
    if event.context:
        yield from _headed("Context")
        yield from _listed((name, _written(value)) for name, value in event.context.items())
    if event.chain:
        yield from _headed("Traceback")
        yield from chain_lines(event.chain, full=full)


def _about_event(event: ErrorEvent, now: datetime) -> Iterator[tuple[str, str]]:
    yield "time", _when(event.time, now)
    yield "message", event.message
    yield "host", f"{event.host}, pid {event.pid}"
    for label, known in (("release", event.release), ("trace", event.trace_id), ("span", event.span_id)):
        if known is not None:
            yield label, known
    yield "event", event.id


def _occurrences(events: Sequence[ErrorEvent], shown: int, now: datetime) -> Iterator[Text]:
    rows = [(ago(event.time, now), local_time(event.time), harmless(event.host)) for event in events]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    digits = len(f"{len(events)}")
    for number, (event, row) in enumerate(zip(events, rows, strict=True), 1):
        cells = "  ".join(map(_padded, row, widths))
        trace = f"  trace {harmless(event.trace_id)}" if event.trace_id else ""
        yield Text(f"{_INDENT}{number:>{digits}}  {cells}{trace}".rstrip(), "bold" if number == shown else "")


def _listed(pairs: Iterable[tuple[str, str]]) -> Iterator[Text]:
    """Go through names and values in two columns; further lines of a value stand below its first."""
    known = [(one_line(name), lines_of(value)) for name, value in pairs]
    width = max((cell_len(name) for name, _ in known if cell_len(name) <= _LONGEST_LABEL), default=0)
    for name, (first, *others) in known:
        yield Text.assemble(_INDENT, (_padded(name, width), "cyan"), _INDENT, first)
        for line in others:
            yield Text(f"{_INDENT}{' ' * width}{_INDENT}{line}".rstrip())


def _headed(heading: str) -> Iterator[Text]:
    yield Text()
    yield Text(heading, "bold underline")


def _written(value: Plain) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _when(moment: datetime, now: datetime) -> str:
    return f"{local_time(moment)} ({ago(moment, now)})"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
