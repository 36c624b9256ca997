"""Processes that fork, and are killed: all of them in a group of their own, of which nothing outlives its test."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENDS_WITHIN_SECONDS = 100

NURSERY = """
import contextlib, json, logging, os, random, signal, struct, sys, threading, time, traceback
import structlog
from otel_monitoring import MonitoringService
from otel_monitoring.errors import mover
from otel_monitoring.exceptions import StoreError

# The log is not what is tried here, and takes most of the time.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
# These are to be expected: a database is out of reach, a record was being written. Faults are not.
expected = ("errors wait to be stored", "1 record(s) of the spool")
logging.getLogger("otel_monitoring").addFilter(lambda said: not said.getMessage().startswith(expected))
settings = json.loads(sys.argv[1])
acknowledged = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
chance = random.Random(5)

with MonitoringService(settings) as monitoring:  # all is imported once, before there are children
    with contextlib.suppress(StoreError):
        monitoring.errors.groups()
assert threading.active_count() == 1

def report(monitoring, number, fingerprint=None, **context):
    monitoring.log_error(f"error {number}", context={"number": number, **context}, fingerprint=fingerprint)
    # Eight bytes at a multiple of eight: a write that is killed writes all of them or none.
    os.write(acknowledged, struct.pack("<Q", number))

def born(work, *arguments):
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child

def ends(children, at_once):
    '''Let children live and die, some at once; return how many were killed.'''
    living = killed = 0
    for work, *arguments in children:
        if living == at_once:
            killed += os.wait()[1] == signal.SIGKILL
            living -= 1
        born(work, *arguments)
        living += 1
    return killed + sum(os.wait()[1] == signal.SIGKILL for _ in range(living))

OURS = {f"{name}.py" for name in "spool segment mover trim database connections sqlite postgresql".split()}
OTHERS = {"posix", "fcntl", "io", "_io", "sqlite3", "psycopg"}

def is_step(frame, event, argument):
    '''Tell whether a thread calls or leaves one of our functions, the system, or the database.'''
    path = frame.f_code.co_filename.split("/")
    if event in ("call", "return"):
        return "otel_monitoring" in path and path[-1] in OURS or "psycopg" in path and "psycopg" in OTHERS
    return type(getattr(argument, "__self__", None)).__module__ in OTHERS or argument.__module__ in OTHERS

def mover_dies_at(step, within="_run"):
    '''Kill this process at the so-many-th step of its mover, and return what tells how many there were.

    Only those count that are taken in the function of this name.
    '''
    steps = depth = 0
    def count(frame, event, argument):
        nonlocal steps, depth
        if frame.f_code.co_name == within:
            depth += {"call": 1, "return": -1}.get(event, 0)
        if depth and is_step(frame, event, argument):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
    threading.setprofile(count)
    return lambda: steps

def steps_of(work, *arguments):
    '''Return how many steps a mover takes that nobody kills.'''
    reading, writing = os.pipe()
    os.waitpid(born(lambda: os.write(writing, str(work(*arguments, -1)).encode())), 0)
    return int(os.read(reading, 100))

def steps_to_die_at(work, *arguments):
    '''Return steps from the first one to the last one, as many as there shall be kills, in any order.'''
    last = steps_of(work, *arguments)
    steps = [1 + last * kill // kills for kill in range(kills)]
    chance.shuffle(steps)
    return steps
"""


class Nursery:
    """An interpreter in which all is imported, and the children that it forks and kills.

    Args:
        folder: where it writes down what was acknowledged and what it says.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._acknowledged = folder / "acknowledged"

    def run(self, script: str, settings: dict[str, Any]) -> Any:
        """Run a script to its end, and return what it prints, read as JSON."""
        told = {name: value if isinstance(value, int) else str(value) for name, value in settings.items()}
        arguments = [NURSERY + script, json.dumps(told), str(self._acknowledged)]
        return json.loads(run_in_a_group(arguments, self._folder) or "null")

    def acknowledged(self) -> list[int]:
        """Return the numbers of all errors whose ``log_error`` had returned."""
        return [number for (number,) in struct.iter_unpack("<Q", self._acknowledged.read_bytes())]


def run_in_a_group(arguments: list[str], folder: Path) -> str:
    """Run a script that forks to its end, let nothing of it outlive that, and return what it prints.

    Args:
        arguments: the script, and what is handed to it.
        folder: where it writes down what it says.
    """
    # Python 3.12 and newer warn of forks in processes with threads, of one that is just ending too.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", *arguments]
    output, faults = folder / "output", folder / "faults"
    with output.open("wb") as out, faults.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, start_new_session=True)
        try:
            process.wait(ENDS_WITHIN_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (process.returncode, faults.read_text()) == (0, "")
    return output.read_text()
