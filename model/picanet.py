"""PiCANet: Learning Pixel-wise Contextual Attention for Saliency Detection.

Liu, Han and Yang, CVPR 2018 (arXiv 1708.06433). Each pixel weighs for itself the features of the
context that it attends to. In deep cells of the decoder this is the whole map, and recurrent
networks along rows and columns predict the weights. In shallower cells it is a window of 7×7.

The network is that of the PyTorch port Ugness/PiCANet-Implementation, whose weights load; the
paper's own code is in Caffe. The port's local attention is scrambled and its last convolution of
the encoder wider than the paper's, which ``variant`` switches (docs/picanet.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network, is_released, switch
from .blocks import resize_to
from .trunks.vgg import released_features

SIDE = 224  # of the images, and an eighth of it of the deep maps
GRID = 10  # rows and columns that global attention chooses from, three pixels apart
WINDOW, DILATION = 7, 2  # of local attention
GLOBAL_CELLS = 2  # the deepest, whose attention is global


class GlobalAttention(nn.Module):
    """Each pixel's mean over a grid of the whole map, weighted by itself (global PiCANet)."""

    def __init__(self, channels: int):
        super().__init__()
        self.rows = nn.LSTM(channels, 256, batch_first=True, bidirectional=True)
        self.columns = nn.LSTM(512, 256, batch_first=True, bidirectional=True)
        self.conv = nn.Conv2d(512, GRID**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 28, 28) → the same shape."""
        batch, _, height, width = x.shape
        swept = self.rows(x.permute(0, 2, 3, 1).flatten(0, 1))[0]
        swept = swept.reshape(batch, height, width, -1).transpose(1, 2)
        swept = self.columns(swept.flatten(0, 1))[0].reshape(batch, width, height, -1)
        weights = self.conv(swept.permute(0, 3, 2, 1)).softmax(dim=1)
        return torch.einsum("nkhw,nck->nchw", weights, x[..., ::3, ::3].flatten(2))


class LocalAttention(nn.Module):
    """Each pixel's mean over the dilated window around it, weighted by itself (local PiCANet).

    Args:
        scrambled: as released: weights and windows are read as if their 49 values of a pixel lay
            side by side, where the same value of all pixels does. A result is then a sum over 49
            neighbouring pixels, mostly of one place in the window.
    """

    def __init__(self, channels: int, scrambled: bool):
        super().__init__()
        reach = DILATION * (WINDOW // 2)
        self.conv1 = nn.Conv2d(channels, 128, WINDOW, padding=reach, dilation=DILATION)
        self.conv2 = nn.Conv2d(128, WINDOW**2, 1)
        self.reach, self.scrambled = reach, scrambled

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        batch, channels, height, width = x.shape
        pixels, places = height * width, WINDOW**2
        weights = self.conv2(self.conv1(x)).softmax(dim=1)
        windows = F.unfold(x, WINDOW, DILATION, self.reach)
        shape, place = ((pixels, places), 3) if self.scrambled else ((places, pixels), 2)
        weights = weights.reshape(batch, 1, *shape)
        windows = windows.reshape(batch, channels, *shape)
        return (weights * windows).sum(dim=place).reshape(x.shape)


class Cell(nn.Module):
    """A level of the decoder; the last one has no attention."""

    def __init__(self, channels: int, out_channels: int, attention: nn.Module | None):
        super().__init__()
        self.bn_en = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(2 * channels, channels, 1)
        self.attention = attention
        if attention is not None:
            self.conv2 = nn.Conv2d(2 * channels, out_channels, 1)
            self.bn_feature = nn.BatchNorm2d(out_channels)
        self.score = nn.Conv2d(out_channels, 1, 1)

    def forward(self, encoded: Tensor, deeper: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) and (N, C, ·, ·) → (N, out, h, w) and logits (N, 1, h, w)."""
        deeper = resize_to(deeper, encoded, True)
        x = F.relu(self.conv1(torch.cat([F.relu(self.bn_en(encoded)), deeper], dim=1)))
        if self.attention is not None:
            x = self.conv2(torch.cat([x, self.attention(x)], dim=1))
            x = F.relu(self.bn_feature(x))
        return x, self.score(x)


class PiCANet(Network):
    """47 218 721 parameters. Images are 224×224.

    Args:
        trunk: ``vgg16_dense``.
        variant: ``released`` (the port) or ``paper``; the next two switch one difference alone.
        scrambled: see ``LocalAttention``.
        wide_conv7: whether conv7 is 3×3 as released, or 1×1; the port's weights fit the first.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_features(r"encoder\.seq\.") | {
        r"encoder\.conv([67])\.": r"conv\1.",
        r"decoder\.5\.conv2\.": "cells.5.score.",
        r"decoder\.": "cells.",
        r"(cells\.\d)\.conv3\.": r"\1.score.",
        r"(cells\.\d)\.picanet\.renet\.vertical\.": r"\1.attention.rows.",
        r"(cells\.\d)\.picanet\.renet\.horizontal\.": r"\1.attention.columns.",
        r"(cells\.\d)\.picanet\.renet\.conv\.": r"\1.attention.conv.",
        r"(cells\.\d)\.picanet\.": r"\1.attention.",
    }
    with_trunk = ("conv6", "conv7")
    fixed_side = SIDE
    own_sizes = True

    def __init__(self, trunk: str = "vgg16_dense", variant: str = "released",
                 scrambled: bool | None = None, wide_conv7: bool | None = None, **trunk_options):
        super().__init__()
        released = is_released(variant)
        scrambled = switch("scrambled", scrambled, released)
        kernel = 3 if switch("wide_conv7", wide_conv7, released) else 1
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8, 8)), **trunk_options)
        widths = self.trunk.widths[::-1]
        deepest = 2 * widths[0]
        self.conv6 = nn.Conv2d(widths[0], deepest, 3, padding=12, dilation=12)
        self.conv7 = nn.Conv2d(deepest, deepest, kernel, padding=kernel // 2)
        self.cells = nn.ModuleList()
        # A cell's result has as many channels as the next shallower one takes from the encoder.
        for number, (channels, out_channels) in enumerate(zip([deepest, *widths],
                                                              [*widths, widths[-1]], strict=True)):
            attention = None
            if number < GLOBAL_CELLS:
                attention = GlobalAttention(channels)
            elif number < len(widths):
                attention = LocalAttention(channels, scrambled)
            self.cells.append(Cell(channels, out_channels, attention))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, 224, 224) RGB in [0, 1] → logits: ``saliency`` (N, 1, 224, 224); ``side0`` …
        ``side4`` (N, 1, h, w) of the deeper cells, from the deepest."""
        encoded = self.trunk.maps(image)
        deepest = self.conv7(self.conv6(encoded[-1]))
        x, outputs = deepest, {}
        for number, (cell, feature) in enumerate(zip(self.cells, [deepest, *encoded[::-1]],
                                                     strict=True)):
            x, outputs[f"side{number}"] = cell(feature, x)
        return {"saliency": outputs.popitem()[1], **outputs}
