"""The exceptions of an error for the terminal: the application's own calls stand out, those of libraries step back."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from otel_monitoring.cli.harmless import lines_of, one_line
from otel_monitoring.cli.quantities import counted
from otel_monitoring.errors.chain import OUTERMOST, Relation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_monitoring.errors.stored import FramePayload, LinkPayload

_JOINTS = {
    Relation.CAUSE.value: "The above exception was the direct cause of the following exception:",
    Relation.CONTEXT.value: "During handling of the above exception, another exception occurred:",
}
_INDENT = "  "
_MOST_PACKAGES = 4
_MOST_REPEATS = 3


def chain_lines(chain: Sequence[LinkPayload], *, full: bool = False) -> Iterator[Text]:
    """Go through the lines of a chain in Python's order: the root cause first.

    Args:
        chain: as the store has it, the exception that was reported first.
        full: show each frame; without it those of libraries are only counted, but where one raised.
    """
    if chain:
        yield from _indented(_exception_lines(chain, 0, full=full))


def _exception_lines(chain: Sequence[LinkPayload], index: int, *, full: bool) -> Iterator[Text]:
    """Go through the lines of what led to one exception, then its own, then those of its members."""
    following = index + 1
    joint = _JOINTS.get(chain[following]["relation"]) if following < len(chain) else None
    if joint is not None:
        yield from _exception_lines(chain, following, full=full)
        yield from (Text(), Text(joint, "italic"), Text())
    yield from _link_lines(chain[index], full=full)
    members = [number for number in range(following, len(chain)) if chain[number].get("group") == index]
    for number, member in enumerate(members, 1):
        yield Text(f"{_INDENT}member {number} of {len(members)}", "italic")
        yield from _indented(_exception_lines(chain, member, full=full), depth=2)


def _link_lines(link: LinkPayload, *, full: bool) -> Iterator[Text]:
    frames = link["frames"]
    outer = OUTERMOST if link["omitted"] else 0
    yield from _frames_lines(frames[:outer], full=full)
    if link["omitted"]:
        yield Text(f"… {counted(link['omitted'], 'frame')} not kept", "dim")
    yield from _frames_lines(frames[outer:-1], full=full)
    yield from _frames_lines(frames[outer:][-1:], full=True)
    first, *others = lines_of(link["message"])
    yield Text.assemble((one_line(link["type"]), "bold red"), f": {first}" if first else "")
    yield from map(Text, others)


def _frames_lines(frames: Sequence[FramePayload], *, full: bool) -> Iterator[Text]:
    for is_shown, run in groupby(frames, lambda frame: full or frame.get("in_app", False)):
        lines = _repeated_lines if is_shown else _counted_lines
        yield from lines(list(run))


def _counted_lines(frames: Sequence[FramePayload]) -> Iterator[Text]:
    names = list(dict.fromkeys(one_line(frame.get("module", "?").partition(".")[0]) for frame in frames))
    more = ", …" if len(names) > _MOST_PACKAGES else ""
    yield Text(f"… {counted(len(frames), 'frame')} in {', '.join(names[:_MOST_PACKAGES])}{more}", "dim")


def _repeated_lines(frames: Sequence[FramePayload]) -> Iterator[Text]:
    """Go through the lines of frames; of a recursion the first calls are shown, as Python does."""
    for _, run in groupby(frames, lambda frame: (frame.get("file"), frame.get("line"))):
        same = list(run)
        for frame in same[:_MOST_REPEATS]:
            yield from _frame_lines(frame)
        if (more := len(same) - _MOST_REPEATS) > 0:
            yield Text(f"… {counted(more, 'more call')} of the same", "dim")


def _frame_lines(frame: FramePayload) -> Iterator[Text]:
    place = f"{one_line(frame.get('file', '?'))}:{frame.get('line', 0)}"
    function = one_line(frame.get("function", "?"))
    if not frame.get("in_app", False):
        yield Text(f"{place} in {function}", "dim")
        return
    yield Text.assemble((place, "cyan"), " in ", (function, "bold"))
    if source := frame.get("source"):
        yield Text(f"{_INDENT}{one_line(source)}")
    for name, value in frame.get("locals", {}).items():
        yield Text(f"{_INDENT * 2}{one_line(name)} = {one_line(json.dumps(value, ensure_ascii=False))}", "dim")


def _indented(lines: Iterator[Text], depth: int = 1) -> Iterator[Text]:
    return (Text.assemble(_INDENT * depth, line) if line else line for line in lines)
