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


def build(name: str, variant: str = "released") -> Objective:
    """The objective ``name``; ``variant`` is ``"released"`` or ``"paper"`` where they differ.

    Raises:
        UserError: unknown name or variant.
    """
    if name not in _OBJECTIVES:
        raise UserError(f"unknown loss {name!r}; {nearest(name, names())}")
    if variant not in ("released", "paper"):
        raise UserError(f"loss.variant must be 'released' or 'paper', not {variant!r}")
    return _OBJECTIVES[name](variant)
