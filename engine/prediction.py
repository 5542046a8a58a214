"""From a batch of images to saliency maps at the images' own sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.errors import UserError

from .precision import Precision


@torch.inference_mode()
def forward(network: nn.Module, batch: dict, precision: Precision,
            objective: Callable | None = None) -> tuple[Tensor, float]:
    """Saliency logits (N, 1, h, w) of a batch in evaluation mode (dropout is off, batch norms use
    their statistics), and the loss that an ``objective`` makes of it, 0 without one."""
    with evaluating(network), precision.autocast():
        batch = precision.batch(batch)
        if objective is None:
            return network(batch["image"])["saliency"], 0.0
        outputs, terms = objective(network, batch)
        return outputs["saliency"], float(sum(terms.values()))


def maps_of(logits: Tensor, batch: dict, resize: str = "logits") -> Iterator[np.ndarray]:
    """Logits (N, 1, h, w) of a batch → its maps: saliency probabilities, float32 (H, W) at each
    image's original size, in batch order.

    Args:
        resize: what is interpolated to an image's size (bilinear, corners not aligned):
            ``logits``, or ``probabilities``, which gives softer outlines where maps grow.

    Raises:
        UserError: an image's logits are not numbers.
    """
    for name, values, size in zip(batch["name"], logits.float(), batch["size"], strict=True):
        if values.isnan().any():
            raise UserError(f"the network gives NaN for the image {name}: its weights hold "
                            "NaN or are too large; train again or take earlier weights")
        values = values[None] if resize == "logits" else values[None].sigmoid()
        height, width = (int(side) for side in size)
        values = F.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
        values = values.sigmoid() if resize == "logits" else values.clamp(0, 1)
        yield values[0, 0].cpu().numpy()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode, and each of its modules back as it was."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
