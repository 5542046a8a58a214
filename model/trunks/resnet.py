"""ResNet-50 and ResNet-34 trunks (He et al., CVPR 2016), built of torchvision's blocks."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from ..blocks import conv_norm_relu
from .trunk import Trunk

#: Stage → channels of its output.
CHANNELS = {"stem": 64, "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
#: Stage → the modules of torchvision's network that it holds, where they are not the stage itself.
_PARTS = {"stem": ("conv1", "bn1", "relu", "maxpool"), "conv1": ("conv1", "bn1", "relu"),
          "pool": ("maxpool",)}


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
        self.alter(whole)
        for stage in stages:
            layers = nn.Sequential(OrderedDict(
                (part, getattr(whole, part)) for part in _PARTS[stage])) \
                if stage in _PARTS else getattr(whole, stage)
            self.add_stage(stage, layers, CHANNELS.get(stage, CHANNELS["stem"]))

    def alter(self, whole: nn.Module) -> None:
        """Change torchvision's network before its stages are taken."""

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``resnet50``."""
        return {key: re.sub(r"^(stem|conv1)\.", "", key) for key in self.state_dict()}


class SplitResNet50(ResNet50):
    """ResNet-50 with its stem in two stages, for networks that take the features before the
    pooling."""

    STAGES: ClassVar[dict[str, int]] = {"conv1": 2, "pool": 4, "layer1": 4, "layer2": 8,
                                        "layer3": 16, "layer4": 32}


class DenseResNet50(SplitResNet50):
    """The same, with the deepest stage at 1/16 and not dilated, as GateNet has it."""

    STAGES: ClassVar[dict[str, int]] = SplitResNet50.STAGES | {"layer4": 16}

    def alter(self, whole: nn.Module) -> None:
        """Take the stride out of the deepest stage."""
        whole.layer4[0].conv2.stride = whole.layer4[0].downsample[0].stride = (1, 1)


class CaffeResNet50(DenseResNet50):
    """The same with the deepest stage dilated, as it was trained in Caffe and as PoolNet and EGNet
    have it: the stride is in the first 1×1 convolution of a stage, and the pooling rounds up."""

    convention = ("bgr", 255)
    imagenet = "https://download.mindspore.cn/thirdparty/resnet50_caffe.pth"

    def alter(self, whole: nn.Module) -> None:
        """Move strides to where Caffe has them, and dilate the deepest stage."""
        super().alter(whole)
        whole.maxpool.ceil_mode = True
        for layer in (whole.layer2, whole.layer3):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
        for block in whole.layer4:
            block.conv2.dilation = block.conv2.padding = (2, 2)


class FullResNet34(Trunk):
    """ResNet-34 as BASNet has it: a 3×3 convolution in place of stem and pooling, so that the first
    stage has the image's size. The ImageNet file has no such convolution.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
    """

    STAGES: ClassVar[dict[str, int]] = {"conv1": 1, "layer1": 1, "layer2": 2, "layer3": 4,
                                        "layer4": 8}
    imagenet, imagenet_unused = "resnet34", ("conv1.", "bn1.", "fc.")
    from_scratch = ("conv1.",)

    def __init__(self, stages: Sequence[str] = tuple(STAGES)):
        super().__init__()
        import torchvision

        whole = torchvision.models.resnet34(weights=None)
        for stage in stages:
            layers = conv_norm_relu(3, 64, bias=True) if stage == "conv1" else \
                getattr(whole, stage)
            self.add_stage(stage, layers, 64 if stage == "conv1" else CHANNELS[stage] // 4)

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in torchvision's ``resnet34``."""
        return {key: key for key in self.state_dict() if not key.startswith(self.from_scratch)}


def released_trunk(released: str) -> dict[str, str]:
    """Rows of ``Network.released_keys`` for codes whose trunk, a module called ``released``, has
    torchvision's keys."""
    return {rf"{released}\.(conv1|bn1)\.": r"trunk.stem.\1.", rf"{released}\.": "trunk."}


def released_stages(released: str) -> dict[str, str]:
    """Rows of ``Network.released_keys`` for codes that keep torchvision's names: ``released`` is
    the pattern in front of them."""
    return {rf"{released}(conv1|bn1)\.": r"trunk.conv1.\1.",
            rf"{released}layer(\d)\.": r"trunk.layer\1."}
