"""What all trunks have in common: named stages that run one after the other."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..norm import uncounted


class Trunk(nn.Module, ABC):
    """Consecutive stages of a classification network.

    A subclass adds those that it is asked for with ``add_stage``, and names the file of ImageNet
    weights that fits (``imagenet``) and the key there of each of its tensors (``imagenet_keys``).

    Attributes:
        channels: stage → channels of its output, for the stages that were built, in order.
        strides: stage → side of the image divided by the side of its output, for the same.
        levels: the stages whose outputs a network takes, from shallow to deep; see
            ``trunks.build``.
    """

    #: All stages that there are, in order, and their strides.
    STAGES: ClassVar[dict[str, int]]
    #: Name of a network of torchvision, whose weights it takes, or the address of a file.
    imagenet: str
    #: Beginnings of keys in that file that a trunk does not use, such as the classifier's.
    imagenet_unused: tuple[str, ...] = ()
    #: Beginnings of our keys whose tensors that file lacks; they start from random weights.
    from_scratch: tuple[str, ...] = ()
    #: ``data.channels`` and ``data.range`` of the images that those weights were trained on.
    convention: ClassVar[tuple[str, int]] = ("rgb", 1)
    #: Whether the stages' inner results are computed a second time in the backward pass instead
    #: of being kept for it.
    recompute: bool = False

    def __init__(self):
        super().__init__()
        self.channels: dict[str, int] = {}
        self.strides: dict[str, int] = {}
        self.levels: list[str] = []

    def add_stage(self, name: str, stage: nn.Module, channels: int) -> None:
        """Append a stage whose output has ``channels`` channels."""
        self.add_module(name, stage)
        self.channels[name], self.strides[name] = channels, self.STAGES[name]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, C, H, W) → the output of each stage by name, (N, channels, H / stride, W / stride).

        The input is an image, or what the stage before the first one gives.
        """
        features = {}
        for name, stage in self.named_children():
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(stage, x, use_reentrant=False,
                               context_fn=lambda stage=stage: (nullcontext(), uncounted(stage)))
            else:
                x = stage(x)
            features[name] = x
        return features

    def maps(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W) → the outputs of ``levels``, from shallow to deep, with ``widths`` channels.
        """
        stages = self(image)
        return [stages[level] for level in self.levels]

    @property
    def widths(self) -> list[int]:
        """Channels of the outputs of ``levels``."""
        return [self.channels[level] for level in self.levels]

    @abstractmethod
    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in the file of ImageNet weights, without those
        ``from_scratch``."""


def renamed(keys: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Key → what it is called by ``names``: regular expressions and their replacements, which are
    applied one after the other."""
    result = {}
    for key in keys:
        name = key
        for pattern, replacement in names.items():
            name = re.sub(pattern, replacement, name)
        result[key] = name
    return result
