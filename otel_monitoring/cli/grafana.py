"""``otel-monitoring grafana``: dashboards and alerts as code, planned, applied, checked, rendered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer.core import TyperCommand

from otel_monitoring.cli.grafana_content import Choice, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from otel_monitoring.cli.grafana_session import Say

T = TypeVar("T")

grafana_commands = typer.Typer(
    name="grafana",
    no_args_is_help=True,
    help="""Keep a Grafana's dashboards and alert rules as the code says.

Which Grafana, and how to sign in there, are settings: OTEL_MONITORING_GRAFANA_URL, and \
OTEL_MONITORING_GRAFANA_API_KEY with a token of a service account, or …_USERNAME and …_PASSWORD.

\b
Examples:
  otel-monitoring grafana plan --service myapp.monitoring:monitoring
  otel-monitoring grafana apply --annotate "release 1.4"
  otel-monitoring grafana pull changes && otel-monitoring grafana apply --from changes
  otel-monitoring grafana render grafana && docker compose -f grafana/compose.yaml up --wait
""",
)

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's own, wherever the installed one has it from."""


class GrafanaCommand(TyperCommand):
    """A command that says which extra it needs."""

    def invoke(self, *arguments, **options):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN201 (typer's)
        """Run it."""
        from otel_monitoring.grafana.extra import needing_extra

        with needing_extra("this command"):
            return super().invoke(*arguments, **options)


class PlanCommand(GrafanaCommand):
    """A command whose exit code 2 has a meaning of its own: a wrong option is 1."""

    def make_context(self, *arguments, **options):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN201 (typer's)
        """Read the options."""
        try:
            return super().make_context(*arguments, **options)
        except UsageError as error:
            error.exit_code = 1  # type: ignore[attr-defined]
            raise


Service = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:NAME",
        help="The application's MonitoringService, whose metrics, dashboards, alerts and settings count. "
        "Default: what comes with the package.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Grafana's address. Default: OTEL_MONITORING_GRAFANA_URL.", show_default=False),
]
Folder = Annotated[
    str | None,
    typer.Option(
        metavar="TITLE",
        help="The folder for all of it, made where it is missing. Default: OTEL_MONITORING_GRAFANA_FOLDER, "
        "else otel-monitoring.",
        show_default=False,
    ),
]
Datasource = Annotated[
    str | None,
    typer.Option(
        metavar="UID-OR-NAME",
        help="The Prometheus that rules ask. Default: OTEL_MONITORING_GRAFANA_DATASOURCE, else the default one.",
        show_default=False,
    ),
]
Job = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The Prometheus job that alerts watch. Default: the service's name, else otel_monitoring.",
        show_default=False,
    ),
]
Files = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="A folder with dashboards/*.json and rules/*.json, as `pull` writes it; what is in it counts "
        "instead of what the code says.",
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what somebody changed in Grafana since it was written.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove what was written before and is no longer wanted.")]


@grafana_commands.command(cls=PlanCommand)
def plan(
    *,
    service: Service = None,
    url: Url = None,
    folder: Folder = None,
    datasource: Datasource = None,
    job: Job = None,
    files: Files = None,
    overwrite: Overwrite = False,
    prune: Prune = False,
) -> None:
    """Show what apply would do, field by field. Exit code 0: nothing; 2: changes; 1: it cannot be done."""
    from otel_monitoring.cli.grafana_session import Wishes
    from otel_monitoring.cli.grafana_session import plan as run_plan

    choice = Choice(service=service, url=url, folder=folder, datasource=datasource, job=job, files=files)
    wishes = Wishes(overwrite=overwrite, prune=prune)
    raise typer.Exit(_run(lambda say: run_plan(subject_of(choice), wishes, say)))


