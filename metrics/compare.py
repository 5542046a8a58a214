"""Two methods on the same images: is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .table import MEASURES, lower_is_better

RESAMPLES = 10_000
CONFIDENCE = 0.95
MOST = 10  # images to name that differ most
#: Columns are compared in this order, those without such a beginning before all others.
_KINDS = {"mean": 1, "adp": 2, "bin": 3}


@dataclass(frozen=True)
class Difference:
    """How method A differs from method B in one column of their scores.

    Attributes:
        a, b: mean scores; ``low`` to ``high`` is the bootstrap interval of a − b, NaN of one image,
            which does not tell how far others may lie.
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


def linear_columns() -> list[str]:
    """The columns that can be compared image by image, see ``Measure.linear``."""
    columns = {column: _KINDS.get(column.removesuffix(measure.name), 0)
               for measure in MEASURES.values() for column in measure.linear}
    return sorted(columns, key=columns.get)


def compare(a: Mapping[str, Mapping[str, float]],
            b: Mapping[str, Mapping[str, float]]) -> list[Difference]:
    """Paired differences of two methods.

    Args:
        a, b: image → measure → score, as ``Evaluator.per_image``, over the same images.

    Returns:
        One ``Difference`` for each of ``linear_columns()`` that both have. The interval holds 95 %
        of the mean differences over 10 000 data sets of the same size, drawn with replacement from
        the images (Efron's percentile bootstrap), the same draws for every measure.

    Raises:
        ValueError: different images, or none.
    """
    if a.keys() != b.keys() or not a:
        raise ValueError("two methods are compared on the same images, at least one")
    names = sorted(a)
    first = a[names[0]].keys() & b[names[0]].keys()
    measures = [column for column in linear_columns() if column in first]
    scores = np.array([[[method[name][m] for m in measures] for name in names]
                       for method in (a, b)])  # (2, images, measures)
    differences = scores[0] - scores[1]
    low, high = bootstrap(differences)
    result = []
    for i, measure in enumerate(measures):
        better = -differences[:, i] if lower_is_better(measure) else differences[:, i]
        order = np.argsort(-abs(better), kind="stable")[:MOST]
        result.append(Difference(
            measure, float(scores[0, :, i].mean()), float(scores[1, :, i].mean()),
            float(low[i]), float(high[i]), int((better > 0).sum()), int((better < 0).sum()),
            len(names), [(names[k], float(scores[0, k, i]), float(scores[1, k, i]))
                         for k in order if better[k] != 0]))
    return result


def bootstrap(differences: np.ndarray) -> np.ndarray:
    """Percentile interval of the mean of (images, measures): lower and upper ends (2, measures),
    NaN of one image."""
    random = np.random.default_rng(0)
    images = len(differences)
    if images == 1:
        return np.full((2, differences.shape[1]), np.nan)
    means = np.empty((RESAMPLES, differences.shape[1]))
    for i in range(RESAMPLES):
        drawn = np.bincount(random.integers(images, size=images), minlength=images)
        means[i] = drawn @ differences / images
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(means, (tail, 1 - tail), axis=0)
