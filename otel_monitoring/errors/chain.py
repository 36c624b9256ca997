"""What led to an error: the exception, its causes and its members, each with its frames.

Nothing here trusts an exception: what its class makes of ``__traceback__``, ``__cause__``,
``__dict__`` or ``__str__`` is passed by or contained, and what is taken is bounded.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.machinery import ModuleSpec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any

    from otel_monitoring.errors.stored import FramePayload, LinkPayload, Plain


MOST_LINKS = 16
"""Exceptions of one chain that are kept."""

OUTERMOST = 16
INNERMOST = 48
MOST_FRAMES = OUTERMOST + INNERMOST
"""Frames of one exception that are kept; of more, those next to the handler and those next to the fault."""

MOST_CALLS = 10_000
"""How far a traceback is followed; an endless recursion under a high limit has no end worth waiting for."""

MOST_NOTES = 16
MESSAGE_CHARACTERS = 4096

MOST_KNOWN = 4096
"""Places in code that are remembered; beyond that all are found out anew."""

_traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
_cause_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_context_of: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__context__"].__get__
_is_context_suppressed: Callable[[BaseException], bool] = BaseException.__dict__["__suppress_context__"].__get__
_attributes_of: Callable[[BaseException], dict[str, object]] = BaseException.__dict__["__dict__"].__get__
_members_of: Callable[[BaseException], tuple[BaseException, ...]] = BaseExceptionGroup.__dict__["exceptions"].__get__
_qualname_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module_of_class: Callable[[type], object] = type.__dict__["__module__"].__get__
_entry: Callable[[dict[str, Any], str], object] = dict.get


class Relation(StrEnum):
    """How an exception came into the chain."""

    RAISED = "raised"
    """It is the one that was reported."""
    CAUSE = "cause"
    """The one before it was raised from it."""
    CONTEXT = "context"
    """The one before it was raised while it was handled."""
    MEMBER = "member"
    """It is one of an exception group's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a traceback.

    Args:
        module: the module's name as an import gives it, as far as that can be known.
        function: the qualified name.
        file: as the code object has it.
        line: the line that ran.
        in_app: whether it is the application's own code, not a library's or Python's.
        locals: its variables, scrubbed, where they were asked for.
    """

    module: str
    function: str
    file: str
    line: int
    in_app: bool
    locals: Mapping[str, Plain] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Link:
    """One exception of a chain.

    Args:
        type: as ``exception_type`` gives it.
        message: its text, and its notes as further lines; scrubbed.
        relation: how it came into the chain.
        frames: the outermost call first; the innermost one raised it.
        omitted: how many calls were left out after the first 16 frames.
        group: of a member, the index in the chain of its exception group.
    """

    type: str
    message: str
    relation: Relation
    frames: tuple[Frame, ...]
    omitted: int = 0
    group: int | None = None


def exception_type(exception: BaseException) -> str:
    """Return the class name of an exception as OpenTelemetry's Python SDK writes ``exception.type``.

    That is ``module.Qualname``, and the bare name of what is built in: ``ValueError``,
    ``asyncio.exceptions.CancelledError``.  The semantic conventions ask for the same of
    ``error.type`` (the canonical class name), so that errors here and in traces have one name.
    https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/#error-type
    """
    kind = type(exception)
    module = _module_of_class(kind)
    if type(module) is not str or module == "builtins":
        return _qualname_of(kind)
    return f"{module}.{_qualname_of(kind)}"


def text_of(exception: BaseException) -> str:
    """Return ``str(exception)``, and where that fails a note that says so."""
    try:
        text = str(exception)
    except Exception:  # noqa: BLE001 (a faulty __str__ raises anything; the error that it belongs to counts all the same)
        return f"<no text: {exception_type(exception)}.__str__ failed>"
    # What inherits from str may fail later, in the middle of ours.
    return text if type(text) is str else str.__str__(text)


def chain_of(
    exception: BaseException,
    *,
    clean: Callable[[str], str],
    clean_locals: Callable[[Mapping[object, object]], dict[str, Plain]] | None = None,
) -> tuple[Link, ...]:
    """Return an exception and what led to it, each exception once.

    The exception is first; each is followed by its cause, or else by what was being handled
    when it was raised, and then by the members of an exception group, depth first.

    Args:
        exception: where the chain begins.
        clean: scrubs every text of an exception.
        clean_locals: scrubs the variables of a call; with it, those of the application's own are kept.
    """
    if not issubclass(type(exception), BaseException):  # it only says that it is one, as a mock does
        return (Link(exception_type(exception), clean(text_of(exception)), Relation.RAISED, ()),)
    links: list[Link] = []
    seen: set[int] = set()
    waiting: list[tuple[BaseException, Relation, int | None]] = [(exception, Relation.RAISED, None)]
    while waiting and len(links) < MOST_LINKS:
        current, relation, group = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            members = members_of(current)[:MOST_LINKS]
            waiting.extend((member, Relation.MEMBER, len(links)) for member in reversed(members))
            waiting.extend(_origin_of(current))
            frames, omitted = _frames_of(current, clean_locals)
            links.append(Link(exception_type(current), _message_of(current, clean), relation, frames, omitted, group))
    return tuple(links)


def members_of(exception: BaseException | None) -> tuple[BaseException, ...]:
    """Return the members of an exception group; any other exception has none."""
    return _members_of(exception) if issubclass(type(exception), BaseExceptionGroup) else ()  # type: ignore[arg-type]


def payload_of(link: Link) -> LinkPayload:
    """Return a link as it is stored; only of a member it says where its group is, as ``group``."""
    payload: LinkPayload = {
        "type": link.type,
        "message": link.message,
        "relation": link.relation.value,
        "frames": [_frame_payload(frame) for frame in link.frames],
        "omitted": link.omitted,
    }
    if link.group is not None:
        payload["group"] = link.group
    return payload


def format_chain(chain: Sequence[LinkPayload]) -> str:
    """Return a chain as Python prints a traceback, the root cause first.

    It is made of what is in the chain and nothing else, so nothing is in it that was not
    scrubbed; lines of code are printed where the frames have them.
    """
    return "".join(f"{line}\n" for line in _chain_lines(chain, 0, 0)) if chain else ""


def _origin_of(exception: BaseException) -> Iterator[tuple[BaseException, Relation, None]]:
    cause = _cause_of(exception)
    if cause is not None:
        yield cause, Relation.CAUSE, None
    elif not _is_context_suppressed(exception):
        context = _context_of(exception)
        if context is not None:
            yield context, Relation.CONTEXT, None


def _message_of(exception: BaseException, clean: Callable[[str], str]) -> str:
    message = clean(text_of(exception))
    notes = _entry(_attributes_of(exception), "__notes__")
    if type(notes) is list:
        texts = [clean(note) for note in notes[:MOST_NOTES] if type(note) is str]
        message = "\n".join((message, *texts))
    more = len(message) - MESSAGE_CHARACTERS
    return message if more <= 0 else f"{message[:MESSAGE_CHARACTERS]}… ({more} characters more)"


def _frames_of(
    exception: BaseException, clean_locals: Callable[[Mapping[object, object]], dict[str, Plain]] | None
) -> tuple[tuple[Frame, ...], int]:
    """Return the frames of one exception, and how many were left out after the outermost of them."""
    calls = _calls_of(_traceback_of(exception))
    omitted = 0
    if len(calls) > MOST_FRAMES:
        calls = [call for call in calls if not _wraps(_entry(call.tb_frame.f_globals, "__name__"))]
        omitted = max(0, len(calls) - MOST_FRAMES)
        if omitted:
            calls = calls[:OUTERMOST] + calls[-INNERMOST:]
    if clean_locals is None:
        frames = [frame for call in calls if (frame := _frame_of(call)) is not None]
    else:
        frames = [_with_locals(frame, call, clean_locals) for call in calls if (frame := _frame_of(call)) is not None]
    return tuple(frames), omitted


def _calls_of(traceback: TracebackType | None) -> list[TracebackType]:
    calls: list[TracebackType] = []
    while traceback is not None and len(calls) < MOST_CALLS:
        calls.append(traceback)
        traceback = traceback.tb_next
    return calls


def _with_locals(
    frame: Frame, call: TracebackType, clean_locals: Callable[[Mapping[object, object]], dict[str, Plain]]
) -> Frame:
    running = call.tb_frame
    variables = running.f_locals
    # A module's variables are everything that it defines and imports.
    if not frame.in_app or variables is running.f_globals:
        return frame
    return replace(frame, locals=clean_locals(cast("Mapping[object, object]", variables)))


_known: dict[tuple[int, int], tuple[object, object, Frame | None]] = {}
"""The frame of each place in code that was met, by the code object's id and the instruction.

