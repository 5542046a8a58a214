"""Counts and weighted errors of many maps at once, on a torch device.

They equal those of ``counts.count`` and ``weighted.weighted_errors``: counts are integers, errors
float64. Maps of a batch may differ in size; they are padded to the largest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .counts import Counts, Sample
from .measures import Levels
from .weighted import HALVING, REACH, gaussian

#: Elements of the largest temporary array, by device type.
BUDGET = {"cuda": 2**27, "cpu": 2**22}


class TorchBatch:
    """Maps on a device.

    Args:
        samples: pairs of prediction and truth, uint8 (H, W).
        foreground_above, split_offset: see ``profiles.Profile``.
    """

    def __init__(self, samples: Sequence[Sample], device: torch.device | str,
                 foreground_above: int, split_offset: int):
        self.device = torch.device(device)
        self.split_offset = split_offset
        self.shapes = np.array([prediction.shape for prediction, _ in samples])
        size = (len(samples), *self.shapes.max(axis=0).tolist())
        self.prediction = self._stack([prediction for prediction, _ in samples], size)
        self.foreground = self._stack([truth for _, truth in samples], size) > foreground_above
        heights, widths = self._to_device(self.shapes).T
        _, height, width = size
        self.rows = torch.arange(height, device=self.device)
        self.columns = torch.arange(width, device=self.device)
        self.inside = ((self.rows < heights[:, None])[:, :, None]
                       & (self.columns < widths[:, None])[:, None, :])
        self.foreground &= self.inside

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _stack(self, maps: Sequence[np.ndarray], size: tuple[int, int, int]) -> Tensor:
        """Pad on the host and send once."""
        stack = np.zeros(size, np.uint8)
        for padded, image in zip(stack, maps, strict=True):
            padded[:image.shape[0], :image.shape[1]] = image
        return self._to_device(stack)

    def count(self) -> Counts:
        """See ``counts.count``."""
        number = len(self.prediction)
        sides = self._to_device(self.shapes)
        lines = (self.foreground.sum(dim=2), self.foreground.sum(dim=1))
        objects = lines[0].sum(dim=1)
        centres = torch.stack([(line.double() * torch.arange(line.shape[1], device=self.device))
                               .sum(dim=1) / objects.clamp(min=1) for line in lines], dim=1)
        splits = torch.minimum(centres.round().long() + self.split_offset, sides)
        splits *= (objects > 0)[:, None]
        cells = self.prediction.int() + 256 * self.foreground
        cells += 512 * (self.columns >= splits[:, 1:])[:, None, :]
        cells += 1024 * (self.rows >= splits[:, :1])[:, :, None]
        cells += 2048 * torch.arange(number, device=self.device, dtype=torch.int32)[:, None, None]
        cells.masked_fill_(~self.inside, 2048 * number)
        counts = torch.bincount(cells.flatten(), minlength=2048 * number + 1)[:-1]
        return Counts(counts.view(number, 4, 2, 256).cpu().numpy(), self.shapes,
                      splits.cpu().numpy())

    def weighted_errors(self, levels: Levels) -> np.ndarray:
        """See ``weighted.weighted_errors``."""
        number, height, width = self.prediction.shape
        values = self._to_device(levels.values).gather(1, self.prediction.flatten(1).long())
        values = values.view(number, height, width).masked_fill_(~self.inside, 0)
        squared, row, column = nearest(self.foreground)

        weight = 2 - torch.exp(math.log(0.5) / HALVING * squared.double().sqrt())
        beside = (values * weight).masked_fill_(self.foreground, 0).sum(dim=(1, 2))

        error = torch.where(self.foreground, 1 - values, 0.0)
        near = error.flatten(1).gather(1, (row * width + column).flatten(1))
        near = near.view(number, 1, height, width).masked_fill_(~self.inside[:, None], 0)
        kernel = self._to_device(gaussian())
        smooth = F.conv2d(F.conv2d(near, kernel.view(1, 1, 1, -1), padding=(0, REACH)),
                          kernel.view(1, 1, -1, 1), padding=(REACH, 0))[:, 0]
        on_object = torch.minimum(smooth, error).sum(dim=(1, 2))
        errors = torch.stack([on_object, beside], dim=1).cpu().numpy()
        return errors * (levels.objects > 0)


def nearest(foreground: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distance to, row and column of the nearest object pixel, int64 (B, H, W).

    First within each column, then over the columns of a row; of equal distances the smaller
    column wins, then the smaller row, as in SciPy's transform. A map without object gets numbers
    without meaning.
    """
    number, height, width = foreground.shape
    beyond = height + width  # farther than any pixel
    rows = torch.arange(height, device=foreground.device)[None, :, None]
    above = torch.where(foreground, rows, -beyond).cummax(dim=1).values
    below = torch.where(foreground, rows, height + beyond).flip(1).cummin(dim=1).values.flip(1)
    row = torch.where(rows - above <= below - rows, above, below)
    down = (row - rows).square().view(-1, width)

    # Distance and column in one number, so that the minimum settles ties.
    largest = (4 * beyond**2 + width**2) * width
    dtype = torch.int32 if largest < 2**31 else torch.int64
    columns = torch.arange(width, device=foreground.device, dtype=dtype)
    across = (columns[:, None] - columns).square() * width + columns
    down = (down * width).to(dtype)
    taken = foreground.any(dim=1).any(dim=0)  # columns with an object pixel on any of the maps
    down, across = (down[:, taken], across[:, taken]) if taken.any() else (down, across)
    lines = max(1, BUDGET.get(foreground.device.type, BUDGET["cpu"]) // (width * across.shape[1]))
    best = torch.empty(len(down), width, dtype=dtype, device=foreground.device)
    for start in range(0, len(down), lines):
        part = slice(start, start + lines)
        torch.amin(down[part, None, :] + across, dim=2, out=best[part])
    best = best.long().view(number, height, width)
    column = best % width
    return best // width, row.gather(2, column).clamp(0, height - 1), column
