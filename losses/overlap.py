"""How little two regions overlap: one minus intersection over union, one minus dice, of each image
or of the batch as a whole."""

from __future__ import annotations

from torch import Tensor

from .cross_entropy import require_same_shape
from .smoothness import derivatives

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


def batch_dice(logits: Tensor, mask: Tensor, smooth: float = 1e-5) -> Tensor:
    """1 − (2Σpm + s) / (Σp + Σm + s), sums over the whole batch (EDN, TIP 2022).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].
        smooth: s, in pixels.

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    probability = logits.float().sigmoid()
    both = (probability * mask).sum()
    return 1 - (2 * both + smooth) / (probability.sum() + mask.sum() + smooth)


def area_dice(logits: Tensor, mask: Tensor) -> Tensor:
    """1 − 2 (Σpm + 1) / (Σp + Σm + 1), sums over the whole batch (the PyTorch port of NLDF).
    Arguments and errors are those of ``batch_dice``."""
    return batch_dice(logits, mask, 1.0) - 1 / (logits.float().sigmoid().sum() + mask.sum() + 1)


def consistency_enhanced(logits: Tensor, mask: Tensor) -> Tensor:
    """(Σp + Σm − 2Σpm) / (Σp + Σm + 10⁻⁶), sums over the whole batch: the share of both regions
    that is not common (MINet, CVPR 2020, CEL).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    probability = logits.float().sigmoid()
    both, total = (probability * mask).sum(), probability.sum() + mask.sum()
    return (total - 2 * both) / (total + 1e-6)


def boundary_dice(logits: Tensor, mask: Tensor) -> Tensor:
    """Dice of two outlines (NLDF, CVPR 2017): 1 − 2 (Σqe + 1) / (Σq² + Σe² + 1), sums over the
    whole batch, where q = tanh(|∇p|²), e = 1 where |∇m|² > 1.5, and ∇ is Sobel's.

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        mask: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    of_map, of_mask = (sum(d.square() for d in derivatives(values))
                       for values in (logits.float().sigmoid(), mask.float()))
    outline, true = of_map.tanh(), (of_mask > 1.5).float()
    both, total = (outline * true).sum(), outline.square().sum() + true.square().sum()
    return 1 - 2 * (both + 1) / (total + 1)
