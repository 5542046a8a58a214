"""How little two regions overlap: one minus intersection over union, one minus dice."""

from __future__ import annotations

from torch import Tensor

from .cross_entropy import require_same_shape

PIXELS = (2, 3)  # the dimensions that a sum over an image goes over


def weighted_iou(probability: Tensor, mask: Tensor, weights: Tensor | float,
                 smooth: float = 1.0) -> Tensor:
    """1 − (Σwpm + s) / (Σw(p + m) − Σwpm + s) of each image: (N, 1, H, W) → (N, 1)."""
    both = (probability * mask * weights).sum(PIXELS)
    either = ((probability + mask) * weights).sum(PIXELS)
    return 1 - (both + smooth) / (either - both + smooth)


def iou(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """1 − (Σpm + s) / (Σ(p + m) − Σpm + s), sums over an image's pixels, mean over the images
    (BASNet, CVPR 2019, with s = 0; LDF, CVPR 2020, with s = 1).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].
        smooth: s, in pixels. With 0 an empty mask gives 1 whatever the network predicts, or NaN
            where every p rounds to 0.

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    return weighted_iou(logits.float().sigmoid(), mask, 1.0, smooth).mean()


def dice(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − (2Σpm + 1) / (Σp² + Σm² + 1), sums over an image's pixels, mean over the images
    (V-Net, 3DV 2016; the added one is BGNet's).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    probability = logits.float().sigmoid()
    both = 2 * (probability * mask).sum(PIXELS) + 1
    return (1 - both / ((probability.square() + mask.square()).sum(PIXELS) + 1)).mean()
