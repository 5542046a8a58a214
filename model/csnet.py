"""CSNet: Highly Efficient Salient Object Detection with 100K Parameters.

Gao, Tan, Cheng, Lu, Chen and Yan, ECCV 2020 (arXiv 2003.05643). Features are lists of branches,
each at half of the resolution of the one before. Generalised octave convolutions (gOctConv) mix
the branches, depthwise convolutions then see each alone. A weight decay that follows the features
drives batch norms' scales to zero, and what they scale is cut away: so the widths were learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses import bce

from .base import Network
from .blocks import GroupedConv, resize_to
from .objectives import Terms, is_number

Split = tuple[int, ...]  # channels of each branch, the highest resolution first
DILATIONS = (1, 2, 4, 8, 16)
#: Channels that were left after pruning: ``stages``, of each block's branches; ``fuse``, of the
#: fusion's first mixture; ``dilations``, of each dilation in each of its branches; ``fused``.
X2 = {
    "stages": [[(13, 10)], [(13, 12), (18, 11), (18, 12)],
               [(28, 21), (34, 22), (31, 29), (51,)],
               [(23, 26), (27, 26), (25, 20), (17, 21), (19, 25), (38,)],
               [(18, 31), (31, 27), (26, 44), (64,)]],
    "fuse": (17, 38, 32), "fused": 79,
    "dilations": [(2, 1, 2, 2, 1), (0, 6, 6, 7, 5), (0, 1, 3, 7, 7)]}
X1 = {
    "stages": [[(8, 10)], [(9, 10), (10, 10), (10, 10)],
               [(19, 13), (19, 17), (20, 12), (34,)],
               [(24, 21), (26, 27), (22, 18), (19, 18), (23, 18), (38,)],
               [(18, 29), (25, 24), (26, 20), (50,)]],
    "fuse": (12, 24, 24), "fused": 60,
    "dilations": [(1, 2, 2, 2, 4), (1, 4, 4, 4, 5), (2, 2, 4, 5, 4)]}


class Conv2dX100(GroupedConv):
    """A convolution by 100 times its weights, which the released code learns faster."""

    in_float32 = True

    def convolve(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * 100, self.bias)


class OctConv(nn.Module):
    """Generalised octave convolution (Sec. 3.1): from all branches to all branches.

    Branches of higher resolution are max-pooled before their part of the convolution, those of
    lower resolution enlarged after it. ``stride`` 2 averages all branches over 2×2 pixels first.
    """

    def __init__(self, before: Split, after: Split, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.before, self.after, self.stride = before, after, stride
        self.weight = nn.Parameter(torch.empty(sum(after), sum(before), kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, before[i], h / 2^i, w / 2^i) → (N, after[j], h / 2^j, w / 2^j)."""
        if self.stride > 1:
            branches = [F.avg_pool2d(x, self.stride) for x in branches]
        rows, columns = ([slice(*ends) for ends in pairwise(accumulate(split, initial=0))]
                         for split in (self.after, self.before))
        return [self._mixed(branches, [self.weight[row, column] for column in columns], level)
                for level, row in enumerate(rows)]

    @staticmethod
    def _mixed(branches: Sequence[Tensor], weights: Sequence[Tensor], level: int) -> Tensor:
        """The output at ``level``: the sum of each branch's part."""
        parts = []
        for own, (x, weight) in enumerate(zip(branches, weights, strict=True)):
            if own < level:
                x = F.max_pool2d(x, 2 ** (level - own))
            part = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
            if own > level:
                part = F.interpolate(part, scale_factor=2 ** (own - level), mode="bilinear",
                                     align_corners=False)
            parts.append(part)
        return sum(parts[1:], parts[0])


class NormPReLU(nn.Module):
    """Batch norm and PReLU of a slope for each channel, for each branch."""

    def __init__(self, split: Split):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in split)
        self.slopes = nn.ModuleList(nn.PReLU(channels) for channels in split)

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Branches → branches of the same shapes."""
        return [slope(norm(x)) for x, norm, slope in
                zip(branches, self.norms, self.slopes, strict=True)]


class Alone(nn.Module):
    """One convolution for each branch.

    Args:
        convs: one for each branch.
    """

    def __init__(self, convs: Sequence[nn.Module]):
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Branches → branches of the same sizes."""
        return [conv(x) for conv, x in zip(self.convs, branches, strict=True)]


