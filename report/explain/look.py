"""What a network has inside while it makes the map of one image."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data import Pair
from engine.contents import tensors_in
from engine.predictor import Predictor
from engine.summary import parts_of
from utils.errors import UserError

_SHOWN_NAMES = 5  # of layers that are called nearly as a word


@dataclass
class Look:
    """One pass of a network, of an image as it is: other views of test-time augmentation do not
    count.

    Attributes:
        saliency: the map, float32 (H, W) in [0, 1], at the photo's size, as Predictor gives it.
        image: (1, 3, h, w), as the network gets it: resized, normalised.
        outputs: name → logits (1, 1, h, w), of side outputs perhaps smaller.
        layers: name → what it gives, tensors (1, C, h, w), in the order of their calls. One that
            is called several times gives the first.
    """

    saliency: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    image: Tensor | None = None
    outputs: dict[str, Tensor] = field(default_factory=dict)
    layers: dict[str, list[Tensor]] = field(default_factory=dict)


def look(predictor: Predictor, pair: Pair, layers: Mapping[str, nn.Module]) -> Look:
    """The map of a pair's image, and what these layers give on the way to it.

    Raises:
        UserError: see ``Predictor.__call__``.
    """
    seen = Look()
    with _watched(predictor.network, layers, seen):
        seen.saliency = predictor(pair.image)
    return seen


@contextmanager
def _watched(network: nn.Module, layers: Mapping[str, nn.Module], seen: Look) -> Iterator[None]:
    """A block within which the network's first pass is written down. Values are copied, since the
    next layer may work in place."""
    def begin(_: nn.Module, args: tuple) -> None:
        if seen.image is None:
            seen.image = args[0].float().clone()

    def keep(name: str) -> Callable:
        def hook(_: nn.Module, args: tuple, output: object) -> None:
            if not seen.outputs and name not in seen.layers:
                seen.layers[name] = [x.float().clone() for x in feature_maps_in(output)]
        return hook

    def end(_: nn.Module, args: tuple, outputs: dict[str, Tensor]) -> None:
        if not seen.outputs:
            seen.outputs |= {name: logits.float().clone() for name, logits in outputs.items()}

    hooks = [network.register_forward_pre_hook(begin), network.register_forward_hook(end)]
    hooks += [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def feature_maps_in(output: object) -> list[Tensor]:
    """The feature maps (N, C, h, w) in what a layer gives: itself, or those in a list, a tuple or
    a dict, such as the branches of octave convolutions."""
    return [x for _, x in tensors_in(output) if x.ndim == 4 and x.is_floating_point()]


def stages_of(network: nn.Module) -> dict[str, nn.Module]:
    """The stages that a network is looked at by: those of its trunks; without a trunk, its own
    ``stages``, as U²-Net and CSNet have them, else all its parts."""
    trunks = network.trunks()
    if not trunks and isinstance(getattr(network, "stages", None), (nn.ModuleList, nn.ModuleDict)):
        trunks = {"stages": network.stages}
    return {f"{name}.{stage}": module for name, trunk in trunks.items()
            for stage, module in trunk.named_children()} or parts_of(network)


def named_layer(network: nn.Module, name: str) -> nn.Module:
    """The layer of that name, as ``named_modules`` calls it.

    Raises:
        UserError: there is none; it tells which are called nearly so, and the stages.
    """
    layers = {known: layer for known, layer in network.named_modules() if known}
    if name in layers:
        return layers[name]
    ends = [known for known in layers if f".{known}".endswith(f".{name}")]
    near = ends or difflib.get_close_matches(name, layers, n=_SHOWN_NAMES, cutoff=0.5)
    nearly = f"nearest: {', '.join(near[:_SHOWN_NAMES])}; " if near else ""
    raise UserError(f"--layer {name}: {type(network).__name__} has no layer of this name; {nearly}"
                    f"its stages: {', '.join(stages_of(network))}")


def joined(maps: list[Tensor]) -> Tensor:
    """A layer's feature maps as one (C, h, w); branches of other sizes are brought to the first's.
    """
    size = maps[0].shape[-2:]
    return torch.cat([x if x.shape[-2:] == size else F.interpolate(x, size, mode="nearest-exact")
                      for x in maps], dim=1)[0]


def principal_components(features: Tensor) -> tuple[np.ndarray, float]:
    """The first three principal components of a layer, over its pixels, as colours.

    Args:
        features: (C, h, w).

    Returns:
        float32 (h, w, 3) in [0, 1], each component from its 5th to its 95th percentile; and the
        share of the variance that they hold, in [0, 1]. The sign of a component is free; its
        farthest value from the mean is bright. With fewer than three components, or none, the
        others are grey.
    """
    height, width = features.shape[1:]
    pixels = features.flatten(1).T.double()
    pixels = pixels - pixels.mean(dim=0)
    wide = pixels.shape[1] > pixels.shape[0]
    # Of the two matrices that have the components' values in common, the smaller.
    values, vectors = torch.linalg.eigh(pixels @ pixels.T if wide else pixels.T @ pixels)
    values = values.clamp(min=0)
    colours = np.full((height, width, 3), 0.5, np.float32)
    total = float(values.sum())
    kept = [number for number in range(min(3, len(values)))
            if values[-1 - number] > 1e-10 * max(total, 1e-30)]
    for number in kept:
        vector = vectors[:, -1 - number]
        plane = (vector if wide else pixels @ vector).cpu().numpy()
        plane = plane if plane.max() >= -plane.min() else -plane
        low, high = np.percentile(plane, (5, 95))
        if high > low:
            scaled = np.clip((plane - low) / (high - low), 0, 1)
            colours[..., number] = scaled.reshape(height, width)
    share = float(values[-3:].sum()) / total if kept else 1.0
    return colours, share
