"""What the command line shows of errors, made of groups and events as the store gives them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from otel_monitoring.cli.error_chain import chain_lines
from otel_monitoring.cli.error_json import json_line, json_text
from otel_monitoring.cli.error_page import page_lines
from otel_monitoring.cli.error_table import group_table
from otel_monitoring.cli.harmless import lines_of, one_line
from otel_monitoring.cli.quantities import ago, read_moment, shown_size
from otel_monitoring.errors.chain import chain_of, payload_of
from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup, FramePayload, LinkPayload, Status
from tests.logging_state import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOSTILE = "[red]red[/red] \x1b[31m\x1b]0;owned\x07 \u202egnp.exe \x9b2J\x7f"
HARMLESS = r"[red]red[/red] \u001b[31m\u001b]0;owned\u0007 \u202egnp.exe \u009b2J\u007f"
PLACE = re.compile(r"\S+\.py:\d+ in \S+")

RaisedError = TypeVar("RaisedError", bound=Exception)

GROUP = ErrorGroup(
    fingerprint="3f2a9c0d11223344",
    title="ValueError: no profile for prospect-17",
    error_type="ValueError",
    component="scorer",
    service="outreach",
    status=Status.NEW,
    count=5781,
    first_seen=NOW - timedelta(days=3),
    last_seen=NOW - timedelta(minutes=3),
    last_release="1.4.2",
)
EVENT = ErrorEvent(
    id="019ab0c1d2e3" + "0" * 20,
    fingerprint=GROUP.fingerprint,
    time=GROUP.last_seen,
    error_type="ValueError",
    component="scorer",
    message="no profile for prospect-17",
    service="outreach",
    host="web-1",
    pid=4242,
    release="1.4.2",
    trace_id="ab" * 16,
    span_id="cd" * 8,
    context=MappingProxyType({}),
    chain=(),
)


def printed(*shown: Table | Text, columns: int = 100, colours: bool = False) -> str:
    """Return what a terminal gets, with escape sequences only where colours are wanted."""
    written = StringIO()
    console = Console(
        file=written,
        width=columns,
        force_terminal=colours,
        color_system="standard" if colours else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    for one in shown:
        console.print(one, soft_wrap=not isinstance(one, Table))
    return written.getvalue()


def table(*groups: ErrorGroup, columns: int = 100, colours: bool = False) -> list[str]:
    """Return the lines of a table."""
    return printed(group_table(groups, NOW, columns), columns=columns, colours=colours).splitlines()


def page(group: ErrorGroup = GROUP, *events: ErrorEvent, shown: int = 1) -> str:
    """Return a page as it is printed."""
    return printed(*page_lines(group, events, NOW, shown=shown))


def chain_text(chain: Iterable[LinkPayload], *, full: bool = False) -> str:
    """Return a chain as it is printed."""
    return plain(chain_lines(tuple(chain), full=full))


def plain(lines: Iterable[Text]) -> str:
    """Return the text of lines."""
    return "\n".join(line.plain for line in lines)


def chain_from(exception: BaseException) -> tuple[LinkPayload, ...]:
    """Return the chain of an exception as the store would have it."""
    return tuple(map(payload_of, chain_of(exception, clean=str)))


def caught(exception: RaisedError) -> RaisedError:
    """Return an exception that was raised."""
    with suppress(type(exception)):
        fail(exception)
    return exception


def frame(module: str, line: int, /, **more: Any) -> FramePayload:
    """Return a frame of a module; what is called ``app`` is the application's."""
    known: FramePayload = {
        "module": module,
        "function": "run",
        "file": f"{module.replace('.', '/')}.py",
        "line": line,
        "in_app": module.startswith("app"),
    }
    return known | more  # type: ignore[return-value]


def link(*frames: FramePayload, message: str = "broken", relation: str = "raised", omitted: int = 0) -> LinkPayload:
    """Return an exception with these frames."""
    return {"type": "ValueError", "message": message, "relation": relation, "frames": list(frames), "omitted": omitted}


# The table


