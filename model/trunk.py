"""What every backbone has in common: named stages that run one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """Consecutive stages, added by name with ``add_module``.

    A subclass says which of torchvision's networks it corresponds to (``torchvision_name``) and
    which of its keys (``torchvision_keys``); ImageNet weights are then loaded by name.
    """

    torchvision_name: str

    def forward(self, x: Tensor) -> list[Tensor]:
        """One feature map for each stage, in order."""
        features = []
        for stage in self.children():
            x = stage(x)
            features.append(x)
        return features

    @abstractmethod
    def torchvision_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's network."""
