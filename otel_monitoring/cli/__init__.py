"""The command line: thin commands, each of which imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads annotations)
from typing import Annotated

import typer

from otel_monitoring import __version__
from otel_monitoring.cli.errors import error_commands
from otel_monitoring.cli.grafana import GrafanaCommand, grafana_commands
from otel_monitoring.cli.harmless import lines_of
from otel_monitoring.exceptions import MonitoringError

application = typer.Typer(
    name="otel-monitoring",
    help="Metrics, errors and dashboards of Python services and agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.add_typer(error_commands)
application.add_typer(grafana_commands)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if wanted:
        typer.echo(f"otel-monitoring {__version__}")
        raise typer.Exit


@application.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Metrics, errors and dashboards of Python services and agents."""


@application.command()
def demo(
    *,
    host: Annotated[str, typer.Option(help="The address that the example application listens on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the example application; 0 takes any free one.")
    ] = 8000,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after so long; without it, Ctrl-C stops.")] = None,
    requests_per_second: Annotated[float, typer.Option(min=0.1, max=1000, help="Traffic to make.")] = 40,
) -> None:
    """Run the example system under its own traffic and show what it measures."""
    from otel_monitoring.cli.demo import run_demo

    run_demo(host=host, port=port, seconds=seconds, requests_per_second=requests_per_second)


@application.command(cls=GrafanaCommand)
def check(
    service: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:NAME",
            help="The application's service, as myapp.monitoring:monitoring. Default: what comes with the package.",
            show_default=False,
        ),
    ] = None,
    *,
    document: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="One more document, or a folder of them, beside README.md and docs/.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Hold metrics, dashboards, alerts and documents to each other; exit 1 where they do not agree.

    Each metric has a name by convention, a help text and a panel; queries and documents name what is there.
    """
    from otel_monitoring.cli.check import run_check

    if not run_check(service, tuple(document or ())):
        raise typer.Exit(1)


@application.command(context_settings={"allow_interspersed_args": False}, no_args_is_help=True)
def run(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND",
            help="The application's command, as in: otel-monitoring run -- uvicorn app:app",
        ),
    ],
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /metrics; 0 takes any free one.", show_default="9464")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of /metrics.", show_default="127.0.0.1")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say what is instrumented.")] = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not serve /metrics.")] = False,
) -> None:
    """Run a Python application instrumented, without a changed line.

    All that comes behind the options, or behind --, is the application's command.
    """
    from otel_monitoring.cli.run import run_command

    run_command(command, port=port, host=host, quiet=quiet, no_serve=no_serve)


def main() -> None:
    """Run the command line; what is wrong is said in one line and ends with exit code 1."""
    try:
        application()
    except MonitoringError as error:
        said = "\n".join(lines_of(str(error)))  # it may name what others have written
        typer.echo(f"otel-monitoring: {said}", err=True)
        raise SystemExit(1) from None
