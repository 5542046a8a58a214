"""CPD: Cascaded Partial Decoder for Fast and Accurate Salient Object Detection.

Wu, Su and Huang, CVPR 2019 (arXiv 1904.08739). A first, cheap decoder on the three deepest
stages predicts an attention map; that map, widened, gates the features on which a second copy
of the deep stages and a second decoder predict the saliency map.

As released, which differs from a reader's expectation in these points (docs/cpd.md):
the VGG trunk pools by averaging; the heads of the VGG version have no batch norm and no
activation between convolutions; the Gaussian of the holistic attention is a trained parameter;
the last upsampling aligns corners in the ResNet version and does not in the VGG version.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .keys import renamed
from .trunks.resnet import CHANNELS as RESNET_CHANNELS
from .trunks.resnet import ResNet50
from .trunks.trunk import Trunk
from .trunks.vgg import STAGES as VGG_STAGES
from .trunks.vgg import VGG16, scaled

WIDTH = 32  # channels of the decoders

#: A factory (in_channels, out_channels, kernel_size, **conv arguments) → module.
Conv = Callable[..., nn.Module]


def plain_conv(in_channels: int, out_channels: int, kernel: int | tuple, **kwargs) -> nn.Module:
    """Convolution with bias, drawn from N(0, 0.01²): the heads of CPD-VGG."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, **kwargs)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)
    return conv


def norm_conv(in_channels: int, out_channels: int, kernel: int | tuple, **kwargs) -> nn.Module:
    """Convolution and batch norm, no activation: the heads of CPD-R."""
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(in_channels, out_channels, kernel, bias=False, **kwargs),
        bn=nn.BatchNorm2d(out_channels)))


def resize_to(x: Tensor, reference: Tensor, align_corners: bool) -> Tensor:
    """Bilinear resize to the height and width of ``reference``."""
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear",
                         align_corners=align_corners)


