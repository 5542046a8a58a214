"""CPD: Cascaded Partial Decoder for Fast and Accurate Salient Object Detection.

Wu, Su and Huang, CVPR 2019 (arXiv 1904.08739). A first, cheap decoder on the three deepest
stages predicts an attention map. This map is widened and gates the features, on which a second
copy of the deep stages and a second decoder predict the saliency map.

The released code has four traits that a reader of the paper does not expect (docs/cpd.md): the VGG
trunk pools by averaging; the heads of the VGG version have no batch norm and no activation between
convolutions; the Gaussian of the holistic attention is trained; the last upsampling aligns corners
in the ResNet version and does not in the VGG version.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import Conv, ReceptiveField, conv_norm, resize_to
from .trunks import Trunk

WIDTH = 32  # channels of the decoders


def plain_conv(in_channels: int, out_channels: int, kernel: int | tuple, **options) -> nn.Conv2d:
    """Convolution with bias whose weights are drawn from N(0, 0.01²): the heads of CPD-VGG."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, **options)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)
    return conv


class PartialDecoder(nn.Module):
    """Aggregation of three feature maps into logits (Sec. 3.2): products, then concatenation."""

    def __init__(self, conv: Conv):
        super().__init__()

        def conv3x3(channels: int) -> nn.Module:
            return conv(channels, channels, 3, padding=1)

        self.deep_to_middle = conv3x3(WIDTH)
        self.deep_to_shallow = conv3x3(WIDTH)
        self.middle_to_shallow = conv3x3(WIDTH)
        self.deep_beside_middle = conv3x3(WIDTH)
        self.middle_beside_shallow = conv3x3(2 * WIDTH)
        self.merge_middle = conv3x3(2 * WIDTH)
        self.merge_shallow = conv3x3(3 * WIDTH)
        self.refine = conv3x3(3 * WIDTH)
        self.predict = nn.Conv2d(3 * WIDTH, 1, 1)
        if conv is plain_conv:
            nn.init.normal_(self.predict.weight, std=0.01)
            nn.init.zeros_(self.predict.bias)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Three maps (N, 32, ·, ·), each half the size of the one before → logits of shallow's.

        Each use resizes anew, as in the released code. A shared resized map would give the same
        values, but its gradients would be added up in another order, and training would leave the
        path of the released code.
        """
        def up(x: Tensor, reference: Tensor) -> Tensor:
            return resize_to(x, reference, True)

        gated_middle = self.deep_to_middle(up(deep, middle)) * middle
        gated_shallow = (self.deep_to_shallow(up(up(deep, middle), shallow))
                         * self.middle_to_shallow(up(middle, shallow)) * shallow)

        merged = torch.cat([gated_middle, self.deep_beside_middle(up(deep, middle))], dim=1)
        merged = up(self.merge_middle(merged), shallow)
        merged = torch.cat([gated_shallow, self.middle_beside_shallow(merged)], dim=1)
        return self.predict(self.refine(self.merge_shallow(merged)))


def gaussian_kernel(size: int = 31, deviations: float = 4.0) -> Tensor:
    """(1, 1, size, size) Gaussian of sum 1 that initialises the holistic attention.

    The 1-D weights are the normal distribution's mass in ``size`` equal bins that reach
    ``deviations`` standard deviations to each side. As released, the square root of their outer
    product is taken, so the Gaussian is √2 wider than these numbers say.
    """
    bin_width = (2 * deviations + 1) / size
    reach = deviations + bin_width / 2
    edges = torch.linspace(-reach, reach, size + 1, dtype=torch.float64)
    mass = torch.diff(torch.erf(edges / math.sqrt(2)) / 2)
    kernel = torch.outer(mass, mass).sqrt()
    return (kernel / kernel.sum()).float().reshape(1, 1, size, size)


class HolisticAttention(nn.Module):
    """Widen an attention map and gate features with it (Sec. 3.3, Eq. 5)."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(gaussian_kernel())
        self.padding = self.kernel.shape[-1] // 2

    def forward(self, attention: Tensor, features: Tensor) -> Tensor:
        """``attention`` (N, 1, h, w) in [0, 1], ``features`` (N, C, h, w) → gated features."""
        blurred = F.conv2d(attention, self.kernel, padding=self.padding)
        low = blurred.amin(dim=(2, 3), keepdim=True)
        high = blurred.amax(dim=(2, 3), keepdim=True)
        widened = (blurred - low) / (high - low + 1e-8)
        return features * torch.maximum(widened, attention)


