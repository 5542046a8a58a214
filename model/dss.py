"""DSS: Deeply Supervised Salient Object Detection with Short Connections.

Hou, Cheng, Hu, Borji, Tu and Torr, CVPR 2017 / TPAMI 2019 (arXiv 1611.04849). Each of six stages
predicts a map. Shallow maps, which see edges, are joined with deeper ones, which see the object, by
short connections; six learned weights fuse them.

The network is that of the PyTorch port AceCoooool/DSS-pytorch, whose weights load; the paper's own
code is in Caffe. The port learns how maps are enlarged and predicts a mean of four probabilities,
which ``variant`` switches (docs/dss.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network, is_released, switch
from .blocks import draw_convolutions
from .trunks.vgg import released_features

#: Channels and kernel of the convolutions of each side, from shallow to deep.
SIDES = ((128, 3), (128, 3), (256, 5), (256, 5), (512, 5), (512, 7))
#: Deeper sides that each side is joined with.
SHORT_CONNECTIONS = ((2, 3, 4, 5), (2, 3, 4, 5), (4, 5), (4, 5), (), ())
#: Whose probabilities the port averages for its prediction; 6 is the fused map.
AVERAGED = (1, 2, 3, 6)
#: Whose weighted sum the paper predicts.
SUMMED = (1, 2, 3)


def upsample(factor: int, learned: bool) -> nn.ConvTranspose2d:
    """What enlarges one map: (N, 1, h, w) → (N, 1, factor h, factor w). It is learned from torch's
    random start, or bilinear."""
    layer = nn.ConvTranspose2d(1, 1, 2 * factor, factor, factor // 2)
    if not learned:
        near = 1 - (torch.arange(2 * factor) - factor + 0.5).abs() / factor
        layer.weight.data.copy_(torch.outer(near, near))
        layer.bias.data.zero_()
        layer.requires_grad_(False)
    return layer


class Side(nn.Sequential):
    """Two convolutions and a score: (N, C, h, w) → logits (N, 1, h, w)."""

    def __init__(self, in_channels: int, channels: int, kernel: int):
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2), nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 1))


class Combination(nn.Module):
    """A side's map joined with deeper ones and brought to the image's size."""

    def __init__(self, level: int, learned: bool):
        super().__init__()
        self.level, deeper = level, SHORT_CONNECTIONS[level]
        self.upconv = nn.ModuleList(upsample(2 ** (other - level), learned) for other in deeper)
        self.conv = nn.Conv2d(1 + len(deeper), 1, 1)
        self.deconv = upsample(2**level, learned) if level else nn.Identity()

    def forward(self, sides: list[Tensor]) -> Tensor:
        """Logits of all sides, (N, 1, ·, ·) → logits (N, 1, H, W)."""
        # The kernels of mixed precision are slow for one channel, and rounding costs detail here.
        with torch.autocast(sides[0].device.type, enabled=False):
            sides = [side.to(self.conv.weight.dtype) for side in sides]
            deeper = (up(sides[other]) for up, other in
                      zip(self.upconv, SHORT_CONNECTIONS[self.level], strict=True))
            return self.deconv(self.conv(torch.cat([sides[self.level], *deeper], dim=1)))


class DSS(Network):
    """62 238 181 parameters.

    Args:
        trunk: a name in ``trunks``, of a VGG-16.
        variant: ``released`` (the port) or ``paper``; the next two switch one difference alone.
        averaged: whether the prediction is the mean of the probabilities of sides 1 to 3 and of the
            fused map, or the weighted sum of the logits of sides 1 to 3.
        learned_upsampling: whether maps are enlarged by learned weights, or bilinearly.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_features(r"base\.") | {
        r"feat\.(\d)\.main\.": r"sides.\1.",
        r"comb\.(\d)\.": r"combine.\1.",
        r"fuse\.weights$": "fusion",
    }
    multiple = 32

    def __init__(self, trunk: str = "vgg16", variant: str = "released",
                 averaged: bool | None = None, learned_upsampling: bool | None = None,
                 **trunk_options):
        super().__init__()
        released = is_released(variant)
        self.averaged = switch("averaged", averaged, released)
        learned = switch("learned_upsampling", learned_upsampling, released)
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8, 16, 32)),
                                  **trunk_options)
        self.sides = nn.ModuleList(
            Side(channels, *shape)
            for channels, shape in zip(self.trunk.widths, SIDES, strict=True))
        self.combine = nn.ModuleList(Combination(level, learned) for level in range(len(SIDES)))
        self.fusion = nn.Parameter(torch.full((len(SIDES),), 1 / len(SIDES)))
        draw_convolutions(self, nn.init.xavier_uniform_, zero_biases=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, H and W multiples of 32 → logits (N, 1, H, W):
        ``saliency``, the sides ``side0`` … ``side5`` and ``fused``."""
        *features, deepest = self.trunk.maps(image)
        features.append(F.avg_pool2d(deepest, 3, 1, padding=1))
        sides = [side(x) for side, x in zip(self.sides, features, strict=True)]
        maps = [combine(sides) for combine in self.combine]
        weighted = [weight * logits for weight, logits in
                    zip(self.fusion.unbind(), maps, strict=True)]
        maps.append(sum(weighted))
        if self.averaged:
            mean = sum(maps[place].sigmoid() for place in AVERAGED) / len(AVERAGED)
            saliency = mean.logit(eps=1e-6)
        else:
            saliency = sum(weighted[side] for side in SUMMED)
        return {"saliency": saliency,
                **{f"side{level}": logits for level, logits in enumerate(maps[:-1])},
                "fused": maps[-1]}
