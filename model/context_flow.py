"""The decoder of GCPANet, which SCWSSOD has with another fusion: the context of the deepest stage
flows to all others (Chen et al., AAAI 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import he_conv, he_conv_norm_relu, resize_to
from .trunks.resnet import released_trunk

WIDTH = 256  # channels of the decoder


class Context(nn.Module):
    """Features whose channels are gated by the means of the deepest stage (the code's CA)."""

    def __init__(self, in_channels: int, deepest: int):
        super().__init__()
        self.reduce = he_conv_norm_relu(in_channels, WIDTH, 1)
        self.gate = nn.Sequential(he_conv(deepest, WIDTH, 1), nn.ReLU(), he_conv(WIDTH, WIDTH, 1),
                                  nn.Sigmoid())

    def forward(self, x: Tensor, deepest: Tensor) -> Tensor:
        """(N, in_channels, h, w) and (N, deepest, ·, ·) → (N, 256, h, w)."""
        return self.reduce(x) * self.gate(deepest.mean(dim=(2, 3), keepdim=True))


class Refinement(nn.Module):
    """Features that are scaled and shifted pixel by pixel (the code's SA, and the paper's SRM).

    A convolution predicts scale and shift from the block's input (``from_input``), or from the
    reduced features themselves.
    """

    def __init__(self, in_channels: int, from_input: bool):
        super().__init__()
        self.reduce = he_conv_norm_relu(in_channels, WIDTH)
        self.predict = he_conv(in_channels if from_input else WIDTH, 2 * WIDTH)
        self.from_input = from_input

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, 256, h, w)."""
        reduced = self.reduce(x)
        scale, shift = self.predict(x if self.from_input else reduced).chunk(2, dim=1)
        return F.relu(scale * reduced + shift)


class Products(nn.Module):
    """Three products of a lateral, a deeper and a context feature, which a subclass joins."""

    def __init__(self, lateral: int):
        super().__init__()
        self.lateral = he_conv_norm_relu(lateral, WIDTH)
        self.deep = he_conv_norm_relu(WIDTH, WIDTH)
        self.context = he_conv_norm_relu(WIDTH, WIDTH)
        self.from_deep = he_conv(WIDTH, WIDTH)
        self.from_context = he_conv(WIDTH, WIDTH)
        self.from_lateral = he_conv(WIDTH, WIDTH)

    def products(self, lateral: Tensor, deep: Tensor, context: Tensor) -> list[Tensor]:
        """(N, lateral, h, w), and two of (N, 256, ·, ·) → three of (N, 256, h, w). The convolutions
        come before the resizes."""
        lateral, deep, context = self.lateral(lateral), self.deep(deep), self.context(context)
        return [F.relu(self.from_lateral(lateral) * resize_to(deep, lateral, False)),
                F.relu(resize_to(self.from_deep(deep), lateral, False) * lateral),
                F.relu(resize_to(self.from_context(context), lateral, False) * lateral)]


class ContextFlow(Network):
    """The decoder on four stages of a trunk; a paper's network says how it fuses features.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_trunk("bkbone") | {
        r"ca55\.conv0\.": "gated.reduce.0.",
        r"ca55\.bn0\.": "gated.reduce.1.",
        r"ca55\.conv1\.": "gated.gate.0.",
        r"ca55\.conv2\.": "gated.gate.2.",
        r"ca([234])5\.conv0\.": r"context.\1.reduce.0.",
        r"ca([234])5\.bn0\.": r"context.\1.reduce.1.",
        r"ca([234])5\.conv1\.": r"context.\1.gate.0.",
        r"ca([234])5\.conv2\.": r"context.\1.gate.2.",
        r"sa55\.conv0\.": "deepest.reduce.0.",
        r"sa55\.bn0\.": "deepest.reduce.1.",
        r"sa55\.conv2\.": "deepest.predict.",
        r"srm(\d)\.conv1\.": r"refine.\1.reduce.0.",
        r"srm(\d)\.bn1\.": r"refine.\1.reduce.1.",
        r"srm(\d)\.conv2\.": r"refine.\1.predict.",
        r"linear(\d)\.": r"predict.\1.",
        r"fam(\d)\d\.conv0\.": r"fusion.\1.lateral.0.",
        r"fam(\d)\d\.bn0\.": r"fusion.\1.lateral.1.",
        r"fam(\d)\d\.conv1\.": r"fusion.\1.deep.0.",
        r"fam(\d)\d\.bn1\.": r"fusion.\1.deep.1.",
        r"fam(\d)\d\.conv2\.": r"fusion.\1.context.0.",
        r"fam(\d)\d\.bn2\.": r"fusion.\1.context.1.",
        r"fam(\d)\d\.conv3\.": r"fusion.\1.out.0.",
        r"fam(\d)\d\.bn3\.": r"fusion.\1.out.1.",
        r"fam(\d)\d\.conv_d1\.": r"fusion.\1.from_deep.",
        r"fam(\d)\d\.conv_d2\.": r"fusion.\1.from_context.",
        r"fam(\d)\d\.conv_l\.": r"fusion.\1.from_lateral.",
    }
    #: What joins a lateral, a deeper and a context feature; takes the channels of the first.
    fuse: ClassVar[type[Products]]

    def __init__(self, trunk: str = "resnet50", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        *laterals, deepest = self.trunk.widths
        self.context = nn.ModuleDict({str(level): Context(deepest, deepest) for level in (4, 3, 2)})
        self.deepest = Refinement(deepest, from_input=True)
        self.gated = Context(WIDTH, deepest)
        self.fusion = nn.ModuleDict({str(level): self.fuse(laterals[level - 2])
                                     for level in (4, 3, 2)})
        self.refine = nn.ModuleDict({str(level): Refinement(WIDTH, from_input=False)
                                     for level in (5, 4, 3, 2)})
        self.predict = nn.ModuleDict({str(level): he_conv(WIDTH, 1) for level in (5, 4, 3, 2)})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` and, from deeper and
        deeper stages, ``side3``, ``side4``, ``side5``."""
        *laterals, deepest = self.trunk.maps(image)
        x = self.refine["5"](self.gated(self.deepest(deepest), deepest))
        outputs = {"side5": resize_to(self.predict["5"](x), image, False)}
        for level, lateral in zip(("4", "3", "2"), reversed(laterals), strict=True):
            context = self.context[level](deepest, deepest)
            x = self.refine[level](self.fusion[level](lateral, x, context))
            name = "saliency" if level == "2" else f"side{level}"
            outputs[name] = resize_to(self.predict[level](x), image, False)
        return dict(reversed(outputs.items()))
