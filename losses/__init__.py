"""Losses: pure functions of tensors, and the names by which recipes call them.

A row of ``LOSSES`` is a loss of one output against one target, which ``loss.terms`` of a recipe
can name (docs/objectives.md). Smoothness, coherence and structure consistency also look at the
image or at a second prediction; the objectives of WSSA and SCWSSOD call them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from .coherence import saliency_coherence
from .consistency import structure_consistency
from .cross_entropy import balanced_bce, balanced_bce_sum, bce, bce_sum, probability_bce
from .intensity import adaptive_pixel_intensity, pixel_intensity
from .overlap import area_dice, batch_dice, boundary_dice, consistency_enhanced, dice, iou
from .scribbles import balanced_ce, partial_bce
from .similarity import ssim
from .smoothness import smoothness
from .structure import outline_weights, structure

__all__ = ["LOSSES", "Loss", "adaptive_pixel_intensity", "area_dice", "balanced_bce",
           "balanced_bce_sum", "balanced_ce", "batch_dice", "bce", "bce_sum", "boundary_dice",
           "consistency_enhanced", "dice", "iou", "partial_bce", "probability_bce",
           "saliency_coherence", "smoothness", "ssim", "structure", "structure_consistency"]


class Loss(NamedTuple):
    """A loss that recipes can name.

    Attributes:
        function: (logits, target, **options) → scalar, both tensors (N, 1, H, W).
        scribbles: whether the target holds labels (1 foreground, 0 background, 255 unknown) and
            not values in [0, 1].
        paper: the options of ``loss.variant=paper`` where the released code, whose options are
            the function's defaults, differs from the paper.
        weigh: target → the weights of its pixels, which the function takes as ``weights``. All
            losses of one name on one target share them, so that they are computed once.
        of_void: the target's value at which a pixel with a logit of −100 adds nothing to the loss,
            so that void pixels can be left out; None where a pixel's loss depends on those around
            it.
        averaged: whether it is a mean over pixels, which has to be one over the known ones then.
    """

    function: Callable[..., Tensor]
    scribbles: bool = False
    paper: Mapping[str, object] = MappingProxyType({})
    weigh: Callable[[Tensor], Tensor] | None = None
    of_void: float | None = None
    averaged: bool = False


LOSSES = {
    "bce": Loss(bce, of_void=0, averaged=True),
    "bce_sum": Loss(bce_sum, of_void=0),
    "probability_bce": Loss(probability_bce, paper={"of_logits": True}, of_void=0, averaged=True),
    "balanced_bce": Loss(balanced_bce, of_void=0.5, averaged=True),
    "balanced_bce_sum": Loss(balanced_bce_sum, of_void=0.5),
    "iou": Loss(iou, of_void=0),
    "dice": Loss(dice, of_void=0),
    "batch_dice": Loss(batch_dice, of_void=0),
    "area_dice": Loss(area_dice, of_void=0),
    "boundary_dice": Loss(boundary_dice),
    "cel": Loss(consistency_enhanced, of_void=0),
    "ssim": Loss(ssim),
    "structure": Loss(structure, paper={"reduced_first": False}, weigh=outline_weights),
    "api": Loss(adaptive_pixel_intensity, paper={"reduced_first": False}, weigh=pixel_intensity),
    "partial_bce": Loss(partial_bce, scribbles=True),
    "balanced_ce": Loss(balanced_ce, scribbles=True, paper={"double_softmax": False}),
}
