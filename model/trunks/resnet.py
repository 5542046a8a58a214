"""ResNet-50 trunk with named stages (He et al., CVPR 2016), on torchvision's blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torchvision
from torch import nn

from .trunk import Trunk

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
#: Output channels of each stage.
CHANNELS = {"stem": 64, "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}


class ResNet50(Trunk):
    """Consecutive stages of ResNet-50: stem and layer1 at 1/4 of the input, layer4 at 1/32.

    Args:
        stages: names out of ``STAGES``, in order.
        pool: the stem's 3×3 pooling, ``"max"`` (the paper) or ``"avg"``.
    """

    imagenet, imagenet_unused = "resnet50", ("fc.",)

    def __init__(self, stages: Sequence[str] = STAGES, pool: str = "max"):
        super().__init__()
        if pool not in ("avg", "max"):
            raise TypeError(f"pool must be 'avg' or 'max', not {pool!r}")
        whole = torchvision.models.resnet50(weights=None)
        whole.maxpool = (nn.MaxPool2d if pool == "max" else nn.AvgPool2d)(3, 2, padding=1)
        for stage in stages:
            if stage == "stem":
                parts = ("conv1", "bn1", "relu", "maxpool")
                layers = nn.Sequential(OrderedDict((p, getattr(whole, p)) for p in parts))
            else:
                layers = getattr(whole, stage)
            self.add_module(stage, layers)

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``resnet50``."""
        return {key: key.removeprefix("stem.") for key in self.state_dict()}
