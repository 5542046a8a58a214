"""Batch norms of any dimension, and passes that do not count in their running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

BatchNorm = nn.modules.batchnorm._BatchNorm  # the base class of all of torch's batch norms


@contextmanager
def uncounted(network: nn.Module) -> Iterator[None]:
    """Inside this context, what passes through ``network`` leaves the running statistics of its
    batch norms as they are. Batch norms that train normalise with their batch as usual."""
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
