"""PoolNet: A Simple Pooling-Based Design for Real-Time Salient Object Detection.

Liu, Hou, Cheng, Feng and Jiang, CVPR 2019 (arXiv 1904.09569). A pyramid of poolings on the deepest
stage (the paper's PPM) tells where the object is, and flows to every level (GGF). Each level is
joined with the next shallower one after it was averaged in windows of several sizes (FAM).

The joint network also learns edges, from another data set. The saliency reads their features, but
does not train them (docs/poolnet.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import draw_convolutions, draw_small, resize_to
from .trunks.resnet import released_stages
from .trunks.vgg import released_features

POOLINGS = (2, 4, 8)  # sides of the windows that a feature aggregation module averages
BINS = (1, 3, 5)  # sides of the maps that the pyramid pools the deepest stage to


def conv(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Conv2d:
    """Convolution without bias that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)


class Pyramid(nn.Module):
    """Poolings of the deepest stage (PPM; after Zhao et al., CVPR 2017)."""

    def __init__(self, in_channels: int, channels: int = 512):
        super().__init__()
        self.enter = conv(in_channels, channels, 1) if in_channels != channels else nn.Identity()
        self.branches = nn.ModuleList(conv(channels, channels, 1) for _ in BINS)
        self.merge = conv((1 + len(BINS)) * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) → (N, 512, h, w)."""
        x = self.enter(x)
        pooled = [resize_to(F.relu(branch(F.adaptive_avg_pool2d(x, bins))), x, True)
                  for branch, bins in zip(self.branches, BINS, strict=True)]
        return F.relu(self.merge(torch.cat([x, *pooled], dim=1)))


class Aggregation(nn.Module):
    """A level joined with the next shallower one and the global flow (FAM).

    Args:
        joins: whether there is a shallower level to join.
    """

    def __init__(self, in_channels: int, out_channels: int, joins: bool):
        super().__init__()
        self.convs = nn.ModuleList(conv(in_channels, in_channels) for _ in POOLINGS)
        self.conv_sum = conv(in_channels, out_channels)
        self.conv_sum_c = conv(out_channels, out_channels) if joins else None

    def forward(self, x: Tensor, lateral: Tensor | None = None,
                flow: Tensor | None = None) -> Tensor:
        """(N, in, h, w), of at least 8×8, and two (N, out, H, W) → (N, out, H, W); the shape of
        ``x`` without them."""
        total = x
        for convolve, side in zip(self.convs, POOLINGS, strict=True):
            total = total + resize_to(convolve(F.avg_pool2d(x, side)), x, True)
        total = F.relu(total)
        if lateral is None:
            return self.conv_sum(total)
        return self.conv_sum_c(self.conv_sum(resize_to(total, lateral, True)) + lateral + flow)


class EdgeBlock(nn.Module):
    """Residual bottlenecks that make 16 edge features of a level."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 4
        self.block_in1, self.block_in2 = conv(channels, inner, 1), conv(channels, inner, 1)
        self.block_mid1, self.block_mid2 = (
            nn.Sequential(conv(inner, inner), conv(inner, channels, 1)) for _ in range(2))
        self.block_out = conv(channels, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → (N, 16, h, w)."""
        x = F.relu(x + self.block_mid1(self.block_in1(x)))
        return self.block_out(F.relu(x + self.block_mid2(self.block_in2(x))))


class PoolNet(Network):
    """52 512 705 parameters on VGG-16, 68 261 057 on ResNet-50; with ``joint`` 53 631 352 and
    69 557 642.

    Args:
        trunk: ``vgg16_caffe`` or ``resnet50_caffe``.
        joint: whether edges are learned too.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = (
            released_features(r"base\.vgg16\.base\.") | released_stages(r"base\.resnet\.") | {
        r"base\.ppms_pre\.": "pyramid.enter.",
        r"base\.ppms\.(\d)\.1\.": r"pyramid.branches.\1.",
        r"base\.ppm_cat\.0\.": "pyramid.merge.",
        r"base\.infos\.(\d)\.0\.": r"flows.\1.",
        r"convert\.convert0\.(\d)\.0\.": r"convert.\1.",
        r"deep_pool\.": "aggregate.",
        r"score\.score\.": "score.",
        r"block\.(\d)\.(block_in1|block_in2|block_out)\.0\.": r"edge_blocks.\1.\2.",
        r"block\.(\d)\.(block_mid1|block_mid2)\.0\.": r"edge_blocks.\1.\2.",
        r"fuse\.trans\.": "edge_scores.",
        r"fuse\.fuse\.": "edge_fuse.",
        r"edgeinfo\.trans\.": "edge_features.",
    })
    least_side = 113  # features of stride 16 are pooled 8×8
    smallest_side = 128

    def __init__(self, trunk: str = "vgg16_caffe", joint: bool = False, **trunk_options):
        super().__init__()
        vgg = trunk.startswith("vgg")
        strides = (2, 4, 8, 16) if vgg else (2, 4, 8, 16, 16)
        self.trunk = trunks.build(trunk, trunks.levels(trunk, strides), **trunk_options)
        channels = self.trunk.widths
        widths = channels if vgg else [128, 256, 256, 512, 512]
        self.pyramid = Pyramid(channels[-1])
        self.convert = nn.ModuleList([] if vgg else [
            conv(before, after, 1) for before, after in zip(channels, widths, strict=True)])
        joined = widths[-2::-1]  # all but the deepest, from deep to shallow
        self.flows = nn.ModuleList(conv(512, width) for width in joined)
        self.aggregate = nn.ModuleList([
            *(Aggregation(before, after, joins=True) for before, after in pairwise(widths[::-1])),
            Aggregation(joined[-1], 128, joins=False)])
        self.joint = joint
        if joint:
            self.edge_blocks = nn.ModuleList(EdgeBlock(width) for width in joined)
            self.edge_scores = nn.ModuleList(nn.Conv2d(16, 1, 1) for _ in joined)
            self.edge_fuse = nn.Conv2d(len(joined), 1, 1)
            inner = 16 * len(joined)
            self.edge_features = nn.Sequential(*(layer for before, after in (
                (inner, inner), (inner, 128), (128, 128), (128, 128))
                for layer in (conv(before, after), nn.ReLU(inplace=True))))
        self.score = nn.Conv2d(256, 1, 3, padding=1) if joint else nn.Conv2d(128, 1, 1)
        draw_convolutions(self, draw_small)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W), more than 112 pixels a side → logits (N, 1, H, W): ``saliency``, and with
        ``joint`` ``edge`` and ``edge0`` … of the levels it is fused of, from the deepest."""
        levels = self.trunk.maps(image)
        place = self.pyramid(levels[-1])
        if self.convert:
            levels = [F.relu(convert(x)) for convert, x in zip(self.convert, levels, strict=True)]
        x, merged = levels[-1], []
        *joining, last = self.aggregate
        for aggregate, flow, lateral in zip(joining, self.flows, levels[-2::-1], strict=True):
            x = aggregate(x, lateral, F.relu(flow(resize_to(place, lateral, True))))
            merged.append(x)
        x = last(x)
        if not self.joint:
            return {"saliency": resize_to(self.score(x), image, True)}
        features = [block(level) for block, level in zip(self.edge_blocks, merged, strict=True)]
        sides = [resize_to(score(y), image, True)
                 for score, y in zip(self.edge_scores, features, strict=True)]
        passed = torch.cat([resize_to(y.detach(), x, True) for y in features], dim=1)
        saliency = self.score(torch.cat([x, self.edge_features(passed)], dim=1))
        return {"saliency": resize_to(saliency, image, True),
                "edge": self.edge_fuse(torch.cat(sides, dim=1)),
                **{f"edge{number}": side for number, side in enumerate(sides)}}