@pytest.mark.parametrize("columns", [34, 50, 70, 90, 130, 250])
def test_whatever_the_width_a_group_is_one_line_with_its_id(columns: int) -> None:
    """What there is no room for is left out or cut; id, status and count never are."""
    lines = table(replace(GROUP, title="no profile " * 50, component="finder " * 20), columns=columns)
    assert len(lines) == 3
    assert lines[2].startswith("3f2a9c0d  new      5781  ")
    assert len(lines[2]) <= columns
    assert lines[2].rstrip().endswith("…")


def test_a_wider_terminal_shows_more_of_a_group() -> None:
    """Columns come with the width: when it was last seen, the component, when it was first seen, exact times."""
    headings = [table(GROUP, columns=columns)[0].split() for columns in (50, 70, 90, 130)]
    assert [len(words) for words in headings] == [4, 6, 7, 9]
    assert "3 min ago" in table(GROUP, columns=70)[2]
    assert "3 days ago" in table(GROUP, columns=130)[2]
    assert re.search(r"2026-11-2\d \d\d:57:00\S+ \(3 min ago\)", table(GROUP, columns=220)[2])


@pytest.mark.parametrize(
    ("status", "codes"),
    [(Status.NEW, "31"), (Status.REGRESSED, "1;35"), (Status.RESOLVED, "32"), (Status.MUTED, "2")],
)
def test_each_status_has_its_colour(status: Status, codes: str) -> None:
    """What wants attention is red or magenta, the rest green or dim; without colours there are no codes."""
    group = replace(GROUP, status=status)
    assert f"\x1b[{codes}m{status}" in table(group, colours=True)[2]
    assert "\x1b" not in table(group)[2]


def test_wide_characters_keep_the_columns_in_line() -> None:
    """A title in Japanese is cut by the columns it takes, not by its characters."""
    lines = printed(group_table([replace(GROUP, title="失敗しました" * 20)], NOW, 70), columns=70).splitlines()
    assert lines[2].rstrip().endswith("…")
    assert len(lines[2].rstrip()) < 60


# Untrusted text


def test_a_hostile_title_is_spelled_out_in_the_table() -> None:
    """Markup stays text, and no control or direction character reaches the terminal."""
    assert HARMLESS in table(replace(GROUP, title=HOSTILE, component="x"), columns=220)[2]


def test_hostile_text_is_spelled_out_everywhere_on_the_page() -> None:
    """That goes for all that an error says: titles, messages, context, frames, locals, hosts."""
    hostile_frame = frame("app", 7, module=HOSTILE, function=HOSTILE, file=HOSTILE, source=HOSTILE)
    hostile_frame["locals"] = {HOSTILE: HOSTILE}
    library_frame = frame("lib", 7, module=HOSTILE)
    hostile_link = link(library_frame, hostile_frame, library_frame, message=f"{HOSTILE}\r\n{HOSTILE}")
    hostile_link["type"] = HOSTILE
    said: dict[str, Any] = dict.fromkeys(("error_type", "component", "service"), HOSTILE)
    group = replace(GROUP, title=HOSTILE, last_release=HOSTILE, **said)
    event = replace(
        EVENT,
        message=HOSTILE,
        host=HOSTILE,
        release=HOSTILE,
        trace_id=HOSTILE,
        span_id=HOSTILE,
        id=HOSTILE,
        context={HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}},
        chain=(hostile_link,),
        **said,
    )
    shown = page(group, event)
    assert shown.count(HARMLESS) > 20
    assert not [character for character in shown if not character.isprintable() and character != "\n"]


@given(st.text(st.characters()))
def test_no_text_reaches_the_terminal_with_what_it_would_obey(text: str) -> None:
    """Only shapes, spaces and the two joiners remain, of any text whatever."""
    for line in (one_line(text), *lines_of(text)):
        assert {category(character) for character in line} & {"Cc", "Cs", "Zl", "Zp", "Co", "Cn"} == set()
        assert {character for character in line if category(character) == "Cf"} <= {"\u200c", "\u200d"}
        assert "\t" not in line


def test_what_people_write_stays_readable() -> None:
    """Accents, no-break spaces, emoji families and Hindi are no attack."""
    assert one_line("Überfällig: 10\u00a0000 €") == "Überfällig: 10 000 €"
    for readable in ("👩\u200d👧", "क्\u200dष"):
        assert one_line(readable) == readable


