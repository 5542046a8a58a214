"""What every backbone has in common: named stages that run one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..norm import uncounted


class Trunk(nn.Module, ABC):
    """Consecutive stages, added by name with ``add_module``.

    A subclass says which file of ImageNet weights it takes (``imagenet``) and which key there each
    of its tensors has (``imagenet_keys``); the weights are then loaded by name.
    """

    #: A network of torchvision, whose weights it takes, or the address of a file.
    imagenet: str
    #: Beginnings of the file's keys that a trunk has no use for, such as the classifier's.
    imagenet_unused: tuple[str, ...] = ()
    #: Keep only the stages' outputs for the backward pass, and compute the rest again there.
    recompute: bool = False

    def forward(self, x: Tensor) -> list[Tensor]:
        """One feature map for each stage, in order."""
        features = []
        for stage in self.children():
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(stage, x, use_reentrant=False,
                               context_fn=lambda stage=stage: (nullcontext(), uncounted(stage)))
            else:
                x = stage(x)
            features.append(x)
        return features

    @abstractmethod
    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in the file of ImageNet weights."""
