"""Local saliency coherence (SCWSSOD, Eq. 2 and 3): near pixels of like colour, like saliency.

The loss of a map is the mean over its pixels i of Σⱼ wᵢⱼ |pᵢ − pⱼ| with
wᵢⱼ = exp(−|xᵢ − xⱼ|² / 2σₓ² − |Iᵢ − Iⱼ|² / 2σ_I²), j in the window around i.

Unfolding the window, as the released code does, makes 121 copies of the maps, keeps them for the
backward pass, and weighs each pair twice. Here each pair of pixels is met once: a shift of the map
by (dy, dx) meets all pairs of that offset, half of the window's offsets meet them all, and the
gradient is added up on the way. Nothing but it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor


def offsets(radius: int) -> Iterator[tuple[int, int]]:
    """Half of the window's offsets (dy, dx): each pair of opposite ones once."""
    for dy in range(radius + 1):
        for dx in range(-radius, radius + 1):
            if dy > 0 or dx > 0:
                yield dy, dx


def shifted(x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Views of (…, H, W) of all pixels i and j = i + (dy, dx) that both lie in it; dy ≥ 0."""
    height, width = x.shape[-2:]
    here = x[..., :height - dy, max(0, -dx):width - max(0, dx)]
    there = x[..., dy:, max(0, dx):width - max(0, -dx)]
    return here, there


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
            one, other = shifted(features, dy, dx)
            weight = (one - other).square_().sum(dim=1, keepdim=True)
            weight.add_((dy * dy + dx * dx) / (2 * sigma_xy**2)).neg_().exp_()
            p, q = shifted(saliency, dy, dx)
            difference = p - q
            total += (difference.abs() * weight).sum()
            pull = difference.sign_().mul_(weight)
            into, out_of = shifted(gradient, dy, dx)
            into += pull
            out_of -= pull
        total, gradient = 2 * total, 2 * gradient  # each pair has two centres
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
    """(N, 1, H, W): for each pixel, the weights of the window's places outside of the image.

    Unfolding pads with zeros, so all those places lie at the image's first pixel, are black in the
    features and not salient; each weighs as its distance from there says.
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
        radius: of the square window, (2 radius + 1)² pixels.
        sigma_xy: in pixels. sigma_rgb: in units of ``image``.
        padded: as released, places of the window outside of the image count as pixels that are
            black, not salient and at its first pixel; otherwise they do not count.

    Raises:
        ValueError: shapes that do not fit, or values that are not positive.
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
