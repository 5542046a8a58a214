"""SAMNet: Stereoscopically Attentive Multi-scale Network for Lightweight Salient Object Detection.

Liu, Zhang, Bian, Zhang and Cheng, TIP 2021. A trunk of its own (``trunks/samnet.py``) with fewer
than a million parameters, whose modules weigh branches of growing dilation at each pixel. Pyramid
pooling sees the whole image, and a decoder of depthwise convolutions adds the stages to it, from
deep to shallow. Every level predicts a map.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm, resize_probability, resize_to
from .trunks.samnet import separable, unit

BINS = (1, 2, 3, 6)  # sides of the pooled features
#: Kernel and dilation of the decoder's levels, from deep to shallow.
LEVELS = ((3, 1), (3, 2), (5, 2), (5, 2), (5, 2))


class PyramidPooling(nn.Module):
    """The feature beside its means over 1, 4, 9 and 36 parts of the image (PSPNet)."""

    def __init__(self, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(unit(channels, channels // 4) for _ in BINS)
        self.out = unit(channels + len(BINS) * (channels // 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        pooled = [resize_to(branch(F.adaptive_avg_pool2d(x, bins)), x, True)
                  for branch, bins in zip(self.branches, BINS, strict=True)]
        return self.out(torch.cat([x, *pooled], dim=1))


class SAMNet(Network):
    """1 330 129 parameters.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
        r"context_path\.": "trunk.",
        r"pyramid_pooling\.out\.": "pool.out.",
        **{rf"pyramid_pooling\.conv{number + 1}\.": f"pool.branches.{number}."
           for number in range(len(BINS))},
        r"heads\.(\d)\.conv\.1\.": r"predict.\1.1.",
        r"(.+)\.fc1\.": r"\1.channel.0.",
        r"(.+)\.fc2\.": r"\1.channel.1.",
        r"(.+)\.convs\.(\d)\.": r"\1.spatial.\2.",
        r"(.+)\.conv\.0\.weight": r"\1.conv.weight",
        r"(.+)\.conv\.1\.(\w+)$": r"\1.bn.\2",
        r"(.+)\.conv\.0\.": r"\1.depthwise.",
        r"(.+)\.conv\.1\.": r"\1.pointwise.",
        r"(trunk\.layer\d\.\d)\.conv\.(depthwise|pointwise)": r"\1.enter.\2",
    }

    def __init__(self, trunk: str = "samnet", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (2, 4, 8, 16, 32)), **trunk_options)
        widths = self.trunk.widths[::-1]
        after = [*widths[1:], widths[-1]]
        self.pool = PyramidPooling(widths[0])
        self.prepare = nn.ModuleList(conv_norm(width, width, 1) for width in widths)
        self.fuse = nn.ModuleList(
            separable(*channels, kernel, dilation=dilation) for *channels, (kernel, dilation) in
            zip(widths, after, LEVELS, strict=True))
        self.predict = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(width, 1, 1)) for width in after)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` of the shallowest level,
        and ``side1`` … ``side4`` from the deepest one on."""
        features = self.trunk.maps(image)[::-1]
        x, maps = self.pool(features[0]), []
        for feature, prepare, fuse, predict in zip(
                features, self.prepare, self.fuse, self.predict, strict=True):
            x = fuse(prepare(feature) + resize_to(x, feature, True))
            maps.append(resize_probability(predict(x), image, True))
        *sides, saliency = maps
        return {"saliency": saliency,
                **{f"side{number}": logits for number, logits in enumerate(sides, start=1)}}
