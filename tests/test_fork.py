"""Fork: the child counts from zero, nothing is counted twice, and nobody waits for a lock for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import otel_monitoring

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

ROOT = Path(otel_monitoring.__file__).parent.parent

PROLOGUE = """
import gc, os, sys, threading, time
from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Registry

registry = Registry(strict=True)
jobs = registry.counter(Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue",), max_series=100_000))
wait = registry.histogram(Declaration(name="wait", kind=Kind.HISTOGRAM, labels=("queue",), buckets=(1, 2)))
heat = registry.gauge(Declaration(name="heat", kind=Kind.GAUGE, labels=("queue",)))
mail = jobs.labels(queue="mail")

def values(name):
    points = registry.snapshot().points()
    return {point.labels["queue"]: point.value for point in points if point.metric.name == name}

def in_child(work):
    '''Run in a forked child and return what it returns, as text.'''
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, str(work()).encode())
        except BaseException as fault:
            os.write(writing, repr(fault).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text
"""


def run(script: str) -> list[str]:
    """Run a script in an interpreter of its own, which may fork as it likes; return the lines it printed."""
    # Python 3.12 and newer warn of forks in processes with threads: that is what is tried here.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROLOGUE + script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # A fault of a fork's hook is only printed.
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_child_counts_from_zero_and_the_parent_goes_on() -> None:
    lines = run("""
mail.add(5)
wait.record(1, {"queue": "mail"})
heat.set(7, {"queue": "mail"})

def child():
    before = values("jobs"), values("wait")["mail"].count, values("heat")
    mail.add(1)
    jobs.add(2, {"queue": "mail"})
    wait.record(2, {"queue": "mail"})
    heat.set(3, {"queue": "mail"})
    return before, values("jobs"), values("wait")["mail"].cumulative, values("heat")

print(in_child(child))
mail.add(1)
print(values("jobs"), values("heat"))
""")
    assert lines == [
        "(({'mail': 0.0}, 0, {}), {'mail': 3.0}, (0, 1, 1), {'mail': 3.0})",
        "{'mail': 6.0} {'mail': 7.0}",
    ]


def test_parent_and_children_together_hold_the_truth() -> None:
    lines = run("""
def child():
    for _ in range(1000):
        mail.add()
        jobs.add(1, {"queue": "mail"})
    return values("jobs")["mail"]

mail.add(10)
shares = [float(in_child(child)) for _ in range(5)]
mail.add(10)
print(sum(shares), values("jobs")["mail"])
""")
    assert lines == ["10000.0 20.0"]


def test_a_grandchild_counts_from_zero_too() -> None:
    lines = run("""
mail.add(1)
def grandchild():
    mail.add(4)
    return values("jobs")["mail"]
def child():
    mail.add(2)
    return in_child(grandchild), values("jobs")["mail"]
print(in_child(child), values("jobs")["mail"])
""")
    assert lines == ["('4.0', 2.0) 1.0"]


def test_the_child_of_a_parent_with_threads_leases_their_pages_freely() -> None:
    lines = run("""
here, stop = threading.Barrier(9), threading.Event()
def work():
    mail.add()
    here.wait()
    stop.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
here.wait()

def child():
    before = values("jobs")["mail"], registry.pages <= 9
    barrier = threading.Barrier(8)
    def count():
        for _ in range(5000): mail.add()
        barrier.wait()
        for _ in range(5000): jobs.add(1, {"queue": "mail"})
    own = [threading.Thread(target=count) for _ in range(8)]
    for thread in own: thread.start()
    for thread in own: thread.join()
    gc.collect()
    again = [threading.Thread(target=mail.add) for _ in range(20)]
    for thread in again:
        thread.start()
        thread.join()
    return before, values("jobs")["mail"], registry.pages <= 9

print(in_child(child))
stop.set()
for thread in threads: thread.join()
print(values("jobs"), registry.pages <= 9)
""")
    assert lines == ["((0.0, True), 80020.0, True)", "{'mail': 8.0} True"]


def test_a_fork_from_a_thread_leaves_that_thread_its_page() -> None:
    lines = run("""
mail.add(3)
answers = []
def work():
    mail.add(4)
    def child():
        mail.add(1)
        new = [threading.Thread(target=mail.add) for _ in range(4)]
        for thread in new: thread.start()
        for thread in new: thread.join()
        mail.add(1)
        return values("jobs")["mail"]
    answers.append(in_child(child))
    mail.add(1)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(answers, values("jobs")["mail"])
""")
    assert lines == ["['6.0'] 8.0"]


def test_a_fork_while_other_threads_make_series_does_not_deadlock() -> None:
    lines = run("""
sys.setswitchinterval(1e-5)
stop = threading.Event()
def make(first):
    number = first
    while not stop.is_set() and number < 40_000:
        jobs.add(1, {"queue": number})
        number += 3
threads = [threading.Thread(target=make, args=(first,)) for first in range(3)]
for thread in threads: thread.start()

def child():
    jobs.add(1, {"queue": "new in the child"})
    done = threading.Thread(target=jobs.add, args=(1, {"queue": "and in its thread"}))
    done.start()
    done.join(20)
    return len([value for value in values("jobs").values() if value]), done.is_alive()

print({in_child(child) for _ in range(20)})
stop.set()
for thread in threads: thread.join()
""")
    assert lines == ["{'(2, False)'}"]


def test_forks_from_several_threads_at_once_do_not_deadlock() -> None:
    lines = run("""
sys.setswitchinterval(1e-5)
answers = []
def work(number):
    for turn in range(25):
        def child():
            done = threading.Thread(target=jobs.add, args=(1, {"queue": f"{number}-{turn}"}), daemon=True)
            done.start()
            done.join(5)
            return done.is_alive()
        answers.append(in_child(child))
threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(3)]
for thread in threads: thread.start()
deadline = time.monotonic() + 15
for thread in threads: thread.join(deadline - time.monotonic())
print(any(thread.is_alive() for thread in threads), set(answers))
made = threading.Thread(target=jobs.add, args=(1, {"queue": "after"}), daemon=True)
made.start()
made.join(5)
print(made.is_alive(), flush=True)
os._exit(0)
""")
    assert lines == ["False {'False'}", "False"]


def test_registries_made_while_others_fork_do_no_harm() -> None:
    lines = run("""
