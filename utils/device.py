"""The device to compute on, its threads and its memory."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import torch

from .errors import UserError, counted
from .machine import cores, local_processes


def select_device(spec: str = "auto", option: str = "--gpu ") -> torch.device:
    """The device for a ``--gpu`` argument: an index, several, ``auto`` (the default) or ``cpu``.
    Messages call it ``option``.

    The device is addressed by its index. ``CUDA_VISIBLE_DEVICES`` is left to the user: the driver
    reads it when torch first asks for devices, so a script that sets it is often too late.
    Under torchrun, the processes of a machine take the named (or all) GPUs in turn.

    Raises:
        UserError: not an index, no such GPU on a machine that has GPUs, or not one GPU for each
            process.
    """
    spec = spec.strip().lower()
    if spec == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    words = [word.strip() for word in spec.split(",")]
    if spec != "auto" and not all(word.isdecimal() for word in words):
        raise UserError(f"{option}{spec!r}: expected an index such as 0, several such as 0,1, auto "
                        "or cpu")
    if count == 0:
        if spec != "auto":
            print(f"warning: {option}{spec}: torch {torch.__version__} sees no GPU on this "
                  "machine; running on the CPU, which is much slower", file=sys.stderr)
        return torch.device("cpu")
    processes = local_processes()
    indices = [int(word) for word in words] if spec != "auto" else \
        list(range(count if processes > 1 else 1))
    for index in indices:
        if index >= count:
            raise UserError(f"{option}{spec}: there is no GPU {index}; torch sees 0 to {count - 1} "
                            "(CUDA_VISIBLE_DEVICES renumbers them)")
    if processes > len(indices):
        raise UserError(f"{processes} processes on this machine, but {counted(len(indices), 'GPU')}"
                        f": start torchrun with --nproc-per-node {len(indices)}, or name more with "
                        "--gpu")
    if processes == 1 and len(indices) > 1:
        raise UserError(f"--gpu {spec}: several GPUs take a process each: torchrun "
                        f"--nproc-per-node {len(indices)} {Path(sys.argv[0]).name} --gpu {spec} …")
    return torch.device("cuda", indices[int(os.environ.get("LOCAL_RANK", "0"))])


def set_threads(wanted: int | None) -> None:
    """Let torch use ``wanted`` threads on the CPU, or one for each core of this process.

    torch itself regards neither a container's quota nor the other processes of the run.
    """
    count = cores()
    if local_processes() == 1:  # under torchrun, torch's number is 1 unless the user sets it
        count = min(count, torch.get_num_threads())
    torch.set_num_threads(wanted or count)


def keep_freed_memory() -> None:
    """Let glibc keep what a step or a prediction frees for the next (CPU, Linux).

    By default every large tensor is mapped from and returned to the kernel, which must zero its
    pages each time. docs/performance.md says what that costs. Without glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    # M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):
        mallopt(option, value)