# The page


def test_the_page_says_what_a_group_is() -> None:
    """Title, id, counts, both times, where it comes from."""
    shown = page(replace(GROUP, resolved_at=NOW - timedelta(days=1)), EVENT)
    assert shown.startswith("new  ValueError: no profile for prospect-17\n")
    for label, said in {
        "id": "3f2a9c0d11223344",
        "count": "5,781",
        "last seen": r"2026-11-2\d \d\d:57:00\S+ \(3 min ago\)",
        "first seen": r"2026-11-2\d \d\d:00:00\S+ \(3 days ago\)",
        "resolved": r".*\(24 h ago\)",
        "component": "scorer",
        "service": "outreach",
        "last release": r"1\.4\.2",
        "host": "web-1, pid 4242",
        "trace": "ab" * 16,
        "span": "cd" * 8,
    }.items():
        assert re.search(rf"^  {label} +{said}$", shown, re.MULTILINE), label


def test_the_context_is_a_list_with_nested_values_as_json_below_each_other() -> None:
    """Names and values stand in two columns, and what is nested is indented under its value."""
    context: dict[str, Any] = {"prospect": "p-17", "tried": {"at": [1, None]}, "is_last": True, "lines": "one\ntwo"}
    shown = page(GROUP, replace(EVENT, context=context))
    listed = (
        "  prospect  p-17",
        "  tried     {",
        '              "at": [',
        "                1,",
        "                null",
        "              ]",
        "            }",
        "  is_last   true",
        "  lines     one",
        "            two",
        "",
    )
    assert "\n".join(listed) in shown


def test_the_last_events_are_listed_and_the_one_that_is_shown_stands_out() -> None:
    """Each has its number, its times, its host and its trace."""
    older = replace(EVENT, time=NOW - timedelta(hours=5), host="web-22", trace_id=None, message="older")
    lines = list(page_lines(GROUP, [EVENT, older], NOW, shown=2))
    listed = lines[-2:]
    assert re.fullmatch(rf"  1  3 min ago  2026\S+ \S+  web-1   trace {'ab' * 16}", listed[0].plain)
    assert re.fullmatch(r"  2  5 h ago    2026\S+ \S+  web-22", listed[1].plain)
    assert [line.style for line in listed] == ["", "bold"]
    assert "Event 2, counted from the last" in plain(lines)
    assert "  message  older" in plain(lines)


def test_a_group_without_events_says_so() -> None:
    """Events may be pruned while their group is still there."""
    assert "No event of it is kept" in page(GROUP)


# The traceback


def test_frames_of_libraries_are_counted_and_those_of_the_application_shown() -> None:
    """A run of library frames is one line; the call that raised is shown whosever it is."""
    library = [frame("starlette.routing", number) for number in range(3)] + [frame("anyio.abc", 4)]
    chain = [link(frame("app.main", 1, source="serve()"), *library, frame("app.score", 9), *library)]
    assert chain_text(chain).splitlines() == [
        "  app/main.py:1 in run",
        "    serve()",
        "  … 4 frames in starlette, anyio",
        "  app/score.py:9 in run",
        "  … 3 frames in starlette",
        "  anyio/abc.py:4 in run",
        "  ValueError: broken",
    ]
    assert len(chain_text(chain, full=True).splitlines()) == 12


def test_locals_stand_below_their_call() -> None:
    """Where they were kept, each is one line."""
    shown = chain_text([link(frame("app", 1, source="go()", locals={"prospect": "p-17", "tries": [3, None]}))])
    assert '    go()\n      prospect = "p-17"\n      tries = [3, null]\n' in shown


def test_frames_that_were_not_kept_and_repeated_ones_are_counted() -> None:
    """A recursion of a thousand calls takes few lines, and says how many there were."""
    frames = [frame("app.deep", 5)] * 64
    shown = chain_text([link(*frames, omitted=936)], full=True)
    assert "  … 936 frames not kept" in shown
    assert "more calls of the same" in shown
    assert len(shown.splitlines()) < 15


