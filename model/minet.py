"""MINet: Multi-Scale Interactive Network for Salient Object Detection.

Pang, Zhao, Zhang and Lu, CVPR 2020 (arXiv 2007.09062). Each stage of the trunk is joined with its
neighbours before it is decoded, so that no level has to pass on what another has seen (aggregate
interaction, AIM). Inside a level, a second and coarser copy of the features sees objects of another
scale (self-interaction, SIM). The decoder adds the levels up from deep to shallow.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, resize_to
from .trunks.vgg import released_slices


class Exchange(nn.Module):
    """Features of neighbouring resolutions, each changed by convolutions of all.

    The modules are called as in the released code: ``h2l_1`` takes the high resolution's features
    to the low one in step 1, and ``bnl_1`` is the batch norm of the sum there.

    Args:
        rounds_up: whether halving an odd side rounds up, as the trunk does.
        upsampling: ``nearest`` or ``bilinear``.
    """

    def __init__(self, rounds_up: bool, upsampling: str):
        super().__init__()
        self.rounds_up, self.upsampling = rounds_up, upsampling

    def add(self, step: int, starts: Mapping[str, int], end: str, channels: int) -> None:
        """Add a convolution from each resolution (→ its channels), and the norm of their sum."""
        for start, in_channels in starts.items():
            self.add_module(f"{start}2{end}_{step}", nn.Conv2d(in_channels, channels, 3, padding=1))
        self.add_module(f"bn{end}_{step}", nn.BatchNorm2d(channels))

    def join(self, step: int, end: str, features: Mapping[str, Tensor]) -> Tensor:
        """The norm of the sum of the convolved features, (N, C, ·, ·) each.

        The first of ``features`` has the highest resolution, neighbours differ by a factor of 2,
        and the result has the height and width of ``end``.
        """
        place, total = list(features).index(end), 0
        for position, (start, x) in enumerate(features.items()):
            if position < place:
                x = F.avg_pool2d(x, 2, ceil_mode=self.rounds_up)
            elif position > place:
                options = {"align_corners": False} if self.upsampling == "bilinear" else {}
                x = F.interpolate(x, features[end].shape[-2:], mode=self.upsampling, **options)
            total = total + self.get_submodule(f"{start}2{end}_{step}")(x)
        return self.get_submodule(f"bn{end}_{step}")(total)


class AggregateInteraction(Exchange):
    """A level joined with its neighbours (the paper's AIM).

    Args:
        widths: ``h``, ``m``, ``l``, those that there are from high to low resolution → channels.
        main: the level itself.
        channels: of the result.
    """

    def __init__(self, widths: Mapping[str, int], main: str, channels: int, rounds_up: bool):
        super().__init__(rounds_up, "nearest")
        self.main, self.resolutions = main, list(widths)
        inner = min(widths.values())
        for end in widths:
            self.add(0, {end: widths[end]}, end, inner)
            self.add(1, dict.fromkeys(self.neighbours(end), inner), end, inner)
        self.add(2, dict.fromkeys(self.neighbours(main), inner), main, inner)
        self.add(3, {main: inner}, main, channels)
        self.identity = nn.Conv2d(widths[main], channels, 1)

    def neighbours(self, end: str) -> list[str]:
        """A resolution and those next to it."""
        place = self.resolutions.index(end)
        return self.resolutions[max(0, place - 1):place + 2]

    def near(self, end: str, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of ``features`` (resolution → (N, C, ·, ·)) that ``join`` may bring to ``end``."""
        return {name: features[name] for name in self.neighbours(end)}

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Resolution → (N, its channels, ·, ·) → (N, channels, h, w) of the main one."""
        first = {end: F.relu(self.join(0, end, {end: features[end]})) for end in self.resolutions}
        second = {end: F.relu(self.join(1, end, self.near(end, first)))
                  for end in self.resolutions}
        third = F.relu(self.join(2, self.main, self.near(self.main, second)))
        return F.relu(self.join(3, self.main, {self.main: third})
                      + self.identity(features[self.main]))


class SelfInteraction(Exchange):
    """Features that exchange with a copy of theirs at half the resolution (the paper's SIM)."""

    def __init__(self, channels: int, low: int):
        super().__init__(False, "bilinear")
        self.add(0, {"h": channels}, "h", channels)
        self.add(0, {"h": channels}, "l", low)
        self.add(1, {"h": channels, "l": low}, "h", channels)
        self.add(1, {"h": channels, "l": low}, "l", low)
        self.add(2, {"h": channels, "l": low}, "h", channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        low = F.avg_pool2d(x, 2)
        first = {"h": F.relu(self.join(0, "h", {"h": x})),
                 "l": F.relu(self.bnl_0(self.h2l_0(low)))}
        second = {end: F.relu(self.join(1, end, first)) for end in first}
        return F.relu(self.join(2, "h", second)) + x


class MINet(Network):
    """47 562 737 parameters on VGG-16 with batch norm, 162 378 305 on ResNet-50.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    least_side = 33  # features of stride 32, on ResNet-50, are pooled 2×2
    released_keys: Mapping[str, str] = released_slices(
        "encoder", ("1", "2", "4", "8", "16"), norm=True) | {
        r"div_2\.0\.": "trunk.conv1.conv1.",
        r"div_2\.1\.": "trunk.conv1.bn1.",
        r"div_4\.1\.": "trunk.layer1.",
        r"div_8\.": "trunk.layer2.",
        r"div_16\.": "trunk.layer3.",
        r"div_32\.": "trunk.layer4.",
        r"trans\.conv(\d)\.": r"aggregate.\1.",
        r"sim(\d+)\.": r"interact.\1.",
        r"upconv(\d+)\.basicconv\.": r"decode.\1.",
    }

    def __init__(self, trunk: str = "vgg16_bn", **trunk_options):
        super().__init__()
        finest = 1 if trunk.startswith("vgg") else 2
        strides = [finest * 2**level for level in range(5)]
        self.trunk = trunks.build(trunk, trunks.levels(trunk, strides), **trunk_options)
        channels = self.trunk.widths
        widths = [32 if finest == 1 else 64, 64, 64, 64, 64]
        neighbours = [("hl", channels[:2], "h"),
                      *(("hml", channels[level - 1:level + 2], "m") for level in (1, 2, 3)),
                      ("hl", channels[3:], "l")]
        self.aggregate = nn.ModuleList(
            AggregateInteraction(dict(zip(resolutions, inputs, strict=True)), main, width,
                                 rounds_up=finest == 2)  # as ResNet's stages do
            for (resolutions, inputs, main), width in zip(neighbours, widths, strict=True))
        self.interact = nn.ModuleDict({
            str(stride): SelfInteraction(width, min(32, width // 2))
            for stride, width in zip(strides, widths, strict=True)})
        self.decode = nn.ModuleDict({
            str(stride): conv_norm_relu(32 if stride == 1 else 64, 32 if stride <= 2 else 64)
            for stride in dict.fromkeys((1, *strides))})
        self.classifier = nn.Conv2d(32, 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits ``saliency`` (N, 1, H, W)."""
        stages = self.trunk.maps(image)
        laterals = [
            block(dict(zip(block.resolutions, stages[max(0, level - 1):level + 2], strict=True)))
            for level, block in enumerate(self.aggregate)]
        x = None
        for (stride, interact), lateral in reversed([*zip(self.interact.items(), laterals,
                                                          strict=True)]):
            x = lateral if x is None else lateral + resize_to(x, lateral, False)
            x = self.decode[stride](interact(x))
        if "1" not in self.interact:
            x = self.decode["1"](resize_to(x, image, False))
        return {"saliency": self.classifier(x)}
