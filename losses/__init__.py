"""Losses: pure functions of tensors, one file for each idea, and the objectives of the recipes.

An objective is what a recipe trains: ``objective(network, sample) -> (outputs, terms)`` runs
the network (a few papers run it twice) and returns its outputs and a dict of named, already
weighted scalar terms. Training adds the terms up and logs them; it knows no paper.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from utils.errors import UserError, nearest

from .cross_entropy import bce

Terms = dict[str, Tensor]
Objective = Callable[[nn.Module, dict], tuple[dict[str, Tensor], Terms]]

__all__ = ["Objective", "bce", "build", "names"]


def cpd(variant: str) -> Objective:
    """CPD: the mean BCE on both outputs, equally weighted. Paper and released code agree."""

    def objective(network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        return outputs, {
            "attention_bce": bce(outputs["attention"], sample["mask"]),
            "detection_bce": bce(outputs["saliency"], sample["mask"]),
        }

    return objective


_OBJECTIVES: dict[str, Callable[[str], Objective]] = {"cpd": cpd}


def names() -> list[str]:
    """Names that ``build`` knows."""
    return sorted(_OBJECTIVES)


def build(name: str, variant: str = "released", smoothing: float = 0.0) -> Objective:
    """The objective ``name``; ``variant`` is ``"released"`` or ``"paper"`` where they differ.

    ``smoothing`` s is label smoothing (Szegedy et al., CVPR 2016, of two classes): the objective
    sees the mask m as (1 − s) m + s / 2.

    Raises:
        UserError: unknown name or variant.
    """
    if name not in _OBJECTIVES:
        raise UserError(f"unknown loss {name!r}; {nearest(name, names())}")
    if variant not in ("released", "paper"):
        raise UserError(f"loss.variant must be 'released' or 'paper', not {variant!r}")
    objective = _OBJECTIVES[name](variant)
    return smoothed(objective, smoothing) if smoothing else objective


def smoothed(objective: Objective, smoothing: float) -> Objective:
    """The objective on masks that are drawn towards one half."""

    def on_smoothed(network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        mask = sample["mask"] * (1 - smoothing) + smoothing / 2
        return objective(network, sample | {"mask": mask})

    return on_smoothed
