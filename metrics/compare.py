"""Two methods on the same images: is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95

#: Measures of which the data set's score is the mean of the images' scores. A maximum over mean
#: curves is none: its differences do not belong to single images.
LINEAR = ("MAE", "wF", "Sm", "AUC", "mBA", "context", "HCE", *(
    f"{kind}{family}" for kind in ("mean", "adp", "bin")
    for family in ("F", "E", "IoU", "Dice", "BER", "accuracy", "specificity", "BIoU", "MSIoU")))


def lower_is_better(measure: str) -> bool:
    """Errors and efforts against scores; ``maxBER`` and its kin too."""
    return measure in ("MAE", "HCE") or measure.endswith("BER")


@dataclass(frozen=True)
class Difference:
    """How method A differs from method B in one measure.

    Attributes:
        a, b: mean scores; ``low`` to ``high`` is the bootstrap interval of a − b.
        wins, losses: images on which A, or B, is better.
        most: the images that differ most, as (name, score of A, score of B).
    """

    measure: str
    a: float
    b: float
    low: float
    high: float
    wins: int
    losses: int
    images: int
    most: list[tuple[str, float, float]]


def compare(a: Mapping[str, Mapping[str, float]], b: Mapping[str, Mapping[str, float]],
            measures: Sequence[str] | None = None, most: int = 10,
            seed: int = 0) -> list[Difference]:
    """Paired differences of two methods.

    Args:
        a, b: image → measure → score, as ``Evaluator.per_image``, over the same images.
        measures: out of ``LINEAR``; by default those that both have.
        most: number of differing images to name.

    Returns:
        One ``Difference`` a measure. The interval holds 95 % of the mean differences over
        10 000 data sets of the same size, drawn with replacement from the images (Efron's
        percentile bootstrap), the same draws for every measure.

    Raises:
        ValueError: different images, or none.
    """
    if a.keys() != b.keys() or not a:
        raise ValueError("two methods are compared on the same images, at least one")
    names = sorted(a)
    first = a[names[0]].keys() & b[names[0]].keys()
    measures = [m for m in LINEAR if m in first] if measures is None else list(measures)
    scores = np.array([[[method[name][m] for m in measures] for name in names]
                       for method in (a, b)])  # (2, images, measures)
    differences = scores[0] - scores[1]
    low, high = bootstrap(differences, seed)
    result = []
    for i, measure in enumerate(measures):
        better = -differences[:, i] if lower_is_better(measure) else differences[:, i]
        order = np.argsort(-abs(better), kind="stable")[:most]
        result.append(Difference(
            measure, float(scores[0, :, i].mean()), float(scores[1, :, i].mean()),
            float(low[i]), float(high[i]), int((better > 0).sum()), int((better < 0).sum()),
            len(names), [(names[k], float(scores[0, k, i]), float(scores[1, k, i]))
                         for k in order if better[k] != 0]))
    return result


def bootstrap(differences: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean of (images, measures): lower and upper ends (measures,)."""
    random = np.random.default_rng(seed)
    images = len(differences)
    means = np.empty((RESAMPLES, differences.shape[1]))
    for i in range(RESAMPLES):
        drawn = np.bincount(random.integers(images, size=images), minlength=images)
        means[i] = drawn @ differences / images
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(means, tail, axis=0), np.quantile(means, 1 - tail, axis=0)
