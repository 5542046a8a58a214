"""The processes of one run, as torchrun starts them; a world of one without it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .errors import UserError


class World:
    """This process among the run's processes.

    All processes call every method, in the same order.

    Attributes:
        rank: the number of this process, from 0.
        size: how many processes there are.
        main: whether this is the process that writes files and prints, rank 0.
    """

    def __init__(self, rank: int = 0, size: int = 1):
        self.rank, self.size, self.main = rank, size, rank == 0

    def gather(self, value: Any) -> list:
        """The values of all processes, in the order of their ranks. They go over the network,
        without the devices, which go on computing."""
        if self.size == 1:
            return [value]
        values: list = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the processes, on its device."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    @contextlib.contextmanager
    def main_first(self) -> Iterator[None]:
        """A block that the main process has left before the others enter it.

        When the main process fails with a UserError, it reports the error, and the others exit
        with the same status without printing anything.
        """
        if not self.main and not all(self.gather(True)):
            raise SystemExit(2)
        try:
            yield
        except UserError:
            if self.main:
                self.gather(False)
            raise
        if self.main:
            self.gather(True)

    def share_buffers(self, network: nn.Module) -> None:
        """Copy the main process's buffers, such as the running means of batch norms, to all."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, wrapped if several processes average their gradients."""
        if self.size == 1:
            return network
        # Batch norms' buffers are shared when they are needed (``share_buffers``), not each step.
        wrapper = nn.parallel.DistributedDataParallel
        named = "forward_sync_buffers" if "forward_sync_buffers" in signature(wrapper).parameters \
            else "broadcast_buffers"  # its name before torch 2.15
        return wrapper(network, gradient_as_bucket_view=True, **{named: False})


def restarts() -> int:
    """How often torchrun has restarted this machine's processes after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Connect to the run's other processes. Inside the block only the main one prints to stdout."""
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store, rank, size = next(dist.rendezvous("env://"))
    except ValueError as error:
        raise UserError(f"RANK and WORLD_SIZE are set, but torchrun has not started this process "
                        f"({error}); unset them, or start with torchrun") from None
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun keeps its store when it restarts the processes, with the addresses of those that
        # are gone (pytorch/pytorch#135712), so each attempt gets keys of its own. On several
        # machines the counts differ; there torchrun needs TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        # (docs/scaling.md).
        store = dist.PrefixStore(f"attempt {restarts()}", store)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
                            store=store, rank=rank, world_size=size)
    world = World(rank, size)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as silence, \
                contextlib.redirect_stdout(sys.stdout if world.main else silence):
            yield world
    finally:
        # A process that fails must not wait for the others: torchrun stops them.
        if sys.exc_info()[0] is None:
            world.gather(None)
        dist.destroy_process_group()
