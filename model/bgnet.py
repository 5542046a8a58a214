"""BGNet: Boundary-Guided Camouflaged Object Detection.

Sun, Wang, Chen and Xiang, IJCAI 2022 (arXiv 2207.00794). Edges are predicted from the shallowest
and the deepest stage, guide all stages, and these are joined from deep to shallow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .cpd import resize_to
from .keys import renamed
from .trunks.res2net import Res2Net50
from .trunks.resnet import CHANNELS
from .trunks.trunk import Trunk

WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 256}  # of the decoder
#: Smallest distance of an edge probability from 0 and 1, so that its logit is finite.
CERTAIN = 1e-6


def reduce(in_channels: int, out_channels: int) -> nn.Sequential:
    """1×1 convolution with bias, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels),
                         nn.ReLU(inplace=True))


def unit(in_channels: int, out_channels: int, dilation: int = 1) -> nn.Sequential:
    """3×3 convolution without bias, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=dilation,
                                   dilation=dilation, bias=False),
                         nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class EdgeModule(nn.Module):
    """Edge logits at 1/4 from the shallowest and the deepest stage (EAM)."""

    def __init__(self):
        super().__init__()
        self.shallow = reduce(CHANNELS["layer1"], 64)
        self.deep = reduce(CHANNELS["layer4"], 256)
        self.block = nn.Sequential(unit(320, 256), unit(256, 256), nn.Conv2d(256, 1, 1))

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        shallow = self.shallow(shallow)
        return self.block(torch.cat([resize_to(self.deep(deep), shallow, False), shallow], dim=1))


class EdgeGuidance(nn.Module):
    """Features raised at edges, then weighed channel by channel (EFM).

    The weights are a convolution over neighbouring channels' means, as in ECA-Net (Wang et al.,
    CVPR 2020).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = unit(channels, channels)
        reach = int((math.log2(channels) + 1) / 2)
        kernel = reach if reach % 2 else reach + 1
        self.weigh = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, edge: Tensor) -> Tensor:
        """``x`` (N, C, h, w), ``edge`` (N, 1, H, W) in [0, 1] → (N, C, h, w)."""
        x = self.conv(x * resize_to(edge, x, False) + x)
        means = x.mean(dim=(2, 3))[:, None]
        return x * self.weigh(means).sigmoid().transpose(1, 2)[..., None]


class ContextAggregation(nn.Module):
    """A stage joined with what comes from deeper ones, in four cascaded branches (CAM)."""

    def __init__(self, deep: int, channels: int):
        super().__init__()
        part = channels // 4
        self.join = reduce(deep + channels, channels)
        self.branches = nn.ModuleList([unit(part, part, dilation) for dilation in (1, 2, 3, 4)])
        self.merge = reduce(channels, channels)
        self.out = unit(channels, channels)

    def forward(self, x: Tensor, deep: Tensor) -> Tensor:
        x = self.join(torch.cat([x, resize_to(deep, x, False)], dim=1))
        first, second, third, fourth = x.chunk(4, dim=1)
        a = self.branches[0](first + second)
        b = self.branches[1](second + a + third)
        c = self.branches[2](third + b + fourth)
        d = self.branches[3](fourth + c)
        return self.out(x + self.merge(torch.cat([a, b, c, d], dim=1)))


class BGNet(nn.Module):
    """77 803 714 parameters on Res2Net-50; the released network's classifier never runs."""

    #: Beginnings of released keys whose tensors never run.
    never_run = ("resnet.fc.",)

    def __init__(self, trunk: Trunk):
        super().__init__()
        self.trunk = trunk
        self.edge_module = EdgeModule()
        self.guidance = nn.ModuleDict({stage: EdgeGuidance(CHANNELS[stage]) for stage in WIDTHS})
        self.reduce = nn.ModuleDict({stage: reduce(CHANNELS[stage], width)
                                     for stage, width in WIDTHS.items()})
        self.context = nn.ModuleDict({
            stage: ContextAggregation(WIDTHS[deeper], WIDTHS[stage])
            for stage, deeper in (("layer1", "layer2"), ("layer2", "layer3"),
                                  ("layer3", "layer4"))})
        self.predict = nn.ModuleDict({stage: nn.Conv2d(WIDTHS[stage], 1, 1)
                                      for stage in self.context})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, from deeper stages
        ``side2`` and ``side3``, and ``edge``.

        As released, edges are enlarged as probabilities; ``edge`` is the logit of the result.
        """
        _, *stages = self.trunk(image)
        features = dict(zip(WIDTHS, stages, strict=True))
        edge = self.edge_module(features["layer1"], features["layer4"]).float().sigmoid()
        guided = {stage: self.reduce[stage](self.guidance[stage](x, edge))
                  for stage, x in features.items()}
        x, found = guided["layer4"], {}
        for stage in ("layer3", "layer2", "layer1"):
            x = self.context[stage](guided[stage], x)
            found[stage] = resize_to(self.predict[stage](x), image, False)
        edges = resize_to(edge, image, False).clamp(CERTAIN, 1 - CERTAIN)
        return {"saliency": found["layer1"], "side2": found["layer2"], "side3": found["layer3"],
                "edge": edges.log() - (1 - edges).log()}

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoint (BGNet.pth)."""
        return renamed(key, _RELEASED)


def bgnet() -> BGNet:
    """On Res2Net-50 as released."""
    return BGNet(Res2Net50())


# Released key → our key, as regular expressions on the beginning of the key.
_UNITS = {r"\.block\.": ".", r"\.conv\.": ".0.", r"\.bn\.": ".1."}
_CONTEXT = {"conv1_1": "join", "conv3_1": "branches.0", "dconv5_1": "branches.1",
            "dconv7_1": "branches.2", "dconv9_1": "branches.3", "conv1_2": "merge",
            "conv3_3": "out"}
_RELEASED = {
    r"resnet\.(conv1|bn1)\.": r"trunk.stem.\1.",
    r"resnet\.": "trunk.",
    r"eam\.block\.([01])\.block\.": r"edge_module.block.\1.",
    r"eam\.block\.": "edge_module.block.",
    r"efm(\d)\.conv2d\.block\.": r"guidance.layer\1.conv.",
    r"efm(\d)\.conv1d\.": r"guidance.layer\1.weigh.",
    r"predictor(\d)\.": r"predict.layer\1.",
} | {
    rf"{theirs}{inner}": f"{ours}{place}" for theirs, ours in (
        ("eam.reduce1", "edge_module.shallow"), ("eam.reduce4", "edge_module.deep"),
        (r"reduce(\d)", r"reduce.layer\1"),
        *((rf"cam(\d)\.{name}", rf"context.layer\1.{part}") for name, part in _CONTEXT.items()))
    for inner, place in _UNITS.items()
}
