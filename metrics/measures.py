"""Measures of maps from their counts, in float64, image by image.

MAE, the F and E curves, the overlap measures and AUC are exact functions of how often each byte
meets foreground and background. Every function takes B maps at once. Definitions and edge cases:
docs/evaluation.md; 0/0 is 0 throughout, as in PySODMetrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .counts import Counts, Sample, valued

EPS = np.spacing(1.0)
BETA2 = 0.3  # Achanta et al., CVPR 2009: precision weighs more than recall


@dataclass(frozen=True)
class Levels:
    """What the bytes of B maps mean.

    Attributes:
        background, foreground: (B, 256) float64 counts of each byte.
        present: (B, 256) bool: bytes that occur.
        values: (B, 256) float64: the value of each byte in [0, 1]; 0 where it does not occur.
        low, high: (B, 1) smallest and largest byte, 0 and 255 where the map is not stretched.
        pixels, objects: (B, 1) float64: number of pixels, and of foreground pixels.
        mean: (B, 1) float64: mean value of the map.
    """

    background: np.ndarray
    foreground: np.ndarray
    present: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pixels: np.ndarray
    objects: np.ndarray
    mean: np.ndarray


def levels_of(counts: Counts, stretch: bool = True) -> Levels:
    """The value of each byte, after each map is stretched by its own minimum and maximum.

    The operations and their order are those of MATLAB's mapminmax(im2double(map)), so that the
    values are the same float64 numbers, and so is what is rounded from them. A
    constant map cannot be stretched and keeps its value.
    """
    background, foreground = np.moveaxis(counts.blocks.sum(axis=1), 1, 0).astype(np.float64)
    together = background + foreground
    present = together > 0
    low = present.argmax(axis=1)[:, None]
    high = 255 - present[:, ::-1].argmax(axis=1)[:, None]
    unstretched = (low == high) | (not stretch)
    low, high = np.where(unstretched, 0, low), np.where(unstretched, 255, high)
    values = np.arange(256) / 255
    values = (values - values[low]) / (values[high] - values[low])
    values = np.where(present, values, 0.0)
    pixels = together.sum(axis=1, keepdims=True)
    objects = foreground.sum(axis=1, keepdims=True)
    mean = (together * values).sum(axis=1, keepdims=True) / pixels
    return Levels(background, foreground, present, values, low, high, pixels, objects, mean)


@dataclass(frozen=True)
class Confusion:
    """Pixels selected at each of T thresholds: (B, T) float64 true and false positives."""

    true: np.ndarray
    false: np.ndarray
    objects: np.ndarray  # (B, 1) foreground pixels
    pixels: np.ndarray  # (B, 1) all pixels


def at_thresholds(levels: Levels, cuts: int = 256, strict: bool = False) -> Confusion:
    """Selections at the thresholds k / (cuts − 1), k = cuts − 1, …, 0, which are columns 0, 1, ….

    A pixel is selected when its value is at least the threshold, or, ``strict``, above it.
    """
    # The largest k at or, ``strict``, below the value; exact integers, −1 where there is none.
    top = ((np.arange(256) - levels.low) * (cuts - 1) - strict) // (levels.high - levels.low)
    if cuts == 256 and not strict:
        top = (levels.values * 255).astype(np.uint8)  # as PySODMetrics rounds
    top = np.where(levels.present, top, -1).astype(np.int64) + 1
    maps = np.arange(len(top))[:, None] * (cuts + 1)

    def reached(histogram: np.ndarray) -> np.ndarray:
        by_top = np.bincount((top + maps).ravel(), weights=histogram.ravel(),
                             minlength=len(top) * (cuts + 1))
        return by_top.reshape(len(top), cuts + 1)[:, :0:-1].cumsum(axis=1)

    return Confusion(reached(levels.foreground), reached(levels.background), levels.objects,
                     levels.pixels)


def at_selection(levels: Levels, selected: np.ndarray) -> Confusion:
    """One selection a map, given as the bytes that it takes: (B, 256) bool."""
    return Confusion((levels.foreground * selected).sum(axis=1, keepdims=True),
                     (levels.background * selected).sum(axis=1, keepdims=True),
                     levels.objects, levels.pixels)


def adaptive(levels: Levels, samples: Sequence[Sample], strict: bool = False,
             capped: bool = True) -> Confusion:
    """Selection at twice the map's mean, at most 1 if ``capped``."""
    threshold = 2 * levels.mean
    # Where a level coincides with the threshold, the last bit of the mean decides. It is taken
    # of the pixels then, added up in their order, as every tool does.
    close = (levels.present & (abs(levels.values - threshold) < 1e-9)).any(axis=1)
    for i in np.flatnonzero(close):
        threshold[i] = 2 * valued(samples[i][0], levels.values[i]).mean()
    if capped:
        threshold = np.minimum(threshold, 1.0)
    selected = levels.values > threshold if strict else levels.values >= threshold
    return at_selection(levels, selected & levels.present)


