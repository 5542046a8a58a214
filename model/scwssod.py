"""SCWSSOD: Structure-Consistent Weakly Supervised Salient Object Detection with Local Saliency
Coherence.

Yu, Zhang, Xiao and Lim, AAAI 2021 (arXiv 2012.04404). GCPANet (Chen et al., AAAI 2020) whose
fusion of three features weighs them by learned scalars (the paper's AGGM). Four decoders' outputs
are supervised; the shallowest is the prediction.

As released, the weights of a fusion are means of a convolution, neither made positive nor kept
away from a sum of 0 (docs/scwssod.md).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .keys import renamed
from .trunks.resnet import CHANNELS as RESNET_CHANNELS
from .trunks.resnet import ResNet50
from .trunks.trunk import Trunk
from .trunks.vgg import POOL5, VGG16, scaled
from .trunks.vgg import STAGES as VGG_STAGES

WIDTH = 256  # channels of the decoder


def conv(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Conv2d:
    """Convolution from He et al.'s initialisation, biases 0."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(conv(in_channels, out_channels, kernel), nn.BatchNorm2d(out_channels),
                         nn.ReLU())


def resize_to(x: Tensor, reference: Tensor) -> Tensor:
    """Bilinear resize to the height and width of ``reference``, corners not aligned."""
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear", align_corners=False)


class Context(nn.Module):
    """Features gated channel by channel by the global context of the deepest stage."""

    def __init__(self, in_channels: int, deepest: int):
        super().__init__()
        self.reduce = conv_norm_relu(in_channels, WIDTH, 1)
        self.gate = nn.Sequential(conv(deepest, WIDTH, 1), nn.ReLU(), conv(WIDTH, WIDTH, 1),
                                  nn.Sigmoid())

    def forward(self, x: Tensor, deepest: Tensor) -> Tensor:
        return self.reduce(x) * self.gate(deepest.mean(dim=(2, 3), keepdim=True))


class Refinement(nn.Module):
    """Features scaled and shifted, pixel by pixel, by what a convolution makes of a source: of
    the input (``from_input``), or of the features themselves."""

    def __init__(self, in_channels: int, from_input: bool):
        super().__init__()
        self.reduce = conv_norm_relu(in_channels, WIDTH)
        self.predict = conv(in_channels if from_input else WIDTH, 2 * WIDTH)
        self.from_input = from_input

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        scale, shift = self.predict(x if self.from_input else reduced).chunk(2, dim=1)
        return F.relu(scale * reduced + shift)


class Fusion(nn.Module):
    """Aggregation of a lateral, a deeper and a context feature (AGGM, Sec. 3.3)."""

    def __init__(self, lateral: int):
        super().__init__()
        self.lateral = conv_norm_relu(lateral, WIDTH)
        self.deep = conv_norm_relu(WIDTH, WIDTH)
        self.context = conv_norm_relu(WIDTH, WIDTH)
        self.from_deep = conv(WIDTH, WIDTH)
        self.from_context = conv(WIDTH, WIDTH)
        self.from_lateral = conv(WIDTH, WIDTH)
        self.weights = nn.ModuleList([conv(WIDTH, 1) for _ in range(3)])
        self.out = conv_norm_relu(WIDTH, WIDTH)

    def forward(self, lateral: Tensor, deep: Tensor, context: Tensor) -> Tensor:
        lateral, deep, context = self.lateral(lateral), self.deep(deep), self.context(context)
        parts = [F.relu(self.from_lateral(lateral) * resize_to(deep, lateral)),
                 F.relu(resize_to(self.from_deep(deep), lateral) * lateral),
                 F.relu(resize_to(self.from_context(context), lateral) * lateral)]
        shares = [weigh(part).mean(dim=(2, 3), keepdim=True)
                  for weigh, part in zip(self.weights, parts, strict=True)]
        total = sum(share * part for share, part in zip(shares, parts, strict=True))
        return self.out(total / sum(shares))