With it are kept the module's ``__name__``, since one code object can run in several, and
the code object, so that its id is not given to another.
"""


def _frame_of(call: TracebackType) -> Frame | None:
    """Return what is known of a call without its variables; None where it is one that only wraps another."""
    running = call.tb_frame
    code = running.f_code
    name = _entry(running.f_globals, "__name__")
    place = id(code), call.tb_lasti
    known = _known.get(place)
    if known is None or known[0] is not name:
        known = name, code, _found_frame(call)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[place] = known
    return known[2]


def _found_frame(call: TracebackType) -> Frame | None:
    code = call.tb_frame.f_code
    variables = call.tb_frame.f_globals
    module = _module_of(variables)
    if _wraps(module):
        return None
    file = _entry(variables, "__file__") if code.co_filename.startswith("<") else code.co_filename
    return Frame(
        module=_encodable(module),
        function=_encodable(code.co_qualname),
        file=_encodable(code.co_filename),
        line=call.tb_lineno or 0,  # None where the compiler has put in an instruction of its own
        in_app=_is_in_app(module, file if isinstance(file, str) else ""),
    )


def _encodable(name: str) -> str:
    """Return a name that has a form in UTF-8; that of a file need not."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


_MAIN = frozenset({"__main__", "__mp_main__"})
"""What the module that was started is called, in the first process and in those of ``multiprocessing``."""


