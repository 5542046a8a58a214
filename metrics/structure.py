"""The S-measure (structure measure; Fan et al., ICCV 2017) from counts, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .counts import Counts, Sample, valued
from .measures import EPS, Levels

ALPHA = 0.5  # weight of the object term against the region term


def s_measure(counts: Counts, levels: Levels, samples: Sequence[Sample]) -> np.ndarray:
    """S (B,) in [0, 1]: α · object + (1 − α) · region, at least 0.

    An empty ground truth gives 1 − the map's mean, a full one the mean.
    """
    mean = levels.mean[:, 0]
    share = (levels.objects / levels.pixels)[:, 0]
    # Eq. 5: how uniform and bright the object is, and the background dark.
    objects = (share * uniformity(levels.foreground, levels.values)
               + (1 - share) * uniformity(levels.background, 1 - levels.values))
    both = np.maximum(0, ALPHA * objects + (1 - ALPHA) * region_term(counts, levels, samples))
    return np.select([share == 0, share == 1], [1 - mean, mean], both)


def uniformity(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """2 x̄ / (x̄² + 1 + σ) of B histograms (B, 256), σ with one degree of freedom less."""
    number = counts.sum(axis=1)
    mean = (counts * values).sum(axis=1) / np.maximum(number, 1)
    squares = (counts * (values - mean[:, None]) ** 2).sum(axis=1)
    deviation = np.sqrt(squares / np.maximum(number - 1, 1))
    return 2 * mean / (mean**2 + 1 + deviation + EPS)


def region_term(counts: Counts, levels: Levels, samples: Sequence[Sample]) -> np.ndarray:
    """Eq. 4: the blocks' structural similarity, weighted by their area, (B,).

    A block's similarity is 4 x̄ ȳ σxy / ((x̄² + ȳ²)(σx² + σy²)) of map x and truth y. A block
    without pixels (the object lies only in the last row or column) has no weight.
    """
    background, foreground = np.moveaxis(counts.blocks, 2, 0).astype(np.float64)
    values = levels.values[:, None, :]
    together = background + foreground
    pixels = together.sum(axis=2)
    number = np.maximum(pixels, 1)
    x = (together * values).sum(axis=2) / number
    y = foreground.sum(axis=2) / number
    _settle_constant_blocks(x, y, together, levels.values, counts, samples)

    deviation = values - x[..., None]
    freedom = pixels - 1 + EPS
    x_variance = (together * deviation**2).sum(axis=2) / freedom
    y_variance = number * y * (1 - y) / freedom
    covariance = ((foreground * deviation).sum(axis=2) * (1 - y)
                  - (background * deviation).sum(axis=2) * y) / freedom
    above = 4 * x * y * covariance
    below = (x**2 + y**2) * (x_variance + y_variance)
    similarity = np.where(above != 0, above / (below + EPS), below == 0)
    return (similarity * pixels).sum(axis=1) / levels.pixels[:, 0]


def _settle_constant_blocks(x: np.ndarray, y: np.ndarray, together: np.ndarray,
                            values: np.ndarray, counts: Counts,
                            samples: Sequence[Sample]) -> None:
    """Set the mean of constant blocks of constant truth to what adding up their pixels gives.

    Their similarity is 1 where that mean equals the constant to the last bit, and else 0. As the
    measure jumps there, the rounding of the plain sum has to be repeated.
    """
    levels = (together > 0).sum(axis=2)
    constant = (levels == 1) & ((y == 0) | (y == 1))
    for i, block in zip(*np.nonzero(constant), strict=True):
        if values[i, together[i, block].argmax()] in (0, 1):
            continue
        row, column = counts.splits[i]
        rows = slice(0, row) if block < 2 else slice(row, None)
        columns = slice(0, column) if block % 2 == 0 else slice(column, None)
        x[i, block] = valued(samples[i][0], values[i])[rows, columns].mean()
