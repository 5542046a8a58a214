"""EfficientNet trunks B0 to B7 with named stages (Tan and Le, ICML 2019).

The arithmetic is that of TensorFlow's checkpoints, for which the AdvProp weights (Xie et al., CVPR
2020) were trained; torchvision's EfficientNet pads every convolution evenly and would shift the
features. The padding is that of each size's native input (224 pixels for B0, 600 for B7), whatever
the size of the input is, as in the PyTorch port that TRACER builds on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import GroupedConv
from .trunk import Trunk


class Size(NamedTuple):
    """How a size scales B0, and the file of its AdvProp weights."""

    width: float  # factor on the channels
    depth: float  # factor on the number of blocks
    native: int  # side of the images for which the size was designed, in pixels
    weights: str


_RELEASE = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/"
SIZES = {
    0: Size(1.0, 1.0, 224, "adv-efficientnet-b0-b64d5a18.pth"),
    1: Size(1.0, 1.1, 240, "adv-efficientnet-b1-0f3ce85a.pth"),
    2: Size(1.1, 1.2, 260, "adv-efficientnet-b2-6e9d97e5.pth"),
    3: Size(1.2, 1.4, 300, "adv-efficientnet-b3-cdd7c0f4.pth"),
    4: Size(1.4, 1.8, 380, "adv-efficientnet-b4-44fb3a87.pth"),
    5: Size(1.6, 2.2, 456, "adv-efficientnet-b5-86493f6b.pth"),
    6: Size(1.8, 2.6, 528, "adv-efficientnet-b6-ac80338e.pth"),
    7: Size(2.0, 3.1, 600, "adv-efficientnet-b7-4652b6dd.pth"),
}


class Group(NamedTuple):
    """Consecutive blocks of B0 with the same kernel and width (a row of the paper's Table 1)."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM = 32
GROUPS = (Group(1, 3, 1, 1, 16), Group(2, 3, 2, 6, 24), Group(2, 5, 2, 6, 40),
          Group(3, 3, 2, 6, 80), Group(3, 5, 1, 6, 112), Group(4, 5, 2, 6, 192),
          Group(1, 3, 1, 6, 320))
DROP = 0.2  # rate of stochastic depth at the end of the network
_SQUEEZE = 4  # a block's input has this many times the channels inside squeeze-and-excitation


def scaled_channels(channels: int, width: float) -> int:
    """``channels`` × ``width``, rounded to a multiple of 8, at least nine tenths of it."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class SameConv(GroupedConv):
    """Convolution without bias whose padding is TensorFlow's "same" for an input of ``native``
    pixels. Where the total is odd, the right and the bottom get one pixel more."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, native: int,
                 stride: int = 1, groups: int = 1):
        total = max((math.ceil(native / stride) - 1) * stride + kernel - native, 0)
        super().__init__(in_channels, out_channels, kernel, stride, total // 2, groups=groups,
                         bias=False)
        self.uneven = total % 2

    def convolve(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉) at the native size."""
        if not self.uneven:
            return super().convolve(x)
        before, after = self.padding[0], self.padding[0] + 1
        padded = F.pad(x, (before, after, before, after))
        return F.conv2d(padded, self.weight, stride=self.stride, groups=self.groups)


class Swish(nn.Module):
    """x σ(x). Training takes the fused function. Evaluation takes the two steps of the released
    code, so that outputs agree to the last bits, which random weights amplify to 5e-4 of an
    output's deviation."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x) if self.training else x * x.sigmoid()


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SqueezeExcitation(nn.Module):
    """Channels multiplied by weights in (0, 1) that are predicted from their means (Hu et al.,
    CVPR 2018)."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.swish = Swish()
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * self.expand(self.swish(self.reduce(means))).sigmoid()


class MBConv(nn.Module):
    """Inverted bottleneck with squeeze-and-excitation (Sandler et al., CVPR 2018).

    Where input and output have the same shape, a shortcut leads past the block, and in training
    the block's result is left out for a share ``drop`` of the images (stochastic depth, Huang et
    al., ECCV 2016); the results that stay are divided by 1 − ``drop``.
    """

    def __init__(self, in_channels: int, out_channels: int, group: Group, stride: int, native: int,
                 drop: float):
        super().__init__()
        inner = in_channels * group.expansion
        self.expand = nn.Sequential() if group.expansion == 1 else nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False), norm(inner), Swish())
        self.depthwise = nn.Sequential(
            SameConv(inner, inner, group.kernel, native, stride, groups=inner), norm(inner),
            Swish())
        self.squeeze = SqueezeExcitation(inner, max(1, in_channels // _SQUEEZE))
        self.project = nn.Sequential(nn.Conv2d(inner, out_channels, 1, bias=False),
                                     norm(out_channels))
        self.skips = stride == 1 and in_channels == out_channels
        from torchvision.ops import StochasticDepth  # 180 MB, which other trunks do without

        self.drop = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H / stride, W / stride)."""
        result = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return self.drop(result) + x if self.skips else result


class EfficientNet(Trunk):
    """Consecutive stages of EfficientNet-B ``size``, without its head.

    Args:
        size: 0 to 7.
        stages: names in ``STAGES``, consecutive and in order.
    """

    STAGES: ClassVar[dict[str, int]] = {"stem": 2, "group1": 2, "group2": 4, "group3": 8,
                                        "group4": 16, "group5": 16, "group6": 32, "group7": 32}
    imagenet_unused = ("_conv_head.", "_bn1.", "_fc.")

    def __init__(self, size: int, stages: Sequence[str] = tuple(STAGES)):
        super().__init__()
        if size not in SIZES:
            raise TypeError(f"EfficientNet has sizes 0 to 7, not {size!r}")
        scale = SIZES[size]
        self.imagenet = _RELEASE + scale.weights
        self.first_block: dict[str, int] = {}  # group → number of its first block in the network
        counts = [math.ceil(group.blocks * scale.depth) for group in GROUPS]
        channels, native, before = scaled_channels(STEM, scale.width), scale.native, 0
        if "stem" in stages:
            self.add_stage("stem", nn.Sequential(SameConv(3, channels, 3, native, 2),
                                                 norm(channels), Swish()), channels)
        native = math.ceil(native / 2)
        for name, group, count in zip(list(self.STAGES)[1:], GROUPS, counts, strict=True):
            width = scaled_channels(group.channels, scale.width)
            layers = []
            for number in range(count):
                stride = group.stride if number == 0 else 1
                drop = DROP * (before + number) / sum(counts)  # grows linearly with depth
                layers.append(MBConv(width if number else channels, width, group, stride, native,
                                     drop))
                native = math.ceil(native / stride)
            if name in stages:
                self.add_stage(name, nn.Sequential(*layers), width)
                self.first_block[name] = before
            channels, before = width, before + count
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → that of the same tensor in the AdvProp files."""
        return {key: self._released(key) for key in self.state_dict()}

    def _released(self, key: str) -> str:
        stage, number, rest = key.split(".", 2)
        if stage == "stem":
            return f"{('_conv_stem', '_bn0')[int(number)]}.{rest}"
        part, _, leaf = rest.partition(".")
        names = {"expand": {"0": "_expand_conv", "1": "_bn0"},
                 "depthwise": {"0": "_depthwise_conv", "1": "_bn1"},
                 "squeeze": {"reduce": "_se_reduce", "expand": "_se_expand"},
                 "project": {"0": "_project_conv", "1": "_bn2"}}[part]
        inner, _, tensor = leaf.partition(".")
        return f"_blocks.{self.first_block[stage] + int(number)}.{names[inner]}.{tensor}"