class Dilated(nn.Module):
    """Convolutions of one branch that reach ``DILATIONS`` pixels far, concatenated."""

    def __init__(self, in_channels: int, widths: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleDict({
            str(number): Conv2dX100(in_channels, width, 3, padding=dilation, dilation=dilation,
                                    bias=False)
            for number, (dilation, width) in enumerate(zip(DILATIONS, widths, strict=True))
            if width})

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) → (N, sum of the widths, h, w)."""
        return torch.cat([conv(x) for conv in self.convs.values()], dim=1)


def layer(conv: nn.Module, split: Split) -> nn.Sequential:
    """A convolution of branches (``0``) and what follows each (``1``)."""
    return nn.Sequential(conv, NormPReLU(split))


def block(before: Split, after: Split, kernel: int, stride: int) -> nn.Sequential:
    """In-layer multi-scale block (ILBlock): branches mixed, then twice convolved depthwise."""
    def depthwise() -> nn.Sequential:
        return layer(Alone([Conv2dX100(channels, channels, 3, padding=1, groups=channels,
                                       bias=False) for channels in after]), after)

    return nn.Sequential(layer(OctConv(before, after, kernel, stride), after), depthwise(),
                         depthwise())


class CSNetObjective:
    """Cross-entropy, and the dynamic weight decay (Sec. 3.3): scales of batch norms decay as fast
    as the features behind them are strong, until weak channels can be cut away.

    Args:
        variant: has no meaning here: code and paper agree as far as is known.
        decay: weight of the dynamic decay, the paper's λ.
    """

    targets, outputs = ("mask",), ("saliency",)

    def __init__(self, variant: str, decay: float = 3.0):
        if not is_number(decay) or isinstance(decay, str):
            raise TypeError(f"decay is a number, not {decay!r}")
        self.decay = decay

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        strengths: list[Tensor] = []

        def watch(layer: NormPReLU, _: object, branches: Sequence[Tensor]) -> None:
            for norm, features in zip(layer.norms, branches, strict=True):
                strength = features.detach().float().mean(dim=(2, 3)).abs().mean(dim=0)
                strengths.append((strength * norm.weight.float() ** 2).sum() / 2)

        watched = [layer.register_forward_hook(watch) for stages in
                   (module.stages for module in network.modules() if isinstance(module, CSNet))
                   for layer in stages.modules() if isinstance(layer, NormPReLU)]
        try:
            outputs = network(sample["image"])
        finally:
            for hook in watched:
                hook.remove()
        return outputs, {"saliency_bce": bce(outputs["saliency"].float(), sample["mask"]),
                         "decay": self.decay * torch.stack(strengths).sum()}


class CSNet(Network):
    """140 894 parameters with the widths ``X2``, 93 647 with ``X1``.

    Args:
        widths: channels of all layers, see ``X2``.
    """

    released_keys: Mapping[str, str] = {
        r"stage(\d)\.(\d)\.conv1x1\.": r"stages.\1.\2.0.",
        r"stage(\d)\.(\d)\.conv3x3_(\d)\.": r"stages.\1.\2.\3.",
        r"(stages\.\d\.\d\.\d)\.(conv|convs\.\d)\.weight": r"\1.0.\2.weight",
        r"(stages\.\d\.\d\.0\.0)\.conv\.weight": r"\1.weight",
        r"oct_fuse\.ms\.convs\.(\d)\.msconv\.": r"dilate.0.convs.\1.convs.",
        r"oct_fuse\.ms\.convs\.(\d)\.bn\.": r"dilate.1.norms.\1.",
        r"oct_fuse\.ms\.convs\.(\d)\.prelu\.": r"dilate.1.slopes.\1.",
        r"oct_fuse\.fuse\.": "fuse.",
        r"oct_fuse\.fuse1x1\.": "merge.",
        r"(fuse|merge)\.conv\.": r"\1.0.",
        r"(stages\.\d\.\d\.\d|fuse|merge)\.bns\.": r"\1.1.norms.",
        r"(stages\.\d\.\d\.\d|fuse|merge)\.prelus\.": r"\1.1.slopes.",
        r"cls_layer\.": "predict.",
    }
    deepest_module = "stages.4"
    multiple = 16
    objective = CSNetObjective

    def __init__(self, widths: Mapping = X2):
        super().__init__()
        self.stages = nn.ModuleList()
        before: Split = (3,)
        for stage, splits in enumerate(widths["stages"]):
            blocks = []
            for number, after in enumerate(splits):
                strided = stage > 1 and number == 0
                kernel = 3 if strided or stage == 0 else 1
                blocks.append(block(before, after, kernel, 2 if strided else 1))
                before = after
            self.stages.append(nn.Sequential(*blocks))
        deep = tuple(splits[-1][0] for splits in widths["stages"][2:])
        dilated = tuple(map(sum, widths["dilations"]))
        self.fuse = layer(OctConv(deep, widths["fuse"]), widths["fuse"])
        self.dilate = layer(Alone([Dilated(*each) for each in
                                   zip(widths["fuse"], widths["dilations"], strict=True)]), dilated)
        self.merge = layer(OctConv(dilated, (widths["fused"],)), (widths["fused"],))
        self.predict = nn.Conv2d(widths["fused"], 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB, H and W multiples of 16 → logits ``saliency``
        (N, 1, H, W)."""
        branches, deep = [image], []
        for number, stage in enumerate(self.stages):
            branches = stage(branches)
            if number >= 2:
                deep += branches
        merged, = self.merge(self.dilate(self.fuse(deep)))
        return {"saliency": resize_to(self.predict(merged), image, False)}
