"""Exceptions that nobody catches are reported once, and end as they would have ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

WATCHED = """
from otel_monitoring.instrument.uncaught import watch
def report(error, *, context):
    place = context.get("asyncio", "").split()[:3]
    print(type(error).__name__, "in", context["thread"], *place, flush=True)
undo = watch(report)
"""
UNWATCHED = "\n\n\n\n\n\n"
"""As many lines, so that tracebacks are the same."""


def failing_with(fault: str) -> str:
    """Return the beginning of a program in which every report fails."""
    return f"""
from otel_monitoring.instrument.uncaught import watch
def report(error, *, context):

    raise {fault}
watch(report)
"""


class Ended(NamedTuple):
    """How a program has ended."""

    code: int
    output: list[str]
    errors: str


def run(program: str, beginning: str = WATCHED) -> Ended:
    """Run a program in a process of its own, to its end."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import asyncio, atexit, sys, threading\n{beginning}\n{program}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(ran.returncode, ran.stdout.splitlines(), ran.stderr)


def in_thread(statement: str) -> str:
    """Return a program that runs a statement in a thread and waits for it."""
    return f"""
def work(): {statement}
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
"""


def in_loop(*statements: str) -> str:
    """Return a program that runs statements in an asyncio loop, next to a coroutine function that fails."""
    lines = "\n    ".join(statements)
    return f"""
async def fail(): raise ValueError("lost")
def call(): raise KeyError("callback")
async def main():
    {lines}
asyncio.run(main())
"""


FORGOTTEN_TASK = in_loop(
    "task = asyncio.create_task(fail())",
    "await asyncio.wait([task])",
    "del task",
)
FAILING_CALLBACK = in_loop("asyncio.get_running_loop().call_soon(call)", "await asyncio.sleep(0)")


@pytest.mark.parametrize(
    ("program", "reported"),
    [
        ("raise ValueError('boom')", "ValueError in MainThread"),
        ("try: 1 / 0\nexcept ArithmeticError as error: raise ValueError from error", "ValueError in MainThread"),
        ("class Odd(BaseException): ...\nraise Odd", "Odd in MainThread"),
        ("raise BaseExceptionGroup('', [KeyboardInterrupt(), ValueError()])", "BaseExceptionGroup in MainThread"),
        (in_thread("raise ValueError('boom')"), "ValueError in worker"),
        (FORGOTTEN_TASK, "ValueError in MainThread Task exception was"),
        (FAILING_CALLBACK, "KeyError in MainThread Exception in callback"),
    ],
    ids=["main", "chain", "base", "group", "thread", "task", "callback"],
)
def test_what_nobody_catches_is_reported_and_ends_as_it_would_have(program: str, reported: str) -> None:
    """Exit code and traceback are those of a process that nobody watches."""
    watched, unwatched = run(program), run(program, UNWATCHED)
    assert watched.output == [reported]
    assert unwatched.errors
    assert watched.errors == unwatched.errors
    assert watched.code == unwatched.code


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import signal; signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("raise BaseExceptionGroup('', [BaseExceptionGroup('', [KeyboardInterrupt()]), SystemExit()])", 1),
        ("sys.exit(3)", 3),
        (in_thread("raise SystemExit"), 0),
        (in_thread("raise KeyboardInterrupt"), 0),
    ],
    ids=["signal", "interrupt", "group", "exit", "thread-exit", "thread-interrupt"],
)
def test_what_ends_a_process_is_no_error(program: str, code: int) -> None:
    watched, unwatched = run(program), run(program, UNWATCHED)
    assert watched.output == []
    assert watched.code == unwatched.code == code
    assert watched.errors == unwatched.errors


def test_an_error_is_reported_before_the_process_cleans_up() -> None:
    assert run("atexit.register(print, 'cleaning up')\nraise ValueError").output == [
        "ValueError in MainThread",
        "cleaning up",
    ]


@pytest.mark.parametrize("fault", ["RuntimeError", "KeyboardInterrupt", "SystemExit(7)", "MemoryError"])
@pytest.mark.parametrize("program", ["raise ValueError('boom')", in_thread("raise ValueError('boom')")])
def test_a_report_that_fails_changes_nothing(fault: str, program: str) -> None:
    assert run(program, failing_with(fault)) == run(program, UNWATCHED)


def test_asyncio_goes_on_where_a_report_fails() -> None:
    assert run(FORGOTTEN_TASK, failing_with("RuntimeError")) == run(FORGOTTEN_TASK, UNWATCHED)


OTHER_TOOL = """
before = sys.excepthook
def other(*arguments):
    print("other tool")
    before(*arguments)
sys.excepthook = other
before_thread = threading.excepthook
def other_thread(args):
    print("other tool")
    before_thread(args)
threading.excepthook = other_thread
"""
BOTH_FAIL = in_thread("raise KeyError") + "raise ValueError"
BOTH_REPORTED = ["KeyError in worker", "ValueError in MainThread"]


