"""MAE and F-measure from a joint histogram, in float64, equal to PySODMetrics 1.6.2.

Edge cases as there: an empty ground truth has F = 0 at every threshold and counts in the means;
a constant map cannot be stretched and keeps its value; 0/0 in precision or recall is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BETA2 = 0.3  # Achanta et al., CVPR 2009: precision weighs more than recall


@dataclass(frozen=True)
class ImageScores:
    """Scores of one map. ``f_curve`` (256,) float64: entry k is the threshold 255 − k."""

    mae: float
    f_curve: np.ndarray
    adaptive_f: float


def normalised_levels(counts: np.ndarray) -> np.ndarray:
    """(256,) float64: the value that each byte of this map has after min–max normalisation.

    The operations and their order are PySODMetrics', so that the values, and what is rounded
    from them, are the same float64 numbers.
    """
    present = np.flatnonzero(counts.sum(axis=0))
    levels = np.arange(256) / 255
    low, high = levels[present[0]], levels[present[-1]]
    return (levels - low) / (high - low) if high != low else levels


def f_measure(true_positives: np.ndarray, positives: np.ndarray, foreground: int) -> np.ndarray:
    """F = (1 + β²) P R / (β² P + R), with P = TP / positives, R = TP / foreground; 0/0 is 0."""
    precision = true_positives / np.maximum(positives, 1)
    recall = true_positives / max(foreground, 1)
    numerator = (1 + BETA2) * precision * recall
    denominator = BETA2 * precision + recall
    return np.where(numerator == 0, 0.0, numerator / np.where(numerator == 0, 1.0, denominator))


def score_histogram(counts: np.ndarray) -> ImageScores:
    """All measures of one map from its joint histogram (2, 256), see ``joint_histogram``."""
    background, foreground = counts
    total, objects = int(counts.sum()), int(foreground.sum())
    levels = normalised_levels(counts)
    present = counts.sum(axis=0) > 0

    mae = (background[present] @ levels[present]
           + foreground[present] @ (1 - levels[present])) / total

    # Thresholds 255, 254, …, 0 on the map rounded down to bytes, "at least" the threshold.
    levels_present = np.where(present, levels, 0.0)
    bins = (levels_present * 255).astype(np.uint8)
    by_threshold = np.stack([np.bincount(bins, weights=row, minlength=256) for row in counts])
    reached = by_threshold[:, ::-1].cumsum(axis=1)
    f_curve = f_measure(reached[1], reached.sum(axis=0), objects)

    mean = (counts.sum(axis=0)[present] @ levels[present]) / total
    selected = present & (levels >= min(2 * mean, 1.0))
    hits = float(foreground[selected].sum())
    adaptive = f_measure(np.array(hits), np.array(float(counts[:, selected].sum())), objects)
    return ImageScores(float(mae), f_curve, float(adaptive))


class Scores:
    """Means over the maps of a data set: curves are averaged first, then maximised."""

    def __init__(self) -> None:
        self.images = 0
        self._mae = 0.0
        self._adaptive_f = 0.0
        self._f_curve = np.zeros(256)

    def add(self, image: ImageScores) -> None:
        """Count one map in."""
        self.images += 1
        self._mae += image.mae
        self._adaptive_f += image.adaptive_f
        self._f_curve += image.f_curve

    @property
    def f_curve(self) -> np.ndarray:
        """Mean F (256,) over the maps; entry k is the threshold 255 − k."""
        return self._f_curve / self.images

    def summary(self) -> dict[str, float]:
        """MAE, maxF, meanF and adpF, floats in [0, 1].

        Raises:
            ValueError: no map was added.
        """
        if self.images == 0:
            raise ValueError("no maps were scored")
        return {
            "MAE": self._mae / self.images,
            "maxF": float(self.f_curve.max()),
            "meanF": float(self.f_curve.mean()),
            "adpF": self._adaptive_f / self.images,
        }
