"""Objectives of the papers whose losses are more than a table ``loss.terms``: they compare outputs
with each other, or run the network twice. Each is called as ``objectives.Objective`` says."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses import (
    balanced_ce,
    bce,
    partial_bce,
    saliency_coherence,
    smoothness,
    structure_consistency,
)

from .base import is_released, switch
from .blocks import resize_to
from .norm import uncounted
from .objectives import Terms


class WSSAObjective:
    """Partial cross-entropy and 0.3 × smoothness of the initial and of the refined map, and the
    cross-entropy of the edges (WSSA, Eq. 2 to 5). Beside its targets it needs the layer ``gray``.

    Args:
        variant: ``released`` or ``paper``.
        gate: whether smoothness is the paper's (``losses.smoothness``); off as released.
    """

    targets = ("scribble", "edge")
    outputs = ("initial", "saliency", "edge")

    def __init__(self, variant: str, gate: bool | None = None):
        self.gate = switch("gate", gate, not is_released(variant))

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        terms = {}
        for name, output in (("initial", "initial"), ("refined", "saliency")):
            logits = outputs[output].float()
            terms[f"{name}_bce"] = partial_bce(logits, sample["scribble"])
            terms[f"{name}_smoothness"] = 0.3 * smoothness(logits.sigmoid(), sample["gray"],
                                                           self.gate)
        terms["edge_bce"] = bce(outputs["edge"].float(), sample["edge"])
        return outputs, terms


class SCWSSODObjective:
    """Cross-entropy and coherence of all four outputs, and structure consistency of the prediction
    with the one on the image at 0.3 of its size (SCWSSOD).

    The first three options are on as released and off in the paper.

    Args:
        variant: ``released`` or ``paper``.
        double_softmax: whether the cross-entropy is ``balanced_ce``, or else ``partial_bce``.
        shrinking_sigma: whether σ_I is divided by ten from output to output (0.1, 0.01, …),
            because the released code divides the image in place at each use.
        padded: whether windows reach over the image's border (``saliency_coherence``).
        count_small: whether batch norms count the pass on the small image. That pass is the last
            of each step, so the statistics for evaluation lie nearer to it than to an image of
            full size. On in both variants: the paper does not mention it.
    """

    targets = ("scribble",)
    WEIGHTS = {"saliency": 1.0, "side3": 0.8, "side4": 0.6, "side5": 0.4}  # noqa: RUF012
    outputs = tuple(WEIGHTS)
    COHERENCE = 0.3

    def __init__(self, variant: str, double_softmax: bool | None = None,
                 shrinking_sigma: bool | None = None, padded: bool | None = None,
                 count_small: bool = True):
        released = is_released(variant)
        self.double_softmax = switch("double_softmax", double_softmax, released)
        self.shrinking_sigma = switch("shrinking_sigma", shrinking_sigma, released)
        self.padded = switch("padded", padded, released)
        self.count_small = switch("count_small", count_small, True)

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        image, scribble = sample["image"], sample["scribble"]
        outputs = network(image)
        small = F.interpolate(image, scale_factor=0.3, mode="bilinear", align_corners=True)
        with nullcontext() if self.count_small else uncounted(network):
            on_small = network(small)["saliency"].float().sigmoid()
        on_whole = F.interpolate(outputs["saliency"].float().sigmoid(), size=on_small.shape[-2:],
                                 mode="bilinear", align_corners=True)
        terms = {"consistency": structure_consistency(on_small, on_whole)}
        quarter = F.interpolate(image, scale_factor=0.25, mode="bilinear", align_corners=True)
        for number, (name, weight) in enumerate(self.WEIGHTS.items()):
            logits = outputs[name].float()
            ce = balanced_ce(logits, scribble) if self.double_softmax \
                else partial_bce(logits, scribble)
            reduced = F.interpolate(logits.sigmoid(), size=quarter.shape[-2:], mode="bilinear",
                                    align_corners=True)
            sigma = 0.1**(number + 1) if self.shrinking_sigma else 0.1
            coherence = saliency_coherence(reduced, quarter, sigma_rgb=sigma, padded=self.padded)
            terms[f"{name}_ce"] = weight * ce
            terms[f"{name}_coherence"] = weight * self.COHERENCE * coherence
        return outputs, terms


class ITSDObjective:
    """Cross-entropy of the saliency that weighs pixels near the contour up to five times, and that
    of the contour, on every level (the paper's adaptive contour loss, ACT).

    Args:
        variant: ``released`` or ``paper``.
        double_sigmoid: whether the contour's probabilities are compared as if they were logits; on
            as released.
    """

    targets = ("mask",)
    outputs = ("saliency", *(f"side{level}" for level in range(5)),
               *(f"contour{level}" for level in range(5)))
    WEIGHTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the levels, from the deepest
    FINAL = 1.5

    def __init__(self, variant: str, double_sigmoid: bool | None = None):
        self.double_sigmoid = switch("double_sigmoid", double_sigmoid, is_released(variant))

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs, mask = network(sample["image"]), sample["mask"].float()
        # 5×5 dilation minus 5×5 erosion; what lies outside of the image does not count.
        contour = F.max_pool2d(mask, 5, 1, padding=2) + F.max_pool2d(-mask, 5, 1, padding=2)
        terms, near = {}, None
        for level, weight in enumerate(self.WEIGHTS):
            logits, outline = (outputs[f"{kind}{level}"].float() for kind in ("side", "contour"))
            size, near = logits.shape[-2:], outline.sigmoid()
            own = (F.adaptive_avg_pool2d(mask, size) > 0.5).float()
            own_contour = F.adaptive_max_pool2d(contour, size)
            terms[f"side{level}"] = weight * weighted_bce(logits, own, near, own_contour)
            compared = near if self.double_sigmoid else outline
            terms[f"contour{level}"] = weight * bce(compared, own_contour)
        final = outputs["saliency"].float()
        terms["saliency"] = self.FINAL * weighted_bce(
            final, (mask > 0.5).float(), resize_to(near, final, False), contour)
        return outputs, terms


def weighted_bce(logits: Tensor, mask: Tensor, near: Tensor, contour: Tensor) -> Tensor:
    """Cross-entropy whose pixels weigh 1 + 4 max(predicted, true contour)."""
    weights = 1 + 4 * torch.maximum(near, contour)
    return F.binary_cross_entropy_with_logits(logits, mask, reduction="none").mul(weights).mean()
