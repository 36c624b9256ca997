"""Applications that are started as ``otel-monitoring run`` starts them: real processes, which say where they listen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.servers import Sample, ask, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = (sys.executable, "-c", "from otel_monitoring.cli import main; main()")
PROGRAMS = Path(sys.executable).parent
ENDS_WITHIN_SECONDS = 240

HEARS_CTRL_C = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])",
)
"""What a shell starts in the background ignores Ctrl-C, and so do its children: the tests may run so."""

SERVED = r"metrics at (http://\S+/metrics)"
"""What the checklist, and each worker, says of the address."""

UVICORN = r"Uvicorn running on (http://\S+)"
GUNICORN = r"Listening at: (http://\S+)"


def clean_environment(**more: str) -> dict[str, str]:
    """Return this environment without what would instrument or set anything."""
    kept = {name: value for name, value in os.environ.items() if "OTEL" not in name and name != "PYTHONPATH"}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def run_to_end(
    *command: str, options: tuple[str, ...] = (), cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command under ``otel-monitoring run`` until it ends by itself."""
    return subprocess.run(
        [*COMMAND, "run", *options, "--", *command],
        cwd=cwd,
        env=clean_environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )


@dataclass
class Running:
    """A command that runs until it is stopped, in a process group of its own.

    Args:
        folder: where it runs; what it says is in the file ``said`` there.
        command: as it is typed.
        env: variables to add.
    """

    folder: Path
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        """Start it."""
        with (self.folder / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [*HEARS_CTRL_C, *self.command],
                cwd=self.folder,
                env=clean_environment(**self.env),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Let nothing of it live on."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        """What it and its children have written so far."""
        return (self.folder / "said").read_text(errors="replace")

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        """Return what a pattern has found in what was said, as soon as it is found so often."""

        def look() -> list[str]:
            found = re.findall(pattern, self.said)
            if len(found) < times:
                assert self.process.poll() is None, self.said
                return []
            return found

        return wait_until(look, ENDS_WITHIN_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the process alone, and return what it ends with."""
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_SECONDS)


def running(folder: Path, *command: str, options: tuple[str, ...] = ("--port", "0"), **env: str) -> Running:
    """Return a command under ``otel-monitoring run``; it starts with ``with``."""
    return Running(folder, (*COMMAND, "run", *options, "--", *command), env)


def samples(url: str, name: str) -> list[Sample]:
    """Return the series of one name that a page of metrics shows."""
    families = text_string_to_metric_families(ask(url).body.decode())
    return [
        Sample(dict(sample.labels), sample.value)
        for family in families
        for sample in family.samples
        if sample.name == name
    ]


def total(urls: list[str], name: str, **labels: str) -> float:
    """Return the sum of the series of one name with these labels, over several pages."""
    return sum(sample.value for url in urls for sample in samples(url, name) if labels.items() <= sample.labels.items())
