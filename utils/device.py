"""Which device to compute on."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

from .errors import UserError


def select_device(spec: str = "auto") -> torch.device:
    """Device for a ``--gpu`` argument: an index, ``auto`` (the default) or ``cpu``.

    The device is addressed by its index. ``CUDA_VISIBLE_DEVICES`` is the user's: it is read by
    the driver when torch first asks for devices, so a script that sets it is often too late.

    Raises:
        UserError: no such GPU beside others, or not an index.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("torchrun with several processes is not supported yet; start one process")
    spec = spec.strip().lower()
    if spec == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if spec == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    if "," in spec:
        raise UserError(f"--gpu {spec}: one GPU is used at present; give a single index")
    if not spec.isdecimal():
        raise UserError(f"--gpu {spec!r}: expected an index such as 0, auto or cpu")
    if count == 0:
        print(f"warning: --gpu {spec}: torch {torch.__version__} sees no GPU on this machine; "
              "running on the CPU, which is much slower", file=sys.stderr)
        return torch.device("cpu")
    if int(spec) >= count:
        raise UserError(f"--gpu {spec}: there is no such GPU; torch sees 0 to {count - 1} "
                        "(CUDA_VISIBLE_DEVICES renumbers them)")
    return torch.device("cuda", int(spec))


def keep_freed_memory() -> None:
    """Let glibc keep what a training step frees for the next step (CPU, Linux).

    By default every large tensor is mapped from and returned to the kernel, which must zero its
    pages each time. benchmarks/cpu_memory.py prints what that costs on a machine: 8 % of a
    training step of CPD-VGG in the last run on two cores. Elsewhere this does nothing.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # numbers of glibc's mallopt
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**28)
