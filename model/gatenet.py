"""GateNet: Suppress and Balance: A Simple Gated Network for Salient Object Detection.

Zhao, Pang, Zhang, Lu and Zhang, ECCV 2020 (arXiv 2007.08074). A feature pyramid whose lateral
connections pass gates: a number for each image and level, made of the encoder's and the decoder's
features. A parallel branch joins all levels at once and adds a residual to the pyramid's map; its
gates are predicted together with the first ones. Fold-ASPP convolves windows of 2×2 pixels as if
they were one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import resize_to
from .trunks.resnet import released_stages
from .trunks.vgg import released_slices


def conv_norm_prelu(in_channels: int, out_channels: int, kernel: int = 3,
                    dilation: int = 1) -> nn.Sequential:
    """Convolution with bias that keeps height and width, batch norm, PReLU of one slope."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=dilation * (kernel // 2),
                  dilation=dilation), nn.BatchNorm2d(out_channels), nn.PReLU())


class FoldASPP(nn.Module):
    """Atrous spatial pyramid on windows of 2×2 pixels whose channels are joined (Fold-ASPP)."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        folded = 4 * channels
        self.down_conv = conv_norm_prelu(in_channels, channels)
        self.conv1 = conv_norm_prelu(folded, folded // 2, 1)
        self.conv2, self.conv3, self.conv4 = (
            conv_norm_prelu(folded, folded // 2, 3, dilation) for dilation in (2, 4, 6))
        self.conv5 = conv_norm_prelu(folded, folded // 2, 1)
        self.fuse = conv_norm_prelu(5 * folded // 2, folded, 1)
        self.up_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w), h and w even → (N, channels, h, w)."""
        x = F.pixel_unshuffle(self.down_conv(x), 2)
        mean = self.conv5(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        branches = [branch(x) for branch in (self.conv1, self.conv2, self.conv3, self.conv4)]
        return self.up_conv(F.pixel_shuffle(self.fuse(torch.cat([*branches, mean], dim=1)), 2))


def gate(*widths: int) -> nn.Sequential:
    """What predicts the two gates of a level at each pixel: (N, widths[0], h, w) → (N, 2, h, w)."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += conv_norm_prelu(before, after)
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 2, 3, padding=1))


class GateNet(Network):
    """100 016 105 parameters on VGG-16 with batch norm, 128 629 796 on ResNet-50. Level 1 is the
    deepest, as in the released code.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = (
            released_slices("conv", "12345", norm=True) | released_stages("") | {
        r"attention_feature(\d)\.": r"gates.\1.",
        r"dem(\d)\.": r"transitions.\1.",
        r"dem(\d)_1\.": r"parallel.\1.",
        r"output(\d)\.": r"pyramid.\1.",
        r"out_res\.": "residual.",
    })
    multiple = 32

    def __init__(self, trunk: str = "vgg16_bn", **trunk_options):
        super().__init__()
        vgg = trunk.startswith("vgg")
        strides = (1, 2, 4, 8, 16) if vgg else (2, 4, 8, 16, 16)
        self.trunk = trunks.build(trunk, trunks.levels(trunk, strides), **trunk_options)
        encoded = self.trunk.widths[::-1]
        # By the transitions: 512, 256, 128, 64 and 32 channels on VGG-16.
        passed = (*encoded[1:], encoded[-1] // 2) if vgg else (512, 256, 128, 64, 64)
        levels = "12345"
        self.transitions = nn.ModuleDict({
            level: nn.Sequential(FoldASPP(before, after), nn.BatchNorm2d(after), nn.PReLU())
            if level == "1" else conv_norm_prelu(before, after)
            for level, before, after in zip(levels, encoded, passed, strict=True)})
        inner = ((512, 128), (256, 64), (128,), (64,), ())
        # What a gate sees beside the encoder's features, T5, D5, … D2, has the transitions' widths.
        self.gates = nn.ModuleDict({
            level: gate(before + after, *widths)
            for level, before, after, widths in zip(levels, encoded, passed, inner, strict=True)})
        self.pyramid = nn.ModuleDict({
            level: conv_norm_prelu(before, after)
            for level, before, after in zip("1234", passed, passed[1:], strict=False)})
        self.pyramid["5"] = nn.Sequential(nn.Conv2d(passed[-1], 1, 3, padding=1))
        self.parallel = nn.ModuleDict({
            level: conv_norm_prelu(width, 32) if vgg else nn.Identity()
            for level, width in zip(levels, passed, strict=True)})
        joined, width = (1 + 5 * 32, 64) if vgg else (1 + sum(passed), 256)
        self.residual = nn.Sequential(
            *conv_norm_prelu(joined, width), *conv_norm_prelu(width, width),
            nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, H and W multiples of 32 → logits (N, 1, H, W): ``saliency``,
        and ``pyramid`` without the residual."""
        decoded, gated = None, []
        for level, encoded in zip(self.gates, reversed(self.trunk.maps(image)), strict=True):
            passed = self.transitions[level](encoded)
            deeper = passed if decoded is None else resize_to(decoded, encoded, False)
            gates = self.gates[level](torch.cat([encoded, deeper], dim=1)).sigmoid()
            first, second = gates.mean(dim=(2, 3), keepdim=True).split(1, dim=1)
            lateral = first * passed
            decoded = self.pyramid[level](lateral if decoded is None else deeper + lateral)
            gated.append(second * self.parallel[level](passed))
        parts = [resize_to(x, decoded, False) for x in gated]
        residual = self.residual(torch.cat([decoded, *parts], dim=1))
        pyramid = resize_to(decoded, image, False)
        return {"saliency": pyramid + resize_to(residual, image, False), "pyramid": pyramid}
