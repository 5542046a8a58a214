"""The loader processes: how many there are, and which signals they get."""

from __future__ import annotations

import os
import sys

from utils.machine import cores, free_shared_memory


def leave_the_group(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the main process, which saves the run and ends the loader.

    A terminal and many schedulers send them to all processes of a group. They must not be ignored
    here: it is by SIGTERM that the main process ends its loaders when it fails.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


_AHEAD = 2  # batches that a loader process prepares ahead, torch's default
SHM_ADVICE = ("give the container more (docker run --shm-size=1g, or --ipc=host), or lower "
              "data.workers (0 needs none) or train.batch")


def loader_processes(wanted: int | None, batch_bytes: int) -> int:
    """How many loader processes to start: ``wanted``, or one for each core up to 8; fewer, with a
    note, where /dev/shm has no room for the batches that they hand over."""
    count = min(cores(), 8) if wanted is None else wanted
    free = free_shared_memory()
    if free is None or count == 0:
        return count
    fit = max(0, free // batch_bytes - 1) // (_AHEAD + 1)
    if fit < count:
        print(f"note: /dev/shm has {free / 2**20:.0f} MiB free, which is room for {fit} loader "
              f"processes, not {count}, with batches of {batch_bytes / 2**20:.1f} MiB; "
              f"{SHM_ADVICE}", file=sys.stderr)
    return min(fit, count)
