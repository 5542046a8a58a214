"""BGNet: Boundary-Guided Camouflaged Object Detection.

Sun, Wang, Chen and Xiang, IJCAI 2022 (arXiv 2207.00794, Sec. 3 and Fig. 2). Edges are predicted
from the shallowest and the deepest stage. They guide the features of all four stages, which are
then joined from deep to shallow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, resize_to
from .trunks.resnet import released_trunk

#: Channels of the decoder. The stages are called as those of Res2Net-50, whatever the trunk is.
WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 256}
#: Edge probabilities keep this distance from 0 and 1, so that their logits are finite.
MARGIN = 1e-6


def reduce(in_channels: int, out_channels: int) -> nn.Sequential:
    """1×1 convolution with bias, batch norm, ReLU."""
    return conv_norm_relu(in_channels, out_channels, 1, bias=True)


class EdgeModule(nn.Module):
    """Edge logits at 1/4 from the shallowest and the deepest stage (the paper's EAM)."""

    def __init__(self, shallow: int, deep: int):
        super().__init__()
        self.shallow = reduce(shallow, 64)
        self.deep = reduce(deep, 256)
        self.block = nn.Sequential(conv_norm_relu(320, 256), conv_norm_relu(256, 256),
                                   nn.Conv2d(256, 1, 1))

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """(N, shallow, h, w) and (N, deep, ·, ·) → logits (N, 1, h, w)."""
        shallow = self.shallow(shallow)
        return self.block(torch.cat([resize_to(self.deep(deep), shallow, False), shallow], dim=1))


class EdgeGuidance(nn.Module):
    """Features raised at edges, then multiplied by a weight for each channel (the paper's EFM).

    The weights come from a convolution over the means of neighbouring channels, as in ECA-Net
    (Wang et al., CVPR 2020).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv_norm_relu(channels, channels)
        reach = int((math.log2(channels) + 1) / 2)
        kernel = reach if reach % 2 else reach + 1
        self.weigh = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, edge: Tensor) -> Tensor:
        """``x`` (N, C, h, w), ``edge`` (N, 1, H, W) in [0, 1] → (N, C, h, w)."""
        x = self.conv(x * resize_to(edge, x, False) + x)
        means = x.mean(dim=(2, 3))[:, None]
        return x * self.weigh(means).sigmoid().transpose(1, 2)[..., None]


class ContextAggregation(nn.Module):
    """A stage joined with the result of the deeper ones, in four cascaded branches (the paper's
    CAM)."""

    def __init__(self, deep: int, channels: int):
        super().__init__()
        part = channels // 4
        self.join = reduce(deep + channels, channels)
        self.branches = nn.ModuleList([conv_norm_relu(part, part, dilation=dilation)
                                       for dilation in (1, 2, 3, 4)])
        self.merge = reduce(channels, channels)
        self.out = conv_norm_relu(channels, channels)

    def forward(self, x: Tensor, deep: Tensor) -> Tensor:
        """(N, channels, h, w) and (N, deep, ·, ·) → (N, channels, h, w)."""
        x = self.join(torch.cat([x, resize_to(deep, x, False)], dim=1))
        first, second, third, fourth = x.chunk(4, dim=1)
        a = self.branches[0](first + second)
        b = self.branches[1](second + a + third)
        c = self.branches[2](third + b + fourth)
        d = self.branches[3](fourth + c)
        return self.out(x + self.merge(torch.cat([a, b, c, d], dim=1)))


class BGNet(Network):
    """77 803 714 parameters on Res2Net-50; the classifier of the released network never runs.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_trunk("resnet") | {
        r"eam\.reduce1\.": "edge_module.shallow.",
        r"eam\.reduce4\.": "edge_module.deep.",
        r"eam\.block\.([01])\.block\.": r"edge_module.block.\1.",
        r"eam\.block\.": "edge_module.block.",
        r"efm(\d)\.conv2d\.block\.": r"guidance.layer\1.conv.",
        r"efm(\d)\.conv1d\.": r"guidance.layer\1.weigh.",
        r"reduce(\d)\.": r"reduce.layer\1.",
        r"cam(\d)\.conv1_1\.": r"context.layer\1.join.",
        r"cam(\d)\.conv3_1\.": r"context.layer\1.branches.0.",
        r"cam(\d)\.dconv5_1\.": r"context.layer\1.branches.1.",
        r"cam(\d)\.dconv7_1\.": r"context.layer\1.branches.2.",
        r"cam(\d)\.dconv9_1\.": r"context.layer\1.branches.3.",
        r"cam(\d)\.conv1_2\.": r"context.layer\1.merge.",
        r"cam(\d)\.conv3_3\.": r"context.layer\1.out.",
        r"predictor(\d)\.": r"predict.layer\1.",
        # Inside a block of convolution, norm and ReLU.
        r"(context\..+)\.block\.": r"\1.",
        r"(edge_module|reduce|context)\.(.+)\.conv\.": r"\1.\2.0.",
        r"(edge_module|reduce|context)\.(.+)\.bn\.": r"\1.\2.1.",
    }
    never_run = ("resnet.fc.",)

    def __init__(self, trunk: str = "res2net50", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        channels = dict(zip(WIDTHS, self.trunk.widths, strict=True))
        self.edge_module = EdgeModule(channels["layer1"], channels["layer4"])
        self.guidance = nn.ModuleDict({stage: EdgeGuidance(channels[stage]) for stage in WIDTHS})
        self.reduce = nn.ModuleDict({stage: reduce(channels[stage], width)
                                     for stage, width in WIDTHS.items()})
        self.context = nn.ModuleDict({
            stage: ContextAggregation(WIDTHS[deeper], WIDTHS[stage])
            for stage, deeper in (("layer1", "layer2"), ("layer2", "layer3"),
                                  ("layer3", "layer4"))})
        self.predict = nn.ModuleDict({stage: nn.Conv2d(WIDTHS[stage], 1, 1)
                                      for stage in self.context})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``; ``side2`` and ``side3``
        from deeper stages; ``edge``.

        Edges are enlarged as probabilities, as in the released code; ``edge`` is the logit of the
        result.
        """
        features = dict(zip(WIDTHS, self.trunk.maps(image), strict=True))
        edge = self.edge_module(features["layer1"], features["layer4"]).float().sigmoid()
        guided = {stage: self.reduce[stage](self.guidance[stage](x, edge))
                  for stage, x in features.items()}
        x, maps = guided["layer4"], {}
        for stage in ("layer3", "layer2", "layer1"):
            x = self.context[stage](guided[stage], x)
            maps[stage] = resize_to(self.predict[stage](x), image, False)
        edges = resize_to(edge, image, False).clamp(MARGIN, 1 - MARGIN)
        return {"saliency": maps["layer1"], "side2": maps["layer2"], "side3": maps["layer3"],
                "edge": edges.log() - (1 - edges).log()}