def test_the_root_cause_comes_first() -> None:
    """As in Python: the cause, the sentence between, the exception that was reported last."""
    error = caught(RuntimeError("no score"))
    error.__cause__ = caught(ValueError("no profile"))
    error.__cause__.__context__ = caught(KeyError("prospect"))
    said = [line for line in chain_text(chain_from(error)).splitlines() if line and not PLACE.search(line)]
    assert said == [
        "  KeyError: 'prospect'",
        "  During handling of the above exception, another exception occurred:",
        "  ValueError: no profile",
        "  The above exception was the direct cause of the following exception:",
        "  RuntimeError: no score",
    ]


def test_members_of_a_group_stand_indented_below_it() -> None:
    """A member may be a group and may have a cause of its own."""
    mended = caught(TypeError("two\nlines"))
    mended.__cause__ = ValueError("its cause")
    inner = ExceptionGroup("inner", [KeyError("a"), mended])
    outer = caught(ExceptionGroup("outer", [inner, OSError("last")]))
    said = [line for line in chain_text(chain_from(outer)).splitlines() if line and not PLACE.search(line)]
    assert said == [
        "  ExceptionGroup: outer (2 sub-exceptions)",
        "    member 1 of 2",
        "      ExceptionGroup: inner (2 sub-exceptions)",
        "        member 1 of 2",
        "          KeyError: 'a'",
        "        member 2 of 2",
        "          ValueError: its cause",
        "          The above exception was the direct cause of the following exception:",
        "          TypeError: two",
        "          lines",
        "    member 2 of 2",
        "      OSError: last",
    ]


# JSON


@given(st.text(st.characters()), st.text(st.characters()))
def test_an_event_is_one_line_of_json_that_says_all_of_it(message: str, value: str) -> None:
    """Any text survives, in one line that a terminal shows harmlessly and UTF-8 can hold."""
    event = replace(EVENT, message=message, context={"value": [value, 1, None]}, chain=(link(frame("app", 1)),))
    line = json_line(event)
    assert line.isprintable()
    read = json.loads(line.encode())
    assert read["message"] == message
    assert read["context"] == {"value": [value, 1, None]}
    assert read["time"] == "2026-11-25T11:57:00.000000Z"
    assert read["chain"][0]["frames"][0]["module"] == "app"
    assert set(read) == {field.name for field in fields(ErrorEvent)}


def test_groups_are_an_array_of_json() -> None:
    """Times are ISO 8601 in UTC, and what is not known is null."""
    (read,) = json.loads(json_text([GROUP]))
    assert read["status"] == "new"
    assert read["first_seen"] == "2026-11-22T12:00:00.000000Z"
    assert read["resolved_at"] is None


# Times and sizes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("5 min", 300), ("2h", 7200), ("1.5h", 5400), ("3d", 259_200), (" 1w ", 604_800)],
)
def test_a_span_is_counted_back_from_now(text: str, seconds: int) -> None:
    """Each unit, with and without a space."""
    assert read_moment(text, NOW) == NOW - timedelta(seconds=seconds)


def test_a_time_is_local_where_it_names_no_zone() -> None:
    """A date is its first moment, and a zone is heeded."""
    assert read_moment("2026-11-25T10:00:00+02:00", NOW) == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert read_moment("2026-11-25T10:00Z", NOW) == datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert read_moment("2026-11-25", NOW) == datetime(2026, 11, 25).astimezone()


@pytest.mark.parametrize("text", ["yesterday", "", "5", "-2h", "2 fortnights", "99999999999999999w", "2026-13-01"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValueError, match=r"30m, 2h, 3d or 1w nor a time such as 2026-11-25"):
        read_moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7_200, "2 h ago"),
        (172_800, "2 days ago"),
        (100 * 86_400, "3 months ago"),
        (1_000 * 86_400, "2 years ago"),
        (-300, "in 5 min"),
    ],
)
def test_how_long_ago_is_said_in_the_unit_that_fits(seconds: int, said: str) -> None:
    """At least two of a unit, so that no half of one is lost."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said


def test_sizes_are_shown_with_four_digits() -> None:
    """From bytes to terabytes."""
    assert [shown_size(size) for size in (999, 1500, 12_345_678, 2 * 10**12)] == [
        "999 bytes",
        "1.5 kB",
        "12.35 MB",
        "2 TB",
    ]
