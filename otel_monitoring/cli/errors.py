"""``otel-monitoring errors``: look through what is stored of errors, settle it, thin it out, take it elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path  # noqa: TC003 (as below)
from typing import TYPE_CHECKING, Annotated, cast

import typer

from otel_monitoring.cli.opened_store import opened_store
from otel_monitoring.cli.quantities import counted, read_moment, shown_size
from otel_monitoring.errors.stored import Status  # noqa: TC001 (typer reads annotations)
from otel_monitoring.settings import BYTES, DAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_monitoring.errors.store import ErrorStore
    from otel_monitoring.errors.stored import ErrorGroup
    from otel_monitoring.settings import Kind

MOST_COUNTED = 1000
"""How many groups are counted where only their number is said."""

error_commands = typer.Typer(
    name="errors",
    no_args_is_help=True,
    help="""Look through the errors that are stored, and settle them.

The same fault is one group, however often it happens. An ID is the beginning of a group's fingerprint, \
as `errors list` shows it; as many digits as tell it from the others are enough.

\b
Examples:
  otel-monitoring errors list --since 2h --component scorer
  otel-monitoring errors show 3f2a9c0d --full
  otel-monitoring errors resolve 3f2a9c0d 71b04e22
  otel-monitoring errors prune --keep-days 30 --keep-bytes 200MB
  otel-monitoring errors export --format jsonl --output errors.jsonl
""",
)


class ExportFormat(StrEnum):
    """In which form errors are exported."""

    JSONL = "jsonl"


def _moment(text: str) -> datetime:
    try:
        return read_moment(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _size_bytes(text: str) -> int:
    return cast("int", _read(text, BYTES))


def _days(text: str) -> float:
    return cast("float", _read(text, DAYS))


def _read(text: str, kind: Kind) -> object:
    try:
        return kind.read(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not {kind.expected}") from None


Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PATH-OR-URL",
        help="The store: a path or a database URL. Default: OTEL_MONITORING_STORE_ERRORS, else the default place.",
        show_default=False,
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The group: its fingerprint or the beginning of it.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="The groups: their fingerprints or beginnings.")]
Component = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only errors of this component. Default: all.", show_default=False)
]
Service = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only errors of this service. Default: all.", show_default=False)
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=_moment,
        metavar="WHEN",
        help="Only what was seen since then: 30m, 2h, 3d, 1w ago, or a time of ISO 8601. Default: the beginning.",
        show_default=False,
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=_moment,
        metavar="WHEN",
        help="Only what was seen before then, written as for --since. Default: now.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs. Default: text, for people.")]


@error_commands.command("list")
def list_groups(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Resolved and muted ones too. Default: those that want attention.")
    ] = False,
    status: Annotated[
        list[Status] | None,
        typer.Option(
            metavar="STATUS",
            help="Only groups that are new, regressed, resolved or muted; may be given several times.",
            show_default=False,
        ),
    ] = None,
    component: Component = None,
    service: Service = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many groups at most.")] = 100,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """List the groups of errors that want attention, the last seen first."""
    from otel_monitoring.cli.error_json import json_text
    from otel_monitoring.cli.error_table import group_table
    from otel_monitoring.cli.output import standard_output

    if everything and status:
        raise typer.BadParameter("--all and --status contradict each other: give one of them")
    with opened_store(store) as opened, standard_output("utf-8" if as_json else None) as console:
        found = opened.groups(
            unresolved=not everything and not status,
            status=status or None,
            component=component,
            service=service,
            since=since,
            limit=limit + 1,
        )
        if as_json:
            console.file.write(f"{json_text(found[:limit])}\n")
            return
        if not found:
            filtered = bool(everything or status or component or service or since)
            console.print(_nothing_found(len(opened.groups(limit=MOST_COUNTED)), filtered=filtered))
            return
        console.print(group_table(found[:limit], datetime.now(UTC), console.width))
        if len(found) > limit:
            narrower = "with --since, --component or --status"
            console.print(f"These are the last {limit}; there are more: raise --limit, or narrow {narrower}.")


@error_commands.command()
def show(
    group_id: Id,
    *,
    last: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="How many of its last events are listed.")
    ] = 5,
    event: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=10_000, help="Which event is shown in full, counted from the last one."),
    ] = 1,
    full: Annotated[bool, typer.Option("--full", help="Show the frames of libraries too.")] = False,
    as_json: AsJson = False,
    store: Store = None,
) -> None:
    """Show one group: what it is, its last event with context and traceback, its last occurrences."""
    from otel_monitoring.cli.error_json import json_text
    from otel_monitoring.cli.error_page import page_lines
    from otel_monitoring.cli.output import standard_output

    with opened_store(store) as opened, standard_output("utf-8" if as_json else None) as console:
        group = opened.group(group_id)
        events = opened.events(group.fingerprint, limit=max(last, event))
        if as_json:
            console.file.write(f"{json_text({'group': group, 'events': events})}\n")
            return
        if 0 < len(events) < event:
            raise typer.BadParameter(f"--event {event} is beyond the {counted(len(events), 'event')} that are kept")
        for line in page_lines(group, events, datetime.now(UTC), shown=event, full=full):
            console.print(line, soft_wrap=True)


@error_commands.command()
def resolve(group_ids: Ids, *, store: Store = None) -> None:
    """Say that groups are mended; one that is seen again comes back as regressed."""
    with opened_store(store) as opened:
        _settle(opened, group_ids, opened.resolve, said="resolved")


@error_commands.command()
def mute(group_ids: Ids, *, store: Store = None) -> None:
    """Stop listing groups; they are counted and kept all the same."""
    with opened_store(store) as opened:
        _settle(opened, group_ids, opened.mute, said="muted")


@error_commands.command()
def reopen(group_ids: Ids, *, store: Store = None) -> None:
    """Take back that groups are resolved or muted: they are new again."""
    with opened_store(store) as opened:
        _settle(opened, group_ids, opened.reopen, said="reopened")


@error_commands.command()
def prune(
    *,
    keep_days: Annotated[
        float | None,
        typer.Option(
            parser=_days,
            metavar="DAYS",
            help="Errors that are older go. Default: OTEL_MONITORING_ERRORS_KEEP_DAYS, else 30.",
        ),
    ] = None,
    keep_bytes: Annotated[
        int | None,
        typer.Option(
            parser=_size_bytes,
            metavar="SIZE",
            help="Then the oldest go until the rest takes no more: 200MB, 1.5GiB, or a number of bytes. "
            "Default: OTEL_MONITORING_ERRORS_KEEP_BYTES, else 256MiB.",
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Let go of errors that are too old or too many, at once and for good."""
    with opened_store(store) as opened:
        pruned = opened.prune(keep_days=keep_days, keep_bytes=keep_bytes)
    gone = f"{counted(pruned.events, 'event')} and {counted(pruned.groups, 'group')}"
    any_gone = pruned.events or pruned.groups
    typer.echo(f"{gone} went, {shown_size(pruned.bytes)}." if any_gone else "There was nothing to let go of.")


