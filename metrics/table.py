"""The table of measures: names, columns, definitions and sources, each in one place.

P is the map in [0, 1], G the ground truth; TP, FP, TN and FN are the pixels of a selection. All
definitions with their edge cases: docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import boundary, measures
from .batch import Batch, PixelMap
from .context import context_measure
from .effort import correction_effort
from .measures import Confusion
from .structure import s_measure
from .weighted import weighted_f

#: Name → numbers (B,) or curves (B, T) of B maps, float64.
Results = dict[str, np.ndarray]


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        name: what ``eval.py --measures`` and ``Evaluator(measures=…)`` call it.
        columns: what a table of scores shows of it, in this order.
        compute: the numbers and curves of a batch of maps, by name. A curve over thresholds has
            the measure's name; the columns ``max<name>`` and ``mean<name>`` are made of it.
        source: the paper and the formula.
        lower_is_better: whether it is an error or an effort.
        core: whether it is one of the five that are scored when nothing else is asked for.
        pixelwise: whether it depends on the values of pixels in map and truth alone, not on where
            they lie, so that it is defined on a part of an image's pixels too.
    """

    name: str
    columns: tuple[str, ...]
    compute: Callable[[Batch], Results]
    source: str
    lower_is_better: bool = False
    core: bool = False
    pixelwise: bool = False

    @property
    def linear(self) -> tuple[str, ...]:
        """Columns in which the data set's score is the mean of the images' scores.

        The maximum of a mean curve is not: differences in it do not belong to single images.
        """
        return tuple(column for column in self.columns if column != f"max{self.name}")


def f_numbers(batch: Batch) -> Results:
    curve = batch.at_thresholds
    return {"F": measures.f_measure(curve), "adpF": measures.f_measure(batch.at_adaptive)[:, 0],
            "precision": measures.precision(curve, batch.profile.precision_of_none),
            "recall": measures.recall(curve)}


def e_numbers(batch: Batch) -> Results:
    curve, adaptive = batch.e_selections
    return {"E": measures.e_measure(curve), "adpE": measures.e_measure(adaptive)[:, 0]}


def of_selection(name: str, measure: Callable[[Confusion], np.ndarray], source: str,
                 lower_is_better: bool = False) -> Measure:
    """A measure of selected pixels, at all thresholds, at the adaptive one, and above 0.5."""
    def compute(batch: Batch) -> Results:
        return {name: measure(batch.at_thresholds),
                f"adp{name}": measure(batch.at_adaptive)[:, 0],
                f"bin{name}": measure(batch.at_half)[:, 0]}

    columns = tuple(f"{prefix}{name}" for prefix in ("max", "mean", "adp", "bin"))
    return Measure(name, columns, compute, source, lower_is_better, pixelwise=True)


def of_pixels(**columns: Callable[[PixelMap], float | np.ndarray]) -> Callable[[Batch], Results]:
    """Computes measures that need pixels and not just counts, map by map. They are slower."""
    def compute(batch: Batch) -> Results:
        maps = [[measure(pixels) for measure in columns.values()] for pixels in batch.maps()]
        return {name: np.array(values, dtype=np.float64)
                for name, values in zip(columns, zip(*maps, strict=True), strict=True)}

    return compute


MEASURES: dict[str, Measure] = {measure.name: measure for measure in (
    Measure("MAE", ("MAE",), lambda batch: {"MAE": measures.mae(batch.levels)},
            "mean of |P − G|", lower_is_better=True, core=True, pixelwise=True),
    Measure("F", ("maxF", "meanF", "adpF"), f_numbers,
            "Achanta et al., CVPR 2009: (1 + β²) precision recall / (β² precision + recall), "
            "β² = 0.3", core=True, pixelwise=True),
    Measure("wF", ("wF",), lambda batch: {"wF": weighted_f(batch.weighted_errors, batch.levels)},
            "Margolin et al., CVPR 2014, Eq. 8, β = 1", core=True),
    Measure("S", ("Sm",),
            lambda batch: {"Sm": s_measure(batch.counts, batch.levels, batch.samples)},
            "Fan et al., ICCV 2017: α object + (1 − α) region, α = 0.5", core=True),
    Measure("E", ("maxE", "meanE", "adpE"), e_numbers,
            "Fan et al., IJCAI 2018: mean of (alignment + 1)² / 4", core=True, pixelwise=True),
    of_selection("IoU", measures.iou, "TP / (TP + FP + FN)"),
    of_selection("Dice", measures.dice, "2 TP / (2 TP + FP + FN)"),
    of_selection("BER", measures.ber, "1 − (TP / (TP + FN) + TN / (TN + FP)) / 2",
                 lower_is_better=True),
    of_selection("accuracy", measures.accuracy, "(TP + TN) / all"),
    of_selection("specificity", measures.specificity, "TN / (TN + FP)"),
    Measure("AUC", ("AUC",), lambda batch: {"AUC": measures.auc(batch.at_thresholds)},
            "area under recall against FP / (FP + TN), by trapezoids", pixelwise=True),
    Measure("BIoU", ("maxBIoU", "meanBIoU", "binBIoU"), of_pixels(
        BIoU=lambda pixels: boundary.boundary_iou(pixels.levels, pixels.foreground),
        binBIoU=lambda pixels: boundary.boundary_iou(  # at the threshold 1
            pixels.at_half.view(np.uint8), pixels.foreground)[254]),
            "Cheng et al., CVPR 2021: IoU of bands along the boundaries"),
    Measure("mBA", ("mBA",), of_pixels(
        mBA=lambda pixels: boundary.mean_boundary_accuracy(pixels.prediction, pixels.foreground)),
            "Cheng et al., CVPR 2020 (CascadePSP): accuracy near the boundary, over five radii"),
    Measure("MSIoU", ("maxMSIoU", "meanMSIoU", "adpMSIoU", "binMSIoU"), of_pixels(
        MSIoU=lambda pixels: boundary.multi_scale_iou(pixels.levels, pixels.foreground,
                                                      range(256, -1, -1)),
        adpMSIoU=lambda pixels: boundary.multi_scale_iou(pixels.at_adaptive, pixels.foreground)[0],
        binMSIoU=lambda pixels: boundary.multi_scale_iou(pixels.at_half, pixels.foreground)[0]),
            "Ahmadzadeh et al., ICIP 2021: edges met in cells of 1 to 512 pixels"),
    Measure("context", ("context",), of_pixels(
        context=lambda pixels: context_measure(pixels.values, pixels.foreground)),
            "Wang et al., arXiv 2512.07076: relevance against coverage, β² = 1"),
    Measure("HCE", ("HCE",), of_pixels(
        HCE=lambda pixels: correction_effort(pixels.at_half, pixels.foreground)),
            "Qin et al., ECCV 2022: clicks that mend the mask", lower_is_better=True),
)}

#: The measures that are scored when nothing else is asked for.
CORE = tuple(name for name, measure in MEASURES.items() if measure.core)


def lower_is_better(column: str) -> bool:
    """Whether a column, ``maxBER`` for example, belongs to an error; False for unknown columns."""
    return any(measure.lower_is_better for measure in MEASURES.values()
               if column in measure.columns)
