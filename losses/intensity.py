"""Adaptive pixel intensity loss (TRACER, AAAI 2022)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .cross_entropy import require_same_shape
from .overlap import PIXELS, weighted_iou
from .structure import local_contrast

WINDOWS = (3, 15, 31)  # pixels
SHARE = 0.5  # λ of the paper
RELEASED = 0.7  # factor on each part in the released code


def pixel_intensity(mask: Tensor) -> Tensor:
    """ω of an object's pixels: half the sum of their contrasts to three neighbourhoods, so it is
    high near the outline and in fine parts; 0 in the background. (N, 1, H, W) in [0, 1] → the
    same shape."""
    return SHARE * sum(local_contrast(mask, window) for window in WINDOWS) * mask


def adaptive_pixel_intensity(logits: Tensor, mask: Tensor, reduced_first: bool = True,
                             weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, IoU and absolute error weighted by 1 + ω, mean over the images.

    With sums over an image's pixels, the paper's loss is Σ(1 + ω)·ce / Σ(1.5 + ω), plus the
    weighted IoU loss, plus Σ(1 + ω)·|p − m| / Σ(1 + ω).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].
        reduced_first: as in the released code, cross-entropy and error are reduced to the mean of
            the batch before they are weighted. So the weights cancel out of the first, and the
            second is multiplied by Σ(1 + ω) / Σω, which is 28 for a full mask, over 1000 for a
            small object and infinite for an empty mask. Each part is multiplied by 0.7.
        weights: ω, ``pixel_intensity(mask)``, where it is known already.

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    extra = pixel_intensity(mask) if weights is None else weights
    weights = 1 + extra
    logits = logits.float()
    probability = logits.sigmoid()
    total = weights.sum(PIXELS)
    iou = weighted_iou(probability, mask, weights)
    if reduced_first:
        ce = F.binary_cross_entropy_with_logits(logits, mask) * total / (weights + 0.5).sum(PIXELS)
        error = (probability - mask).abs().mean() * total / extra.sum(PIXELS)
        return RELEASED * (ce + iou + error).mean()
    each = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    ce = (weights * each).sum(PIXELS) / (weights + 0.5).sum(PIXELS)
    error = (weights * (probability - mask).abs()).sum(PIXELS) / total
    return (ce + iou + error).mean()
