"""``otel-monitoring errors``, run as a person runs it on a store that a real service has filled."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from otel_monitoring.cli.whole_file import whole_file
from otel_monitoring.exceptions import MonitoringError
from tests.servers import wait_until

pytestmark = pytest.mark.programs

COMMAND = (sys.executable, "-c", "from otel_monitoring.cli import main; main()", "errors")
ROOT = Path(__file__).parents[1]
ENDS_WITHIN_SECONDS = 60
WIDE = 180
KINDS = 17
"""More groups than there are hexadecimal digits: two of them begin with the same one."""

APPLICATION = f'''
"""An application that keeps its errors."""
import json
import sys

from otel_monitoring import MonitoringService

monitoring = MonitoringService(
    store_errors=sys.argv[1], service_name="outreach", release="1.4.2", third_party=False, resources=False
)


def score(prospect):
    return json.loads("{{" + prospect)


for number in range(3):
    try:
        score(f"prospect-{{number}}")
    except ValueError as error:
        context = {{"prospect": f"prospect-{{number}}", "tried": {{"times": [1, 2]}}}}
        monitoring.log_error("no score", component="scorer", exception=error, context=context)
hostile = "[red]red[/red] \\x1b[31m\\x1b]0;owned\\x07 \\u202egnp"
monitoring.log_error(hostile, error_type="hostile", component="sender", context={{hostile: hostile}})
for number in range({KINDS}):
    monitoring.log_error("does not work", error_type=f"kind_{{number}}", component="many")
monitoring.shutdown()
'''
BROKEN = "json.decoder.JSONDecodeError"
GROUPS = KINDS + 2
EVENTS = KINDS + 4


def environment(**variables: str) -> dict[str, str]:
    """Return this environment without what changes the output, and with these variables."""
    changing = {"COLUMNS", "FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING", "TTY_COMPATIBLE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in changing and not name.startswith("OTEL_MONITORING_")
    }
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": f"{WIDE}"} | variables


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with its output in pipes."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_SECONDS,
        env=environment(**variables),
        check=False,
    )


def run_in_terminal(columns: int, *arguments: str | Path, **variables: str) -> str:
    """Run a command on a terminal of so many columns, and return what the terminal got."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = environment(**variables)
    del env["COLUMNS"]
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stdin=its, stdout=its, stderr=its, env=env) as process:
        os.close(its)
        got = b""
        with suppress(OSError):  # so ends a terminal that nobody has open any more
            while read := os.read(ours, 65_536):
                got += read
        os.close(ours)
        assert process.wait(ENDS_WITHIN_SECONDS) == 0, got
    return got.decode()


def keep_errors(store: Path) -> None:
    """Let the application run once and keep its errors there."""
    program = store.with_name("outreach.py")
    program.write_text(APPLICATION, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program, store],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is only read."""
    store = tmp_path_factory.mktemp("filled") / "errors.db"
    keep_errors(store)
    return store


@pytest.fixture(scope="module")
def known(filled: Path) -> dict[str, str]:
    """The fingerprints in it, by error type."""
    return ids(filled)


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(filled.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / filled.name


def ids(store: Path, *arguments: str) -> dict[str, str]:
    """Return the fingerprints of groups by error type."""
    done = run("list", "--store", store, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {group["error_type"]: group["fingerprint"] for group in json.loads(done.stdout)}


def refusal(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return what a command that failed said, without the frame that may be around it."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return re.sub(r"[\s│╭╮╰╯─]+", " ", done.stderr)


# list


def test_the_list_is_a_table_of_groups_the_last_seen_first(filled: Path) -> None:
    """Each line has a group's short id, status, count, times, component and title."""
    done = run("list", "--store", filled)
    assert done.returncode == 0, done.stderr
    heading, _, *rows = done.stdout.splitlines()
    assert heading.split() == ["id", "status", "count", "last", "seen", "first", "seen", "component", "title"]
    assert len(rows) == GROUPS
    assert re.search(r"^[0-9a-f]{8}  new +3  \d+ \w+ ago +\d+ \w+ ago +scorer +json\S+JSONDecodeError: ", rows[-1])
    assert "many" in rows[0]


