"""Batch norms, whatever their dimension, and passes that their running statistics leave out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

BatchNorm = nn.modules.batchnorm._BatchNorm  # what all of torch's batch norms derive from


@contextmanager
def uncounted(network: nn.Module) -> Iterator[None]:
    """What passes through a network meanwhile does not count in its batch norms' running
    statistics; those that train normalise with their batch as ever."""
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(batches)
