"""``otel-monitoring run``: starts an application instrumented, without a changed line in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from otel_monitoring.cli.harmless import one_line
from otel_monitoring.zero_code.command import CommandError, become, find, refusal

if TYPE_CHECKING:
    from typing import NoReturn


def run_command(command: list[str], *, port: int | None, host: str | None, quiet: bool, no_serve: bool) -> NoReturn:
    """Become the command, instrumented; options win over the environment.

    Raises:
        Exit: the command cannot be started; the exit code is that of a shell.
    """
    settings = {
        "OTEL_MONITORING_PROMETHEUS_PORT": None if port is None else str(port),
        "OTEL_MONITORING_PROMETHEUS_HOST": host,
        "OTEL_MONITORING_ZERO_CODE_CHECKLIST": "false" if quiet else None,
        "OTEL_MONITORING_ZERO_CODE_SERVE": "false" if no_serve else None,
    }
    try:
        program = find(command[0])
        refusing = refusal(program, command[1:])
        if refusing is not None:
            _say(f"{command[0]} has the option {refusing}, which keeps Python from being instrumented: leave it out")
        become(program, command, {name: value for name, value in settings.items() if value is not None})
    except CommandError as error:
        _say(one_line(str(error)))
        raise typer.Exit(error.exit_code) from None


def _say(text: str) -> None:
    typer.echo(f"otel-monitoring: {text}", err=True)