@pytest.mark.parametrize("columns", [40, 120])
def test_no_line_of_the_list_is_wider_than_the_terminal(filled: Path, columns: int) -> None:
    """Ids are whole in a narrow terminal too."""
    lines = run("list", "--store", filled, COLUMNS=f"{columns}").stdout.splitlines()
    assert len(lines) == GROUPS + 2
    assert max(map(len, lines)) <= columns
    assert all(re.match(r"[0-9a-f]{8}  new ", line) for line in lines[2:])


def test_a_pipe_gets_whole_lines_without_colours(filled: Path) -> None:
    """What a program reads is not cut at the width that nobody has set."""
    done = run("list", "--store", filled, COLUMNS="")
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    assert "does not work" in done.stdout


def test_a_terminal_gets_colours_and_its_own_width(filled: Path) -> None:
    """Red is what is new; NO_COLOR takes the colours away."""
    coloured = run_in_terminal(70, "list", "--store", filled)
    assert "\x1b[31mnew" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert max(map(len, plain.splitlines())) <= 70
    assert "\x1b[31m" not in run_in_terminal(70, "list", "--store", filled, NO_COLOR="1")


@pytest.mark.parametrize("command", [("list",), ("show", "hostile"), ("show", "hostile", "--json"), ("export",)])
def test_hostile_text_does_nothing_to_the_terminal(
    filled: Path, known: dict[str, str], command: tuple[str, ...]
) -> None:
    """Neither markup nor control characters of an error are obeyed, by no command."""
    arguments = (known.get(word, word) for word in command)
    shown = run_in_terminal(WIDE, *arguments, "--store", filled, NO_COLOR="1")
    assert "[red]red[/red]" in shown
    assert r"\u001b[31m\u001b]0;owned\u0007 \u202egnp" in shown
    assert not [obeyed for obeyed in ("\x1b]0", "\x1b[31m", "\x07", "\u202e") if obeyed in shown]


def test_the_list_can_be_narrowed(filled: Path) -> None:
    """By component, service, status and time."""
    matching = ("--service", "outreach", "--since", "2h", "--status", "muted", "--status", "new")
    assert len(ids(filled, *matching)) == GROUPS
    assert len(ids(filled, *matching, "--component", "scorer")) == 1
    assert len(ids(filled, "--since", "2999-01-01")) == 0
    assert len(ids(filled, "--status", "muted")) == 0


def test_a_list_that_is_cut_says_so(filled: Path) -> None:
    """The line below tells how to see more; a list that ends of itself says nothing."""
    assert "raise --limit" in run("list", "--store", filled, "--limit", "5").stdout.splitlines()[-1]
    assert "raise --limit" not in run("list", "--store", filled, "--limit", f"{GROUPS}").stdout


def test_a_list_without_groups_says_how_many_others_there_are(store: Path, known: dict[str, str]) -> None:
    """Nothing wants attention, nothing matches: two different things."""
    assert "No errors match" in run("list", "--store", store, "--component", "nobody").stdout
    assert run("resolve", "--store", store, *known.values()).returncode == 0
    said = run("list", "--store", store).stdout
    assert f"No errors want attention; {GROUPS} groups are there" in said
    assert "--all" in said
    assert len(run("list", "--all", "--store", store).stdout.splitlines()) == GROUPS + 2


def test_all_and_a_status_contradict_each_other(filled: Path) -> None:
    """It is said instead of guessed."""
    assert "--all and --status" in refusal(run("list", "--all", "--status", "new", "--store", filled), 2)


def test_a_wrong_time_is_refused_with_examples(filled: Path) -> None:
    """The message names the option, the value and what would be right."""
    said = refusal(run("list", "--store", filled, "--since", "yesterday"), 2)
    assert "--since" in said
    assert "'yesterday' is neither a span such as 30m, 2h, 3d or 1w nor a time such as 2026-11-25" in said


# show


