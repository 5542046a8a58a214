"""The structure loss, which weighs the pixels near an object's outline (F3Net, AAAI 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .cross_entropy import require_same_shape
from .overlap import PIXELS, weighted_iou


def local_contrast(mask: Tensor, window: int) -> Tensor:
    """The distance of each value from the mean of the ``window``² values around it.

    Zeros outside of the mask count. The means are differences of running sums over all that lies
    above and to the left, so four additions suffice for any window; in float64 these sums lose
    nothing that counts. (N, 1, H, W) in [0, 1] → the same.
    """
    before, after = window // 2 + 1, window // 2
    sums = F.pad(mask.double(), (before, after, before, after)).cumsum(2).cumsum(3)
    rows = sums[:, :, window:] - sums[:, :, :-window]
    mean = (rows[..., window:] - rows[..., :-window]) / window ** 2
    return (mean.to(mask.dtype) - mask).abs()


def outline_weights(mask: Tensor) -> Tensor:
    """ω = 1 + 5 |mean of 31² around − m|: 1 far from the outline, up to 6 at it (F3Net, Eq. 8).
    (N, 1, H, W) in [0, 1] → (N, 1, H, W)."""
    return 1 + 5 * local_contrast(mask, 31)


def structure(logits: Tensor, mask: Tensor, reduced_first: bool = True,
              weights: Tensor | None = None) -> Tensor:
    """Σω·ce / Σω plus the IoU loss weighted by ω, mean over the images (F3Net, Eq. 6 to 9).

    Args:
        logits: (N, 1, H, W).
        mask: (N, 1, H, W) in [0, 1].
        reduced_first: as in the codes of F3Net and BGNet, the cross-entropy is reduced to the
            mean of the batch before it is weighted, so that its weights cancel out.
        weights: ω, ``outline_weights(mask)``, where it is known already.

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    weights = outline_weights(mask) if weights is None else weights
    logits = logits.float()
    if reduced_first:
        ce = F.binary_cross_entropy_with_logits(logits, mask)
    else:
        each = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        ce = (weights * each).sum(PIXELS) / weights.sum(PIXELS)
    return (ce + weighted_iou(logits.sigmoid(), mask, weights)).mean()
