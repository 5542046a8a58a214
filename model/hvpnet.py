"""HVPNet: Lightweight Salient Object Detection via Hierarchical Visual Perception Learning.

Liu, Gu, Zhang, Wang and Cheng, IEEE Transactions on Cybernetics 2021. A trunk of its own
(``trunks/hvpnet.py``) with about a million parameters, whose blocks look at an image through
receptive fields that shrink step by step. A decoder adds its levels to each other, from deep to
shallow, and each predicts a map.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import GroupedConv, conv_norm, resize_probability, resize_to


class DilatedConv(GroupedConv):
    """A dilated convolution, which a CPU trains in float32, see ``GroupedConv``."""

    in_float32 = True


class Reduction(nn.Module):
    """To half of the channels, one part of which is convolved and the other with dilation 2."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 4
        self.enter = nn.Conv2d(channels, 2 * half, 1, bias=False)
        self.near = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.far = DilatedConv(half, half, 3, padding=2, dilation=2, bias=False)
        self.bn = nn.BatchNorm2d(2 * half)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → (N, channels / 2, h, w)."""
        near, far = self.enter(x).chunk(2, dim=1)
        return self.bn(torch.cat([self.near(near), self.far(far)], dim=1))


class Join(nn.Module):
    """A level's feature and the decoder's, which has twice its channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.deep = Reduction(2 * channels)
        self.lateral = conv_norm(channels, channels, 1)
        self.act = nn.PReLU(channels)

    def forward(self, deep: Tensor, lateral: Tensor) -> Tensor:
        """(N, 2 channels, h, w) and (N, channels, h, w) → (N, channels, h, w)."""
        return self.act(self.deep(deep) + self.lateral(lateral))


class HVPNet(Network):
    """1 237 949 parameters.

    Args:
        trunk: a name in ``trunks``, whose levels double their channels.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
        r"backbone\.branch(\d)\.": r"trunk.level\1.branch.",
        r"backbone\.br(\d)\.": r"trunk.level\1.norm.",
        r"backbone\.(level\d)_0\.conv(\d)\.": r"trunk.\1.halve.conv.\2.",
        r"backbone\.(level\d)_0\.": r"trunk.\1.halve.",
        r"backbone\.(level\d)\.": r"trunk.\1.body.",
        **{rf"(trunk.+)\.recp{reach}\.": rf"\1.branches.{number}."
           for number, reach in enumerate((7, 5, 3))},
        r"(trunk.+)\.recp1\.0\.": r"\1.fuse.",
        r"(trunk.+)\.relu\.": r"\1.activation.",
        r"(trunk.+)\.channel_att\.fc\.": r"\1.channel.",
        r"(trunk.+)\.spatialatt\.spatial\.": r"\1.spatial.",
        r"up(\d)_conv\1\.": r"join.\1.lateral.conv.",
        r"up(\d)_bn\d\.": r"join.\1.lateral.bn.",
        r"up(\d)_act\.": r"join.\1.act.",
        r"up(\d)_conv\d\.": r"join.\1.deep.",
        r"(join\.\d\.deep)\.conv0\.": r"\1.enter.",
        r"(join\.\d\.deep)\.conv1\.": r"\1.near.",
        r"(join\.\d\.deep)\.conv2\.": r"\1.far.",
        r"classifier(\d)\.": r"predict.\1.",
    }

    def __init__(self, trunk: str = "hvpnet", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (2, 4, 8, 16)), **trunk_options)
        widths = {str(level): width for level, width in enumerate(self.trunk.widths, start=1)}
        self.join = nn.ModuleDict({level: Join(widths[level]) for level in "321"})
        self.predict = nn.ModuleDict({
            level: nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(widths[level], 1, 1, bias=False))
            for level in "4321"})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` of the shallowest level,
        and ``side1`` … ``side3`` of deeper ones, the deepest last."""
        *shallower, x = self.trunk.maps(image)
        decoded = []
        for join, lateral in zip(self.join.values(), reversed(shallower), strict=True):
            x = resize_to(x, lateral, False)
            decoded.append(x)
            x = join(x, lateral)
        maps = [resize_probability(predict(feature), image, False) for predict, feature in
                zip(self.predict.values(), [*decoded, x], strict=True)]
        *sides, saliency = maps
        return {"saliency": saliency, **{
            f"side{number}": logits for number, logits in enumerate(reversed(sides), start=1)}}