def test_a_group_is_shown_with_its_last_event(filled: Path, known: dict[str, str]) -> None:
    """Title, counts, context, traceback with the application's line of code, last events."""
    name = known[BROKEN]
    done = run("show", name[:10], "--store", filled)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert shown.startswith("new  json.decoder.JSONDecodeError: ")
    assert f"  id            {name}\n" in shown
    for said in (
        "count         3",
        "component     scorer",
        "last release  1.4.2",
        "prospect  prospect-2",
        '"times": [',
    ):
        assert said in shown
    assert re.search(r"outreach\.py:\d+ in <module>\n    score\(f\"prospect-\{number\}\"\)\n", shown)
    assert re.search(r"outreach\.py:\d+ in score\n    return json\.loads", shown)
    assert "… 2 frames in json" in shown
    assert len(re.findall(r"^  [123]  \d+ \w+ ago", shown, re.MULTILINE)) == 3


def test_all_frames_and_other_events_are_shown_on_request(filled: Path, known: dict[str, str]) -> None:
    """--full shows the frames of libraries, --event an earlier event, --last how many are listed."""
    shown = run("show", known[BROKEN], "--full", "--event", "2", "--last", "2", "--store", filled).stdout
    assert "frames in json" not in shown
    assert "json/__init__.py:" in shown
    assert "prospect-1" in shown
    assert len(re.findall(r"^  \d  \d+ \w+ ago", shown, re.MULTILINE)) == 2
    assert "3 events" in refusal(run("show", known[BROKEN], "--event", "4", "--store", filled), 2)


def test_a_group_as_json_has_its_events(filled: Path, known: dict[str, str]) -> None:
    """One object: the group, and the last events with their chains."""
    read = json.loads(run("show", known[BROKEN], "--json", "--store", filled).stdout)
    assert read["group"]["count"] == 3
    assert [event["context"]["prospect"] for event in read["events"]] == ["prospect-2", "prospect-1", "prospect-0"]
    assert read["events"][0]["chain"][0]["type"] == BROKEN


def test_an_unknown_or_ambiguous_id_is_refused(filled: Path, known: dict[str, str]) -> None:
    """One that several groups begin with is answered with those groups."""
    assert "zzz" in refusal(run("show", "zzz", "--store", filled))
    names = sorted(known.values())
    shared = next(one[0] for one, other in pairwise(names) if one[0] == other[0])
    said = refusal(run("show", shared, "--store", filled))
    for name in names:
        assert (name in said) == (name[0] == shared)


def test_a_missing_id_is_a_usage_error(filled: Path) -> None:
    """It is said what is missing."""
    assert "Missing argument 'ID'" in refusal(run("show", "--store", filled), 2)


# resolve, mute, reopen


def test_groups_are_settled_and_come_back(store: Path, known: dict[str, str]) -> None:
    """Several at once, one line each; what happens again after it was resolved is regressed."""
    first, second, third = list(known.values())[:3]
    done = run("resolve", first[:12], second, first, "--store", store)
    said = [line.split()[:2] for line in done.stdout.splitlines()]
    assert said == [["resolved", first[:8]], ["resolved", second[:8]]]
    assert run("mute", third, "--store", store).stdout.startswith(f"muted {third[:8]}  ")
    assert set(ids(store, "--status", "resolved").values()) == {first, second}
    assert run("reopen", second, "--store", store).stdout.startswith(f"reopened {second[:8]}  ")
    keep_errors(store)
    assert set(ids(store, "--status", "regressed").values()) == {first}
    assert set(ids(store, "--status", "muted").values()) == {third}


def test_where_one_id_is_unknown_no_group_is_settled(store: Path, known: dict[str, str]) -> None:
    """All are looked up before the first is touched."""
    assert "zzz" in refusal(run("resolve", known[BROKEN], "zzz", "--store", store))
    assert not ids(store, "--status", "resolved")


# prune


