"""RAS: Reverse Attention-Based Residual Network for Salient Object Detection.

Chen, Tan, Wang, Lu, Hu and Fu, TIP 2020 (first version: ECCV 2018). A context module predicts a
coarse map on the deepest stage. From deep to shallow, each stage's features are multiplied by what
the map before does not call salient yet, and predict what is missing from it.

The authors released two versions (docs/ras.md): ``ras_resnet`` was trained as CPD was and has no
batch norm outside the trunk; ``ras_v2`` was trained as F3Net was, has batch norm, and ends at 1/4.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, draw_convolutions, draw_small, resize_to
from .trunks.resnet import released_stages

WIDTH = 64  # channels of all heads


def convolutions(norm: bool, *kernels: tuple[int, int]) -> list[nn.Module]:
    """A 64-channel convolution that keeps height and width, with ReLU, for each kernel and
    dilation; with ``norm`` a batch norm between the two."""
    return [layer for kernel, dilation in kernels
            for layer in conv_norm_relu(WIDTH, WIDTH, kernel, dilation, bias=True)
            if norm or not isinstance(layer, nn.BatchNorm2d)]


def convert(channels: int, norm: bool) -> nn.Sequential:
    """1×1 convolution to 64 channels, with ``norm`` also batch norm and ReLU."""
    layers = conv_norm_relu(channels, WIDTH, 1, bias=True)
    return layers if norm else layers[:1]


class MultiScaleContext(nn.Module):
    """Logits of the deepest stage, from four branches of growing reach (the paper's MSCM)."""

    def __init__(self, channels: int, norm: bool):
        super().__init__()
        self.convert = convert(channels, norm)
        self.branches = nn.ModuleList(
            nn.Sequential(*convolutions(norm, (kernel, 1), (3, dilation)))
            for kernel, dilation in ((1, 1), (3, 2), (5, 4), (7, 6)))
        self.score = nn.Conv2d(4 * WIDTH, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) → logits (N, 1, h, w)."""
        x = self.convert(x)
        return self.score(torch.cat([branch(x) for branch in self.branches], dim=1))


class ReverseAttention(nn.Module):
    """Logits of a stage: the deeper map, and what it lacks (the paper's RA block)."""

    def __init__(self, channels: int, norm: bool):
        super().__init__()
        self.convert = convert(channels, norm)
        self.convs = nn.Sequential(*convolutions(norm, (3, 1), (3, 1), (3, 1)),
                                   nn.Conv2d(WIDTH, 1, 3, padding=1))

    def forward(self, x: Tensor, deeper: Tensor) -> Tensor:
        """(N, C, h, w) and logits (N, 1, ·, ·) → logits (N, 1, h, w)."""
        deeper = resize_to(deeper, x, True)
        return deeper + self.convs(self.convert(x) * (-deeper).sigmoid())


class RAS(Network):
    """24 697 989 parameters (``ras_resnet``), 24 585 156 (``ras_v2``).

    Args:
        trunk: a name in ``trunks``.
        norm: batch norms in the heads.
        finest: stride of the stage that gives the prediction, 2 or 4.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
        **released_stages(r"(?:resnet|bkbone)\."),
        r"mscm\.branch1\.": "context.branches.0.",
        r"mscm\.branch2\.": "context.branches.1.",
        r"mscm\.branch3\.": "context.branches.2.",
        r"mscm\.branch4\.": "context.branches.3.",
        r"mscm\.": "context.",
        r"ra1\.": "reverse.conv1.",
        r"ra2\.": "reverse.layer1.",
        r"ra3\.": "reverse.layer2.",
        r"ra4\.": "reverse.layer3.",
        r"(context|reverse\.\w+)\.convert\.": r"\1.convert.0.",
        r"(context|reverse\.\w+)\.bn\.": r"\1.convert.1.",
    }

    def __init__(self, trunk: str = "resnet50_split", norm: bool = False, finest: int = 2,
                 **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (2, 4, 8, 16, 32)), **trunk_options)
        self.stages = [stage for stage in self.trunk.levels if self.trunk.strides[stage] >= finest]
        channels = self.trunk.channels
        self.context = MultiScaleContext(channels[self.stages[-1]], norm)
        self.reverse = nn.ModuleDict({stage: ReverseAttention(channels[stage], norm)
                                      for stage in self.stages[:-1]})
        if not norm:
            for head in (self.context, self.reverse):
                draw_convolutions(head, draw_small, zero_biases=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` from the finest stage,
        and ``side3`` … ``side5`` from stages 3 to 5; ``side2`` where stage 1 gives the saliency."""
        features = self.trunk(image)
        maps = [self.context(features[self.stages[-1]])]  # from deep to shallow
        for stage in self.stages[-2::-1]:
            maps.append(self.reverse[stage](features[stage], maps[-1]))
        saliency, *sides = (resize_to(logits, image, True) for logits in reversed(maps))
        return {"saliency": saliency,
                **{f"side{number}": side for number, side in enumerate(sides, 6 - len(sides))}}
