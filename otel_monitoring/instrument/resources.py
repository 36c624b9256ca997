"""What the process uses of what it may use: memory and CPU, read when metrics are read.

On Linux what it may use is bounded by its control group and by those around it:
https://docs.kernel.org/admin-guide/cgroup-v2.html (``memory.max``, ``cpu.max``), or in version 1
``memory.limit_in_bytes``, ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import psutil

from otel_monitoring.catalogue.shipped import CPU_USAGE, MEMORY_LIMIT, MEMORY_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_monitoring.metrics import Registry

LIMITS_SECONDS = 60.0
"""How long limits are taken to stay what they are."""

SHORTEST_SECONDS = 1.0
"""Readings closer together than this keep the CPU figure: it would be noise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may use.

    Attributes:
        memory_bytes: of its control groups, or of the machine where that is less.
        cpus: how many CPUs it may keep busy; a part of one is possible.
    """

    memory_bytes: float
    cpus: float


class ResourceFigures:
    """Keeps ``memory_usage_bytes``, ``memory_limit_bytes`` and ``cpu_usage_percent`` of a component.

    They are read with each snapshot of the registry.  The CPU figure is the mean since the
    reading before, the first one since this object was made (in a forked child: since its
    first reading); 100 is all that the process may use, also where that is less than a CPU.

    Args:
        registry: where they are shown.
        component: the value of their label.
        clock: tells seconds, never goes back.
        cpu_clock: tells the CPU seconds that this process has used.
        root: where the file systems ``proc`` and ``sys`` are.
    """

    def __init__(
        self,
        registry: Registry,
        component: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
        root: Path = Path("/"),
    ) -> None:
        labels = {"component": component}
        self._memory = registry.gauge(MEMORY_USAGE).labels(**labels)
        self._limit = registry.gauge(MEMORY_LIMIT).labels(**labels)
        self._cpu = registry.gauge(CPU_USAGE).labels(**labels)
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._root = root
        self._limits: Limits | None = None
        self._limits_read = 0.0
        self._cpu_percent: float | None = None
        self._begin()
        registry.observe(self.read)

    def read(self) -> None:
        """Set the figures to what they are now."""
        if os.getpid() != self._pid:
            self._begin()
        limits = self._current_limits()
        self._limit.set(limits.memory_bytes)
        self._cpu.set(self._cpu_since_last(limits.cpus))
        self._memory.set(psutil.Process(self._pid).memory_info().rss)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._cpu_percent = None
        self._wall_seconds = self._clock()
        self._cpu_seconds = self._cpu_clock()

    def _current_limits(self) -> Limits:
        now = self._clock()
        if self._limits is None or now - self._limits_read >= LIMITS_SECONDS:
            self._limits = read_limits(self._root)
            self._limits_read = now
        return self._limits

    def _cpu_since_last(self, cpus: float) -> float:
        wall, cpu = self._clock(), self._cpu_clock()
        elapsed = wall - self._wall_seconds
        if self._cpu_percent is not None and elapsed < SHORTEST_SECONDS:
            return self._cpu_percent
        used = max(cpu - self._cpu_seconds, 0.0)
        self._wall_seconds, self._cpu_seconds = wall, cpu
        self._cpu_percent = 100.0 * used / (elapsed * cpus) if elapsed > 0 else 0.0
        return self._cpu_percent


def read_limits(root: Path) -> Limits:
    """Return what this process may use now.

    Args:
        root: where the file systems ``proc`` and ``sys`` are; without control groups there
            the machine's memory and the CPUs given to the process count.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = [number for folder in _groups(root, "memory") for number in _memory_limits(folder)]
    quotas = [number for folder in _groups(root, "cpu") for number in _cpu_quotas(folder)]
    return Limits(memory_bytes=min([psutil.virtual_memory().total, *memory]), cpus=min([cpus, *quotas]))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Go through the folders of the process' control group and of those around it.

    In a container the group's own path may be that of the host, and not be there; its files
    are then at the top, which is among the folders given.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 has no controllers in its line; beside version 1 it is mounted at "unified".
        tops = (controllers, controller) if controllers else ("", "unified")
        below = PurePosixPath(group.lstrip("/"))
        for top in dict.fromkeys(tops):
            for part in (below, *below.parents):
                yield root / "sys/fs/cgroup" / top / part


def _memory_limits(folder: Path) -> Iterator[float]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        # "max" says no limit; in version 1 that is a number beyond every machine's memory.
        yield from (int(word) for word in _words(folder / name) if word.isdigit())


def _cpu_quotas(folder: Path) -> Iterator[float]:
    if not (words := _words(folder / "cpu.max")):
        words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    # "max" and -1 say no limit.
    limit = re.fullmatch(r"([1-9]\d*) ([1-9]\d*)", " ".join(words))
    if limit is not None:
        yield int(limit[1]) / int(limit[2])


def _words(file: Path) -> list[str]:
    return [word for line in _lines(file) for word in line.split()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeError):
        return []
