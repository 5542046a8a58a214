"""Losses that weigh the pixels near an outline (structure loss: F3Net, AAAI 2020), and dice."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

PIXELS = (2, 3)  # the dimensions that a sum over an image goes over


def local_contrast(mask: Tensor, window: int) -> Tensor:
    """How far each value lies from the mean of the ``window``² around it, zeros outside.

    The means are differences of sums over all that lies above and to the left, four for any
    window; in float64, in which such sums lose nothing that counts. (N, 1, H, W) in [0, 1] → the
    same.
    """
    before, after = window // 2 + 1, window // 2
    sums = F.pad(mask.double(), (before, after, before, after)).cumsum(2).cumsum(3)
    rows = sums[:, :, window:] - sums[:, :, :-window]
    mean = (rows[..., window:] - rows[..., :-window]) / window ** 2
    return (mean.to(mask.dtype) - mask).abs()


def outline_weights(mask: Tensor) -> Tensor:
    """1 far from the outline, up to 6 at it (F3Net, Eq. 8)."""
    return 1 + 5 * local_contrast(mask, 31)


def weighted_iou(probability: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """1 − weighted intersection over union, one added to both; (N, 1)."""
    both = (probability * mask * weights).sum(PIXELS)
    either = ((probability + mask) * weights).sum(PIXELS)
    return 1 - (both + 1) / (either - both + 1)


def structure(logits: Tensor, mask: Tensor, released: bool = True,
              weights: Tensor | None = None) -> Tensor:
    """Weighted cross-entropy plus weighted IoU, mean over the images (F3Net, Eq. 6 to 9).

    Args:
        logits, mask: (N, 1, H, W), the mask in [0, 1].
        released: as in the codes of F3Net and BGNet the cross-entropy is reduced to the mean of
            the batch before it is weighed, so that its weights cancel out.
        weights: ``outline_weights(mask)``, where several losses share it.

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(logits, mask)
    weights = outline_weights(mask) if weights is None else weights
    logits = logits.float()
    if released:
        ce = F.binary_cross_entropy_with_logits(logits, mask)
    else:
        each = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        ce = (weights * each).sum(PIXELS) / weights.sum(PIXELS)
    return (ce + weighted_iou(logits.sigmoid(), mask, weights)).mean()


def dice(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − dice coefficient with squares in its denominator, one added to both, mean over the
    images (V-Net, 3DV 2016); logits and mask (N, 1, H, W).

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(logits, mask)
    probability = logits.float().sigmoid()
    both = 2 * (probability * mask).sum(PIXELS) + 1
    return (1 - both / ((probability.square() + mask.square()).sum(PIXELS) + 1)).mean()


def require_same_shape(logits: Tensor, mask: Tensor) -> None:
    """Raise ValueError where a loss would broadcast."""
    if logits.shape != mask.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} differ")
