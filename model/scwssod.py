"""SCWSSOD: Structure-Consistent Weakly Supervised Salient Object Detection with Local Saliency
Coherence.

Yu, Zhang, Xiao and Lim, AAAI 2021 (arXiv 2012.04404). The network is GCPANet (Chen et al., AAAI
2020), but each fusion of three features weighs them by learned scalars (the paper's AGGM). The
outputs of four decoder stages are supervised; the shallowest is the prediction.

In the released code the weights of a fusion are means of a convolution. Nothing makes them positive
or keeps their sum away from 0 (docs/scwssod.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch.nn.functional as F
from torch import Tensor, nn

from losses import balanced_ce, partial_bce, saliency_coherence, structure_consistency

from . import trunks
from .base import Network
from .blocks import conv_norm_relu, resize_to
from .norm import uncounted
from .objectives import Terms, switch

WIDTH = 256  # channels of the decoder


def conv(in_channels: int, out_channels: int, kernel: int = 3, **options) -> nn.Conv2d:
    """Convolution that keeps height and width, with He et al.'s initialisation and biases 0."""
    layer = nn.Conv2d(in_channels, out_channels, kernel,
                      **{"padding": kernel // 2} | options)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def unit(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """``conv`` with bias, batch norm, ReLU."""
    return conv_norm_relu(in_channels, out_channels, kernel, bias=True, conv=conv)


class Context(nn.Module):
    """Features whose channels are gated by the means of the deepest stage."""

    def __init__(self, in_channels: int, deepest: int):
        super().__init__()
        self.reduce = unit(in_channels, WIDTH, 1)
        self.gate = nn.Sequential(conv(deepest, WIDTH, 1), nn.ReLU(), conv(WIDTH, WIDTH, 1),
                                  nn.Sigmoid())

    def forward(self, x: Tensor, deepest: Tensor) -> Tensor:
        """(N, in_channels, h, w) and (N, deepest, ·, ·) → (N, 256, h, w)."""
        return self.reduce(x) * self.gate(deepest.mean(dim=(2, 3), keepdim=True))


class Refinement(nn.Module):
    """Features that are scaled and shifted pixel by pixel.

    A convolution predicts scale and shift from the block's input (``from_input``), or from the
    reduced features themselves.
    """

    def __init__(self, in_channels: int, from_input: bool):
        super().__init__()
        self.reduce = unit(in_channels, WIDTH)
        self.predict = conv(in_channels if from_input else WIDTH, 2 * WIDTH)
        self.from_input = from_input

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, 256, h, w)."""
        reduced = self.reduce(x)
        scale, shift = self.predict(x if self.from_input else reduced).chunk(2, dim=1)
        return F.relu(scale * reduced + shift)


class Fusion(nn.Module):
    """Aggregation of a lateral, a deeper and a context feature (AGGM, Sec. 3.3)."""

    def __init__(self, lateral: int):
        super().__init__()
        self.lateral = unit(lateral, WIDTH)
        self.deep = unit(WIDTH, WIDTH)
        self.context = unit(WIDTH, WIDTH)
        self.from_deep = conv(WIDTH, WIDTH)
        self.from_context = conv(WIDTH, WIDTH)
        self.from_lateral = conv(WIDTH, WIDTH)
        self.weights = nn.ModuleList([conv(WIDTH, 1) for _ in range(3)])
        self.out = unit(WIDTH, WIDTH)

    def forward(self, lateral: Tensor, deep: Tensor, context: Tensor) -> Tensor:
        """(N, lateral, h, w), and two of (N, 256, ·, ·) → (N, 256, h, w)."""
        lateral, deep, context = self.lateral(lateral), self.deep(deep), self.context(context)
        parts = [F.relu(self.from_lateral(lateral) * resize_to(deep, lateral, False)),
                 F.relu(resize_to(self.from_deep(deep), lateral, False) * lateral),
                 F.relu(resize_to(self.from_context(context), lateral, False) * lateral)]
        shares = [weigh(part).mean(dim=(2, 3), keepdim=True)
                  for weigh, part in zip(self.weights, parts, strict=True)]
        total = sum(share * part for share, part in zip(shares, parts, strict=True))
        return self.out(total / sum(shares))


class SCWSSODObjective:
    """Cross-entropy and coherence of all four outputs, and structure consistency of the prediction
    with the one on the image at 0.3 of its size (SCWSSOD).

    The first three options are on as released and off in the paper.

    Args:
        variant: ``released`` or ``paper``.
        double_softmax: whether the cross-entropy is ``balanced_ce``, or else ``partial_bce``.
        shrinking_sigma: whether σ_I is divided by ten from output to output (0.1, 0.01, …),
            because the released code divides the image in place at each use.
        padded: whether windows reach over the image's border (``saliency_coherence``).
        count_small: whether batch norms count the pass on the small image. That pass is the last
            of each step, so the statistics for evaluation lie nearer to it than to an image of
            full size. On in both variants: the paper does not mention it.
    """

    targets = ("scribble",)
    WEIGHTS = {"saliency": 1.0, "side3": 0.8, "side4": 0.6, "side5": 0.4}  # noqa: RUF012
    outputs = tuple(WEIGHTS)
    COHERENCE = 0.3

    def __init__(self, variant: str, double_softmax: bool | None = None,
                 shrinking_sigma: bool | None = None, padded: bool | None = None,
                 count_small: bool = True):
        released = variant == "released"
        self.double_softmax = switch("double_softmax", double_softmax, released)
        self.shrinking_sigma = switch("shrinking_sigma", shrinking_sigma, released)
        self.padded = switch("padded", padded, released)
        self.count_small = switch("count_small", count_small, True)

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        image, scribble = sample["image"], sample["scribble"]
        outputs = network(image)
        small = F.interpolate(image, scale_factor=0.3, mode="bilinear", align_corners=True)
        with nullcontext() if self.count_small else uncounted(network):
            on_small = network(small)["saliency"].float().sigmoid()
        on_whole = F.interpolate(outputs["saliency"].float().sigmoid(), size=on_small.shape[-2:],
                                 mode="bilinear", align_corners=True)
        terms = {"consistency": structure_consistency(on_small, on_whole)}
        quarter = F.interpolate(image, scale_factor=0.25, mode="bilinear", align_corners=True)
        for number, (name, weight) in enumerate(self.WEIGHTS.items()):
            logits = outputs[name].float()
            ce = balanced_ce(logits, scribble) if self.double_softmax \
                else partial_bce(logits, scribble)
            reduced = F.interpolate(logits.sigmoid(), size=quarter.shape[-2:], mode="bilinear",
                                    align_corners=True)
            sigma = 0.1**(number + 1) if self.shrinking_sigma else 0.1
            coherence = saliency_coherence(reduced, quarter, sigma_rgb=sigma, padded=self.padded)
            terms[f"{name}_ce"] = weight * ce
            terms[f"{name}_coherence"] = weight * self.COHERENCE * coherence
        return outputs, terms


class SCWSSOD(Network):
    """The decoder on four stages of a trunk; 63 537 997 parameters on ResNet-50 as released.

    Args:
        trunk: a name in ``trunks``.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = {
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
        r"fam(\d)\d\.conv0\.": r"fusion.\1.lateral.0.",
        r"fam(\d)\d\.bn0\.": r"fusion.\1.lateral.1.",
        r"fam(\d)\d\.conv1\.": r"fusion.\1.deep.0.",
        r"fam(\d)\d\.bn1\.": r"fusion.\1.deep.1.",
        r"fam(\d)\d\.conv2\.": r"fusion.\1.context.0.",
        r"fam(\d)\d\.bn2\.": r"fusion.\1.context.1.",
        r"fam(\d)\d\.conv3\.": r"fusion.\1.out.0.",
        r"fam(\d)\d\.bn3\.": r"fusion.\1.out.1.",
        r"fam(\d)\d\.conv_d1\.": r"fusion.\1.from_deep.",
        r"fam(\d)\d\.conv_d2\.": r"fusion.\1.from_context.",
        r"fam(\d)\d\.conv_l\.": r"fusion.\1.from_lateral.",
        r"fam(\d)\d\.conv_att1\.": r"fusion.\1.weights.0.",
        r"fam(\d)\d\.conv_att2\.": r"fusion.\1.weights.1.",
        r"fam(\d)\d\.conv_att3\.": r"fusion.\1.weights.2.",
    }
    objective = SCWSSODObjective

    def __init__(self, trunk: str = "resnet50", **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        channels = [self.trunk.channels[stage] for stage in self.trunk.levels]
        deepest = channels[-1]
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
        features = self.trunk(image)
        *laterals, deepest = (features[stage] for stage in self.trunk.levels)
        x = self.refine["5"](self.gated(self.deepest(deepest), deepest))
        outputs = {"side5": resize_to(self.predict["5"](x), image, False)}
        for level, lateral in zip(("4", "3", "2"), reversed(laterals), strict=True):
            context = self.context[level](deepest, deepest)
            x = self.refine[level](self.fusion[level](lateral, x, context))
            name = "saliency" if level == "2" else f"side{level}"
            outputs[name] = resize_to(self.predict[level](x), image, False)
        return dict(reversed(outputs.items()))
