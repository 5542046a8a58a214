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
#: Kind of pooling → what makes it; all halve height and width. ``max3`` rounds up, the others down.
_POOLS = {"avg": lambda: nn.AvgPool2d(2, 2), "max": lambda: nn.MaxPool2d(2, 2),
          "max3": lambda: nn.MaxPool2d(3, 2, padding=1)}


def halving_pool(kind: str) -> nn.Module:
    """The pooling that ``kind`` names."""
    if kind not in _POOLS:
        raise TypeError(f"pool must be one of {', '.join(_POOLS)}, not {kind!r}")
    return _POOLS[kind]()


#: Factor on the channels at which a trunk has 3.8 billion parameters.
WIDEST = 16


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
        pool: ``"max"`` as in the VGG paper, ``"avg"`` as in the released CPD and WSSA, or
            ``"max3"`` of 3×3 windows as in the released PoolNet and EGNet. A state dict fits all,
            so the choice belongs to the network and not to the weights.
        width: factor on the channels of every stage. ImageNet weights fit 1 only; a smaller value
            makes a small network for trials from scratch.
        norm: batch norms behind the convolutions.
    """

    STAGES: ClassVar[dict[str, int]] = {"conv1": 1, "conv2": 2, "conv3": 4, "conv4": 8, "conv5": 16,
                                        "pool5": 32}
    imagenet_unused = ("classifier.",)

    def __init__(self, stages: Sequence[str] = tuple(CONVOLUTIONS), pool: str = "max",
                 width: float = 1.0, norm: bool = False):
        super().__init__()
        self.norm, self.imagenet = norm, "vgg16_bn" if norm else "vgg16"
        if not isinstance(width, int | float) or not 0 < width <= WIDEST:
            raise TypeError(f"width must be a number above 0 and at most {WIDEST}, not {width!r}")
        channels = 3
        for stage, convolutions in CONVOLUTIONS.items():
            if stage not in stages:
                channels = scaled(convolutions[-1], width)
                continue
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if stage != "conv1":
                layers["pool"] = halving_pool(pool)
            for number, full in enumerate(convolutions, start=1):
                conv = nn.Conv2d(channels, scaled(full, width), 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)
                layers[f"{stage}_{number}"] = conv
                if norm:
                    layers[f"bn{stage[-1]}_{number}"] = nn.BatchNorm2d(conv.out_channels)
                layers[f"relu{stage[-1]}_{number}"] = nn.ReLU(inplace=True)
                channels = conv.out_channels
            self.add_stage(stage, nn.Sequential(layers), channels)
        if "pool5" in stages:
            last = halving_pool(pool)
            last.ceil_mode = pool != "max3"  # which rounds up by its padding
            self.add_stage("pool5", nn.Sequential(last), channels)

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``vgg16`` or ``vgg16_bn``."""
        positions = feature_positions(self.norm)
        return {key: f"features.{positions[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}"
                for key in self.state_dict()}


class DenseVGG16(VGG16):
    """VGG-16 without its last two poolings and with a dilated conv5 instead, as PiCANet has it."""

    STAGES: ClassVar[dict[str, int]] = {"conv1": 1, "conv2": 2, "conv3": 4, "conv4": 8, "conv5": 8}

    def __init__(self, stages: Sequence[str] = tuple(CONVOLUTIONS), **options):
        super().__init__(stages, **options)
        if "conv5" in stages:
            self.conv5.pool = nn.Identity()
            for module in self.conv5:
                if isinstance(module, nn.Conv2d):
                    module.padding = module.dilation = (2, 2)


class CaffeVGG16(VGG16):
    """VGG-16 as PoolNet and EGNet have it: poolings of 3×3 windows, and weights that were trained
    in Caffe, on BGR images from 0 to 255."""

    imagenet_unused = ("fc",)
    convention = ("bgr", 255)

    def __init__(self, stages: Sequence[str] = tuple(CONVOLUTIONS), pool: str = "max3", **options):
        super().__init__(stages, pool, **options)
        self.imagenet = "https://download.mindspore.cn/thirdparty/vgg16_20M.pth"

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in ``vgg16_20M.pth``."""
        return {key: theirs.removeprefix("features.")
                for key, theirs in super().imagenet_keys().items()}


def feature_positions(norm: bool) -> dict[str, int]:
    """Our module, such as ``conv1.conv1_1`` → its number in torchvision's ``features``."""
    positions, number = {}, 0
    for stage, convolutions in CONVOLUTIONS.items():
        for which in range(1, len(convolutions) + 1):
            for part in [f"{stage}_{which}"] + [f"bn{stage[-1]}_{which}"] * norm:
                positions[f"{stage}.{part}"] = number
                number += 1
            number += 1  # the ReLU
        number += 1  # the pooling, with which our stages and cut features begin
    return positions


def released_features(released: str, norm: bool = False) -> dict[str, str]:
    """Rows of ``Network.released_keys`` for codes that keep torchvision's numbers: ``released`` is
    the pattern in front of a number."""
    return {rf"{released}{number}\.": f"trunk.{module}."
            for module, number in feature_positions(norm).items()}


def released_slices(released: str, names: Sequence[str], norm: bool = False) -> dict[str, str]:
    """The same for codes that cut torchvision's features in front of each pooling and number each
    part anew: ``released`` and one of the ``names`` is what stands in front of a number."""
    positions, rows = feature_positions(norm), {}
    for stage, name in zip(CONVOLUTIONS, names, strict=True):
        of_stage = {module: at for module, at in positions.items() if module.startswith(stage)}
        start = min(of_stage.values()) - (stage != "conv1")
        rows |= {rf"{released}{name}\.{at - start}\.": f"trunk.{module}."
                 for module, at in of_stage.items()}
    return rows