def mae(levels: Levels) -> np.ndarray:
    """Mean absolute error (B,), in [0, 1]."""
    errors = levels.background * levels.values + levels.foreground * (1 - levels.values)
    return errors.sum(axis=1) / levels.pixels[:, 0]


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, where=denominator != 0,
                     out=np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape)))


def precision(c: Confusion, of_none: float = 0.0) -> np.ndarray:
    """TP / (TP + FP), (B, T); ``of_none`` where nothing is selected."""
    selected = c.true + c.false
    return np.where(selected > 0, ratio(c.true, selected), of_none)


def recall(c: Confusion) -> np.ndarray:
    """TP / (TP + FN), (B, T)."""
    return ratio(c.true, c.objects)


def f_of(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """F = (1 + β²) P R / (β² P + R)."""
    return ratio((1 + BETA2) * precision * recall, BETA2 * precision + recall)


def f_measure(c: Confusion) -> np.ndarray:
    """F-measure (B, T); 0 where nothing of the object is selected, or there is none."""
    return f_of(precision(c), recall(c))


def e_measure(c: Confusion) -> np.ndarray:
    """Enhanced-alignment measure (B, T), Fan et al., IJCAI 2018.

    With a and b the selection and the truth minus their means, the alignment of a pixel is
    2ab / (a² + b²), and E the sum of (alignment + 1)² / 4. Four kinds of pixels have one alignment
    each. The sum is divided by one pixel less than the map has, as published, so the measure can
    exceed 1 slightly.
    """
    selected = c.true + c.false
    of_map, of_truth = selected / c.pixels, c.objects / c.pixels
    total = np.zeros_like(selected)
    for number, a, b in (
            (c.true, 1 - of_map, 1 - of_truth), (c.false, 1 - of_map, -of_truth),
            (c.objects - c.true, -of_map, 1 - of_truth),
            (c.pixels - selected - (c.objects - c.true), -of_map, -of_truth)):
        alignment = 2 * (a * b) / (a**2 + b**2 + EPS)
        total += (alignment + 1) ** 2 / 4 * number
    total = np.where(c.objects == 0, c.pixels - selected, total)
    total = np.where(c.objects == c.pixels, selected, total)
    return total / (c.pixels - 1 + EPS)


def iou(c: Confusion) -> np.ndarray:
    """TP / (TP + FP + FN), (B, T)."""
    return ratio(c.true, c.objects + c.false)


def dice(c: Confusion) -> np.ndarray:
    """2 TP / (2 TP + FP + FN), (B, T)."""
    return ratio(2 * c.true, c.true + c.false + c.objects)


def specificity(c: Confusion) -> np.ndarray:
    """TN / (TN + FP), (B, T)."""
    background = c.pixels - c.objects
    return ratio(background - c.false, background)


def ber(c: Confusion) -> np.ndarray:
    """Balanced error rate 1 − (TP / (TP + FN) + TN / (TN + FP)) / 2, (B, T)."""
    return 1 - 0.5 * (recall(c) + specificity(c))


def accuracy(c: Confusion) -> np.ndarray:
    """Overall accuracy (TP + TN) / all, (B, T)."""
    return (c.true + c.pixels - c.objects - c.false) / c.pixels


def auc(c: Confusion) -> np.ndarray:
    """Area under recall against the false positive rate (B,), by trapezoids from (0, 0)."""
    hit, alarm = (np.pad(rate, ((0, 0), (1, 0)))
                  for rate in (recall(c), ratio(c.false, c.pixels - c.objects)))
    return ((hit[:, 1:] + hit[:, :-1]) / 2 * np.diff(alarm, axis=1)).sum(axis=1)
