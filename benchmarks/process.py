"""Sides of a benchmark run in processes of their own, so that neither warms up the other."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from multiprocessing import get_context

import torch


def in_a_process(function: Callable, *arguments) -> object:
    """The function's result, from a new process; what it prints goes to stderr."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_quiet, function, arguments).result()


def _quiet(function: Callable, arguments: tuple) -> object:
    with redirect_stdout(sys.stderr):
        return function(*arguments)


def peak_mib(device: torch.device) -> float:
    """The most memory that this process has taken so far, on the device, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
