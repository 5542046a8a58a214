"""Res2Net-50 trunk, version 1b with 26 channels in 4 scales (Gao et al., TPAMI 2021)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import CHANNELS, ResNet50
from .trunk import Trunk

SCALES = 4
_BLOCKS = {"layer1": (3, 1, 26), "layer2": (4, 2, 52), "layer3": (6, 2, 104),
           "layer4": (3, 2, 208)}  # number of blocks, stride, channels of a scale


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    """Bottleneck whose middle is split into scales; each scale's convolution also gets the result
    of the scale before.

    In the first block of a stage, which has a ``shortcut``, each scale gets its own part alone,
    and the last part is pooled.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int,
                 shortcut: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width * SCALES, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width * SCALES)
        self.convs = nn.ModuleList([conv3x3(width, width, stride) for _ in range(SCALES - 1)])
        self.bns = nn.ModuleList([nn.BatchNorm2d(width) for _ in range(SCALES - 1)])
        self.conv3 = nn.Conv2d(width * SCALES, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut
        self.pool = nn.AvgPool2d(3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H / stride, W / stride)."""
        *parts, last = F.relu(self.bn1(self.conv1(x))).chunk(SCALES, dim=1)
        results: list[Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=True):
            joined = results[-1] + part if results and self.downsample is None else part
            results.append(F.relu(norm(conv(joined))))
        results.append(last if self.downsample is None else self.pool(last))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(torch.cat(results, dim=1))) + shortcut)


class Res2Net50(Trunk):
    """Consecutive stages, with the names, channels and strides of ``ResNet50``.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
    """

    STAGES: ClassVar[dict[str, int]] = ResNet50.STAGES
    imagenet = ("https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/"
                "res2net50_v1b_26w_4s-3cf99910.pth")
    imagenet_unused = ("fc.",)

    def __init__(self, stages: Sequence[str] = tuple(STAGES)):
        super().__init__()
        before = 3
        for stage, channels in CHANNELS.items():
            if stage in stages:
                self.add_stage(stage, stem() if stage == "stem" else layer(stage, before),
                               channels)
            before = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → that of the same tensor in the authors' file."""
        return {key: key.removeprefix("stem.") for key in self.state_dict()}


def stem() -> nn.Sequential:
    """Three 3×3 convolutions in place of ResNet's 7×7, then the pooling: (N, 3, H, W) → 1/4."""
    first = nn.Sequential(conv3x3(3, 32, 2), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
                          conv3x3(32, 32), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
                          conv3x3(32, 64))
    return nn.Sequential(OrderedDict(conv1=first, bn1=nn.BatchNorm2d(64),
                                     relu=nn.ReLU(inplace=True),
                                     maxpool=nn.MaxPool2d(3, 2, padding=1)))


def layer(stage: str, in_channels: int) -> nn.Sequential:
    """The blocks of a stage; only the first has a stride and a shortcut with weights."""
    blocks, stride, width = _BLOCKS[stage]
    channels = CHANNELS[stage]
    shortcut = nn.Sequential(
        nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
    return nn.Sequential(Block(in_channels, width, channels, stride, shortcut),
                         *(Block(channels, width, channels, 1, None) for _ in range(blocks - 1)))