def test_pruning_says_what_went(store: Path, known: dict[str, str]) -> None:
    """By size the oldest events go; once they are gone there is nothing more to do."""
    assert re.fullmatch(
        rf"{EVENTS} events and 0 groups went, [\d.]+ kB\.\n", run("prune", "--keep-bytes", "1", "--store", store).stdout
    )
    assert "nothing" in run("prune", "--store", store).stdout
    assert "No event of it is kept" in run("show", known["hostile"], "--store", store).stdout


def test_pruning_by_age_takes_the_groups_too(store: Path) -> None:
    """Nothing is as young as a thousandth of a second."""
    assert f"{EVENTS} events and {GROUPS} groups" in run("prune", "--keep-days", "1e-8", "--store", store).stdout
    assert run("list", "--store", store).stdout == "No errors are stored.\n"


def test_wrong_limits_are_refused(filled: Path) -> None:
    """The message names the option and says what would be right."""
    assert "'many' is not a size such as" in refusal(run("prune", "--keep-bytes", "many", "--store", filled), 2)
    assert "'nan' is not a number of days" in refusal(run("prune", "--keep-days", "nan", "--store", filled), 2)


# export


def test_each_error_is_exported_as_one_line_of_json(filled: Path) -> None:
    """The oldest first, in UTF-8 whatever the terminal writes in, times in UTC."""
    done = run("export", "--format", "jsonl", "--store", filled, PYTHONIOENCODING="latin-1")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == EVENTS
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert all(re.fullmatch(r"[\d-]+T[\d:.]+Z", event["time"]) for event in events)
    assert events[0]["context"]["tried"] == {"times": [1, 2]}
    assert len(run("export", "--component", "scorer", "--store", filled).stdout.splitlines()) == 3
    assert run("export", "--until", "1h", "--store", filled).stdout == ""


def test_a_file_is_written_as_a_whole_and_for_its_owner_only(filled: Path, tmp_path: Path) -> None:
    """It replaces what was there, and nothing else is left beside it."""
    target = tmp_path / "errors.jsonl"
    target.write_text("old", encoding="utf-8")
    done = run("export", "--output", target, "--store", filled)
    assert done.stdout == ""
    assert f"{EVENTS} events" in done.stderr
    assert len(target.read_text(encoding="utf-8").splitlines()) == EVENTS
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("target", ["missing/errors.jsonl", ".", "/dev/full"])
def test_a_file_that_cannot_be_written_is_said_in_one_line(filled: Path, tmp_path: Path, target: str) -> None:
    """A folder that is not there, a folder itself, a full disk."""
    done = run("export", "--output", tmp_path / target, "--store", filled)
    assert re.fullmatch(r"otel-monitoring: .* cannot be written \([\w ]+\)\n", done.stderr)
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, ValueError])
def test_what_is_interrupted_leaves_the_file_as_it_was(tmp_path: Path, interrupt: type[BaseException]) -> None:
    """Neither half a file nor a temporary one stays."""
    target = tmp_path / "errors.jsonl"
    target.write_text("old", encoding="utf-8")

    def write_half() -> None:
        with whole_file(target) as file:
            file.write("half")
            file.flush()
            raise interrupt

    with pytest.raises(interrupt):
        write_half()
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed_and_a_device_not_replaced(tmp_path: Path) -> None:
    """What the name points to is written; /dev/null stays what it is."""
    target, link = tmp_path / "errors.jsonl", tmp_path / "link"
    link.symlink_to(target)
    with whole_file(link) as file:
        file.write("ü")
    assert target.read_bytes() == "ü".encode()
    assert link.is_symlink()
    with whole_file(Path("/dev/null")) as file:
        file.write("gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(MonitoringError, match="cannot be written"), whole_file(tmp_path):
        pass


@pytest.mark.parametrize("command", ["export", "list"])
def test_a_reader_that_leaves_ends_the_command_as_it_ends_others(filled: Path, command: str) -> None:
    """As with ``| head``: by SIGPIPE, and nothing is said."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, command, "--store", filled],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=ENDS_WITHIN_SECONDS,
            check=False,
        )
    assert done.stderr == b""
    assert done.returncode == -signal.SIGPIPE


def test_a_full_disk_behind_standard_output_is_said_in_one_line(filled: Path) -> None:
    """What was asked for is not there as a whole, so it is no success."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, "export", "--store", filled],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(),
            timeout=ENDS_WITHIN_SECONDS,
            check=False,
        )
    assert done.stderr == "otel-monitoring: standard output cannot be written (No space left on device)\n"
    assert done.returncode == 1


