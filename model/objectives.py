"""What the recipes train: each runs its network and returns outputs and weighted terms.

An objective is built from ``variant`` (``released`` or ``paper``) and the recipe's
``loss.options``, which switch single differences between the two; ``targets`` are the layers of a
sample (``data.transforms.LAYERS``) that it learns from.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch.nn.functional as F
from torch import Tensor, nn

from losses.coherence import saliency_coherence
from losses.consistency import structure_consistency
from losses.cross_entropy import bce
from losses.intensity import adaptive_pixel_intensity, pixel_intensity
from losses.scribbles import balanced_ce, partial_bce
from losses.smoothness import smoothness
from losses.structure import dice, outline_weights, structure
from utils.errors import UserError, nearest

from .norm import uncounted

Terms = dict[str, Tensor]
Objective = Callable[[nn.Module, dict], tuple[dict[str, Tensor], Terms]]


def switch(name: str, wanted: bool | None, default: bool) -> bool:
    """The option ``name``, or what the variant has; a TypeError for what is neither."""
    if wanted not in (True, False, None):
        raise TypeError(f"{name} is true or false, not {wanted!r}")
    return default if wanted is None else wanted


class CPDObjective:
    """The mean BCE on both outputs, equally weighted. Paper and released code agree."""

    targets = ("mask",)

    def __init__(self, variant: str):
        pass

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        return outputs, {
            "attention_bce": bce(outputs["attention"], sample["mask"]),
            "detection_bce": bce(outputs["saliency"], sample["mask"]),
        }


class WSSAObjective:
    """Partial BCE and smoothness of the initial and the refined map, BCE of the edges.

    Args:
        gate: smoothness as the paper has it, see ``smoothness``; off as released.
    """

    targets = ("scribble", "edge")

    def __init__(self, variant: str, gate: bool | None = None):
        self.gate = switch("gate", gate, variant == "paper")

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
    """Cross-entropy and coherence of all four outputs, structure consistency of the prediction
    with that on the image at 0.3 of its size.

    Args: what the released code does without the paper's saying so; all off for ``paper``.
        double_softmax: cross-entropy balanced between the classes, of probabilities taken for
            scores (``balanced_ce``); else the partial cross-entropy of the paper.
        shrinking_sigma: σ_I is divided by ten from output to output, 0.1, 0.01, …: the image is
            divided in place at each use.
        padded: see ``saliency_coherence``.
        count_small: batch norms count the pass on the small image too, the last of each step, so
            what they use in evaluation lies nearer to it than to an image of full size. As
            released, and not said in the paper: on in both variants.
    """

    targets = ("scribble",)
    WEIGHTS = {"saliency": 1.0, "side3": 0.8, "side4": 0.6, "side5": 0.4}  # noqa: RUF012
    COHERENCE = 0.3

    def __init__(self, variant: str, double_softmax: bool | None = None,
                 shrinking_sigma: bool | None = None, padded: bool | None = None,
                 count_small: bool = True):
        released = variant == "released"
        self.double_softmax = switch("double_softmax", double_softmax, released)
        self.shrinking_sigma = switch("shrinking_sigma", shrinking_sigma, released)
        self.padded = switch("padded", padded, released)
        self.count_small = switch("count_small", count_small, True)

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        image, scribble = sample["image"], sample["scribble"]
        outputs = network(image)
        small = F.interpolate(image, scale_factor=0.3, mode="bilinear", align_corners=True)
        with nullcontext() if self.count_small else uncounted(network):
            again = network(small)["saliency"].float().sigmoid()
        once = outputs["saliency"].float().sigmoid()
        once = F.interpolate(once, size=again.shape[-2:], mode="bilinear", align_corners=True)
        terms = {"consistency": structure_consistency(again, once)}
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


class TRACERObjective:
    """Adaptive pixel intensity loss of the prediction, the three maps it is the mean of, and the
    edges, equally weighted.

    Args:
        reduced_first: see ``adaptive_pixel_intensity``; off for ``paper``.
    """

    targets = ("mask", "edge")
    MAPS = ("saliency", "side0", "side1", "side2")

    def __init__(self, variant: str, reduced_first: bool | None = None):
        self.reduced_first = switch("reduced_first", reduced_first, variant == "released")

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        mask, edge = sample["mask"], sample["edge"]
        intensity = pixel_intensity(mask)
        terms = {f"{name}_api": adaptive_pixel_intensity(outputs[name], mask, self.reduced_first,
                                                         intensity) for name in self.MAPS}
        terms["edge_api"] = adaptive_pixel_intensity(outputs["edge"], edge, self.reduced_first)
        return outputs, terms


class BGNetObjective:
    """Structure loss of the three outputs, and three times the dice loss of the edges.

    Args:
        reduced_first: see ``structure``; off for ``paper``.
    """

    targets = ("mask", "edge")
    MAPS = ("saliency", "side2", "side3")

    def __init__(self, variant: str, reduced_first: bool | None = None):
        self.reduced_first = switch("reduced_first", reduced_first, variant == "released")

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        weights = outline_weights(sample["mask"])
        terms = {f"{name}_structure": structure(outputs[name], sample["mask"], self.reduced_first,
                                                weights) for name in self.MAPS}
        terms["edge_dice"] = 3 * dice(outputs["edge"], sample["edge"])
        return outputs, terms


_OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "cpd": CPDObjective,
    "wssa": WSSAObjective,
    "scwssod": SCWSSODObjective,
    "tracer": TRACERObjective,
    "bgnet": BGNetObjective,
}


def names() -> list[str]:
    """Names that ``build`` knows."""
    return sorted(_OBJECTIVES)


def build(name: str, variant: str = "released", smoothing: float = 0.0, **options) -> Objective:
    """The objective ``name``; ``variant`` is ``"released"`` or ``"paper"`` where they differ, and
    ``options`` switch single differences, see the classes above.

    ``smoothing`` s is label smoothing (Szegedy et al., CVPR 2016, of two classes): the objective
    sees the mask m as (1 − s) m + s / 2.

    Raises:
        UserError: unknown name, variant or option.
    """
    if name not in _OBJECTIVES:
        raise UserError(f"unknown loss {name!r}; {nearest(name, names())}")
    if smoothing and "mask" not in targets(name):
        raise UserError(f"loss.smoothing is for masks; {name!r} learns from "
                        f"{', '.join(targets(name))}")
    if variant not in ("released", "paper"):
        raise UserError(f"loss.variant must be 'released' or 'paper', not {variant!r}")
    try:
        objective = _OBJECTIVES[name](variant, **options)
    except TypeError as error:
        raise UserError(f"loss {name!r} does not take these options: {error}") from None
    return smoothed(objective, smoothing) if smoothing else objective


def targets(name: str) -> tuple[str, ...]:
    """Layers of a sample that the objective ``name`` learns from."""
    return _OBJECTIVES[name].targets


def smoothed(objective: Objective, smoothing: float) -> Objective:
    """The objective on masks that are drawn towards one half."""

    def on_smoothed(network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        mask = sample["mask"] * (1 - smoothing) + smoothing / 2
        return objective(network, sample | {"mask": mask})

    return on_smoothed
