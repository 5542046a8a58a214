"""A folder that one process writes into, and that others may not write into meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError
from .origin import launch
from .paths import hidden_beside
from .world import World, restarts

PATIENCE = 30  # seconds in which processes that torchrun replaces have ended


@contextmanager
def locked(folder: Path, world: World, advice: str) -> Iterator[None]:
    """Inside the block no other run's block for the same folder is entered; one that tries is an
    error at once.

    The lock is a hidden file beside the folder. The kernel gives it back when the process ends,
    however it ends, so a file that is left means nothing. What a process that was killed had half
    written is removed.

    Args:
        world: of its processes the main one holds the lock.
        advice: how to mend it, the last sentence of the error.

    Raises:
        UserError: another process holds the lock; the message names it.
    """
    lock = FileLock(hidden_beside(folder, "lock"))
    with world.main_first():
        if world.main:
            _take(lock, folder, advice)
    try:
        yield
    finally:
        lock.release()  # nothing where this process does not hold it


def _take(lock: FileLock, folder: Path, advice: str) -> None:
    path = Path(lock.lock_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder, *started = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        if not restarts() or started != [launch()] or not _acquired(lock):
            raise UserError(f"{folder} is in use: {holder or 'another process'} writes into it. "
                            f"{advice}") from None
    path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n{launch()}\n",
                    encoding="utf-8")
    for pattern in (".*.tmp", "*.pt.tmp"):  # the second: of earlier versions
        for left in folder.glob(pattern):
            left.unlink(missing_ok=True)


def _acquired(lock: FileLock) -> bool:
    """Whether the process of this launch that held a lock has ended in time."""
    with suppress(Timeout):
        lock.acquire(timeout=PATIENCE)
    return lock.is_locked