class ReceptiveField(nn.Module):
    """Receptive field block (Sec. 3.2): four branches of growing reach, fused to ``width``."""

    def __init__(self, in_channels: int, conv: Conv, width: int = WIDTH):
        super().__init__()
        self.branches = nn.ModuleList([nn.Sequential(conv(in_channels, width, 1))])
        for reach in (3, 5, 7):
            self.branches.append(nn.Sequential(
                conv(in_channels, width, 1),
                conv(width, width, (1, reach), padding=(0, reach // 2)),
                conv(width, width, (reach, 1), padding=(reach // 2, 0)),
                conv(width, width, 3, padding=reach, dilation=reach)))
        self.fuse = conv(4 * width, width, 3, padding=1)
        self.shortcut = conv(in_channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        reached = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.fuse(reached) + self.shortcut(x))


class PartialDecoder(nn.Module):
    """Aggregation of three feature maps into logits (Sec. 3.2): products, then concatenation."""

    def __init__(self, conv: Conv):
        super().__init__()
        def conv3x3(channels):
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

        Each use resizes afresh, as released: sharing a resized map would give the same values but
        add up its gradients in another order, and training would leave the released one's path.
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
        super().__init__()
        self.trunk = trunk
        self.receptive = nn.ModuleDict(
            {stage: ReceptiveField(width, conv) for stage, width in channels.items()})
        self.decoder = PartialDecoder(conv)

    def forward(self, features: Tensor) -> Tensor:
        stages = [features, *self.trunk(features)]
        reduced = [block(x) for block, x in zip(self.receptive.values(), stages, strict=True)]
        return self.decoder(*reduced)


class CPD(nn.Module):
    """The cascade of two branches on a shared trunk; see ``cpd_vgg`` and ``cpd_resnet``."""

    def __init__(self, trunk: Trunk, attention: Branch, detection: Branch,
                 released_keys: dict[str, str], align_corners: bool):
        super().__init__()
        self.trunk = trunk
        self.attention = attention
        self.holistic_attention = HolisticAttention()
        self.detection = detection
        self.align_corners = align_corners
        self._released_keys = released_keys

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` and ``attention``."""
        shared = self.trunk(image)[-1]
        attention = self.attention(shared)
        gated = self.holistic_attention(attention.sigmoid(), shared)
        detection = self.detection(gated)
        return {
            "saliency": resize_to(detection, image, self.align_corners),
            "attention": resize_to(attention, image, self.align_corners),
        }

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoints (CPD.pth, CPD-R.pth)."""
        return renamed(key, self._released_keys | _RELEASED_HEADS)


def cpd_vgg(pool: str = "avg", width: float = 1.0) -> CPD:
    """CPD on VGG-16, 29 232 771 parameters.

    ``pool="max"`` is VGG's own pooling, not the released CPD's. ``width`` thins the trunk.
    """
    channels = {stage: scaled(VGG_STAGES[stage][-1], width)
                for stage in ("conv3", "conv4", "conv5")}

    def branch():
        return Branch(VGG16(("conv4", "conv5"), pool, width), channels, plain_conv)

    return CPD(VGG16(("conv1", "conv2", "conv3"), pool, width), branch(), branch(),
               _RELEASED_VGG, align_corners=False)


def cpd_resnet(pool: str = "max") -> CPD:
    """CPD on ResNet-50 (CPD-R), 47 851 075 parameters."""
    channels = {stage: RESNET_CHANNELS[stage] for stage in ("layer2", "layer3", "layer4")}

    def branch():
        return Branch(ResNet50(("layer3", "layer4"), pool), channels, norm_conv)

    return CPD(ResNet50(("stem", "layer1", "layer2"), pool), branch(), branch(),
               _RELEASED_RESNET, align_corners=True)


# Released key → our key, as regular expressions on the beginning of the key.
_RELEASED_VGG = {
    r"vgg\.(conv[123])\.": r"trunk.\1.",
    r"vgg\.(conv[45])_1\.(conv\d_\d)_1\.": r"attention.trunk.\1.\2.",
    r"vgg\.(conv[45])_2\.(conv\d_\d)_2\.": r"detection.trunk.\1.\2.",
    r"rfb([345])_1\.branch": r"attention.receptive.conv\1.branches.",
    r"rfb([345])_1\.conv_cat\.": r"attention.receptive.conv\1.fuse.",
    r"rfb([345])_1\.conv_res\.": r"attention.receptive.conv\1.shortcut.",
    r"rfb([345])_2\.branch": r"detection.receptive.conv\1.branches.",
    r"rfb([345])_2\.conv_cat\.": r"detection.receptive.conv\1.fuse.",
    r"rfb([345])_2\.conv_res\.": r"detection.receptive.conv\1.shortcut.",
}
_RELEASED_RESNET = {
    r"resnet\.(conv1|bn1)\.": r"trunk.stem.\1.",
    r"resnet\.(layer[12])\.": r"trunk.\1.",
    r"resnet\.(layer[34])_1\.": r"attention.trunk.\1.",
    r"resnet\.(layer[34])_2\.": r"detection.trunk.\1.",
} | {key.replace("[345]", "[234]"): ours.replace("conv", "layer")
     for key, ours in _RELEASED_VGG.items() if key.startswith("rfb")}
_RELEASED_HEADS = {
    rf"agg{number}\.{theirs}\.": rf"{branch}.decoder.{ours}."
    for number, branch in ((1, "attention"), (2, "detection"))
    for theirs, ours in {
        "conv_upsample1": "deep_to_middle",
        "conv_upsample2": "deep_to_shallow",
        "conv_upsample3": "middle_to_shallow",
        "conv_upsample4": "deep_beside_middle",
        "conv_upsample5": "middle_beside_shallow",
        "conv_concat2": "merge_middle",
        "conv_concat3": "merge_shallow",
        "conv4": "refine",
        "conv5": "predict",
    }.items()
} | {r"HA\.gaussian_kernel$": "holistic_attention.kernel"}
