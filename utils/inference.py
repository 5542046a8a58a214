"""From a batch of images to saliency maps at the images' own sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import UserError
from .precision import Precision


def resize_logits(logits: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, h, w) → (N, C, *size), bilinear, corners not aligned; sizes may be ints or tensors.

    Logits are resized, not probabilities or bytes: rounding first changes the scores
    (docs/evaluation.md).
    """
    height, width = (int(side) for side in size)
    return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


@torch.inference_mode()
def predict(network: nn.Module, batch: dict, precision: Precision) -> Iterator[np.ndarray]:
    """Saliency probabilities, float32 (H, W) at each image's original size, in batch order.

    The network computes in evaluation mode: dropout is off, batch norms use their statistics.

    Raises:
        UserError: the network's output for an image is not a number.
    """
    with evaluating(network), precision.autocast():
        logits = network(precision.batch(batch)["image"])["saliency"].float()
    for name, one, size in zip(batch["name"], logits, batch["size"], strict=True):
        if one.isnan().any():
            raise UserError(f"the network gives NaN for the image {name}: its weights hold "
                            "NaN or are too large; train again or take earlier weights")
        yield resize_logits(one[None], size)[0, 0].sigmoid().cpu().numpy()


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
