"""Losses: pure functions of tensors, one file for each idea, and the objectives of the recipes.

An objective is what a recipe trains: ``objective(network, sample) -> (outputs, terms)`` runs
the network (a few papers run it twice) and returns its outputs and a dict of named, already
weighted scalar terms. Training adds the terms up and logs them; it knows no paper.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from utils.errors import UserError, nearest

from .coherence import saliency_coherence
from .consistency import structure_consistency
from .cross_entropy import bce
from .intensity import adaptive_pixel_intensity
from .objectives import (
    BGNetObjective,
    CPDObjective,
    SCWSSODObjective,
    TRACERObjective,
    WSSAObjective,
)
from .scribbles import balanced_ce, partial_bce
from .smoothness import smoothness
from .structure import dice, structure

Terms = dict[str, Tensor]
Objective = Callable[[nn.Module, dict], tuple[dict[str, Tensor], Terms]]

__all__ = ["Objective", "adaptive_pixel_intensity", "balanced_ce", "bce", "build", "dice", "names",
           "partial_bce", "saliency_coherence", "smoothness", "structure", "structure_consistency",
           "targets"]


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
    ``options`` switch single differences, see ``objectives``.

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