sys.setswitchinterval(1e-6)
stop = threading.Event()
faults = []
kept = [Registry() for _ in range(200)]
def make():
    try:
        while not stop.is_set():
            Registry().counter(Declaration(name="own", kind=Kind.COUNTER)).add(1)
    except BaseException as fault:
        faults.append(fault)
thread = threading.Thread(target=make)
thread.start()
def child():
    mail.add()
    Registry()
    return values("jobs")["mail"]
print({in_child(child) for _ in range(100)})
stop.set()
thread.join()
print(faults)
""")
    assert lines == ["{'1.0'}", "[]"]


def test_the_child_shows_what_it_recorded_through_an_exposition_of_its_parent() -> None:
    lines = run("""
exposition = Exposition(registry)
for number in range(10): wait.record(1, {"queue": number})
mail.add(3)
before = exposition.render()[0]
def child():
    mail.add(1)
    lines = exposition.render()[0].decode().splitlines()
    return [line for line in lines if line.startswith(("jobs_total", 'wait_count{queue="9"'))]
print(in_child(child))
print(before == exposition.render()[0] or "parent goes on")
""")
    assert lines[0] == """['jobs_total{queue="mail"} 1.0', 'wait_count{queue="9"} 0']"""
    assert len(lines) == 2


def test_the_child_can_ask_for_rate_limits_that_a_thread_of_its_parent_was_recording() -> None:
    lines = run("""
from otel_monitoring.instrument.rate_limits import RateLimits

inside, go_on = threading.Event(), threading.Event()

def clock():
    if threading.current_thread() is not threading.main_thread():
        inside.set()
        go_on.wait()
    return 1000.0

limits = RateLimits(registry, clock)
limits.record("linkedin", "api", 0, reset_time=1060.0, limit=100)
thread = threading.Thread(target=limits.record, args=("linkedin", "api", 7))
thread.start()
inside.wait()

def child():
    before = limits.status("linkedin", "api")
    limits.record("linkedin", "api", 0)
    return before.remaining, before.hits, limits.status("linkedin", "api").hits

print(in_child(child))
go_on.set()
thread.join()
print(limits.status("linkedin", "api").remaining, limits.status("linkedin", "api").hits)
""")
    assert lines == ["(0, 0, 1)", "7 1"]
