"""Networks: one file for each, one for each backbone.

A network maps an image (N, 3, H, W) to a dict of logits at the input's size; ``"saliency"`` is
the prediction that its paper evaluates. Networks are built from arguments alone: nothing here
reads a file, downloads or asks for a device. Weights are ``utils/weights.py``'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature

from omegaconf import DictConfig, OmegaConf
from torch import nn

from utils.errors import UserError, nearest

from .bgnet import bgnet
from .cpd import cpd_resnet, cpd_vgg
from .objectives import objective_of
from .scwssod import scwssod, scwssod_vgg
from .tracer import tracer_resnet50, tracer_te, tracer_vgg
from .wssa import WSSA

_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "cpd_vgg": cpd_vgg,
    "cpd_resnet": cpd_resnet,
    "wssa": WSSA,
    "scwssod": scwssod,
    "scwssod_vgg": scwssod_vgg,
    **{f"tracer_te{size}": partial(tracer_te, size) for size in range(8)},
    "bgnet": bgnet,
    "tracer_resnet50": tracer_resnet50,
    "tracer_vgg": tracer_vgg,
}

__all__ = ["build", "from_recipe", "names", "objective_of"]


def names() -> list[str]:
    """Names that ``build`` knows; a recipe of that name is in ``configs/``."""
    return sorted(_NETWORKS)


def build(name: str, **options) -> nn.Module:
    """The network ``name`` with freshly initialised weights.

    Raises:
        UserError: unknown name, or options that the network does not take.
    """
    if name not in _NETWORKS:
        raise UserError(f"unknown network {name!r}; {nearest(name, names())}")
    try:
        return _NETWORKS[name](**options)
    except TypeError as error:
        raise UserError(f"network {name!r} does not take these options: {error}") from None


def from_recipe(config: DictConfig) -> nn.Module:
    """The network of a recipe. One that looks at the image itself, as WSSA's Canny does, is told
    what images are normalised with, unless ``model.options`` says otherwise."""
    options = OmegaConf.to_container(config.model.options)
    takes = signature(_NETWORKS[config.model.name]).parameters \
        if config.model.name in _NETWORKS else {}
    told = {name: tuple(config.data[name]) for name in ("mean", "std") if name in takes}
    return build(config.model.name, **(told | options))
