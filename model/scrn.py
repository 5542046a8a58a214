"""SCRN: Stacked Cross Refinement Network for Edge-Aware Salient Object Detection.

Wu, Su and Huang, ICCV 2019. Four levels of a trunk become features of the object and features of
its edge. Stacked units refine both at once by what the other task found: saliency features are
joined with edge features of their level and all deeper ones, edge features are multiplied with
those of saliency, since an edge lies where all of them see the object. Either task is then decoded
from deep to shallow; no activation stands outside of the trunk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations, product

import torch
from torch import Tensor, nn

from . import trunks
from .base import Network
from .blocks import conv_norm, draw_convolutions, draw_small, resize_to
from .trunks.resnet import released_trunk

WIDTH = 32  # channels of all features behind the trunk
TASKS = ("saliency", "edge")
LEVELS = "1234"  # from shallow to deep, at 1/4 to 1/32
#: Task, level and deeper level of each feature that a unit enlarges, in the released order.
DEEPER = [(task, *levels) for task, levels in product(TASKS, combinations(LEVELS, 2))]

Levels = Mapping[str, Tensor]  # level → (N, 32, ·, ·)


def square(in_channels: int, out_channels: int = WIDTH) -> nn.Sequential:
    """3×3 convolution that keeps height and width, batch norm."""
    return conv_norm(in_channels, out_channels, 3, padding=1)


class CrossRefinement(nn.Module):
    """A unit (the paper's CRU). Both tasks get what the other had before the unit."""

    def __init__(self):
        super().__init__()
        self.enlarge = nn.ModuleDict({"".join(names): conv_norm(WIDTH, WIDTH, 1)
                                      for names in DEEPER})
        self.join = nn.ModuleDict()
        for task, level in product(TASKS, LEVELS):
            joined = 1 + len(LEVELS[int(level) - 1:]) if task == "saliency" else 1
            self.join[task + level] = nn.Sequential(square(joined * WIDTH), square(WIDTH))

    def others(self, task: str, level: str, features: Levels) -> list[Tensor]:
        """The other task's features that ``task`` gets at ``level``, all (N, 32, h, w)."""
        here = features[level]
        return [here, *(self.enlarge[task + level + deeper](resize_to(x, here, True))
                        for deeper, x in features.items() if deeper > level)]

    def forward(self, saliency: Levels, edge: Levels) -> tuple[Levels, Levels]:
        """The features of both tasks → the same, refined."""
        def joined(level: str, x: Tensor) -> Tensor:
            return self.join["saliency" + level](
                torch.cat([x, *self.others("saliency", level, edge)], dim=1))

        def common(level: str, x: Tensor) -> Tensor:
            return self.join["edge" + level](
                math.prod(self.others("edge", level, saliency), start=x))

        return ({level: x + joined(level, x) for level, x in saliency.items()},
                {level: x + common(level, x) for level, x in edge.items()})


class Decoder(nn.Module):
    """Joins four levels from deep to shallow, in three steps, and predicts (the code's
    ConcatOutput)."""

    def __init__(self):
        super().__init__()
        self.enlarge = nn.ModuleDict({step: square(WIDTH) for step in "123"})
        self.join = nn.ModuleDict({
            step: nn.Sequential(square(2 * WIDTH, 2 * WIDTH), conv_norm(2 * WIDTH, WIDTH, 1))
            for step in "123"})
        self.predict = nn.Sequential(square(WIDTH), nn.Conv2d(WIDTH, 1, 1))

    def forward(self, features: Levels) -> Tensor:
        """Four levels → logits (N, 1, h, w) at the size of the shallowest."""
        x, *shallower = reversed(features.values())
        for step, lateral in zip("123", shallower, strict=True):
            deep = self.enlarge[step](resize_to(x, lateral, True))
            x = self.join[step](torch.cat([lateral, deep], dim=1))
        return self.predict(x)


class SCRN(Network):
    """25 226 498 parameters on ResNet-50.

    Args:
        trunk: a name in ``trunks``.
        units: how many refinements are stacked.
        trunk_options: of the trunk.
    """

    released_keys: Mapping[str, str] = released_trunk("resnet") | {
        r"reduce_s(\d)\.reduce\.": r"reduce.saliency\1.",
        r"reduce_e(\d)\.reduce\.": r"reduce.edge\1.",
        r"df(\d)\.": r"units.\1.",
        **{rf"(units\.\d)\.conv{number}\.conv\.": rf"\1.enlarge.{''.join(names)}."
           for number, names in enumerate(DEEPER, start=1)},
        **{rf"(units\.\d)\.conv_f{number}\.": rf"\1.join.{task}{level}."
           for number, (task, level) in enumerate(product(TASKS, LEVELS), start=1)},
        r"output_s\.": "decode.saliency.",
        r"output_e\.": "decode.edge.",
        r"(decode\.\w+)\.conv_upsample(\d)\.": r"\1.enlarge.\2.",
        r"(decode\.\w+)\.conv_cat(\d)\.": r"\1.join.\2.",
        r"(decode\.\w+)\.output\.": r"\1.predict.",
        r"(.+)\.conv_bn\.0\.": r"\1.conv.",
        r"(.+)\.conv_bn\.1\.": r"\1.bn.",
    }

    def __init__(self, trunk: str = "resnet50", units: int = 4, **trunk_options):
        super().__init__()
        self.trunk = trunks.build(trunk, trunks.levels(trunk, (4, 8, 16, 32)), **trunk_options)
        self.reduce = nn.ModuleDict({
            task + level: nn.Sequential(conv_norm(channels, WIDTH, 1), square(WIDTH), square(WIDTH))
            for task in TASKS for level, channels in zip(LEVELS, self.trunk.widths, strict=True)})
        self.units = nn.ModuleDict({str(unit): CrossRefinement() for unit in range(1, units + 1)})
        self.decode = nn.ModuleDict({task: Decoder() for task in TASKS})
        draw_convolutions(self, draw_small)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) normalised RGB → logits (N, 1, H, W): ``saliency``, and ``edge`` of the
        object's outline."""
        stages = dict(zip(LEVELS, self.trunk.maps(image), strict=True))
        saliency, edge = ({level: self.reduce[task + level](x) for level, x in stages.items()}
                          for task in TASKS)
        for unit in self.units.values():
            saliency, edge = unit(saliency, edge)
        return {task: resize_to(self.decode[task](features), image, True)
                for task, features in zip(TASKS, (saliency, edge), strict=True)}
