"""The command line, run as a person runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from typing import IO
from urllib.request import urlopen

import otel_monitoring
from tests.servers import ask, wait_until

COMMAND = (sys.executable, "-c", "from otel_monitoring.cli import main; main()")
ENDS_WITHIN_SECONDS = 240


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False
    )


def read_until(stream: IO[str], pattern: str) -> re.Match[str]:
    """Read lines until one matches."""
    seen = []
    for line in stream:
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"{pattern!r} was not printed: {''.join(seen)}")


def test_the_demo_shows_what_its_own_traffic_does() -> None:
    """For some seconds the example runs, and the table names its endpoints, operations and limits."""
    done = run("demo", "--seconds", "4", "--port", "0", "--requests-per-second", "80")
    assert done.returncode == 0, done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+/metrics", done.stdout)
    for shown in ("POST /api/prospects/{prospect}/score", "scorer: score", "linkedin api"):
        assert shown in done.stdout


def test_the_demo_serves_its_metrics_and_ctrl_c_ends_it() -> None:
    """While it runs the metrics can be scraped; Ctrl-C ends it without a traceback."""
    with subprocess.Popen(
        [*COMMAND, "demo", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = read_until(process.stdout, r"http://127\.0\.0\.1:\d+/metrics")
        read_until(process.stdout, "Ctrl-C stops it")
        with urlopen(address[0], timeout=10) as answer:
            assert b"memory_usage_bytes" in answer.read()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    assert process.returncode == 0, errors
    assert "Traceback" not in out + errors


def test_the_demo_makes_its_traffic_where_it_was_told_to_listen() -> None:
    """Another address than the usual one is shown, and is where requests come in."""
    command = [*COMMAND, "demo", "--host", "127.0.0.2", "--port", "0", "--requests-per-second", "80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = read_until(process.stdout, r"http://[\d.]+:\d+/metrics")[0]
            assert url.startswith("http://127.0.0.2:")
            wait_until(lambda: b"http_requests_total{" in ask(url).body)
        finally:
            process.kill()


def test_a_port_in_use_is_said_in_one_line() -> None:
    """A port that is taken ends the demo with what to do, not with a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("demo", "--seconds", "2", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_is_a_usage_error() -> None:
    """What is no number is refused with the option's name."""
    done = run("demo", "--port", "eight")
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_the_version_is_shown() -> None:
    """--version says which version this is."""
    assert run("--version").stdout.split() == ["otel-monitoring", otel_monitoring.__version__]


def test_without_a_command_the_commands_are_listed() -> None:
    """The help names the commands."""
    assert "demo" in run().stdout + run("--help").stdout
