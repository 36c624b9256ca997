"""What the commands do with a Grafana, from the first question to the last word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.cli.grafana_plan_text import plan_lines, step_line
from otel_monitoring.cli.harmless import one_line
from otel_monitoring.cli.quantities import counted
from otel_monitoring.exceptions import GrafanaError
from otel_monitoring.grafana.apply import Writer
from otel_monitoring.grafana.client import GrafanaClient
from otel_monitoring.grafana.dashboard import uid_of
from otel_monitoring.grafana.desired import Desired
from otel_monitoring.grafana.evaluation import wait_until_evaluated
from otel_monitoring.grafana.failures import NotFoundError, RefusedError
from otel_monitoring.grafana.plan import Plan, make_plan
from otel_monitoring.grafana.pull import pulled_files
from otel_monitoring.grafana.reading import as_held, folder_of, read_present
from otel_monitoring.grafana.trial import try_panels, try_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.cli.grafana_content import Subject
    from otel_monitoring.grafana.found import Datasource, Folder, RuleGroup
    from otel_monitoring.grafana.plan import Step
    from otel_monitoring.grafana.present import Present

NOTHING_TO_DO = 0
FAILED = 1
CHANGES = 2

DEPLOYMENT_TAGS = ("deployment",)
"""What the dashboards choose annotations by."""

SPARE_SECONDS = 30.0
"""Beside two intervals of the slowest group: Grafana loads new rules at its own pace."""


class Say(Protocol):
    """Shows a line."""

    def __call__(self, line: str) -> None:
        """Show it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How the work is to be done.

    Attributes:
        overwrite: replace what was changed in Grafana since it was written.
        prune: remove what we wrote and is no longer wanted.
        try_queries: run all queries before anything is written.
        wait_seconds: for the first evaluation of rules; None is as long as it should take at most, 0 does not wait.
        annotation: a text that marks the moment on the dashboards, once all is well.
    """

    overwrite: bool = False
    prune: bool = False
    try_queries: bool = True
    wait_seconds: float | None = None
    annotation: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is known before anything is written."""

    desired: Desired
    present: Present
    datasource: Datasource
    plan: Plan


async def plan(subject: Subject, wishes: Wishes, say: Say) -> int:
    """Show what would be done, and return the exit code: 0 for nothing, 2 for changes, 1 where it would be refused."""
    async with GrafanaClient(subject.connection) as client:
        prepared = await _prepare(client, subject, wishes, say)
    for line in plan_lines(prepared.plan):
        say(line)
    return _exit_code(prepared.plan)


async def apply(subject: Subject, wishes: Wishes, say: Say) -> int:
    """Do what a plan says, and return the exit code: 0 where all is as it shall be and works, else 1."""
    async with GrafanaClient(subject.connection) as client:
        prepared = await _prepare(client, subject, wishes, say)
        if prepared.plan.refused:
            for line in plan_lines(prepared.plan):
                say(line)
            say("Nothing was written.")
            return FAILED
        if prepared.plan.changes:
            await client.check_datasource(prepared.datasource.uid)
            if wishes.try_queries and not await _queries_work(client, prepared, say):
                return FAILED
            await _write(client, subject, prepared, say)
        else:
            say("Nothing to do.")
        if wishes.wait_seconds != 0 and not await _rules_work(client, prepared.desired, wishes, say):
            return FAILED
        if wishes.annotation is not None:
            await client.annotate(wishes.annotation, DEPLOYMENT_TAGS)
            say(f"Marked on the dashboards: {one_line(wishes.annotation)}")
    return NOTHING_TO_DO


async def pull(subject: Subject, *, everything: bool) -> dict[str, str]:
    """Return what people changed in Grafana, as files by their paths."""
    async with GrafanaClient(subject.connection) as client:
        _, present = await _there(client, subject)
    return pulled_files(present, everything=everything)


async def delete(subject: Subject, wishes: Wishes, say: Say, agreed: Callable[[], bool]) -> int:
    """Remove all that we wrote in the folder, and the folder where it is ours and empty.

    Args:
        subject: which Grafana and which folder.
        wishes: whether what was changed there goes, too.
        say: shows a line.
        agreed: asked once it is shown what would go.

    Returns:
        The exit code: 0 where nothing of ours is left.
    """
    async with GrafanaClient(subject.connection) as client:
        folder, present = await _there(client, subject)
        nothing = Desired(folder, (), ())
        removal = make_plan(nothing, present, prune=True, overwrite=wishes.overwrite) if present.folder else Plan(())
        for line in plan_lines(removal):
            say(line)
        if removal.refused or (removal.changes and not agreed()):
            say("Nothing was removed.")
            return FAILED
        await Writer(client, nothing, present, editable=subject.settings.grafana_editable).write(removal, _nothing_more)
        await _delete_folder(client, folder, removal, say)
    return NOTHING_TO_DO


async def annotate(subject: Subject, text: str, tags: tuple[str, ...], say: Say) -> None:
    """Mark this moment on the dashboards."""
    async with GrafanaClient(subject.connection) as client:
        await client.annotate(text, tags)
    say(f"Marked on the dashboards that choose {one_line(', '.join(tags))}: {one_line(text)}")


