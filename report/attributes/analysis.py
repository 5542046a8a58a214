"""Scores of single images held against their attributes, as records: a mapping for each number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import compress

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
    for name in ATTRIBUTES:
        values = attributes.column(name, list(scores))
        known = ~np.isnan(values)
        images, values = list(compress(scores, known)), values[known]
        if not images:
            continue
        for measure, column in zip(measures, _matrix(scores, images, measures).T, strict=True):
            records.append({"method": method, "measure": measure, "attribute": name,
                            "images": len(images), "pearson": pearson(values, column),
                            "spearman": spearman(values, column)})
    return records


def group_means(method: str, scores: Scores, attributes: SetAttributes,
                measures: Sequence[str]) -> list[dict]:
    """Mean scores of the groups of every attribute (see ``groups_of``): ``method, attribute, group,
    values, from, to, middle, images, measure, mean, low, high``, the last two the ends of the 95 %
    interval.

    The groups, numbered from 1, are of all images that have the attribute, so that they are the
    same for every method; ``images`` are those of the group that the method has scores of, and a
    group without any has no record.
    """
    records, names = [], list(attributes.values)
    for attribute in ATTRIBUTES.values():
        groups = groups_of(attribute, attributes.column(attribute.name, names))
        for number, group in enumerate(groups, start=1):
            images = [names[i] for i in group.members if names[i] in scores]
            if not images:
                continue
            matrix = _matrix(scores, images, measures)
            means, (low, high) = matrix.mean(axis=0), mean_interval(matrix)
            records += [{"method": method, "attribute": attribute.name, "group": number,
                         "values": group.label, "from": group.low, "to": group.high,
                         "middle": group.middle, "images": len(images), "measure": measure,
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


def _matrix(scores: Scores, images: Sequence[str], measures: Sequence[str]) -> np.ndarray:
    """Scores float64 (images, measures)."""
    return np.array([[scores[image][measure] for measure in measures] for image in images],
                    dtype=np.float64).reshape(len(images), len(measures))