def test_a_hook_that_was_there_before_is_called_after_ours() -> None:
    ended = run(WATCHED + BOTH_FAIL, OTHER_TOOL)
    assert ended.output == [BOTH_REPORTED[0], "other tool", BOTH_REPORTED[1], "other tool"]
    assert "\nValueError" in ended.errors


def test_a_hook_that_is_set_later_leads_to_ours() -> None:
    ended = run(OTHER_TOOL + BOTH_FAIL)
    assert ended.output == ["other tool", BOTH_REPORTED[0], "other tool", BOTH_REPORTED[1]]
    assert "\nValueError" in ended.errors


def test_the_end_of_watching_puts_the_hooks_back() -> None:
    ended = run(f"""
undo()
print(sys.excepthook is sys.__excepthook__, threading.excepthook is threading.__excepthook__)
{FORGOTTEN_TASK}
{BOTH_FAIL}""")
    assert ended.output == ["True True"]
    assert "\nValueError" in ended.errors


def test_the_end_of_watching_leaves_a_later_hook_in_place() -> None:
    """Our hook below it is still called, and only calls the one before."""
    ended = run(f"{OTHER_TOOL}\nundo()\nundo()\n{BOTH_FAIL}")
    assert ended.output == ["other tool", "other tool"]
    assert "\nValueError" in ended.errors


@pytest.mark.parametrize("order", ["first(); second()", "second(); first()"])
def test_watchers_come_and_go_in_any_order(order: str) -> None:
    ended = run(f"first = undo\nsecond = watch(report)\n{in_thread('raise KeyError')}\n{order}\n{BOTH_FAIL}")
    assert ended.output == [BOTH_REPORTED[0], BOTH_REPORTED[0]]


def test_a_watcher_that_ended_is_kept_alive_by_nobody() -> None:
    ended = run(f"""
import gc, weakref
class Service:
    def report(self, error, *, context): ...
service = Service()
end = watch(service.report)
{OTHER_TOOL}
end()
alive = weakref.ref(service)
del service, end
gc.collect()
print(alive())""")
    assert ended.output == ["None"]


def test_a_loop_with_a_handler_of_its_own_is_left_to_it() -> None:
    own = "asyncio.get_running_loop().set_exception_handler(lambda loop, context: print('own handler'))"
    assert run(FORGOTTEN_TASK.replace("async def main():\n", f"async def main():\n    {own}\n")).output == [
        "own handler"
    ]


def test_a_process_of_multiprocessing_prints_its_exception_and_reports_none() -> None:
    ended = run("""
import multiprocessing
def work(): raise ValueError
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
print("child ended with", child.exitcode)""")
    assert ended.output == ["child ended with 1"]
    assert "\nValueError" in ended.errors


IN_CORRIDOR = """
from otel_monitoring.errors import Corridor
from otel_monitoring.instrument.operation import Operations
from otel_monitoring.instrument.uncaught import watch
from otel_monitoring.logs.handler import attach
from otel_monitoring.metrics import Registry
registry = Registry(strict=True)
corridor = Corridor(registry.incidents, [lambda record: print(record.error_type, record.component)])
operation = Operations(registry, corridor.report_exception, "operations").operation()
attach(corridor, "logging")
watch(lambda error, *, context: corridor.report_exception(error, component="uncaught", context=context))
"""


@pytest.mark.parametrize(
    ("program", "counted"),
    [
        (in_thread("raise ValueError"), ["ValueError uncaught"]),
        ("@operation\ndef work(): raise ValueError\nwork()", ["ValueError operations"]),
        (FORGOTTEN_TASK, ["ValueError uncaught"]),
        (FORGOTTEN_TASK.replace("async def fail", "@operation\nasync def fail"), ["ValueError operations"]),
    ],
    ids=["thread", "operation", "task", "task-operation"],
)
def test_what_other_doors_have_heard_of_counts_once(program: str, counted: list[str]) -> None:
    """A decorated function reports first, and the logging door hears of tasks too."""
    assert run(program, IN_CORRIDOR).output == counted


@pytest.mark.parametrize("program", ["raise ValueError", in_thread("raise ValueError"), FORGOTTEN_TASK])
def test_a_service_counts_what_nobody_catches_before_the_process_ends(program: str) -> None:
    service = """
from otel_monitoring import MonitoringService
monitoring = MonitoringService(service_name="svc", third_party=False, resources=False)
atexit.register(lambda: print(monitoring.exposition()[0].decode()))
"""
    counted = [line for line in run(program, service).output if line.startswith("system_errors_total{")]
    assert counted == ['system_errors_total{error_type="ValueError",component="svc"} 1.0']
