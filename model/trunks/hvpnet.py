"""HVPNet's trunk, which its authors trained on ImageNet (Liu et al., TCYB 2021).

Four levels of hierarchical visual perception: after the human visual system, branches whose
receptive fields shrink from 7 to 3 pixels, each of which sees what the larger ones found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import GroupedConv, conv_norm
from .trunk import Trunk, renamed

#: Level → channels.
CHANNELS = {"level1": 16, "level2": 32, "level3": 64, "level4": 128}
MOMENTUM = 0.01  # of the batch norms in the blocks
#: Our keys → those of the authors' file, see ``renamed``.
RELEASED_NAMES = {
    r"^(level\d)\.halve\.conv\.(\d)\.": r"\1_0.conv\2.", r"^(level\d)\.halve\.": r"\1_0.",
    r"^(level\d)\.body\.": r"\1.", r"^level(\d)\.branch\.": r"branch\1.",
    r"^level(\d)\.norm\.": r"br\1.", r"\.branches\.0\.": ".recp7.", r"\.branches\.1\.": ".recp5.",
    r"\.branches\.2\.": ".recp3.", r"\.fuse\.": ".recp1.0.", r"\.activation\.": ".relu.",
    r"\.channel\.": ".channel_att.fc.", r"\.spatial\.": ".spatialatt.spatial."}


def unit(in_channels: int, out_channels: int, kernel: int = 1, dilation: int = 1, groups: int = 1,
         activate: bool = True) -> nn.Sequential:
    """Convolution without bias that keeps height and width, batch norm, and a PReLU of one
    slope."""
    layers = conv_norm(in_channels, out_channels, kernel, nn.PReLU() if activate else None,
                       padding=dilation * (kernel // 2), dilation=dilation, groups=groups)
    layers.bn.momentum = MOMENTUM
    return layers


class Halving(nn.Module):
    """Convolution of stride 2 beside a pooling that rounds up, batch norm, PReLU. In all levels but
    the first the convolution is depthwise, behind one of 1×1."""

    def __init__(self, in_channels: int, out_channels: int, first: bool):
        super().__init__()
        new = out_channels - in_channels
        self.conv = nn.Conv2d(in_channels, new, 3, 2, 1, bias=False) if first else nn.Sequential(
            nn.Conv2d(in_channels, new, 1, bias=False),
            GroupedConv(new, new, 5, 2, 2, groups=new, bias=False))
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, out_channels, ⌈h / 2⌉, ⌈w / 2⌉)."""
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        return self.act(self.bn(torch.cat([self.conv(x), pooled], dim=1)))


class Residual(nn.Module):
    """3×3 convolution with its input added, batch norm, PReLU: the first level's block."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        return self.act(self.bn(self.conv(x) + x))


class HVP(nn.Module):
    """Hierarchical visual perception: three branches, each of which also sees what the ones before
    gave.

    A branch begins with a convolution of as many groups as channels on all of its inputs side by
    side. So each of its outputs sees two (three) neighbours of that row, which lie in one input,
    but for two outputs of the third branch where inputs meet.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(
            unit(number * channels, channels, reach, groups=channels), unit(channels, channels),
            unit(channels, channels, 3, reach, channels, activate=False), unit(channels, channels))
            for number, reach in enumerate((7, 5, 3), start=1))
        self.fuse = unit(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        for branch in self.branches:
            x = torch.cat([x, branch(x)], dim=1)
        return self.fuse(x)


class Attention(nn.Module):
    """The feature plus itself weighted by channels, then by pixels."""

    def __init__(self, channels: int):
        super().__init__()
        self.channel = nn.Sequential(
            nn.Linear(channels, channels // 4, bias=False), nn.ReLU(inplace=True),
            nn.Linear(channels // 4, channels, bias=False))
        self.spatial = unit(channels, 1, 3, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        weighted = x * self.channel(x.mean(dim=(2, 3))).sigmoid()[..., None, None]
        return x + weighted * self.spatial(weighted).sigmoid()


class Level(nn.Module):
    """A halving, ``depth`` blocks, and what the halving gave added to their result."""

    def __init__(self, in_channels: int, channels: int, depth: int, first: bool):
        super().__init__()
        self.halve = Halving(in_channels, channels, first)
        blocks = [Residual(channels), Attention(channels)] if first else [
            layer for _ in range(depth)
            for layer in (nn.Dropout2d(0.1), HVP(channels), Attention(channels))]
        self.body = nn.Sequential(*blocks)
        self.branch = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, channels, ⌈h / 2⌉, ⌈w / 2⌉)."""
        x = self.halve(x)
        return self.norm(self.branch(x) + self.body(x))


class HVPNetTrunk(Trunk):
    """Consecutive stages, each of which halves height and width, rounding up.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
        depths: perception blocks of the second to fourth level. The authors' weights fit the
            default; fewer, down to none, make a small network for trials from scratch.
    """

    STAGES: ClassVar[dict[str, int]] = {"level1": 2, "level2": 4, "level3": 8, "level4": 16}
    imagenet = ("https://github.com/yun-liu/FastSaliency/raw/master/Pretrained/"
                "HVPNet_backbone_pretrain.pth")

    def __init__(self, stages: Sequence[str] = tuple(STAGES), depths: Sequence[int] = (1, 3, 5)):
        super().__init__()
        before = 3
        for (stage, channels), depth in zip(CHANNELS.items(), (0, *depths), strict=True):
            if stage in stages:
                self.add_stage(stage, Level(before, channels, depth, stage == "level1"), channels)
            before = channels

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in the authors' file."""
        return renamed(self.state_dict(), RELEASED_NAMES)
