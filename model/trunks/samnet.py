"""SAMNet's trunk, which its authors trained on ImageNet (Liu et al., TIP 2021).

Five stages of stereoscopically attentive multi-scale modules: branches of growing dilation see one
feature, and each channel of each pixel weighs them on its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..blocks import conv_norm
from .trunk import Trunk, renamed

#: Stage → channels, and dilations of the branches of its modules.
SHAPES = {"layer1": (16, (1, 2, 3)), "layer2": (32, (1, 2, 3)), "layer3": (64, (1, 2, 3)),
          "layer4": (96, (1, 2, 3)), "layer5": (128, (1, 2))}
#: Our keys → those of the authors' file, see ``renamed``.
RELEASED_NAMES = {
    r"\.depthwise\.": ".conv.0.", r"\.pointwise\.": ".conv.1.", r"\.conv\.weight": ".conv.0.weight",
    r"\.bn\.": ".conv.1.", r"\.enter\.": ".conv.", r"\.channel\.0\.": ".fc1.",
    r"\.channel\.1\.": ".fc2.", r"\.spatial\.": ".convs."}


def unit(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1,
         dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU: (N, in_channels, h, w) → (N, out_channels,
    ⌈h / stride⌉, ⌈w / stride⌉)."""
    return conv_norm(in_channels, out_channels, kernel, nn.ReLU(inplace=True), stride=stride,
                     padding=dilation * (kernel // 2), dilation=dilation, groups=groups)


def separable(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1,
              dilation: int = 1) -> nn.Sequential:
    """Depthwise convolution, then one of 1×1 (the code's DSConv3x3 and DSConv5x5), each with batch
    norm and ReLU: (N, in_channels, h, w) → (N, out_channels, ⌈h / stride⌉, ⌈w / stride⌉)."""
    return nn.Sequential(OrderedDict(
        depthwise=unit(in_channels, in_channels, kernel, stride, dilation, in_channels),
        pointwise=unit(in_channels, out_channels)))


class MultiScale(nn.Module):
    """Stereoscopically attentive multi-scale module (the code's VAMM).

    Each branch gets a weight for each channel, of the image's means, times one for each pixel, of
    the sum of all branches. They are softmaxed over the branches, the last of which is not dilated.
    """

    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.shape, inner = (len(dilations) + 1, channels), channels // 4
        self.enter = separable(channels, channels)
        self.branches = nn.ModuleList(separable(channels, channels, dilation=dilation)
                                      for dilation in dilations)
        self.channel = nn.Sequential(
            unit(channels, channels),
            nn.Conv2d(channels, self.shape[0] * channels, 1, bias=False))
        self.spatial = nn.Sequential(
            unit(channels, inner), separable(inner, inner, dilation=2),
            separable(inner, inner, dilation=4), nn.Conv2d(inner, 1, 1, bias=False))
        self.fuse = conv_norm(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        entered = self.enter(x)
        branches = torch.stack([*(branch(entered) for branch in self.branches), entered], dim=1)
        joined = branches.sum(dim=1)
        channel = self.channel(joined.mean(dim=(2, 3), keepdim=True)).unflatten(1, self.shape)
        weights = (channel * self.spatial(joined)[:, None]).softmax(dim=1)
        return x + self.fuse((branches * weights).sum(dim=1))


class SAMNetTrunk(Trunk):
    """Consecutive stages, each of which halves height and width, rounding up.

    Args:
        stages: names in ``STAGES``, consecutive and in order.
        depths: multi-scale modules of each of the five stages. The authors' weights fit the
            default; fewer, down to none, make a small network for trials from scratch.
    """

    STAGES: ClassVar[dict[str, int]] = {"layer1": 2, "layer2": 4, "layer3": 8, "layer4": 16,
                                        "layer5": 32}
    imagenet = ("https://github.com/yun-liu/FastSaliency/raw/master/Pretrained/"
                "SAMNet_backbone_pretrain.pth")

    def __init__(self, stages: Sequence[str] = tuple(STAGES),
                 depths: Sequence[int] = (1, 1, 3, 6, 3)):
        super().__init__()
        before = 3
        for (stage, (channels, dilations)), depth in zip(SHAPES.items(), depths, strict=True):
            if stage in stages:
                halve = unit if stage == "layer1" else separable
                self.add_stage(stage, nn.Sequential(
                    halve(before, channels, 3, stride=2),
                    *(MultiScale(channels, dilations) for _ in range(depth))), channels)
            before = channels

    def imagenet_keys(self) -> dict[str, str]:
        """Our key → the key of the same tensor in the authors' file."""
        return renamed(self.state_dict(), RELEASED_NAMES)
