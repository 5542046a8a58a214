"""Class activation maps (CAM) of a layer, by the library grad-cam: where the layer's features speak
for the saliency of a part of the image."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from utils.errors import UserError, nearest

from .look import feature_maps_in

INSTALL = "pip install grad-cam"
#: --method → its class in the library. Left out are Ablation-CAM, which divides by the score, and
#: that may be negative here, and Eigen-Grad-CAM, which leaves its component's sign to chance;
#: Seg-Eigen-CAM is that one with the sign set right.
METHODS = {
    "gradcam": "GradCAM", "gradcam++": "GradCAMPlusPlus", "xgradcam": "XGradCAM",
    "hirescam": "HiResCAM", "elementwise": "GradCAMElementWise", "layercam": "LayerCAM",
    "eigencam": "EigenCAM", "segeigencam": "SegEigenCAM", "scorecam": "ScoreCAM"}


@dataclass(frozen=True)
class Layer:
    """A layer of a network, by its name, and how many feature maps it gives at its first call."""

    name: str
    module: nn.Module
    maps: int


def is_installed() -> bool:
    """Whether the library can be imported."""
    try:
        importlib.import_module("pytorch_grad_cam")
    except ImportError:
        return False
    return True


def method(name: str) -> type:
    """The library's class of a CAM.

    Raises:
        UserError: no such name, or the library or its version lacks it.
    """
    if name not in METHODS:
        raise UserError(f"--method {name}: no such CAM; {nearest(name, METHODS)}")
    if not is_installed():
        raise UserError(f"--method and --target are for CAMs, which the library grad-cam makes: "
                        f"{INSTALL}")
    kind = getattr(importlib.import_module("pytorch_grad_cam"), METHODS[name], None)
    if kind is None:
        raise UserError(f"--method {name}: this version of grad-cam lacks {METHODS[name]}: "
                        f"{INSTALL} --upgrade")
    return kind


def cam_of(kind: type, network: nn.Module, layer: Layer, image: Tensor, output: str,
           weights: np.ndarray) -> np.ndarray:
    """The CAM of a layer for the logits of a part of the image, in float32.

    Logits are taken, not probabilities, whose gradients vanish where the network is sure. What is
    explained is their sum over the part: gradients of their mean are so small that the 1e-6 in the
    library's denominator of Grad-CAM++ prevails, and nothing but the mean activation is left.
    Score-CAM has no gradients, but a softmax over scores, for which the mean is right.

    Args:
        kind: the library's class, see ``method``.
        network: in evaluation mode.
        layer: of several feature maps, each has a CAM; their mean is given.
        image: (1, 3, h, w), normalised.
        output: of the network.
        weights: of the pixels of that output, float32 (h, w) in [0, 1].

    Returns:
        float32 (h, w) in [0, 1], 0 everywhere where nothing speaks for it.

    Raises:
        UserError: the output does not depend on the layer, the layer gives no feature maps, the
            part is too small to be seen, or the CAM is not finite.
    """
    if not layer.maps:
        raise UserError(f"--layer {layer.name}: gives no feature maps (N, C, h, w) on the way to "
                        "the map; name another layer, or one inside of it")
    if not weights.any():
        raise UserError("--target: the part is smaller than a pixel of the network's input, "
                        f"{weights.shape[1]}×{weights.shape[0]}; name a larger one")
    with _frozen(network):
        tapped = _Tapped(network, layer, output)
        maker = kind(tapped, list(tapped.taps))
        total = 1 if maker.uses_gradients else weights.sum()
        shares = torch.from_numpy(weights / total).to(image.device)
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused below
                cam = maker(image, [lambda logits: (logits[0] * shares).sum()])
        finally:
            maker.activations_and_grads.release()
    if not np.isfinite(cam).all():
        raise UserError(f"{kind.__name__} of {layer.name} gives no numbers: the layer's values or "
                        "gradients are too large; name another layer or --method")
    return cam[0].astype(np.float32)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """A block in which no parameter has a gradient."""
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)


class _Tapped(nn.Module):
    """A network as the library wants one: it gives one output, and what a layer gives runs through
    modules of its own, ``taps``, one for each feature map, which the library watches.

    The layer itself would not do: the library takes no lists, confuses the calls of a layer that
    is called twice, and sees what a later layer changes in place. Gradients end at the taps.
    """

    def __init__(self, network: nn.Module, layer: Layer, output: str):
        super().__init__()
        self.network, self.layer, self.output = network, layer, output
        self.taps = nn.ModuleList(nn.Identity() for _ in range(layer.maps))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, h, w) → logits (N, 1, h, w)."""
        seen: list[Tensor] = []

        def tap(_: nn.Module, args: tuple, output: object) -> object:
            if seen:
                return None
            taps = iter(self.taps)

            def through(x: Tensor) -> Tensor:
                seen.append(next(taps)(x.detach().requires_grad_()))
                return seen[-1].clone()  # which a later layer may change in place

            return _replaced(output, through)

        hook = self.layer.module.register_forward_hook(tap)
        try:
            logits = self.network(image)[self.output].float()
        finally:
            hook.remove()
        if torch.is_grad_enabled():
            if not logits.requires_grad:
                raise UserError(f"--layer {self.layer.name}: the output {self.output} does not "
                                "depend on it; name another layer")
            # Maps on which the output does not depend have a gradient too, which is 0: the library
            # assigns gradients by their order.
            logits = logits + sum(0 * x.sum() for x in seen)
        return logits


def _replaced(output: object, replace: Callable[[Tensor], Tensor]) -> object:
    """What a layer gives, with each feature map replaced, in the order of ``feature_maps_in``."""
    if isinstance(output, Tensor):
        return replace(output) if feature_maps_in(output) else output
    if isinstance(output, Mapping):
        return {key: _replaced(value, replace) for key, value in output.items()}
    if isinstance(output, (list, tuple)):
        return type(output)(_replaced(value, replace) for value in output)
    return output