@error_commands.command()
def export(
    *,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl: one JSON object a line, in UTF-8, times in UTC.")
    ] = ExportFormat.JSONL,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write, readable for its owner only; it is replaced once all is written. "
            "Default: standard output.",
            show_default=False,
        ),
    ] = None,
    component: Component = None,
    service: Service = None,
    since: Since = None,
    until: Until = None,
    store: Store = None,
) -> None:
    """Write single errors out, the oldest first, with all that is known of each."""
    from otel_monitoring.cli.error_json import json_line
    from otel_monitoring.cli.output import standard_output
    from otel_monitoring.cli.whole_file import whole_file

    del export_format  # there is one
    with opened_store(store) as opened:
        lines = map(json_line, opened.export(component=component, service=service, since=since, until=until))
        if output is None:
            with standard_output("utf-8") as console:
                console.file.writelines(f"{line}\n" for line in lines)
        else:
            with whole_file(output) as file:
                number = sum(1 for line in lines if file.write(f"{line}\n"))
            typer.echo(f"{counted(number, 'event')} in {output}.", err=True)


def _settle(store: ErrorStore, ids: Iterable[str], settle: Callable[[str], ErrorGroup], *, said: str) -> None:
    """Settle groups and say so: all of them or, where one is unknown, none."""
    from otel_monitoring.cli.error_table import SHORT_ID
    from otel_monitoring.cli.harmless import one_line
    from otel_monitoring.cli.output import standard_output

    found = dict.fromkeys(store.group(name).fingerprint for name in ids)
    settled = [settle(fingerprint) for fingerprint in found]
    with standard_output() as console:
        for group in settled:
            console.print(f"{said} {group.fingerprint[:SHORT_ID]}  {one_line(group.title)}", soft_wrap=True)


def _nothing_found(others: int, *, filtered: bool) -> str:
    if not others:
        return "No errors are stored."
    number = counted(others, "group") if others < MOST_COUNTED else f"at least {counted(others, 'group')}"
    what = "No errors match" if filtered else "No errors want attention"
    return f"{what}; {number} are there in all: --all shows them."
