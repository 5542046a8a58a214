"""Structure consistency between two predictions of one image (SCWSSOD, Eq. 4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .similarity import similarity

ALPHA = 0.85


def square_mean(x: Tensor) -> Tensor:
    """Averages of 3×3 windows; zeros outside of the map count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1)


def structure_consistency(x: Tensor, y: Tensor) -> Tensor:
    """0.85 × mean (1 − SSIM) / 2, cut to [0, 1], + 0.15 × mean absolute difference. The gradient
    flows into both maps.

    Args:
        x, y: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"maps of {tuple(x.shape)} and {tuple(y.shape)} cannot be compared")
    x, y = x.float(), y.float()
    dissimilarity = ((1 - similarity(x, y, square_mean)) / 2).clamp(0, 1)
    return ALPHA * dissimilarity.mean() + (1 - ALPHA) * (x - y).abs().mean()
