"""Res2Net-50 trunk, version 1b with 26 channels in 4 scales (Gao et al., TPAMI 2021)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import CHANNELS, STAGES
from .trunk import Trunk

SCALES = 4
_BLOCKS = {"layer1": (3, 1, 26), "layer2": (4, 2, 52), "layer3": (6, 2, 104),
           "layer4": (3, 2, 208)}  # number, stride, channels of a scale


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    """Bottleneck whose middle is split into scales, each a convolution of what came before.

    In a stage's first block, with ``shortcut``, the scales do not see each other, and the last one
    is pooled.
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
        *parts, last = F.relu(self.bn1(self.conv1(x))).chunk(SCALES, dim=1)
        done: list[Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=True):
            seen = done[-1] + part if done and self.downsample is None else part
            done.append(F.relu(norm(conv(seen))))
        done.append(last if self.downsample is None else self.pool(last))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(torch.cat(done, dim=1))) + shortcut)


class Res2Net50(Trunk):
    """Consecutive stages, with the names, channels and resolutions of ``ResNet50``."""

    imagenet = ("https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/"
                "res2net50_v1b_26w_4s-3cf99910.pth")
    imagenet_unused = ("fc.",)

    def __init__(self, stages: Sequence[str] = STAGES):
        super().__init__()
        for number, stage in enumerate(STAGES):
            if stage in stages:
                before = CHANNELS[STAGES[number - 1]]
                self.add_module(stage, stem() if stage == "stem" else layer(stage, before))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → that of the same tensor in the authors' file."""
        return {key: key.removeprefix("stem.") for key in self.state_dict()}


def stem() -> nn.Sequential:
    """Three small convolutions in the place of ResNet's large one."""
    first = nn.Sequential(conv3x3(3, 32, 2), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
                          conv3x3(32, 32), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
                          conv3x3(32, 64))
    return nn.Sequential(OrderedDict(conv1=first, bn1=nn.BatchNorm2d(64),
                                     relu=nn.ReLU(inplace=True),
                                     maxpool=nn.MaxPool2d(3, 2, padding=1)))


def layer(stage: str, in_channels: int) -> nn.Sequential:
    blocks, stride, width = _BLOCKS[stage]
    channels = CHANNELS[stage]
    shortcut = nn.Sequential(
        nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
    return nn.Sequential(Block(in_channels, width, channels, stride, shortcut),
                         *(Block(channels, width, channels, 1, None) for _ in range(blocks - 1)))