def _module_of(variables: dict[str, Any]) -> str:
    """Return a module's name by its variables: of the one that was started, the name that an import would give it."""
    name = _entry(variables, "__name__")
    if not isinstance(name, str):
        return "<no module>"
    if name not in _MAIN:
        return name
    spec = _entry(variables, "__spec__")
    if isinstance(spec, ModuleSpec) and spec.name not in _MAIN:
        return spec.name
    file = _entry(variables, "__file__")
    return _module_of_script(Path(file)) if isinstance(file, str) else name


def _module_of_script(file: Path) -> str:
    """Return the dotted name of a file that was started: its packages are the folders with an ``__init__.py``."""
    names = [file.stem]
    for folder in file.parents:
        if not _is_package(folder):
            break
        names.append(folder.name)
    if names == ["__main__"]:  # a folder or a zip file was started
        names.append(file.parent.stem)
    return ".".join(reversed(names))


def _is_package(folder: Path) -> bool:
    try:
        return bool(folder.name) and (folder / "__init__.py").is_file()
    except (OSError, ValueError):  # no permission; no name that a file can have
        return False


_OURS = "otel_monitoring"


def _wraps(module: object) -> bool:
    """Tell whether a module is one of ours that stand between the application's calls: no part of its stack."""
    return isinstance(module, str) and f"{module}.".startswith(f"{_OURS}.instrument.")


_STANDARD_LIBRARY = str(Path(getattr(os, "__file__", "") or "").parent).replace("\\", "/")
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def _is_in_app(module: str, file: str) -> bool:
    """Tell whether code is the application's own.

    Args:
        module: its name; it alone decides of our own modules.
        file: where it is, or the file of its module where it was made from text.
    """
    if f"{module}.".startswith(f"{_OURS}."):
        return f"{module}.".startswith(f"{_OURS}.cli.")  # the command line is a user of the rest
    folder, _, _ = file.replace("\\", "/").rpartition("/")
    return not (_INSTALLED.intersection(folder.split("/")) or _is_standard(module, file, folder))


