"""ICON: Salient Object Detection via Integrity Learning.

Zhuge, Fan, Liu, Zhang, Xu and Shao, TPAMI 2022 (arXiv 2101.07663). Convolutions of several shapes
make a stage's features diverse (the paper's DFA), and a gate enhances the channels that respond to
whole objects (ICE). Capsules ask whether parts agree on a whole (PWV): what they agree on joins the
three deep levels. The shallowest level refines the map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from . import trunks
from .base import Network, is_released, switch
from .blocks import conv_norm, conv_norm_relu, resize_to
from .capsules import SIDE, EMRouting
from .trunks.vgg import CONVOLUTIONS, released_slices

WIDTH = 64  # channels of all levels
CAPSULES = 8
#: Level, from deep to shallow → its enhancement, and the levels that it sees beside the own one:
#: the one that the released code leaves out, and the one that it takes.
ENHANCED = {"1": ("1", "2", "1"), "2": ("1", "1", "3"), "3": ("2", "2", "4"), "4": ("2", "3", "4")}


class DiverseAggregation(nn.Module):
    """Plain, asymmetric and dilated convolutions side by side (DFA)."""

    def __init__(self, channels: int):
        super().__init__()
        self.plain = nn.Conv2d(channels, WIDTH, 3, padding=1)
        self.square = conv_norm(channels, WIDTH, 3, padding=1)
        self.vertical = conv_norm(channels, WIDTH, (3, 1), padding=(1, 0))
        self.horizontal = conv_norm(channels, WIDTH, (1, 3), padding=(0, 1))
        self.dilated = nn.Sequential(nn.Conv2d(channels, WIDTH, 3, padding=2, dilation=2),
                                     nn.BatchNorm2d(WIDTH), nn.PReLU())
        self.fuse = conv_norm_relu(3 * WIDTH, WIDTH, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → (N, 64, h, w)."""
        asymmetric = self.square(x) + self.vertical(x) + self.horizontal(x)
        return self.fuse(torch.cat([self.plain(x), asymmetric, self.dilated(x)], dim=1))


class ChannelEnhancement(nn.Module):
    """A level beside two others, its channels scaled by what their energies tell (ICE)."""

    def __init__(self):
        super().__init__()
        self.cross = conv_norm_relu(3 * WIDTH, WIDTH)
        self.channel = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH // 8, 1), nn.LayerNorm((WIDTH // 8, 1, 1)),
            nn.ReLU(inplace=True), nn.Conv2d(WIDTH // 8, WIDTH, 1))

    def forward(self, x: Tensor, second: Tensor, third: Tensor) -> Tensor:
        """(N, 64, h, w), and two of (N, 64, ·, ·) → (N, 64, h, w)."""
        x = self.cross(torch.cat([x, resize_to(second, x, False), resize_to(third, x, False)],
                                 dim=1))
        energy = (x.square().sum(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
        return x * self.channel(energy)


def agreement() -> nn.Sequential:
    """What is made of a product of two levels: (N, 64, h, w) → the same shape."""
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1), nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
                         nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True))


