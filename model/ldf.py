"""LDF: Label Decoupling Framework for Salient Object Detection.

Wei, Wang, Wu, Su, Huang and Tian, CVPR 2020 (arXiv 2008.11048). A distance transform splits each
mask into a body, which fades towards the outline, and the detail that is missing from it. One
branch learns the body, another one the detail, and both together predict the map. What they have
found is encoded, and added to the features of either branch for a second pass of the same decoders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import he_conv, he_conv_norm_relu, resize_to
from .trunks.resnet import released_trunk

WIDTH = 64  # channels of the branches
LEVELS = "2345"  # from shallow to deep


def squeeze(in_channels: int) -> nn.Sequential:
    """Two convolutions in a row, batch norm, ReLU: (N, in_channels, h, w) → (N, 64, h, w)."""
    return nn.Sequential(he_conv(in_channels, WIDTH, 1), *he_conv_norm_relu(WIDTH, WIDTH))


class Decoder(nn.Module):
    """Sums of a branch's features, from deep to shallow, convolved at each level."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleDict({level: he_conv_norm_relu(WIDTH, WIDTH) for level in LEVELS})

    def forward(self, features: Sequence[Tensor],
                interaction: Sequence[Tensor] | None = None) -> Tensor:
        """Levels 2 to 5, each (N, 64, ·, ·) → (N, 64, h, w) at the size of level 2.

        Args:
            interaction: what the first pass has found, of the same shapes; it is added.
        """
        x = None
        for number, level in reversed([*enumerate(LEVELS)]):
            total = features[number]
            if interaction is not None:
                total = total + interaction[number]
            if x is not None:
                total = total + resize_to(x, total, False)
            x = self.convs[level](total)
        return x


class Encoder(nn.Module):
    """What both branches have found, at the four levels, for each of them (the paper's feature
    interaction)."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleDict({
            level: he_conv_norm_relu(2 * WIDTH if level == LEVELS[0] else WIDTH, WIDTH)
            for level in LEVELS})
        self.body, self.detail = (
            nn.ModuleDict({level: he_conv_norm_relu(WIDTH, WIDTH) for level in LEVELS})
            for _ in range(2))

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(N, 128, h, w) → for the body's decoder and for the detail's: levels 2 to 5, each
        (N, 64, ·, ·), the first of them at h and w, each later one at half of that."""
        body, detail = [], []
        for level in LEVELS:
            x = self.down[level](x if level == LEVELS[0] else F.max_pool2d(x, 2))
            body.append(self.body[level](x))
            detail.append(self.detail[level](x))
        return body, detail


class LDF(Network):
    """25 150 147 parameters on ResNet-50.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_trunk("bkbone") | {
        r"conv(\d)b\.": r"squeeze_body.\1.",
        r"conv(\d)d\.": r"squeeze_detail.\1.",
        r"linearb\.": "predict_body.",
        r"lineard\.": "predict_detail.",
        r"linear\.": "predict.",
        r"decoderb\.(conv|bn)": r"decode_body.\1",
        r"decoderd\.(conv|bn)": r"decode_detail.\1",
        r"(decode_\w+)\.(conv|bn)0\.": r"\1.convs.5.\2.",
        r"(decode_\w+)\.(conv|bn)1\.": r"\1.convs.4.\2.",
        r"(decode_\w+)\.(conv|bn)2\.": r"\1.convs.3.\2.",
        r"(decode_\w+)\.(conv|bn)3\.": r"\1.convs.2.\2.",
        r"encoder\.(conv|bn)(\d)b\.": r"encode.body.\2.\1.",
        r"encoder\.(conv|bn)(\d)d\.": r"encode.detail.\2.\1.",
        r"encoder\.(conv|bn)(\d)\.": r"encode.down.\2.\1.",
        # The encoder counts its levels from 1.
        r"encode\.(\w+)\.4\.": r"encode.\1.5.",
        r"encode\.(\w+)\.3\.": r"encode.\1.4.",
        r"encode\.(\w+)\.2\.": r"encode.\1.3.",
        r"encode\.(\w+)\.1\.": r"encode.\1.2.",
        r"(decode_\w+\.convs|encode\.\w+)\.(\d)\.conv\.": r"\1.\2.0.",
        r"(decode_\w+\.convs|encode\.\w+)\.(\d)\.bn\.": r"\1.\2.1.",
    }
    multiple = 32

    def __init__(self, trunk: str = "resnet50", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        self.squeeze_body, self.squeeze_detail = (
            nn.ModuleDict({level: squeeze(channels) for level, channels in
                           zip(LEVELS, self.trunk.widths, strict=True)}) for _ in range(2))
        self.encode = Encoder()
        self.decode_body, self.decode_detail = Decoder(), Decoder()
        self.predict_body, self.predict_detail = he_conv(WIDTH, 1), he_conv(WIDTH, 1)
        self.predict = nn.Sequential(*he_conv_norm_relu(2 * WIDTH, WIDTH), he_conv(WIDTH, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, H and W multiples of 32 → logits (N, 1, H, W): ``saliency``,
        ``body`` and ``detail`` of the second pass, then ``first_saliency``, ``first_body`` and
        ``first_detail`` of the first one."""
        maps = self.trunk.maps(image)
        to_body, to_detail = (
            [narrow(x) for narrow, x in zip(part.values(), maps, strict=True)]
            for part in (self.squeeze_body, self.squeeze_detail))
        first = self.decode_body(to_body), self.decode_detail(to_detail)
        of_body, of_detail = self.encode(torch.cat(first, dim=1))
        second = self.decode_body(to_body, of_body), self.decode_detail(to_detail, of_detail)
        logits = {}
        for prefix, (body, detail) in (("", second), ("first_", first)):
            logits[f"{prefix}saliency"] = self.predict(torch.cat([body, detail], dim=1))
            logits[f"{prefix}body"] = self.predict_body(body)
            logits[f"{prefix}detail"] = self.predict_detail(detail)
        return {name: resize_to(x, image, False) for name, x in logits.items()}