class Branch(nn.Module):
    """Two deep stages, three receptive field blocks and a partial decoder."""

    def __init__(self, trunk: Trunk, channels: dict[str, int], conv: Conv):
        """``channels``: stage → channels of the three stages that are decoded."""
        super().__init__()
        self.trunk = trunk
        self.receptive = nn.ModuleDict({stage: ReceptiveField(width, WIDTH, conv)
                                        for stage, width in channels.items()})
        self.decoder = PartialDecoder(conv)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w), the output of the first of the three stages → logits (N, 1, h, w)."""
        first = next(iter(self.receptive))
        stages = {first: features, **self.trunk(features)}
        return self.decoder(*(block(stages[stage]) for stage, block in self.receptive.items()))


# Released key → ours; the rows are applied in order, see ``Network.released_keys``.
_VGG_KEYS = {
    r"vgg\.(conv[123])\.": r"trunk.\1.",
    r"vgg\.(conv[45])_1\.(conv\d_\d)_1\.": r"attention.trunk.\1.\2.",
    r"vgg\.(conv[45])_2\.(conv\d_\d)_2\.": r"detection.trunk.\1.\2.",
    r"rfb(\d)_1\.": r"attention.receptive.conv\1.",
    r"rfb(\d)_2\.": r"detection.receptive.conv\1.",
}
_RESNET_KEYS = {
    r"resnet\.(conv1|bn1)\.": r"trunk.stem.\1.",
    r"resnet\.(layer[12])\.": r"trunk.\1.",
    r"resnet\.(layer[34])_1\.": r"attention.trunk.\1.",
    r"resnet\.(layer[34])_2\.": r"detection.trunk.\1.",
    r"rfb(\d)_1\.": r"attention.receptive.layer\1.",
    r"rfb(\d)_2\.": r"detection.receptive.layer\1.",
}
_HEAD_KEYS = {
    r"HA\.gaussian_kernel$": "holistic_attention.kernel",
    r"agg1\.": "attention.decoder.",
    r"agg2\.": "detection.decoder.",
    # Inside a receptive field block.
    r"(.+\.receptive\.\w+)\.branch": r"\1.branches.",
    r"(.+\.receptive\.\w+)\.conv_cat\.": r"\1.fuse.",
    r"(.+\.receptive\.\w+)\.conv_res\.": r"\1.shortcut.",
    # Inside a partial decoder.
    r"(.+\.decoder)\.conv_upsample1\.": r"\1.deep_to_middle.",
    r"(.+\.decoder)\.conv_upsample2\.": r"\1.deep_to_shallow.",
    r"(.+\.decoder)\.conv_upsample3\.": r"\1.middle_to_shallow.",
    r"(.+\.decoder)\.conv_upsample4\.": r"\1.deep_beside_middle.",
    r"(.+\.decoder)\.conv_upsample5\.": r"\1.middle_beside_shallow.",
    r"(.+\.decoder)\.conv_concat2\.": r"\1.merge_middle.",
    r"(.+\.decoder)\.conv_concat3\.": r"\1.merge_shallow.",
    r"(.+\.decoder)\.conv4\.": r"\1.refine.",
    r"(.+\.decoder)\.conv5\.": r"\1.predict.",
}


class Version(NamedTuple):
    """What differs between CPD on VGG-16 and on ResNet-50."""

    strides: tuple[int, int, int]  # of the stages that are decoded
    conv: Conv  # of the heads
    align_corners: bool  # in the last upsampling
    trunk_options: dict
    released_keys: dict[str, str]


_RESNET = Version((8, 16, 32), conv_norm, True, {}, _RESNET_KEYS | _HEAD_KEYS)
_VERSIONS = {"vgg16": Version((4, 8, 16), plain_conv, False, {"pool": "avg"},
                              _VGG_KEYS | _HEAD_KEYS)}


class CPD(Network):
    """The cascade of two branches on a shared trunk: 29 232 771 parameters on VGG-16, 47 851 075 on
    ResNet-50 (CPD-R).

    Args:
        trunk: a name in ``trunks``. Other trunks than VGG-16 get the heads of CPD-R.
        trunk_options: of the trunk. ``pool="max"`` on VGG-16 is VGG's own pooling, and not that of
            the released CPD.
    """

    def __init__(self, trunk: str = "vgg16", **trunk_options):
        super().__init__()
        version = _VERSIONS.get(trunk, _RESNET)
        options = version.trunk_options | trunk_options
        shared, *deep = trunks.levels(trunk, version.strides)

        def branch() -> Branch:
            stages = trunks.build(trunk, deep, **options)
            first, channels = self.trunk.levels[0], self.trunk.channels | stages.channels
            return Branch(stages, {stage: channels[stage] for stage in (first, *stages.levels)},
                          version.conv)

        self.trunk = trunks.build(trunk, [shared], **options)
        self.attention = branch()
        self.holistic_attention = HolisticAttention()
        self.detection = branch()
        self.align_corners = version.align_corners
        self.released_keys = version.released_keys

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` and ``attention``."""
        (shared,) = self.trunk.maps(image)
        attention = self.attention(shared)
        gated = self.holistic_attention(attention.sigmoid(), shared)
        detection = self.detection(gated)
        return {"saliency": resize_to(detection, image, self.align_corners),
                "attention": resize_to(attention, image, self.align_corners)}