class PartWhole(nn.Module):
    """Part-whole verification (PWV): capsules of the three deep levels, and the levels joined with
    what these agree on."""

    def __init__(self):
        super().__init__()
        poses = CAPSULES * SIDE * SIDE
        self.enter = conv_norm_relu(3 * WIDTH, WIDTH)
        self.active = conv_norm(WIDTH, CAPSULES, 5, padding=1)
        self.pose = conv_norm(WIDTH, poses, 5, padding=1)
        self.routing = EMRouting(CAPSULES, CAPSULES)
        self.norm = nn.BatchNorm2d(poses)
        self.leave = conv_norm_relu(poses, WIDTH)
        self.join = nn.ModuleDict({level: conv_norm_relu(2 * WIDTH, WIDTH) for level in "123"})
        self.fuse = nn.ModuleDict({level: agreement() for level in "23"})

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Three levels (N, 64, ·, ·) from deep to shallow, the second of (h, w) → all joined,
        (N, 64, h, w), and the whole, of about half that size."""
        same = [resize_to(level, levels[1], False) for level in levels]
        entered = self.enter(torch.cat(same, dim=1))
        whole = self.leave(self.norm(self.routing(
            self.pose(entered), self.active(entered).sigmoid())))
        seen = resize_to(whole, entered, False)
        first, second, third = (join(torch.cat([level, seen], dim=1)) for level, join in
                                zip(same, self.join.values(), strict=True))
        second = self.fuse["2"](second * first) + second
        third = self.fuse["3"](third * second) + third
        return [first, second, third, whole]


class ICON(Network):
    """19 126 233 parameters on VGG-16 with batch norm.

    Args:
        trunk: a name in ``trunks``.
        variant: ``released`` or ``paper``; the next one switches one difference alone.
        neighbours: whether an enhancement sees the levels on both sides of its own one, or its own
            one twice.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_slices(
        r"encoder\.", list(CONVOLUTIONS), norm=True) | {
        r"dfa(\d)\.": r"aggregate.\1.",
        r"(aggregate\.\d)\.asyConv\.square_": r"\1.square.",
        r"(aggregate\.\d)\.asyConv\.ver_": r"\1.vertical.",
        r"(aggregate\.\d)\.asyConv\.hor_": r"\1.horizontal.",
        r"(aggregate\.\d)\.oriConv\.": r"\1.plain.",
        r"(aggregate\.\d)\.atrConv\.": r"\1.dilated.",
        r"(aggregate\.\d)\.conv2d\.": r"\1.fuse.0.",
        r"(aggregate\.\d)\.bn2d\.": r"\1.fuse.1.",
        r"ice(\d)\.conv_cross\.": r"enhance.\1.cross.0.",
        r"ice(\d)\.bn_cross\.": r"enhance.\1.cross.1.",
        r"ice(\d)\.channel_add_conv\.": r"enhance.\1.channel.",
        r"pwv\.emrouting\.": "verify.routing.",
        r"pwv\.bn_caps\.": "verify.norm.",
        r"pwv\.conv_m\.": "verify.active.conv.",
        r"pwv\.bn_m\.": "verify.active.bn.",
        r"pwv\.(conv|bn)_pose\.": r"verify.pose.\1.",
        r"pwv\.fuse(\d)\.": r"verify.fuse.\1.",
        r"pwv\.(conv|bn)_trans\.": r"verify.enter.\1.",
        r"pwv\.(conv|bn)_rec\.": r"verify.leave.\1.",
        r"pwv\.(conv|bn)(\d)\.": r"verify.join.\2.\1.",
        r"(verify\.(?:enter|leave|join\.\d))\.conv\.": r"\1.0.",
        r"(verify\.(?:enter|leave|join\.\d))\.bn\.": r"\1.1.",
        r"predtrans(\d)\.": r"predict.\1.",
    }
    never_run: ClassVar[tuple[str, ...]] = ("ice1.conv_mask.", "ice2.conv_mask.", "pwv.fuse1.")

    def __init__(self, trunk: str = "vgg16_bn", variant: str = "released",
                 neighbours: bool | None = None, **trunk_options):
        super().__init__()
        self.neighbours = switch("neighbours", neighbours, not is_released(variant))
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (2, 4, 8, 16)), **trunk_options)
        self.aggregate = nn.ModuleDict({
            level: DiverseAggregation(channels)
            for level, channels in zip("1234", reversed(self.trunk.widths), strict=True)})
        self.enhance = nn.ModuleDict({"1": ChannelEnhancement(), "2": ChannelEnhancement()})
        self.verify = PartWhole()
        self.fuse = agreement()
        self.predict = nn.ModuleDict({
            number: nn.Conv2d(WIDTH, 1, 3, padding=1) for number in "12345"})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised, in the order of channels of the recipe → logits (N, 1, H, W):
        ``saliency`` of the shallowest level, ``side1`` … ``side3`` of the others from the deepest
        one on, and ``whole``, on which the parts agree."""
        diverse = {level: aggregate(x) for (level, aggregate), x in
                   zip(self.aggregate.items(), reversed(self.trunk.maps(image)), strict=True)}
        *deep, shallow = (
            self.enhance[module](diverse[level], diverse[second if self.neighbours else level],
                                 diverse[third])
            for level, (module, second, third) in ENHANCED.items())
        first, second, third, whole = self.verify(deep)
        third = resize_to(third, shallow, False)
        shallow = self.fuse(shallow * third) + shallow
        logits = {name: resize_to(self.predict[number](x), image, False) for name, number, x in (
            ("saliency", "4", shallow), ("side1", "1", first), ("side2", "2", second),
            ("side3", "3", third), ("whole", "5", whole))}
        return logits
