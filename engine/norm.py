"""Batch norms that do not train on their own batch: over all processes, or not at all; and those
whose batch is too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed
from torch import Tensor, nn

from model.norm import BatchNorm
from utils.errors import UserError, counted, nearest


class _SumOfAll(torch.autograd.Function):
    """The sum of a tensor over all processes. What a process gives counts in the loss of each, so
    that gradients are summed as well."""

    @staticmethod
    def forward(_context, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context, gradient: Tensor) -> Tensor:
        return _SumOfAll.forward(_context, gradient)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device.

    torch's ``SyncBatchNorm`` does this on GPUs only. Batches may differ in size. In evaluation
    mode it is an ordinary batch norm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape, normalised by channel."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = x.new_full((1,), x.numel() // x.shape[1], dtype=torch.float32)
        total = _SumOfAll.apply(torch.cat([values.sum((0, 2, 3)), count]))
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = values - mean[:, None, None]
        variance = _SumOfAll.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            for running, now in ((self.running_mean, mean),
                                 (self.running_var, variance * count / (count - 1))):
                running.lerp_(now.to(running.dtype), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def synchronise(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with its batch norms taken over all processes; parameters and keys stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d
    return network


@contextmanager
def enough_values(images: int, parts: int) -> Iterator[None]:
    """Inside the block a batch of so many ``images`` passes through a network that trains, in so
    many ``parts``.

    Raises:
        UserError: a batch norm met a single value, of which there is no deviation.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError("a batch norm of this network met a single value, with "
                        f"{counted(images, 'image')} in {counted(parts, 'part')}. Raise "
                        "train.batch or data.size (native takes images one by one), lower "
                        "train.accumulate, or set optim.eval_norm=[all].") from None


def norms_in(network: nn.Module, names: Sequence[str], key: str) -> Iterator[BatchNorm]:
    """The batch norms in the modules called ``names``; ``all`` is the whole network.

    Raises:
        UserError: a name that is no module's, or a module without a batch norm; ``key`` is the
            configuration key that names it.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name != "all" and name not in modules:
            raise UserError(f"{key}: no module is called {name!r}; "
                            f"{nearest(name, ['all', *dict(network.named_children())])}")
        inside = network if name == "all" else modules[name]
        norms = [module for module in inside.modules() if isinstance(module, BatchNorm)]
        if not norms:
            raise UserError(f"{key}: there is no batch norm in {name!r}")
        yield from norms


def train_mode(network: nn.Module, eval_norm: Sequence[str], frozen_norm: Sequence[str]) -> None:
    """Put a network into training mode, but for the batch norms that a recipe names.

    Those in ``eval_norm`` use their running statistics and do not change them; the weights of
    those in ``frozen_norm`` are not trained either.
    """
    network.train()
    for norm in norms_in(network, eval_norm, "optim.eval_norm"):
        norm.eval()
    for norm in norms_in(network, frozen_norm, "optim.frozen_norm"):
        norm.eval().requires_grad_(False)
