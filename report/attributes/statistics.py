"""An attribute against scores: correlations, and means of groups with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metrics.compare import CONFIDENCE

from .table import FLAG, Attribute

RESAMPLES = 2000  # of the bootstrap
FEWEST = 3  # images of which a correlation is given
DECIMALS = 12  # to which values are told apart: Sm of perfect maps is 1 to the 14th or so
_BLOCK = 2**22  # numbers that are drawn at a time


@dataclass(frozen=True)
class Group:
    """Images with like values of an attribute.

    Attributes:
        label: of its values, such as ``0.02 – 0.09``, or ``yes``.
        low, high, middle: smallest, largest and median value.
        members: indices into the values that were grouped.
    """

    label: str
    low: float
    high: float
    middle: float
    members: np.ndarray


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of (N,) and (N,), in [-1, 1]; NaN for fewer than three, or where one
    does not vary by more than ``DECIMALS`` tell."""
    if len(x) < FEWEST:
        return math.nan
    if 0 in (np.ptp(np.round(x, DECIMALS)), np.ptp(np.round(y, DECIMALS))):
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return float(np.clip(x @ y / scale, -1, 1))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation: Pearson's of the ranks."""
    return pearson(ranks(x), ranks(y))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, float64 (N,); values that are the same in ``DECIMALS`` share the mean of
    theirs."""
    _, which, counts = np.unique(np.round(values, DECIMALS), return_inverse=True,
                                 return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which]


def groups_of(attribute: Attribute, values: np.ndarray) -> list[Group]:
    """Images by flag, or by quartile: up to the first quartile, above it up to the median, and so
    on. Equal values are never parted, so that there are fewer groups where many are equal.

    Args:
        values: float64 (N,); NaN belong to no group.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return []
    cuts = [0.5] if attribute.kind == FLAG else \
        np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="inverted_cdf"))
    group = np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="left"))
    return [_group(attribute, values, np.flatnonzero(group == number))
            for number in range(len(cuts) + 1) if (group == number).any()]


def _group(attribute: Attribute, values: np.ndarray, members: np.ndarray) -> Group:
    own = values[members]
    low, high = float(own.min()), float(own.max())
    if attribute.kind == FLAG:
        label = "yes" if low else "no"
    else:
        label = brief(low) if low == high else f"{brief(low)} – {brief(high)}"
    return Group(label, low, high, float(np.median(own)), members)


def brief(value: float) -> str:
    """Three digits; four decimals of what is smaller than 0.001."""
    return f"{value:.4f}" if 0 < value < 0.001 else f"{value:.3g}"


def mean_interval(scores: np.ndarray) -> np.ndarray:
    """Interval of the means of (N, M) scores that holds 95 % of the means of samples of the same
    size, drawn with replacement (Efron's percentile bootstrap): lower and upper ends (2, M). NaN
    of one image, which does not tell how far others may lie.

    The draws depend on N alone: the same scores give the same interval, and all columns share
    their draws.
    """
    count = len(scores)
    if count == 1:
        return np.full((2, scores.shape[1]), math.nan)
    random, means, done = np.random.default_rng(0), [], 0
    while done < RESAMPLES:
        part = min(RESAMPLES - done, max(1, _BLOCK // count))
        drawn = random.integers(count, size=(part, count)) + count * np.arange(part)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=part * count).reshape(part, count)
        means.append(weights.astype(np.float64) @ scores / count)
        done += part
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(np.concatenate(means), (tail, 1 - tail), axis=0)
