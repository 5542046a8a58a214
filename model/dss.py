"""DSS: Deeply Supervised Salient Object Detection with Short Connections.

Hou, Cheng, Hu, Borji, Tu and Torr, CVPR 2017 / TPAMI 2019 (arXiv 1611.04849). Each of six stages
predicts a map. Shallow maps, which see edges, are joined with deeper ones, which see the object, by
short connections; six learned weights fuse them.

The network is that of the PyTorch port AceCoooool/DSS-pytorch, whose weights load; the paper's own
code is in Caffe (docs/dss.md). Its prediction is a mean of four probabilities: ``saliency`` is the
logit of that mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .trunks.vgg import released_features

#: Channels and kernel of the convolutions of each side, from shallow to deep.
SIDES = ((128, 3), (128, 3), (256, 5), (256, 5), (512, 5), (512, 7))
#: Deeper sides that each side is joined with.
SHORT_CONNECTIONS = ((2, 3, 4, 5), (2, 3, 4, 5), (4, 5), (4, 5), (), ())
#: Whose probabilities are averaged for the prediction; 6 is the fused map.
PREDICTION = (1, 2, 3, 6)


def upsample(factor: int) -> nn.ConvTranspose2d:
    """Learned upsampling of one map: (N, 1, h, w) → (N, 1, factor h, factor w)."""
    return nn.ConvTranspose2d(1, 1, 2 * factor, factor, factor // 2)


class Side(nn.Sequential):
    """Two convolutions and a score: (N, C, h, w) → logits (N, 1, h, w)."""

    def __init__(self, in_channels: int, channels: int, kernel: int):
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 1))


class Combination(nn.Module):
    """A side's map joined with deeper ones and brought to the image's size (Sec. 3.2)."""

    def __init__(self, level: int):
        super().__init__()
        self.level, deeper = level, SHORT_CONNECTIONS[level]
        self.upconv = nn.ModuleList(upsample(2 ** (other - level)) for other in deeper)
        self.conv = nn.Conv2d(1 + len(deeper), 1, 1)
        self.deconv = upsample(2**level) if level else nn.Identity()

    def forward(self, sides: list[Tensor]) -> Tensor:
        """Logits of all sides, (N, 1, ·, ·) → logits (N, 1, H, W)."""
        deeper = (up(sides[other]) for up, other in
                  zip(self.upconv, SHORT_CONNECTIONS[self.level], strict=True))
        return self.deconv(self.conv(torch.cat([sides[self.level], *deeper], dim=1)))


class DSS(Network):
    """62 238 181 parameters.

    Args:
        trunk: a name in ``trunks``, of a VGG-16.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_features(r"base\.") | {
        r"feat\.(\d)\.main\.": r"sides.\1.",
        r"comb\.(\d)\.": r"combine.\1.",
        r"fuse\.weights$": "fusion",
    }
    multiple = 32

    def __init__(self, trunk: str = "vgg16", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8, 16, 32)),
                                  **trunk_options)
        self.sides = nn.ModuleList(
            Side(self.trunk.channels[stage], *shape)
            for stage, shape in zip(self.trunk.levels, SIDES, strict=True))
        self.combine = nn.ModuleList(Combination(level) for level in range(len(SIDES)))
        self.fusion = nn.Parameter(torch.full((len(SIDES),), 1 / len(SIDES)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, H and W multiples of 32 → logits (N, 1, H, W):
        ``saliency``, the sides ``side0`` … ``side5`` and ``fused``."""
        stages = self.trunk(image)
        *features, deepest = (stages[stage] for stage in self.trunk.levels)
        features.append(F.avg_pool2d(deepest, 3, 1, padding=1))
        sides = [side(x) for side, x in zip(self.sides, features, strict=True)]
        maps = [combine(sides) for combine in self.combine]
        maps.append(sum(weight * logits for weight, logits in
                        zip(self.fusion.unbind(), maps, strict=True)))
        mean = sum(maps[place].sigmoid() for place in PREDICTION) / len(PREDICTION)
        return {"saliency": mean.logit(eps=1e-6),
                **{f"side{level}": logits for level, logits in enumerate(maps[:-1])},
                "fused": maps[-1]}
