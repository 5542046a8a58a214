"""Structural similarity (Wang et al., TIP 2004), and one minus it as a loss (BASNet, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .cross_entropy import require_same_shape

WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2


def similarity(x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """SSIM of two maps at each pixel, at most 1: (N, 1, H, W) → the same.

    Args:
        x, y: in [0, 1].
        mean: local averages of a map around each pixel, by the window that defines this SSIM.
    """
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    return ((2 * mean_x * mean_y + C1) * (2 * covariance + C2)
            / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2)))


def gaussian_mean(x: Tensor) -> Tensor:
    """Averages under a Gaussian of σ 1.5 in 11×11 windows, zeros outside of the map."""
    offsets = torch.arange(WINDOW, device=x.device, dtype=x.dtype) - WINDOW // 2
    kernel = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    rows = F.conv2d(x, kernel.view(1, 1, WINDOW, 1), padding=(WINDOW // 2, 0))
    return F.conv2d(rows, kernel.view(1, 1, 1, WINDOW), padding=(0, WINDOW // 2))


def ssim(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − SSIM of the sigmoid of ``logits`` and ``mask``, mean over all pixels of the batch, in
    float32 (BASNet's hybrid loss).

    Args:
        logits: (N, 1, H, W).
        mask: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    with torch.autocast(logits.device.type, enabled=False):  # bf16 would lose the variances
        return 1 - similarity(logits.float().sigmoid(), mask.float(), gaussian_mean).mean()
