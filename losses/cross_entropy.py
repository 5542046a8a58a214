"""Binary cross-entropy on logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy of ``logits`` against ``mask``, both (N, 1, H, W).

    ``mask`` holds values in [0, 1] in any dtype (bool and integers as well); it is brought to
    the logits' dtype, so an integer or double mask gives the same loss and no promotion.

    Raises:
        ValueError: shapes differ.
    """
    if logits.shape != mask.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} differ")
    return F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype))
