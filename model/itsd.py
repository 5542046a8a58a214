"""ITSD: Interactive Two-Stream Decoder for Accurate and Fast Saliency Detection.

Zhou, Xie, Lai, Chen and Yang, CVPR 2020. Two decoders, of the saliency and of its contour, hand
each other their features at every level. Maxima over groups of channels, which have no weights,
make room for what the other decoder gives. One more maximum, over eight fused maps, predicts.

The released code doubles the logits in evaluation, which ``variant`` switches. It also compares the
contour after two sigmoids and mistypes the images' mean (docs/itsd.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network, is_released, switch
from .blocks import conv_relu_chain, resize_to
from .own_objectives import ITSDObjective
from .trunks.resnet import released_stages
from .trunks.vgg import released_features

WIDTH = 64  # channels of both decoders
#: Convolutions of a level, from the deepest.
DEPTHS = (3, 2, 2, 1, 1)


def conv(in_channels: int, out_channels: int = WIDTH) -> nn.Conv2d:
    """3×3 convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class PairMax(torch.autograd.Function):
    """(N, 2C, H, W) → (N, C, H, W): the greater one of each two channels in a row. Of equal ones
    the first gets the gradient.

    In bf16 on a CPU, torch's own maxima take three times as long to pass their gradient on.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.maximum(x[:, ::2], x[:, 1::2])

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor], output: Tensor) -> None:
        (x,) = inputs
        ctx.save_for_backward(x[:, 1::2] > x[:, ::2])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (second_is_greater,) = ctx.saved_tensors
        of_second = gradient * second_is_greater
        return torch.stack([gradient - of_second, of_second], dim=2).flatten(1, 2)


def row_max(x: Tensor, count: int) -> Tensor:
    """(N, count · C, H, W) → (N, C, H, W): the maximum over each ``count`` channels in a row."""
    if count.bit_count() != 1:  # not a power of two
        return x.unflatten(1, (-1, count)).amax(dim=2)
    python = x.requires_grad and not torch.jit.is_tracing()  # a trace holds no Python functions
    for _ in range(count.bit_length() - 1):
        x = PairMax.apply(x) if python else torch.maximum(x[:, ::2], x[:, 1::2])
    return x


class PlanarGroupNorm(nn.GroupNorm):
    """Group norm of channel after channel in memory: in bf16 on a CPU, torch's backward pass takes
    five times as long where channels lie last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous())


