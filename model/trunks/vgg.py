"""VGG-16 trunk (Simonyan and Zisserman, ICLR 2015, configuration D)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from .trunk import Trunk

#: Stage → channels of each of its 3×3 convolutions.
CONVOLUTIONS = {
    "conv1": (64, 64),
    "conv2": (128, 128),
    "conv3": (256, 256, 256),
    "conv4": (512, 512, 512),
    "conv5": (512, 512, 512),
}
#: Stage → positions of its convolutions in torchvision's ``vgg16().features``.
_TORCHVISION_INDEX = {
    "conv1": (0, 2),
    "conv2": (5, 7),
    "conv3": (10, 12, 14),
    "conv4": (17, 19, 21),
    "conv5": (24, 26, 28),
}


def pool2x2(kind: str) -> nn.Module:
    """``"avg"`` or ``"max"`` pooling that halves height and width, rounded down."""
    pools = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
    if kind not in pools:
        raise TypeError(f"pool must be 'avg' or 'max', not {kind!r}")
    return pools[kind](2, 2)


def scaled(channels: int, width: float) -> int:
    """``channels`` × ``width``, at least 1."""
    return max(1, round(channels * width))


class VGG16(Trunk):
    """Consecutive stages of VGG-16, without its classifier.

    Every stage but conv1 begins with its pooling. pool5 pools conv5 once more and has no weights;
    it rounds sizes up, so that a single pixel stays one. Convolutions start from He et al.'s
    initialisation, so that a trunk without batch norm passes signals on when it is trained from
    scratch.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
        pool: ``"max"`` as in the VGG paper, or ``"avg"`` as in the released CPD and WSSA. A
            state dict fits both, so the choice belongs to the network and not to the weights.
        width: factor on the channels of every stage. ImageNet weights fit 1 only; a smaller value
            makes a small network for trials from scratch.
    """

    STAGES: ClassVar[dict[str, int]] = {"conv1": 1, "conv2": 2, "conv3": 4, "conv4": 8, "conv5": 16,
                                        "pool5": 32}
    imagenet, imagenet_unused = "vgg16", ("classifier.",)

    def __init__(self, stages: Sequence[str] = tuple(CONVOLUTIONS), pool: str = "max",
                 width: float = 1.0):
        super().__init__()
        if not isinstance(width, int | float) or width <= 0:
            raise TypeError(f"width must be a number above 0, not {width!r}")
        channels = 3
        for stage, convolutions in CONVOLUTIONS.items():
            if stage not in stages:
                channels = scaled(convolutions[-1], width)
                continue
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if stage != "conv1":
                layers["pool"] = pool2x2(pool)
            for number, full in enumerate(convolutions, start=1):
                conv = nn.Conv2d(channels, scaled(full, width), 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
                layers[f"{stage}_{number}"] = conv
                layers[f"relu{stage[-1]}_{number}"] = nn.ReLU(inplace=True)
                channels = conv.out_channels
            self.add_stage(stage, nn.Sequential(layers), channels)
        if "pool5" in stages:
            last = pool2x2(pool)
            last.ceil_mode = True
            self.add_stage("pool5", nn.Sequential(last), channels)

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``vgg16``."""
        return {
            f"{stage}.{stage}_{number}.{kind}": f"features.{index}.{kind}"
            for stage in self.channels if stage in _TORCHVISION_INDEX
            for number, index in enumerate(_TORCHVISION_INDEX[stage], start=1)
            for kind in ("weight", "bias")
        }
