"""BASNet: Boundary-Aware Salient Object Detection.

Qin, Zhang, Huang, Gao, Dehghan and Jagersand, CVPR 2019; journal version arXiv 2101.04704. A
U-Net on a ResNet-34 that keeps the image's size in its first stage predicts a map at each of its
levels. A second, small U-Net adds a residual to the finest map, which refines it. All maps learn
from one hybrid loss, of pixels (cross-entropy), patches (SSIM) and the whole map (IoU).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, half, resize_to


class Residual(nn.Sequential):
    """ResNet's basic block without stride, of ``channels`` channels."""

    def __init__(self, channels: int):
        super().__init__(OrderedDict(
            conv1=nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(channels), relu=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            bn2=nn.BatchNorm2d(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        return F.relu(super().forward(x) + x)


def convolutions(in_channels: int, inner: int, out_channels: int,
                 reaches: tuple[int, int, int] = (1, 1, 1)) -> nn.Sequential:
    """Three 3×3 convolutions with batch norm and ReLU, dilated by ``reaches``."""
    shapes = (in_channels, inner), (inner, inner), (inner, out_channels)
    return nn.Sequential(OrderedDict(
        (name, conv_norm_relu(*shape, 3, reach, bias=True))
        for name, shape, reach in zip("1m2", shapes, reaches, strict=True)))


class Refinement(nn.Module):
    """A U-Net of four levels on a map (the paper's residual refinement module)."""

    def __init__(self, channels: int):
        super().__init__()
        self.input = nn.Conv2d(1, channels, 3, padding=1)
        self.encode = nn.ModuleDict({level: conv_norm_relu(channels, channels, bias=True)
                                     for level in "12345"})
        self.decode = nn.ModuleDict({level: conv_norm_relu(2 * channels, channels, bias=True)
                                     for level in "4321"})
        self.predict = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (N, 1, H, W) → the refined ones."""
        x, encoded = self.input(logits), []
        for level, encode in self.encode.items():
            x = encode(x if level == "1" else half(x))
            encoded.append(x)
        x = encoded.pop()
        for decode in self.decode.values():
            skipped = encoded.pop()
            x = decode(torch.cat([resize_to(x, skipped, False), skipped], dim=1))
        return logits + self.predict(x)


class BASNet(Network):
    """87 060 360 parameters on ResNet-34.

    Args:
        trunk: a name in ``trunks``; it has a stage at the image's size.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
        r"inconv\.": "trunk.conv1.0.",
        r"inbn\.": "trunk.conv1.1.",
        r"encoder(\d)\.": r"trunk.layer\1.",
        r"resb(\d)_(\d)\.": r"deepen.\1.\2.",
        r"convbg_(\w)\.": r"bridge.\1.0.",
        r"bnbg_(\w)\.": r"bridge.\1.1.",
        r"conv(\d)d_(\w)\.": r"decode.\1.\2.0.",
        r"bn(\d)d_(\w)\.": r"decode.\1.\2.1.",
        r"outconv(\d)\.": r"sides.side\1.",
        r"outconvb\.": "sides.bridge.",
        r"refunet\.conv0\.": "refine.input.",
        r"refunet\.conv(\d)\.": r"refine.encode.\1.0.",
        r"refunet\.bn(\d)\.": r"refine.encode.\1.1.",
        r"refunet\.conv_d0\.": "refine.predict.",
        r"refunet\.conv_d(\d)\.": r"refine.decode.\1.0.",
        r"refunet\.bn_d(\d)\.": r"refine.decode.\1.1.",
    }

    def __init__(self, trunk: str = "resnet34_full", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8)), **trunk_options)
        deepest = self.trunk.widths[-1]
        widths = dict(enumerate([*self.trunk.widths, deepest, deepest], start=1))
        self.deepen = nn.ModuleDict({level: nn.Sequential(OrderedDict(
            (number, Residual(deepest)) for number in "123")) for level in "56"})
        self.bridge = convolutions(deepest, deepest, deepest, (2, 2, 2))
        self.decode = nn.ModuleDict({
            str(level): convolutions(2 * widths[level], widths[level], widths[max(1, level - 1)],
                                     (1, 2, 2) if level == 6 else (1, 1, 1))
            for level in reversed(widths)})
        self.sides = nn.ModuleDict({
            f"side{level}": nn.Conv2d(widths[max(1, level - 1)], 1, 3, padding=1)
            for level in widths})
        self.sides["bridge"] = nn.Conv2d(deepest, 1, 3, padding=1)
        self.refine = Refinement(widths[1])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, refined of ``side1``;
        ``side1`` … ``side6`` of the decoder, from shallow to deep; ``bridge`` before it."""
        encoded = self.trunk.maps(image)
        for deepen in self.deepen.values():
            encoded.append(deepen(half(encoded[-1])))
        x = self.bridge(encoded[-1])
        decoded = {"bridge": x}
        for level, decode in self.decode.items():
            skipped = encoded.pop()
            x = decode(torch.cat([resize_to(x, skipped, False), skipped], dim=1))
            decoded[f"side{level}"] = x
        sides = {name: resize_to(side(decoded[name]), image, False)
                 for name, side in self.sides.items()}
        return {"saliency": self.refine(sides["side1"]), **sides}