def test_ctrl_c_ends_an_export_quietly(filled: Path) -> None:
    """While nobody reads what it writes, Ctrl-C ends it at once with code 130 and without a traceback."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # too little for all of it
    with subprocess.Popen(
        [*COMMAND, "export", "--store", filled], stdout=writing, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(writing)
        wait_until(lambda: waiting_bytes(reading) > 0, ENDS_WITHIN_SECONDS)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=ENDS_WITHIN_SECONDS)
    os.close(reading)
    assert process.returncode == 130
    assert said == b""


def waiting_bytes(reading: int) -> int:
    """Return how much is in a pipe."""
    return int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), sys.byteorder)


# Where the store is


def test_without_a_store_none_is_made(tmp_path: Path) -> None:
    """One line says where it looked and how to switch it on."""
    done = run("list", XDG_STATE_HOME=str(tmp_path))
    assert f"there is no error store at {tmp_path}/otel-monitoring/errors.db" in refusal(done)
    assert len(done.stderr.splitlines()) == 1
    assert "store_errors=True" in done.stderr
    assert "OTEL_MONITORING_STORE_ERRORS" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("show", "3f"), ("resolve", "3f"), ("prune",), ("export",)])
def test_no_command_makes_a_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each says that there is none where it was told to look."""
    missing = tmp_path / "no" / "errors.db"
    assert f"there is no error store at {missing}" in refusal(run(*command, "--store", missing))
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_the_one_that_the_settings_name(filled: Path, tmp_path: Path) -> None:
    """The variable names it, and --store wins over the variable."""
    done = run("list", OTEL_MONITORING_STORE_ERRORS=str(filled))
    assert len(done.stdout.splitlines()) == GROUPS + 2
    other = run("list", "--store", tmp_path / "other.db", OTEL_MONITORING_STORE_ERRORS=str(filled))
    assert "other.db" in refusal(other)


def test_what_goes_wrong_is_said_harmlessly(tmp_path: Path) -> None:
    """A message may name what others have written."""
    assert r"no\u202egnp.db:" in refusal(run("list", "--store", tmp_path / "no\u202egnp.db"))


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    """It is named, and left as it is."""
    text = tmp_path / "errors.db"
    text.write_text("This is a letter, and a long one. " * 100, encoding="utf-8")
    done = run("list", "--store", text)
    assert str(text) in refusal(done)
    assert "no SQLite database" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert text.read_text(encoding="utf-8").startswith("This is a letter")


def test_a_database_that_is_down_is_said_in_one_line_without_the_password() -> None:
    """The address is named, what stands before the @ is not."""
    pytest.importorskip("psycopg")
    done = run("list", "--store", "postgresql://user:hunter2@127.0.0.1:1/db")
    assert "127.0.0.1" in refusal(done)
    assert "hunter2" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


# Around it


def test_the_help_of_errors_gives_examples() -> None:
    """Its first page names the commands and shows how they are used."""
    said = run("--help").stdout
    for command in ("list", "show", "resolve", "mute", "reopen", "prune", "export"):
        assert re.search(rf"^│ {command} ", said, re.MULTILINE)
    assert "otel-monitoring errors export --format jsonl --output errors.jsonl" in said


def test_the_help_loads_neither_the_database_nor_the_pages() -> None:
    """What the commands need is imported when they run."""
    script = (
        "import sys\nfrom otel_monitoring.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stderr.split())
    assert "otel_monitoring.cli.errors" in loaded
    assert not loaded & {"sqlalchemy", "psycopg", "structlog", "otel_monitoring.errors.database.database"}
    assert not {name for name in loaded if name.startswith("otel_monitoring.cli.error_")}
