"""A frame shows the line that ran, or none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.errors.secrecy.scrub import HIDDEN, Scrubber
from otel_monitoring.errors.source_lines import LOOKED_AT_SECONDS, MOST_FILES, SourceLines

if TYPE_CHECKING:
    from pathlib import Path

    from otel_monitoring.errors.stored import FramePayload, Payload

WRITTEN = 1_000_000.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source_lines(clock: Clock) -> SourceLines:
    return SourceLines(Scrubber(), clock)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    write(path, "one\n    two\nlogin(password='hunter2')\n", WRITTEN)
    return path


def write(path: Path, text: str, seconds: float) -> None:
    """Write a file at that time."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (seconds, seconds))


def shown(
    source_lines: SourceLines, path: Path | str, line: int, *, seconds: float = WRITTEN + 1, in_app: bool = True
) -> str | None:
    """Return what an error of that time shows of a line."""
    frame: FramePayload = {"module": "code", "function": "run", "file": str(path), "line": line, "in_app": in_app}
    error: Payload = {
        "time": seconds,
        "chain": [{"type": "ValueError", "message": "", "relation": "raised", "frames": [frame], "omitted": 0}],
    }
    source_lines(error)
    return frame.get("source")


def test_it_is_shown_without_indentation_and_secrets(source_lines: SourceLines, code: Path) -> None:
    assert shown(source_lines, code, 2) == "two"
    assert shown(source_lines, code, 3) == f"login(password='{HIDDEN}')"
    assert shown(source_lines, code, 2) == "two"


@pytest.mark.parametrize("line", [0, -1, 4])
def test_of_a_line_that_is_not_there_nothing_is_shown(source_lines: SourceLines, code: Path, line: int) -> None:
    assert shown(source_lines, code, line) is None


@pytest.mark.parametrize("path", ["", "<string>", "nul\0", "/no/such/file.py"])
def test_of_a_file_that_is_not_there_nothing_is_shown(source_lines: SourceLines, path: str) -> None:
    assert shown(source_lines, path, 1) is None


def test_libraries_and_errors_without_a_chain_are_left_alone(source_lines: SourceLines, code: Path) -> None:
    assert shown(source_lines, code, 1, in_app=False) is None
    source_lines({"time": WRITTEN})


def test_of_a_file_that_was_changed_after_the_error_nothing_is_shown(source_lines: SourceLines, code: Path) -> None:
    assert shown(source_lines, code, 1, seconds=WRITTEN - 1) is None


def test_a_change_is_seen_when_the_file_is_looked_at_again(source_lines: SourceLines, clock: Clock, code: Path) -> None:
    assert shown(source_lines, code, 1) == "one"
    write(code, "other\n", WRITTEN + 100)
    assert shown(source_lines, code, 1) == "one"
    clock.now += LOOKED_AT_SECONDS
    assert shown(source_lines, code, 1) is None
    assert shown(source_lines, code, 1, seconds=WRITTEN + 101) == "other"


def test_of_many_files_each_is_shown(source_lines: SourceLines, tmp_path: Path) -> None:
    for number in range(MOST_FILES + 2):
        path = tmp_path / f"code{number}.py"
        write(path, f"line of {number}\n", WRITTEN)
        assert shown(source_lines, path, 1) == f"line of {number}"
