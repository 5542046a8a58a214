"""Cores and memory that this process may use, within the limits of its container."""

from __future__ import annotations

import math
import os
import platform
import shutil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def local_processes() -> int:
    """The number of this run's processes on this machine, as torchrun sets it; 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores() -> int:
    """The number of cores for this process, at least 1: those that it may run on, within its
    container's quota, divided by the number of the run's processes on this machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if not quota:  # cgroup v1; its quota is -1 where there is no limit
        quota, period = (_read(_CGROUP / "cpu" / f"cpu.cfs_{name}_us")
                         for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit():
        count = min(count, math.ceil(int(quota) / int(period)))
    return max(1, int(count) // local_processes())


def available_memory() -> int | None:
    """Bytes of memory that can be taken without swapping, within the container's limit; None
    where the system does not tell."""
    lines = _read(Path("/proc/meminfo")).splitlines()
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        files = [int(line.split()[1]) for line in _read(_CGROUP / "memory.stat").splitlines()
                 if line.startswith("inactive_file ")]  # counted as used, but freed when needed
        free.append(max(0, int(limit) - int(used) + sum(files)))
    return min(free, default=None)


def free_shared_memory() -> int | None:
    """Free bytes of /dev/shm, through which loader processes hand over their batches; None where
    the system has no such folder."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:
        return None


def processor() -> str:
    """The processor's name."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
