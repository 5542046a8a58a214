"""What the machine has for this process: cores, memory, shared memory; containers included."""

from __future__ import annotations

import math
import os
import platform
import shutil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def local_processes() -> int:
    """Processes of this run on this machine, as torchrun says; 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores() -> int:
    """Cores for this process: those it may run on, within its container's share, divided among
    the run's processes on this machine; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, math.ceil(int(quota) / int(period)))
    return max(1, int(count) // local_processes())


def available_memory() -> int | None:
    """Bytes of memory that can be taken without swapping, within the container's limit; None
    where the system does not say."""
    found = []
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        files = [int(line.split()[1]) for line in _read(_CGROUP / "memory.stat").splitlines()
                 if line.startswith("inactive_file ")]  # counted as used, and given up when needed
        found.append(max(0, int(limit) - int(used) + sum(files)))
    return min(found, default=None)


def free_shared_memory() -> int | None:
    """Free bytes of /dev/shm, through which loader processes hand over their batches; None where
    there is none."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:
        return None


def processor() -> str:
    """What the processor calls itself."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def total_memory() -> int | None:
    """Bytes of memory of the machine; None where the system does not say."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