@grafana_commands.command(cls=GrafanaCommand)
def apply(
    *,
    service: Service = None,
    url: Url = None,
    folder: Folder = None,
    datasource: Datasource = None,
    job: Job = None,
    files: Files = None,
    overwrite: Overwrite = False,
    prune: Prune = False,
    try_queries: Annotated[
        bool, typer.Option("--try/--no-try", help="Run all queries on the server before anything is written.")
    ] = True,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long to wait until each rule was evaluated; 0 does not wait. "
            "Default: two intervals of the slowest group and 30 s.",
            show_default=False,
        ),
    ] = None,
    annotation: Annotated[
        str | None,
        typer.Option(
            "--annotate",
            metavar="TEXT",
            help="Mark the moment on the dashboards, as a deployment, once all is well.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Do what plan shows, wait until each alert rule was evaluated, and say which does not work."""
    from otel_monitoring.cli.grafana_session import Wishes
    from otel_monitoring.cli.grafana_session import apply as run_apply

    choice = Choice(service=service, url=url, folder=folder, datasource=datasource, job=job, files=files)
    wishes = Wishes(overwrite=overwrite, prune=prune, try_queries=try_queries, wait_seconds=wait, annotation=annotation)
    raise typer.Exit(_run(lambda say: run_apply(subject_of(choice), wishes, say)))


@grafana_commands.command(cls=GrafanaCommand)
def pull(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="What is as we wrote it, too. Default: what was changed in Grafana since.")
    ] = False,
    service: Service = None,
    url: Url = None,
    folder: Folder = None,
    datasource: Datasource = None,
    job: Job = None,
) -> None:
    """Bring what was changed in Grafana back as JSON: dashboards/*.json and rules/*.json."""
    import asyncio

    from otel_monitoring.cli.grafana_session import pull as run_pull
    from otel_monitoring.cli.quantities import counted
    from otel_monitoring.cli.rendered_folder import write_files

    choice = Choice(service=service, url=url, folder=folder, datasource=datasource, job=job)
    files = asyncio.run(run_pull(subject_of(choice), everything=everything))
    write_files(directory, files)
    for name in files:
        typer.echo(directory / name)
    typer.echo(
        f"{counted(len(files), 'file')} in {directory}." if files else "Nothing was changed in Grafana.", err=True
    )


@grafana_commands.command(cls=GrafanaCommand)
def delete(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove what somebody changed in Grafana since it was written, too.")
    ] = False,
    url: Url = None,
    folder: Folder = None,
    service: Service = None,
) -> None:
    """Remove the dashboards and rules in the folder that apply wrote, and nothing else."""
    from otel_monitoring.cli.grafana_session import Wishes
    from otel_monitoring.cli.grafana_session import delete as run_delete

    choice = Choice(service=service, url=url, folder=folder)
    wishes = Wishes(overwrite=overwrite)

    def agreed() -> bool:
        return yes or typer.confirm("Remove it?")

    raise typer.Exit(_run(lambda say: run_delete(subject_of(choice), wishes, say, agreed)))


@grafana_commands.command(cls=GrafanaCommand)
def annotate(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What happened, such as 'release 1.4'.")],
    *,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="What dashboards choose by. Default: deployment.", show_default=False
        ),
    ] = None,
    url: Url = None,
    service: Service = None,
) -> None:
    """Mark this moment on the dashboards."""
    from otel_monitoring.cli.grafana_session import DEPLOYMENT_TAGS
    from otel_monitoring.cli.grafana_session import annotate as run_annotate

    subject = subject_of(Choice(service=service, url=url))
    _run(lambda say: run_annotate(subject, text, tuple(tags) if tags else DEPLOYMENT_TAGS, say))


@grafana_commands.command(cls=GrafanaCommand)
def render(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the files go; it is made where it is missing.")
    ],
    *,
    service: Service = None,
    job: Job = None,
    folder: Folder = None,
    files: Files = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="HOST:PORT",
            help="Where the service shows its metrics; may be given several times. "
            "Default: an example system is started.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A clone of this project, relative to DIR, to make the example of. Default: the released package.",
            show_default=False,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An address that Alertmanager posts alerts to. Default: none.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that this command did not write, or that were changed.")
    ] = False,
) -> None:
    """Write dashboards, rules, provisioning files and a compose.yaml that starts all of it."""
    from otel_monitoring.cli.grafana_render import rendered
    from otel_monitoring.cli.quantities import counted
    from otel_monitoring.cli.rendered_folder import write_folder
    from otel_monitoring.grafana.stack import Stack

    subject = subject_of(Choice(service=service, folder=folder, job=job, files=files))
    stack = Stack(job=subject.job, targets=tuple(targets or ()), source=source, webhook=webhook)
    outcome = write_folder(directory, rendered(subject, stack, directory), overwrite=overwrite)
    for name in outcome.kept:
        typer.echo(f"{directory / name} is no longer made, and was changed: it is left as it is.", err=True)
    typer.echo(
        f"{counted(len(outcome.written), 'file')} written, {len(outcome.unchanged)} unchanged, "
        f"{len(outcome.removed)} removed in {directory}."
    )


def _run(work: Callable[[Say], Coroutine[object, object, T]]) -> T:
    """Run to its end what says what it does, a line each."""
    import asyncio

    from otel_monitoring.cli.output import standard_output

    with standard_output() as console:

        def say(line: str) -> None:
            console.print(line, soft_wrap=True)
            console.file.flush()

        return asyncio.run(work(say))