async def _prepare(client: GrafanaClient, subject: Subject, wishes: Wishes, say: Say) -> _Prepared:
    desired, datasource = await _desired(client, subject)
    say(
        f"Grafana {subject.connection.shown}, folder {one_line(desired.folder.title)}, "
        f"data source {one_line(datasource.name)} ({one_line(datasource.uid)})"
    )
    present = await read_present(client, desired)
    held = await as_held(client, desired, present)
    made = make_plan(held, present, overwrite=wishes.overwrite, prune=wishes.prune)
    return _Prepared(held, present, datasource, made)


async def _desired(client: GrafanaClient, subject: Subject) -> tuple[Desired, Datasource]:
    datasource = await client.datasource(subject.settings.grafana_datasource)
    folder = await folder_of(client, subject.settings.grafana_folder)
    desired = subject.content.desired(folder, datasource_uid=datasource.uid, pulled=subject.pulled)
    return desired, datasource


async def _there(client: GrafanaClient, subject: Subject) -> tuple[Folder, Present]:
    """Return the folder, and what is there of ours; what the code names is looked for by its name."""
    folder = await folder_of(client, subject.settings.grafana_folder)
    named = subject.content.desired(folder, datasource_uid="", pulled=subject.pulled)
    return folder, await read_present(client, named)


def _nothing_more(step: Step) -> None:
    """Say nothing of a step that was shown before."""


async def _queries_work(client: GrafanaClient, prepared: _Prepared, say: Say) -> bool:
    say("Trying the queries of what is to be written …")
    failed = [
        *await try_rules(client, prepared.desired, prepared.plan),
        *await try_panels(client, prepared.desired, prepared.plan, datasource_uid=prepared.datasource.uid),
    ]
    for line in failed:
        say(f"  ! {one_line(line)}")
    if failed:
        say(f"Nothing was written: {counted(len(failed), 'query', 'queries')} failed. --no-try writes all the same.")
    return not failed


async def _write(client: GrafanaClient, subject: Subject, prepared: _Prepared, say: Say) -> None:
    writer = Writer(client, prepared.desired, prepared.present, editable=subject.settings.grafana_editable)
    taken = 0

    def done(step: Step) -> None:
        nonlocal taken
        taken += 1
        say(f"{step_line(step)}  [{taken}/{len(prepared.plan.changes)}]")

    try:
        await writer.write(prepared.plan, done)
    except (GrafanaError, asyncio.CancelledError):
        say(f"{taken} of {counted(len(prepared.plan.changes), 'step')} are done; apply again does the others.")
        raise


async def _rules_work(client: GrafanaClient, desired: Desired, wishes: Wishes, say: Say) -> bool:
    """Wait until each rule was evaluated, and say which do not work."""
    groups = [await _written_rules(client, group) for group in desired.groups]
    shown = (-1, -1)

    def looked(evaluated: int, rules: int) -> None:
        nonlocal shown
        if (evaluated, rules) != shown:
            shown = (evaluated, rules)
            say(f"  {evaluated} of {counted(rules, 'rule')} evaluated")

    try:
        found = await wait_until_evaluated(
            client, groups, within_seconds=_patience_seconds(groups, wishes), looked=looked
        )
    except asyncio.CancelledError:
        say("All is written; whether each rule works is not known yet. Apply again looks.")
        raise
    for rule in found.failing:
        say(f"  ! rule {one_line(rule.title)} does not work: {one_line(rule.last_error)}")
    for title in found.waiting:
        say(f"  ! rule {one_line(title)} was not evaluated in time: look at it in Grafana, or give --wait more seconds")
    return not found.failing and not found.waiting


async def _written_rules(client: GrafanaClient, group: RuleGroup) -> RuleGroup:
    """Return a group as it is in Grafana, without what others have put into it."""
    wanted = {rule.get("uid") for rule in group.rules}
    there = await client.read_rule_group(group.folder_uid, group.name)
    return replace(there, rules=tuple(rule for rule in there.rules if rule.get("uid") in wanted))


def _patience_seconds(groups: list[RuleGroup], wishes: Wishes) -> float:
    if wishes.wait_seconds is not None:
        return wishes.wait_seconds
    return 2 * max((group.interval_seconds for group in groups), default=0) + SPARE_SECONDS


async def _delete_folder(client: GrafanaClient, folder: Folder, removal: Plan, say: Say) -> None:
    """Remove the folder where apply made it, which its uid tells, and where nothing is left in it."""
    removed = {step.uid for step in removal.changes}  # a search may still find them for a while
    try:
        if folder.uid == uid_of(folder.title) and await client.members_of_folder(folder.uid) <= removed:
            await client.delete_folder(folder.uid)
            say(f"  - prune     folder     {one_line(folder.title)}")
            return
    except NotFoundError:
        return
    except RefusedError:
        pass  # there are rules of others in it
    say(f"The folder {one_line(folder.title)} stays.")


def _exit_code(plan: Plan) -> int:
    if plan.refused:
        return FAILED
    return CHANGES if plan.changes else NOTHING_TO_DO