class SCWSSOD(nn.Module):
    """The decoder on four stages of a trunk, at 1/4, 1/8, 1/16 and 1/32 of the input."""

    def __init__(self, trunk: Trunk, channels: tuple[int, int, int, int]):
        super().__init__()
        deepest = channels[-1]
        self.trunk = trunk
        self.context = nn.ModuleDict({str(level): Context(deepest, deepest) for level in (4, 3, 2)})
        self.deepest = Refinement(deepest, from_input=True)
        self.gated = Context(WIDTH, deepest)
        self.fusion = nn.ModuleDict({str(level): Fusion(channels[level - 2])
                                     for level in (4, 3, 2)})
        self.refine = nn.ModuleDict({str(level): Refinement(WIDTH, from_input=False)
                                     for level in (5, 4, 3, 2)})
        self.predict = nn.ModuleDict({str(level): conv(WIDTH, 1) for level in (5, 4, 3, 2)})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency`` and, from deeper and
        deeper stages, ``side3``, ``side4``, ``side5``."""
        *laterals, deepest = self.trunk(image)[-4:]
        x = self.refine["5"](self.gated(self.deepest(deepest), deepest))
        outputs = {"side5": resize_to(self.predict["5"](x), image)}
        for level, lateral in zip(("4", "3", "2"), reversed(laterals), strict=True):
            context = self.context[level](deepest, deepest)
            x = self.refine[level](self.fusion[level](lateral, x, context))
            name = "saliency" if level == "2" else f"side{level}"
            outputs[name] = resize_to(self.predict[level](x), image)
        return dict(reversed(outputs.items()))

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoints (model-36.pt)."""
        return renamed(key, _RELEASED)


def scwssod(pool: str = "max") -> SCWSSOD:
    """On ResNet-50 as released, 63 537 997 parameters."""
    return SCWSSOD(ResNet50(pool=pool),
                   tuple(RESNET_CHANNELS[f"layer{number}"] for number in (1, 2, 3, 4)))


def scwssod_vgg(pool: str = "max", width: float = 1.0) -> SCWSSOD:
    """On VGG-16: conv3, conv4, conv5, and conv5 pooled once more in the place of layer4."""
    channels = [scaled(VGG_STAGES[stage][-1], width) for stage in ("conv3", "conv4", "conv5")]
    # Ceiling in pool5: the second, small input may be a single pixel there.
    return SCWSSOD(VGG16((*VGG_STAGES, POOL5), pool, width), (*channels, channels[-1]))


# Released key → our key, as regular expressions on the beginning of the key.
_RELEASED = {
    r"bkbone\.(conv1|bn1)\.": r"trunk.stem.\1.",
    r"bkbone\.": "trunk.",
    r"ca55\.conv0\.": "gated.reduce.0.",
    r"ca55\.bn0\.": "gated.reduce.1.",
    r"ca55\.conv1\.": "gated.gate.0.",
    r"ca55\.conv2\.": "gated.gate.2.",
    r"ca([234])5\.conv0\.": r"context.\1.reduce.0.",
    r"ca([234])5\.bn0\.": r"context.\1.reduce.1.",
    r"ca([234])5\.conv1\.": r"context.\1.gate.0.",
    r"ca([234])5\.conv2\.": r"context.\1.gate.2.",
    r"sa55\.conv0\.": "deepest.reduce.0.",
    r"sa55\.bn0\.": "deepest.reduce.1.",
    r"sa55\.conv2\.": "deepest.predict.",
    r"srm(\d)\.conv1\.": r"refine.\1.reduce.0.",
    r"srm(\d)\.bn1\.": r"refine.\1.reduce.1.",
    r"srm(\d)\.conv2\.": r"refine.\1.predict.",
    r"linear(\d)\.": r"predict.\1.",
} | {
    rf"fam(\d)\d\.{theirs}\.": rf"fusion.\1.{ours}."
    for theirs, ours in {
        "conv_d1": "from_deep", "conv_d2": "from_context", "conv_l": "from_lateral",
        "conv_att1": "weights.0", "conv_att2": "weights.1", "conv_att3": "weights.2",
        **{f"{kind}{number}": f"{part}.{place}"
           for number, part in enumerate(("lateral", "deep", "context", "out"))
           for kind, place in (("conv", 0), ("bn", 1))},
    }.items()
}
