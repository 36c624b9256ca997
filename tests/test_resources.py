"""What a process uses of what it may use, on made-up control groups and on the real process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from otel_monitoring.catalogue.shipped import CPU_USAGE, MEMORY_LIMIT, MEMORY_USAGE
from otel_monitoring.instrument.resources import LIMITS_SECONDS, ResourceFigures, read_limits

if TYPE_CHECKING:
    from pathlib import Path

    from otel_monitoring.catalogue import Declaration
    from otel_monitoring.metrics import Registry

MACHINE_BYTES = psutil.virtual_memory().total
GIVEN_CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below a folder that stands for the root of the file systems."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def value(registry: Registry, metric: Declaration, component: str = "worker") -> float:
    """Return what a snapshot taken now holds for a component."""
    for point in registry.snapshot().points():
        if point.metric is metric and point.labels == {"component": component}:
            assert isinstance(point.value, float)
            return point.value
    raise AssertionError(f"{metric.name} is not there")


class Clocks:
    """Wall clock and CPU clock, turned by hand."""

    def __init__(self) -> None:
        self.wall = 100.0
        self.cpu = 5.0

    def figures(self, registry: Registry, root: Path) -> ResourceFigures:
        """Return figures that read these clocks."""
        return ResourceFigures(registry, "worker", clock=lambda: self.wall, cpu_clock=lambda: self.cpu, root=root)

    def turn(self, *, wall: float, cpu: float) -> None:
        """Let both go on."""
        self.wall += wall
        self.cpu += cpu


def test_without_control_groups_the_machine_is_the_limit(tmp_path: Path) -> None:
    """Where there is no cgroup file system, memory and CPUs of the machine count."""
    limits = read_limits(tmp_path)
    assert limits.memory_bytes == MACHINE_BYTES
    assert limits.cpus == GIVEN_CPUS


def test_version_2_takes_the_tightest_of_the_group_and_those_around_it(tmp_path: Path) -> None:
    """A limit of a parent holds for its children."""
    groups = "sys/fs/cgroup/system.slice"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/app.service\n",
            f"{groups}/app.service/memory.max": "max\n",
            f"{groups}/app.service/cpu.max": "50000 100000\n",
            f"{groups}/memory.max": "1048576\n",
            f"{groups}/cpu.max": "max 100000\n",
        },
    )
    limits = read_limits(root)
    assert limits.memory_bytes == 1048576
    assert limits.cpus == 0.5


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """Memory and CPU are looked up where each is mounted, "no limit" is none."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a/b\n2:cpu,cpuacct:/c\n1:name=systemd:/x\n0::/\n",
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2097152\n",
            "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "25000\n",
            "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    limits = read_limits(root)
    assert limits.memory_bytes == 2097152
    assert limits.cpus == 0.25


def test_group_of_a_container_is_at_the_top(tmp_path: Path) -> None:
    """A path that is the host's is not there; what is mounted at the top is the container's own."""
    root = write(
        tmp_path,
        {"proc/self/cgroup": "0::/docker/0123abc\n", "sys/fs/cgroup/memory.max": "4096\n", "sys/fs/cgroup/cpu.max": ""},
    )
    limits = read_limits(root)
    assert limits.memory_bytes == 4096
    assert limits.cpus == GIVEN_CPUS


@pytest.mark.parametrize("text", ["", "garbage\n", "0::\n", "1:memory:relative\n"])
def test_odd_group_files_are_no_limit(tmp_path: Path, text: str) -> None:
    """What cannot be understood does not limit."""
    root = write(tmp_path, {"proc/self/cgroup": text, "sys/fs/cgroup/cpu.max": "max\n"})
    assert read_limits(root).memory_bytes == MACHINE_BYTES


