"""EDN: Salient Object Detection via Extremely-Downsampled Network.

Wu, Liu, Zhang, Cheng and Ren, TIP 2022 (arXiv 2012.13093). Two more stages, conv6 and conv7, halve
the deepest one twice. Their mean over the whole image gates their channels, with which the decoder
begins. It joins levels by convolutions of growing dilation (the paper's SCPC).

The batch norms of the released trunk are frozen and have no epsilon (docs/edn.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, resize_to

#: Level → channels of the decoder, channels per 64 of a branch, and the branches' dilations.
LEVELS = ((32, 32, (1, 2, 4, 8)), (64, 32, (1, 2, 4, 8)), (128, 24, (1, 2, 4, 8)),
          (128, 24, (1, 2, 3, 4)), (256, 24, (1, 2, 3, 4)), (256, 24, (1, 1, 1, 1)),
          (256, 24, (1, 1, 1, 1)))
SUPERVISED = 5  # levels that predict a map, from the finest


class FrozenNorm(nn.Module):
    """Batch norm of fixed statistics and weights, without epsilon."""

    def __init__(self, channels: int):
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0),
                            ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        scale = self.weight * self.running_var.rsqrt()
        shift = self.bias - self.running_mean * scale
        # In mixed precision the product is float32; what follows is faster on what came in.
        return (x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(x.dtype)


class ScaleCorrelatedPyramid(nn.Module):
    """A residual bottleneck of four branches, each of which gets the result of the one before (the
    paper's SCPC, scale-correlated pyramid convolution).

    Args:
        base: channels of a branch for 64 channels.
        dilations: of the branches.
    """

    def __init__(self, channels: int, base: int, dilations: tuple[int, ...]):
        super().__init__()
        width = channels * base // 64
        self.enter = conv_norm_relu(channels, 4 * width, 1)
        self.branches = nn.ModuleList(conv_norm_relu(width, width, 3, dilation)
                                      for dilation in dilations)
        self.leave = nn.Sequential(nn.Conv2d(4 * width, channels, 1, bias=False),
                                   nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) → the same shape."""
        results: list[Tensor] = []
        for part, branch in zip(self.enter(x).chunk(4, dim=1), self.branches, strict=True):
            results.append(branch(results[-1] + part if results else part))
        return F.relu(self.leave(torch.cat(results, dim=1)) + x)


def unit(in_channels: int, out_channels: int, kernel: int = 1) -> nn.Sequential:
    """Convolution with bias, batch norm, ReLU."""
    return conv_norm_relu(in_channels, out_channels, kernel, bias=True)


class EDN(Network):
    """21 834 309 parameters; the frozen norms of the trunk are buffers.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    least_side = 64  # features of stride 16 are halved twice more
    released_keys: Mapping[str, str] = {
        r"backbone\.conv(\d)_(\d)\.conv\.": r"trunk.conv\1.conv\1_\2.",
        r"backbone\.conv(\d)_(\d)\.bn\.": r"trunk.conv\1.bn\1_\2.",
        r"fpn\.inners_a\.(\d)\.": r"lateral.\1.",
        r"fpn\.inners_b\.(\d)\.": r"down.\1.",
        r"fpn\.fuse\.": "fuse.",
        r"cls1\.": "score.0.",
        r"cls2\.": "score.1.",
        r"cls3\.": "score.2.",
        r"cls4\.": "score.3.",
        r"cls5\.": "score.4.",
        r"((?:conv6|conv7|lateral|down)\.\d)\.conv\.": r"\1.0.",
        r"((?:conv6|conv7|lateral|down)\.\d)\.bn\.": r"\1.1.",
        r"(fuse\.\d\.\d)\.conv1\.": r"\1.enter.0.",
        r"(fuse\.\d\.\d)\.bn1\.": r"\1.enter.1.",
        r"(fuse\.\d\.\d)\.convs\.(\d)\.": r"\1.branches.\2.0.",
        r"(fuse\.\d\.\d)\.bns\.(\d)\.": r"\1.branches.\2.1.",
        r"(fuse\.\d\.\d)\.conv3\.": r"\1.leave.0.",
        r"(fuse\.\d\.\d)\.bn3\.": r"\1.leave.1.",
    }

    def __init__(self, trunk: str = "vgg16_bn", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (1, 2, 4, 8, 16)), **trunk_options)
        for module in list(self.trunk.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, FrozenNorm(child.num_features))
        channels = [*self.trunk.widths, 256, 256]
        widths = [width for width, *_ in LEVELS]
        self.conv6, self.conv7 = (
            nn.Sequential(nn.MaxPool2d(2, 2), unit(before, 256, 3), unit(256, 256, 3))
            for before in (channels[4], 256))
        last = len(LEVELS) - 1
        self.lateral = nn.ModuleList(
            unit(before, width if level == last else width // 2)
            for level, (before, width) in enumerate(zip(channels, widths, strict=True)))
        self.down = nn.ModuleList(unit(widths[level + 1], widths[level] // 2)
                                  for level in range(last))
        self.fuse = nn.ModuleList(
            nn.Sequential(*(ScaleCorrelatedPyramid(*shape) for _ in range(2))) for shape in LEVELS)
        self.score = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths[:SUPERVISED])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, of at least 64 pixels a side → logits (N, 1, H, W):
        ``saliency``, and ``side1`` … ``side4`` of deeper levels."""
        features = self.trunk.maps(image)
        features.append(self.conv6(features[-1]))
        features.append(self.conv7(features[-1]))
        gate = features[6].mean(dim=(2, 3), keepdim=True).sigmoid()  # (N, 256, 1, 1)
        features[5:] = (x * gate for x in features[5:])
        x, maps = self.fuse[6](self.lateral[6](features[6])), []
        for level in (5, 4, 3, 2, 1, 0):
            down = resize_to(self.down[level](x), features[level], False)
            x = self.fuse[level](torch.cat([down, self.lateral[level](features[level])], dim=1))
            if level < SUPERVISED:
                maps.append(resize_to(self.score[level](x), image, False))
        return {"saliency": maps[-1],
                **{f"side{level}": maps[-1 - level] for level in range(1, SUPERVISED)}}
