"""Local saliency coherence (SCWSSOD, Eq. 2 and 3): neighbours of one colour share their saliency.

The loss of a map is the mean over its pixels i of Σⱼ wᵢⱼ |pᵢ − pⱼ|, where j lies in the window
around i and wᵢⱼ = exp(−|xᵢ − xⱼ|² / 2σₓ² − |Iᵢ − Iⱼ|² / 2σ_I²).

The released code unfolds the windows: it makes 121 copies of the maps, keeps them for the backward
pass, and weighs each pair twice. Here each pair of pixels is visited once. A shift of the map by
(dy, dx) visits all pairs of that offset, and half of the window's offsets suffice for all pairs.
The gradient is added up in the same loop, and nothing else is kept for the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor


def offsets(radius: int) -> Iterator[tuple[int, int]]:
    """Half of the window's offsets (dy, dx): one of each two that are opposite."""
    for dy in range(radius + 1):
        for dx in range(-radius, radius + 1):
            if dy > 0 or dx > 0:
                yield dy, dx


def shifted(x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Views of all pixels i and of all pixels j = i + (dy, dx), for dy ≥ 0, as far as both lie in
    the map: (…, H, W) → two of (…, H − dy, W − |dx|)."""
    height, width = x.shape[-2:]
    first = x[..., :height - dy, max(0, -dx):width - max(0, dx)]
    second = x[..., dy:, max(0, dx):width - max(0, -dx)]
    return first, second


class _Coherence(torch.autograd.Function):
    """Σ of wᵢⱼ |pᵢ − pⱼ| over all pixels and windows, divided by the number of pixels."""

    @staticmethod
    def forward(ctx, saliency: Tensor, features: Tensor, radius: int, sigma_xy: float,
                padded: bool) -> Tensor:
        gradient = torch.zeros_like(saliency)
        total = saliency.new_zeros(())
        height, width = saliency.shape[-2:]
        for dy, dx in offsets(radius):
            if dy >= height or abs(dx) >= width:
                continue
            features_i, features_j = shifted(features, dy, dx)
            weight = (features_i - features_j).square_().sum(dim=1, keepdim=True)
            weight.add_((dy * dy + dx * dx) / (2 * sigma_xy**2)).neg_().exp_()
            p_i, p_j = shifted(saliency, dy, dx)
            difference = p_i - p_j
            total += (difference.abs() * weight).sum()
            pull = difference.sign_().mul_(weight)
            gradient_i, gradient_j = shifted(gradient, dy, dx)
            gradient_i += pull
            gradient_j -= pull
        total, gradient = 2 * total, 2 * gradient  # the window of either pixel holds the pair
        if padded:
            weight = border_weights(features, radius, sigma_xy)
            total += (saliency.abs() * weight).sum()
            gradient += saliency.sign() * weight
        ctx.save_for_backward(gradient / saliency.numel())
        return total / saliency.numel()

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None


def border_weights(features: Tensor, radius: int, sigma_xy: float) -> Tensor:
    """The sum of the weights of each window's places outside of the image: (N, 1, H, W).

    Unfolding pads with zeros. So all these places count as pixels that lie at the image's first
    pixel, are black in the features and are not salient.
    """
    height, width = features.shape[-2:]
    rows = torch.arange(height, device=features.device, dtype=features.dtype)
    columns = torch.arange(width, device=features.device, dtype=features.dtype)

    def inside(places: Tensor, size: int) -> Tensor:
        return (places + radius).clamp(max=size - 1) - (places - radius).clamp(min=0) + 1

    outside = (2 * radius + 1) ** 2 - inside(rows, height)[:, None] * inside(columns, width)
    distance = (rows.square()[:, None] + columns.square()) / (2 * sigma_xy**2)
    return outside * torch.exp(-distance - features.square().sum(dim=1, keepdim=True))


def saliency_coherence(saliency: Tensor, image: Tensor, radius: int = 5, sigma_xy: float = 6.0,
                       sigma_rgb: float = 0.1, padded: bool = True) -> Tensor:
    """Local saliency coherence, computed in float32.

    Args:
        saliency: (N, 1, H, W) in [0, 1].
        image: (N, C, H, W) of the same height and width; no gradient is taken of it.
        radius: of the square window of (2 radius + 1)² pixels.
        sigma_xy: σₓ, in pixels.
        sigma_rgb: σ_I, in units of ``image``.
        padded: as in the released code, places of a window outside of the image count as pixels,
            see ``border_weights``. Otherwise they do not count.

    Raises:
        ValueError: the shapes do not fit, or a number is not positive.
    """
    if saliency.shape[1:2] != (1,) or saliency.shape[2:] != image.shape[2:] \
            or len(saliency) != len(image):
        raise ValueError(f"saliency {tuple(saliency.shape)} and image {tuple(image.shape)} do not "
                         "fit")
    if not (radius >= 1 and sigma_xy > 0 and sigma_rgb > 0):
        raise ValueError(f"radius {radius}, sigma_xy {sigma_xy} and sigma_rgb {sigma_rgb} must be "
                         "positive")
    features = image.detach().float() / (sigma_rgb * math.sqrt(2))
    with torch.autocast(saliency.device.type, enabled=False):
        return _Coherence.apply(saliency.float(), features, radius, sigma_xy, padded)