def grouped(channels: int) -> nn.Sequential:
    """Convolution of 64 channels, norm of pairs of channels, ReLU."""
    return nn.Sequential(conv(WIDTH, channels), PlanarGroupNorm(channels // 2, channels),
                         nn.ReLU(inplace=True))


class SaliencyLevel(nn.Module):
    """A level of the saliency's decoder; its parts have the released code's names."""

    def __init__(self, depth: int, deepest: bool):
        super().__init__()
        self.conv4 = nn.Identity() if deepest else grouped(WIDTH // 2)
        self.convs = conv_relu_chain(WIDTH, depth)
        self.conv2 = grouped(WIDTH // 2)
        self.final = nn.Sequential(conv(WIDTH), nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, deeper: Tensor | None) -> Tensor:
        """The encoder's (N, 64, h, w) and the deeper level's at half the size → (N, 64, h, w)."""
        x = feature if deeper is None else torch.cat(
            [row_max(resize_to(deeper, feature, False), 2), self.conv4(feature)], dim=1)
        x = self.convs(x)
        return self.final(torch.cat([row_max(x, 2), self.conv2(feature)], dim=1))


class ContourLevel(nn.Module):
    """A level of the contour's decoder; its parts have the released code's names."""

    def __init__(self, depth: int):
        super().__init__()
        self.conv1 = conv_relu_chain(WIDTH, depth)
        self.conv2 = grouped(WIDTH)
        self.final = nn.Sequential(conv(WIDTH), nn.ReLU(inplace=True))

    def forward(self, deeper: Tensor, saliency: Tensor) -> Tensor:
        """The deeper level's (N, 64, ·, ·) and 32 features of the saliency's head, (N, 32, h, w)
        → (N, 64, h, w)."""
        x = resize_to(self.conv1(deeper), saliency, False)
        x = self.final(self.conv2(x))
        return torch.cat([row_max(x, 2), saliency], dim=1)


class Head(nn.Module):
    """32 features, which go to the other decoder, and the logits of a level."""

    def __init__(self):
        super().__init__()
        self.final_conv = conv(WIDTH, WIDTH // 2)
        self.pr_conv = conv(WIDTH // 2, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 64, h, w) → (N, 32, h, w) and logits (N, 1, h, w)."""
        x = F.relu(self.final_conv(x))
        return x, row_max(self.pr_conv(x), 4)


class Fusion(nn.Module):
    """The saliency features of all levels → eight maps, whose maximum is the prediction."""

    def __init__(self):
        super().__init__()
        #: Level, from the deepest → a convolution for each doubling that it lacks, and one to 8.
        self.levels = nn.ModuleList(
            nn.ModuleList([*(conv(WIDTH) for _ in range(doublings)), conv(WIDTH, 8)])
            for doublings in (4, 3, 2, 1, 0))
        self.conv = conv(5 * 8, 8)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Five (N, 64, ·, ·), from the deepest → (N, 8, h, w) of the shallowest."""
        maps = []
        for level, (x, convs) in enumerate(zip(features, self.levels, strict=True)):
            for doubling, each in enumerate(convs[:-1]):
                target = features[level + 1 + doubling]
                x = F.relu(each(x))
                # As released: the third doubling interpolates, the others copy.
                x = resize_to(x, target, False) if doubling == 2 else \
                    F.interpolate(x, target.shape[-2:], mode="nearest")
            maps.append(F.relu(convs[-1](x)))
        return self.conv(torch.cat(maps, dim=1))


class ITSD(Network):
    """16 692 152 parameters on VGG-16, 26 075 640 on ResNet-50; 392 360 more are in the official
    checkpoints and never run.

    Args:
        trunk: a name in ``trunks``.
        variant: ``released`` or ``paper``.
        doubled: whether evaluation doubles the logits of ``saliency``; on as released.
        trunk_options: of the trunk.
    """

    never_run: ClassVar[tuple[str, ...]] = ("decoder.slc_decode.",)
    released_keys: Mapping[str, str] = (
            released_features(r"encoder\.encoder\.features\.")
            | released_stages(r"encoder\.encoder\.") | {
        r"encoder\.adapters\.(\d)\.conv\.": r"adapters.\1.",
        r"decoder\.slc_blocks\.": "saliency.",
        r"decoder\.slc_preds\.": "saliency_heads.",
        r"decoder\.ctr_blocks\.": "contour.",
        r"decoder\.ctr_preds\.": "contour_heads.",
        **{rf"decoder\.final\.slc_decode\.(\d)\.{3 * place}\.": rf"fusion.levels.\1.{place}."
           for place in range(5)},
        r"decoder\.final\.conv\.": "fusion.conv.",
    })
    with_trunk: ClassVar[tuple[str, ...]] = ("adapters",)
    own_sizes = True
    objective = ITSDObjective

    def __init__(self, trunk: str = "vgg16", variant: str = "released",
                 doubled: bool | None = None, **trunk_options):
        super().__init__()
        self.doubled = switch("doubled", doubled, is_released(variant))
        vgg = trunk.startswith("vgg")
        strides = (1, 2, 4, 8, 16) if vgg else (2, 4, 8, 16, 32)
        self.trunk = trunks.build(trunk, trunks.levels(trunk, strides), **trunk_options)
        if vgg and any(width % WIDTH for width in self.trunk.widths):
            raise TypeError(f"ITSD takes trunks whose widths are multiples of {WIDTH}, not "
                            f"{', '.join(map(str, self.trunk.widths))}")
        self.adapters = nn.ModuleList([] if vgg else [
            conv(width if level == 0 else width // 4)
            for level, width in enumerate(self.trunk.widths)])
        self.saliency = nn.ModuleList(SaliencyLevel(depth, deepest=level == 0)
                                      for level, depth in enumerate(DEPTHS))
        self.contour = nn.ModuleList(map(ContourLevel, DEPTHS))
        self.saliency_heads = nn.ModuleList(Head() for _ in DEPTHS)
        self.contour_heads = nn.ModuleList(Head() for _ in DEPTHS)
        self.fusion = Fusion()

    def features(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W) → five (N, 64, ·, ·), from the deepest."""
        maps = self.trunk.maps(image)
        if not self.adapters:
            return [row_max(x, width // WIDTH)
                    for x, width in zip(reversed(maps), reversed(self.trunk.widths), strict=True)]
        maps[1:] = (row_max(x, 4) for x in maps[1:])
        adapted = [F.relu(adapt(x)) for adapt, x in zip(self.adapters, maps, strict=True)]
        return adapted[::-1]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits: ``saliency`` (N, 1, H, W); ``side0`` … ``side4``
        and ``contour0`` … ``contour4`` (N, 1, h, w) of the levels, from the deepest."""
        decoded, sides, contours = [], {}, {}
        saliency = contour = passed = None
        for level, feature in enumerate(self.features(image)):
            saliency = self.saliency[level](feature, saliency)
            if passed is None:
                contour = saliency
            else:
                saliency = torch.cat([row_max(saliency, 2),
                                      resize_to(passed, feature, False)], dim=1)
            decoded.append(saliency)
            shared, sides[f"side{level}"] = self.saliency_heads[level](saliency)
            contour = self.contour[level](contour, shared)
            passed, contours[f"contour{level}"] = self.contour_heads[level](contour)
        final = row_max(resize_to(self.fusion(decoded), image, False), 8)
        doubled = self.doubled and not self.training
        return {"saliency": 2 * final if doubled else final, **sides, **contours}
