"""U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection.

Qin, Zhang, Huang, Dehghan, Zaiane and Jagersand, Pattern Recognition 2020 (arXiv 2005.09007). A
U-Net whose stages are small U-Nets themselves, residual U-blocks (RSU), so that each stage sees
several scales at its own resolution. The deep stages, whose maps are small, dilate their
convolutions in place of pooling (RSU-4F). A map of each decoder stage and a fused one are learned
alike, from scratch, without a trunk.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .base import Network
from .blocks import conv_norm_relu, half, resize_to

#: Stage → input, inner and output channels; ``d`` marks the decoder's.
Widths = Mapping[str, tuple[int, int, int]]
FULL: Widths = {
    "1": (3, 32, 64), "2": (64, 32, 128), "3": (128, 64, 256), "4": (256, 128, 512),
    "5": (512, 256, 512), "6": (512, 256, 512), "5d": (1024, 256, 512), "4d": (1024, 128, 256),
    "3d": (512, 64, 128), "2d": (256, 32, 64), "1d": (128, 16, 64)}
SMALL: Widths = {stage: (3 if stage == "1" else 128 if stage.endswith("d") else 64, 16, 64)
                 for stage in FULL}
#: Level → height of its blocks, the number of their encoders; 5 and 6 are dilated.
HEIGHTS = {"1": 7, "2": 6, "3": 5, "4": 4, "5": 4, "6": 4}
DILATED = ("5", "6")


class RSU(nn.Module):
    """Residual U-block (Sec. 3.1): a U-Net of ``height`` encoders on one stage's features.

    Args:
        dilated: convolutions reach 1, 2, 4, 8 pixels far, and nothing is pooled (RSU-4F).
    """

    def __init__(self, height: int, in_channels: int, inner: int, out_channels: int,
                 dilated: bool):
        super().__init__()
        self.height, self.dilated = height, dilated
        self.input = conv_norm_relu(in_channels, out_channels, bias=True)
        self.encode, self.decode = nn.ModuleDict(), nn.ModuleDict()
        for level in range(1, height + 1):
            reach = 2 ** (level - 1) if dilated else 1
            deepest = 2 if level == height and not dilated else reach
            self.encode[str(level)] = conv_norm_relu(
                out_channels if level == 1 else inner, inner, 3, deepest, bias=True)
            if level < height:
                self.decode[str(level)] = conv_norm_relu(
                    2 * inner, out_channels if level == 1 else inner, 3, reach, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, out_channels, h, w)."""
        x = features = self.input(x)
        encoded = []
        for level, encode in self.encode.items():
            if not self.dilated and 1 < int(level) < self.height:
                features = half(features)
            features = encode(features)
            encoded.append(features)
        features = encoded.pop()
        for level in reversed(self.decode.keys()):
            skipped = encoded.pop()
            if not self.dilated and int(level) < self.height - 1:
                features = resize_to(features, skipped, False)
            features = self.decode[level](torch.cat([features, skipped], dim=1))
        return features + x


class U2Net(Network):
    """44 009 869 parameters, with ``SMALL`` widths 1 131 181 (U²-NetP).

    Args:
        widths: see ``Widths``.
    """

    released_keys: Mapping[str, str] = {
        r"stage(\dd?)\.": r"stages.\1.",
        r"(stages\.\w+)\.rebnconvin\.": r"\1.input.",
        r"(stages\.\w+)\.rebnconv(\d)\.": r"\1.encode.\2.",
        r"(stages\.\w+)\.rebnconv(\d)d\.": r"\1.decode.\2.",
        r"(stages\..+)\.conv_s1\.": r"\1.0.",
        r"(stages\..+)\.bn_s1\.": r"\1.1.",
        r"side(\d)\.": r"sides.\1.",
        r"outconv\.": "fuse.",
    }
    deepest_module = "stages.6"

    def __init__(self, widths: Widths = FULL):
        super().__init__()
        self.stages = nn.ModuleDict({
            stage: RSU(HEIGHTS[stage[0]], *channels, stage[0] in DILATED)
            for stage, channels in widths.items()})
        self.sides = nn.ModuleDict({
            level: nn.Conv2d(widths.get(f"{level}d", widths[level])[2], 1, 3, padding=1)
            for level in HEIGHTS})
        self.fuse = nn.Conv2d(len(HEIGHTS), 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, fused of ``side1`` …
        ``side6``, which are the decoder's from shallow to deep and the last encoder's."""
        encoded, features = {}, image
        for level in HEIGHTS:
            features = self.stages[level](features if level == "1" else half(features))
            encoded[level] = features
        decoded = {"6": encoded.pop("6")}
        for level in reversed(encoded):
            deeper = resize_to(features, encoded[level], False)
            features = self.stages[f"{level}d"](torch.cat([deeper, encoded[level]], dim=1))
            decoded[level] = features
        sides = {}
        for level, side in self.sides.items():
            logits = side(decoded[level])
            sides[f"side{level}"] = logits if level == "1" else resize_to(logits, image, False)
        return {"saliency": self.fuse(torch.cat([*sides.values()], dim=1)), **sides}
