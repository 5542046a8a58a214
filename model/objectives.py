"""What a recipe trains: an objective runs the network and returns its outputs and loss terms.

Most recipes name the losses of each output in a table, ``loss.terms`` (docs/objectives.md). The
papers that do more have a class in ``own_objectives``. Both follow ``loss.variant`` (``released``
or ``paper``) and ``loss.options``, which change single differences between the two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from inspect import signature
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from losses import LOSSES, Loss
from utils.errors import UserError, nearest

Terms = dict[str, Tensor]


class Objective(Protocol):
    """Runs a network on a batch; training minimises the sum of the terms.

    Attributes:
        targets: layers of a sample that it learns from.
        outputs: outputs of the network that it reads.
    """

    targets: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        """The outputs (N, 1, H, W) and the weighted terms (scalars), by name.

        Args:
            sample: ``image`` (N, 3, H, W) and the targets (N, 1, H, W).
        """


#: How a target is brought to the size of a smaller output.
SHRINK = {"max": F.adaptive_max_pool2d, "mean": F.adaptive_avg_pool2d}


class Term(NamedTuple):
    """``weight`` × a loss of ``output`` against ``target``, which ``shrink`` brings to its size."""

    output: str
    loss: str
    weight: float
    target: str
    shrink: str


class TableObjective:
    """The losses that a table names for each output.

    The terms are called ``<output>_<loss>`` and keep the table's order, in which training adds
    them up.

    Args:
        table: output → {name in ``losses.LOSSES``: weight, …, ``target``: layer, ``shrink``: name
            in ``SHRINK``}; the target is ``mask`` where none is named, and outputs that are smaller
            than it need ``shrink``.
        variant: ``released`` or ``paper``.
        options: arguments of losses; each goes to all losses of the table that take it.
        without_void: masks may have void pixels, the layer ``void`` of a sample. They give losses
            against the mask neither a value nor a gradient.

    Raises:
        UserError: an unknown loss or option, a weight that is no number, an output without a
            loss, a target of the wrong kind, or a loss that cannot leave out pixels.
    """

    def __init__(self, table: Mapping[str, object], variant: str = "released",
                 options: Mapping[str, object] | None = None, without_void: bool = False):
        self.terms = [term for output, entry in table.items() for term in terms_of(output, entry)]
        self.targets = tuple(dict.fromkeys(term.target for term in self.terms))
        self.without_void = without_void and "mask" in self.targets
        if self.without_void:
            require_pixelwise(self.terms)
            self.targets += ("void",)
        self.outputs = tuple(table)
        self.options = options_of({term.loss for term in self.terms}, variant, options or {})

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        outputs = network(sample["image"])
        # Edges may be learned from images of their own.
        of_edges = network(sample["edge_image"]) if "edge_image" in sample else outputs
        weights: dict[tuple[str, str, torch.Size], Tensor] = {}
        terms = {}
        for term in self.terms:
            given = of_edges if term.target == "edge" else outputs
            logits, target = given[term.output], target_of(term, given, sample)
            loss, options = LOSSES[term.loss], self.options[term.loss]
            if self.without_void and term.target == "mask":
                void = sized(sample["void"].float(), logits, "max") > 0
                terms[f"{term.output}_{term.loss}"] = term.weight * loss_without_void(
                    loss, logits, target, void, options)
                continue
            if loss.weigh is not None:
                key = term.loss, term.target, target.shape
                if key not in weights:
                    weights[key] = loss.weigh(target)
                options = options | {"weights": weights[key]}
            value = loss.function(logits, target, **options)
            terms[f"{term.output}_{term.loss}"] = term.weight * value
        return outputs, terms


def require_pixelwise(terms: Collection[Term]) -> None:
    """Raise a UserError if a loss against the mask cannot leave void pixels out."""
    unable = sorted({term.loss for term in terms
                     if term.target == "mask" and LOSSES[term.loss].of_void is None})
    if unable:
        able = ", ".join(name for name, loss in LOSSES.items() if loss.of_void is not None)
        raise UserError(f"data.mask_void=ignore: {', '.join(unable)} in loss.terms compare a pixel "
                        f"with those around it, so void pixels cannot be left out of them; these "
                        f"losses can: {able}. Or take data.mask_void=background or foreground")


def loss_without_void(loss: Loss, logits: Tensor, mask: Tensor, void: Tensor,
                      options: Mapping[str, object]) -> Tensor:
    """A loss over the pixels that are not void; 0, with a gradient of 0, where all are.

    Args:
        logits, mask: (N, 1, H, W).
        void: bool (N, 1, H, W).
    """
    value = loss.function(logits.masked_fill(void, -100), mask.masked_fill(void, loss.of_void),
                          **options)
    if not loss.averaged:
        return value
    return value * (void.numel() / (~void).sum().clamp(min=1))


def target_of(term: Term, outputs: dict[str, Tensor], sample: dict) -> Tensor:
    """The layer that a term learns from, at the size of its output.

    Raises:
        UserError: the samples lack the layer, or the output is smaller and has no ``shrink``.
    """
    if term.target not in sample:
        raise UserError(f"loss.terms.{term.output}: the samples have no layer {term.target!r}; "
                        f"they hold {', '.join(sample)}")
    target, size = sample[term.target], outputs[term.output].shape[-2:]
    if target.shape[-2:] != size and not term.shrink:
        raise UserError(f"loss.terms.{term.output}: the output has {size[0]}×{size[1]} pixels, "
                        f"{term.target} {target.shape[-2]}×{target.shape[-1]}; add shrink: max or "
                        "mean, which brings the target to its size")
    return sized(target, outputs[term.output], term.shrink)


def sized(target: Tensor, logits: Tensor, shrink: str) -> Tensor:
    """A target (N, 1, H, W) at the size of logits (N, 1, h, w)."""
    size = logits.shape[-2:]
    return target if target.shape[-2:] == size else SHRINK[shrink](target, size)


def terms_of(output: str, entry: object) -> list[Term]:
    """The terms of one output, checked; ``entry`` is what the table holds for it."""
    key = f"loss.terms.{output}"
    weights = dict(entry) if isinstance(entry, Mapping) else {}
    target, shrink = weights.pop("target", "mask"), weights.pop("shrink", "")
    if shrink not in ("", *SHRINK) or (shrink and target == "scribble"):
        raise UserError(f"{key}: shrink is {shrink!r}; it is max or mean, and not for scribbles")
    if not isinstance(target, str) or target == "image":
        raise UserError(f"{key}: target is {target!r}; it is the name of a layer to learn from, "
                        "such as mask, edge or scribble")
    if not weights:
        raise UserError(f"{key} = {entry!r} names no loss; write, for example, {{bce: 1}}. Losses: "
                        f"{', '.join(LOSSES)}")
    for name, weight in weights.items():
        if name not in LOSSES:
            space = "; YAML needs a space after the colon" if ":" in str(name) else ""
            raise UserError(f"{key}: unknown loss {name!r}; "
                            f"{nearest(str(name), list(LOSSES))}{space}")
        if not is_number(weight):
            raise UserError(f"{key}.{name} = {weight!r}: a weight is a number, such as 1 or 0.5")
        if LOSSES[name].scribbles and target != "scribble":
            raise UserError(f"{key}: {name} learns from scribbles, not from {target}; add target: "
                            "scribble")
        if target == "scribble" and not LOSSES[name].scribbles:
            able = ", ".join(name for name, loss in LOSSES.items() if loss.scribbles)
            raise UserError(f"{key}: {name} does not learn from scribbles; these do: {able}")
    return [Term(output, name, float(weight), target, shrink)
            for name, weight in weights.items()]


def is_number(value: object) -> bool:
    """Whether a finite number is meant; YAML 1.1 reads 1e-1 as text."""
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def options_of(names: Collection[str], variant: str,
               options: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The keyword arguments of each named loss, checked."""
    takes = {name: {parameter.name: parameter.default
                    for parameter in signature(LOSSES[name].function).parameters.values()
                    if parameter.default is not parameter.empty and parameter.name != "weights"}
             for name in names}
    defaults = {key: default for each in takes.values() for key, default in each.items()}
    for key, value in options.items():
        if key not in defaults:
            raise UserError(f"loss.options.{key}: no loss of loss.terms takes it; "
                            f"{nearest(key, sorted(defaults) or ['none'])}")
        binary = isinstance(defaults[key], bool)
        if type(value) not in ((bool,) if binary else (int, float)):
            raise UserError(f"loss.options.{key} = {value!r}: must be "
                            f"{'true or false' if binary else 'a number'}")
    return {name: (LOSSES[name].paper if variant == "paper" else {})
            | {key: value for key, value in options.items() if key in takes[name]}
            for name in names}


class LabelSmoothing:
    """An objective with label smoothing s (Szegedy et al., CVPR 2016, for two classes): the mask m
    becomes (1 − s) m + s / 2.

    Raises:
        UserError: the objective does not learn from masks.
    """

    def __init__(self, objective: Objective, smoothing: float):
        if "mask" not in objective.targets:
            raise UserError("loss.smoothing is for masks, but this recipe learns from "
                            f"{', '.join(objective.targets)}")
        self.objective, self.smoothing = objective, smoothing
        self.targets, self.outputs = objective.targets, objective.outputs

    def __call__(self, network: nn.Module, sample: dict) -> tuple[dict[str, Tensor], Terms]:
        mask = sample["mask"] * (1 - self.smoothing) + self.smoothing / 2
        return self.objective(network, sample | {"mask": mask})
