"""VGG-16 trunk with named stages (Simonyan and Zisserman, ICLR 2015, configuration D)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from .trunk import Trunk

#: Output channels of the 3×3 convolutions of each stage.
STAGES = {
    "conv1": (64, 64),
    "conv2": (128, 128),
    "conv3": (256, 256, 256),
    "conv4": (512, 512, 512),
    "conv5": (512, 512, 512),
}
#: A last stage that only pools, for networks that want five resolutions.
POOL5 = "pool5"
#: Position of each stage's convolutions in torchvision's ``vgg16().features``.
_TORCHVISION_INDEX = {
    "conv1": (0, 2),
    "conv2": (5, 7),
    "conv3": (10, 12, 14),
    "conv4": (17, 19, 21),
    "conv5": (24, 26, 28),
}


def pool2x2(kind: str) -> nn.Module:
    """``"avg"`` or ``"max"`` pooling that halves height and width (rounding down)."""
    pools = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
    if kind not in pools:
        raise TypeError(f"pool must be 'avg' or 'max', not {kind!r}")
    return pools[kind](2, 2)


def scaled(channels: int, width: float) -> int:
    """``channels`` × ``width``, at least 1."""
    return max(1, round(channels * width))


class VGG16(Trunk):
    """Consecutive stages of VGG-16; every stage but conv1 begins with its pooling.

    Args:
        stages: names out of ``STAGES``, in order, and ``POOL5``. conv1 is at full size, conv5 at
            1/16; pool5 is conv5 pooled once more, of which a single pixel stays one.
        pool: ``"max"`` as in the VGG paper, or ``"avg"`` as in the released CPD and WSSA. A
            state dict fits both, so the choice is part of the network and not of the weights.
        width: multiplies every stage's channels. ImageNet weights fit 1 only; less makes a
            small network for trials from scratch.

    Convolutions start from He et al.'s initialisation, so that a trunk without batch norm
    passes signals through when it is trained from scratch.
    """

    imagenet, imagenet_unused = "vgg16", ("classifier.",)

    def __init__(self, stages: Sequence[str] = tuple(STAGES), pool: str = "max",
                 width: float = 1.0):
        super().__init__()
        names = list(STAGES)
        for stage in stages:
            if stage == POOL5:
                last = pool2x2(pool)
                last.ceil_mode = True
                self.add_module(POOL5, nn.Sequential(last))
                continue
            before = names.index(stage) - 1
            channels = scaled(STAGES[names[before]][-1], width) if before >= 0 else 3
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if before >= 0:
                layers["pool"] = pool2x2(pool)
            for number, full in enumerate(STAGES[stage], start=1):
                conv = nn.Conv2d(channels, scaled(full, width), 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
                layers[f"{stage}_{number}"] = conv
                layers[f"relu{stage[-1]}_{number}"] = nn.ReLU(inplace=True)
                channels = conv.out_channels
            self.add_module(stage, nn.Sequential(layers))

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``vgg16``."""
        return {
            f"{stage}.{stage}_{number}.{kind}": f"features.{index}.{kind}"
            for stage, _ in self.named_children() if stage in _TORCHVISION_INDEX
            for number, index in enumerate(_TORCHVISION_INDEX[stage], start=1)
            for kind in ("weight", "bias")
        }
