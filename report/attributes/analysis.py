"""Scores of single images held against their attributes, as records: a mapping for each number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from metrics import lower_is_better

from .kept import SetAttributes
from .statistics import groups_of, mean_interval, pearson, spearman
from .table import ATTRIBUTES

#: Image → measure → score, as ``Evaluator.per_image``.
Scores = Mapping[str, Mapping[str, float]]


def correlations(method: str, scores: Scores, attributes: SetAttributes,
                 measures: Sequence[str]) -> list[dict]:
    """Of every attribute with every measure: ``method, measure, attribute, images, pearson,
    spearman``; NaN where an attribute or a measure does not vary."""
    records = []
    for name, images, values in _columns(scores, attributes):
        for measure, column in zip(measures, _matrix(scores, images, measures).T, strict=True):
            records.append({"method": method, "measure": measure, "attribute": name,
                            "images": len(images), "pearson": pearson(values, column),
                            "spearman": spearman(values, column)})
    return records


def group_means(method: str, scores: Scores, attributes: SetAttributes,
                measures: Sequence[str]) -> list[dict]:
    """Mean scores of the groups of every attribute (see ``groups_of``): ``method, attribute, group,
    values, from, to, middle, images, measure, mean, low, high``, the last two the ends of the 95 %
    interval. Groups are numbered from 1."""
    records = []
    for name, images, values in _columns(scores, attributes):
        matrix = _matrix(scores, images, measures)
        for number, group in enumerate(groups_of(ATTRIBUTES[name], values), start=1):
            own = matrix[group.members]
            means, (low, high) = own.mean(axis=0), mean_interval(own)
            records += [{"method": method, "attribute": name, "group": number,
                         "values": group.label, "from": group.low, "to": group.high,
                         "middle": group.middle, "images": len(own), "measure": measure,
                         "mean": float(means[i]), "low": float(low[i]), "high": float(high[i])}
                        for i, measure in enumerate(measures)]
    return records


def advantages(a: Scores, b: Scores, measures: Sequence[str]) -> dict[str, dict[str, float]]:
    """Image → measure → by how much A is better than B, of the images that both have: A − B, of
    errors B − A."""
    return {image: {measure: (-1 if lower_is_better(measure) else 1)
                    * (a[image][measure] - b[image][measure]) for measure in measures}
            for image in a if image in b}


def ranked(records: Sequence[Mapping]) -> list[Mapping]:
    """Correlations, the strongest Spearman first; without those that are not defined."""
    known = [record for record in records if not math.isnan(record["spearman"])]
    return sorted(known, key=lambda record: -abs(record["spearman"]))


def _columns(scores: Scores, attributes: SetAttributes) -> list[tuple[str, list[str], np.ndarray]]:
    """Name, images and values (N,) of each attribute, of the scored images that have it."""
    columns = []
    for name in ATTRIBUTES:
        values = attributes.column(name, list(scores))
        images = [image for image, value in zip(scores, values, strict=True)
                  if not math.isnan(value)]
        if images:
            columns.append((name, images, values[~np.isnan(values)]))
    return columns


def _matrix(scores: Scores, images: Sequence[str], measures: Sequence[str]) -> np.ndarray:
    """Scores float64 (images, measures)."""
    return np.array([[scores[image][measure] for measure in measures] for image in images],
                    dtype=np.float64).reshape(len(images), len(measures))