def test_limits_above_the_machine_do_not_count(tmp_path: Path) -> None:
    """More than there is cannot be used."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": f"{MACHINE_BYTES * 2}\n",
            "sys/fs/cgroup/cpu.max": "100000000 100000\n",
        },
    )
    limits = read_limits(root)
    assert (limits.memory_bytes, limits.cpus) == (MACHINE_BYTES, GIVEN_CPUS)


def test_memory_is_that_of_the_process(registry: Registry) -> None:
    """What is shown is the resident memory, at most what there is."""
    ResourceFigures(registry, "worker")
    used = value(registry, MEMORY_USAGE)
    assert used == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert used < value(registry, MEMORY_LIMIT) <= MACHINE_BYTES


def test_cpu_is_percent_of_what_is_allowed(registry: Registry, tmp_path: Path) -> None:
    """Half a CPU, all of it used, is 100; the first reading counts from the start of reading."""
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"})
    clocks = Clocks()
    clocks.figures(registry, root)
    clocks.turn(wall=10, cpu=5)
    assert value(registry, CPU_USAGE) == 100
    clocks.turn(wall=10, cpu=1)
    assert value(registry, CPU_USAGE) == 20


def test_reading_at_once_is_zero(registry: Registry, tmp_path: Path) -> None:
    """Before any time has passed nothing was used."""
    Clocks().figures(registry, tmp_path)
    assert value(registry, CPU_USAGE) == 0


def test_readings_close_together_keep_the_figure(registry: Registry, tmp_path: Path) -> None:
    """Two servers that scrape at nearly the same time see the same, and lose nothing."""
    clocks = Clocks()
    clocks.figures(registry, tmp_path)
    clocks.turn(wall=10, cpu=10)
    first = value(registry, CPU_USAGE)
    clocks.turn(wall=0.5, cpu=0)
    assert value(registry, CPU_USAGE) == first == pytest.approx(100 / GIVEN_CPUS)
    clocks.turn(wall=9.5, cpu=5)
    assert value(registry, CPU_USAGE) == pytest.approx(50 / GIVEN_CPUS)


def test_cpu_is_never_negative(registry: Registry, tmp_path: Path) -> None:
    """A CPU clock that goes back is taken for one that stood."""
    clocks = Clocks()
    clocks.figures(registry, tmp_path)
    clocks.turn(wall=10, cpu=-3)
    assert value(registry, CPU_USAGE) == 0


def test_limits_are_read_again_after_a_minute(registry: Registry, tmp_path: Path) -> None:
    """A limit that is changed is seen, and not looked for with each reading."""
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n"})
    clocks = Clocks()
    clocks.figures(registry, root)
    assert value(registry, MEMORY_LIMIT) == 1000
    write(root, {"sys/fs/cgroup/memory.max": "2000\n"})
    clocks.turn(wall=LIMITS_SECONDS - 1, cpu=0)
    assert value(registry, MEMORY_LIMIT) == 1000
    clocks.turn(wall=1, cpu=0)
    assert value(registry, MEMORY_LIMIT) == 2000


def test_components_have_their_own_series(registry: Registry, tmp_path: Path) -> None:
    """Each component of a process shows the process under its own label."""
    for component in ("worker", "web"):
        ResourceFigures(registry, component, root=tmp_path)
    assert value(registry, MEMORY_LIMIT, "web") == value(registry, MEMORY_LIMIT, "worker")


def test_work_done_shows_as_cpu(registry: Registry, tmp_path: Path) -> None:
    """The real clocks: a process that computes uses CPU."""
    ResourceFigures(registry, "worker", root=tmp_path)
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert value(registry, CPU_USAGE) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forked_child_shows_its_own_figures(registry: Registry, tmp_path: Path) -> None:
    """After a fork the child reads itself, from its own beginning."""
    clocks = Clocks()
    figures = clocks.figures(registry, tmp_path)
    clocks.turn(wall=10, cpu=10)
    figures.read()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # The CPU clock of a child begins at nothing.
            clocks.turn(wall=10, cpu=-clocks.cpu)
            first = value(registry, CPU_USAGE)
            clocks.turn(wall=10, cpu=5)
            second = value(registry, CPU_USAGE)
            mine = psutil.Process(os.getpid()).memory_info().rss
            right = first == 0 and second == 50 / GIVEN_CPUS and abs(value(registry, MEMORY_USAGE) - mine) < mine
            status = 0 if right else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