def _is_standard(module: str, file: str, folder: str) -> bool:
    """Tell whether code is Python's own: by its name, which others can have too, and its place if it has one."""
    if module.partition(".")[0] not in sys.stdlib_module_names:
        return False
    return not Path(file).is_absolute() or f"{folder}/".startswith(f"{_STANDARD_LIBRARY}/")


def _frame_payload(frame: Frame) -> FramePayload:
    payload: FramePayload = {
        "module": frame.module,
        "function": frame.function,
        "file": frame.file,
        "line": frame.line,
        "in_app": frame.in_app,
    }
    if frame.locals is not None:
        payload["locals"] = dict(frame.locals)
    return payload


_JOINTS = {
    Relation.CAUSE.value: "The above exception was the direct cause of the following exception:",
    Relation.CONTEXT.value: "During handling of the above exception, another exception occurred:",
}


def _chain_lines(chain: Sequence[LinkPayload], index: int, depth: int) -> Iterator[str]:
    """Go through the lines of one exception, after those of what led to it.

    Args:
        chain: all exceptions.
        index: which of them.
        depth: how many boxes of exception groups it stands in.
    """
    before = index + 1
    joint = _JOINTS.get(chain[before]["relation"]) if before < len(chain) else None
    if joint:
        yield from _chain_lines(chain, before, depth)
        yield from _boxed(("", joint, ""), depth)
    members = [number for number in range(before, len(chain)) if chain[number].get("group") == index]
    if members:
        yield from _group_lines(chain, index, members, depth)
    else:
        yield from _boxed(_link_lines(chain[index], "Traceback"), depth)


def _group_lines(chain: Sequence[LinkPayload], index: int, members: list[int], depth: int) -> Iterator[str]:
    """Go through the lines of an exception group, each of its members in a box."""
    inner = max(depth, 1)
    lines = list(_boxed(_link_lines(chain[index], "Exception Group Traceback"), inner))
    if depth == 0 and chain[index]["frames"]:
        lines[0] = lines[0].replace("|", "+", 1)
    yield from lines
    indent = "  " * inner
    for number, member in enumerate(members, 1):
        yield f"{indent}{'+-' if number == 1 else '  '}+---------------- {number} ----------------"
        yield from _chain_lines(chain, member, inner + 1)
    if not any(link.get("group") == members[-1] for link in chain):  # else that group has closed the box already
        yield f"{indent}  +------------------------------------"


def _boxed(lines: Iterable[str], depth: int) -> Iterator[str]:
    margin = f"{'  ' * depth}| " if depth else ""
    return (f"{margin}{line}" for line in lines)


def _link_lines(link: LinkPayload, heading: str) -> Iterator[str]:
    frames = link["frames"]
    if frames:
        yield f"{heading} (most recent call last):"
    outer = OUTERMOST if link["omitted"] else len(frames)
    yield from _frame_lines(frames[:outer])
    if link["omitted"]:
        yield f"  [{link['omitted']} more calls, left out]"
    yield from _frame_lines(frames[outer:])
    message = link["message"]
    yield from (f"{link['type']}: {message}" if message else link["type"]).split("\n")


_SHOWN_REPEATS = 3


def _frame_lines(frames: Sequence[FramePayload]) -> Iterator[str]:
    """Go through the lines of frames; of a recursion the first three calls are shown, as Python does."""
    for (place, source), run in groupby(frames, lambda frame: (_place_line(frame), frame.get("source"))):
        times = len(list(run))
        for _ in range(min(times, _SHOWN_REPEATS)):
            yield place
            if source:
                yield f"    {source}"
        if (more := times - _SHOWN_REPEATS) > 0:
            yield f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]"


def _place_line(frame: FramePayload) -> str:
    name = frame.get("function", "").rpartition(".")[2]
    return f'  File "{frame.get("file", "")}", line {frame.get("line", 0)}, in {name}'
