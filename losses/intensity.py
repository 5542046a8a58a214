"""Adaptive pixel intensity loss of TRACER (AAAI 2022)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .structure import PIXELS, local_contrast, require_same_shape, weighted_iou

WINDOWS = (3, 15, 31)
SHARE = 0.5  # λ of the paper
RELEASED = 0.7  # factor of each part in the code


def pixel_intensity(mask: Tensor) -> Tensor:
    """Weights ω of an object's pixels near its outline or in its fine parts, 0 in the background:
    the sum of the contrasts to three neighbourhoods, halved. (N, 1, H, W) → the same."""
    return SHARE * sum(local_contrast(mask, window) for window in WINDOWS) * mask


def adaptive_pixel_intensity(logits: Tensor, mask: Tensor, released: bool = True,
                             intensity: Tensor | None = None) -> Tensor:
    """Cross-entropy, IoU and absolute error weighed by 1 + ω, mean over the images.

    As meant, with the sums going over an image's pixels: Σ(1 + ω)·ce / Σ(1.5 + ω), the weighted
    IoU, and Σ(1 + ω)·|p − m| / Σ(1 + ω), added up.

    Args:
        logits, mask: (N, 1, H, W), the mask in [0, 1].
        released: as in the code. Cross-entropy and error are reduced to the mean of the batch
            before they are weighed: the weights cancel out of the first, and the second is
            multiplied by Σ(1 + ω) / Σω, which is 28 for a full mask, over 1000 for a small object
            and infinite for an empty mask. Each part counts 0.7.
        intensity: ``pixel_intensity(mask)``, where several losses share it.

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(logits, mask)
    extra = pixel_intensity(mask) if intensity is None else intensity
    weights = 1 + extra
    logits = logits.float()
    probability = logits.sigmoid()
    total = weights.sum(PIXELS)
    iou = weighted_iou(probability, mask, weights)
    if released:
        ce = F.binary_cross_entropy_with_logits(logits, mask) * total / (weights + 0.5).sum(PIXELS)
        error = (probability - mask).abs().mean() * total / extra.sum(PIXELS)
        return RELEASED * (ce + iou + error).mean()
    each = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    ce = (weights * each).sum(PIXELS) / (weights + 0.5).sum(PIXELS)
    error = (weights * (probability - mask).abs()).sum(PIXELS) / total
    return (ce + iou + error).mean()
