"""ResNet-50 trunk (He et al., CVPR 2016), built of torchvision's blocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from .trunk import Trunk

#: Stage → channels of its output.
CHANNELS = {"stem": 64, "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}


class ResNet50(Trunk):
    """Consecutive stages of ResNet-50, without its classifier.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
        pool: the stem's 3×3 pooling, ``"max"`` (the paper) or ``"avg"``.
    """

    STAGES: ClassVar[dict[str, int]] = {"stem": 4, "layer1": 4, "layer2": 8, "layer3": 16,
                                        "layer4": 32}
    imagenet, imagenet_unused = "resnet50", ("fc.",)

    def __init__(self, stages: Sequence[str] = tuple(STAGES), pool: str = "max"):
        super().__init__()
        if pool not in ("avg", "max"):
            raise TypeError(f"pool must be 'avg' or 'max', not {pool!r}")
        import torchvision  # 180 MB, which other trunks do without

        whole = torchvision.models.resnet50(weights=None)
        whole.maxpool = (nn.MaxPool2d if pool == "max" else nn.AvgPool2d)(3, 2, padding=1)
        for stage in stages:
            if stage == "stem":
                parts = ("conv1", "bn1", "relu", "maxpool")
                layers = nn.Sequential(OrderedDict((p, getattr(whole, p)) for p in parts))
            else:
                layers = getattr(whole, stage)
            self.add_stage(stage, layers, CHANNELS[stage])

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``resnet50``."""
        return {key: key.removeprefix("stem.") for key in self.state_dict()}
