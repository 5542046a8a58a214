"""Binary cross-entropy on logits, plain and balanced between the classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NEGATIVES = 1.1  # factor on the background, as EGNet's and PoolNet's codes have it


def require_same_shape(logits: Tensor, target: Tensor) -> None:
    """Raise ValueError where a loss would broadcast."""
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(target.shape)} differ")


def bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy over all pixels of the batch.

    Args:
        logits: (N, 1, H, W).
        mask: (N, 1, H, W) in [0, 1], of any dtype. It is brought to the logits' dtype, so that
            bool, integers and float64 give the same loss.

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, mask)
    return F.binary_cross_entropy_with_logits(logits, mask.to(logits.dtype))


def probability_bce(logits: Tensor, mask: Tensor, of_logits: bool = False) -> Tensor:
    """``bce`` of float32 probabilities, as codes have it whose networks end with a sigmoid
    (PiCANet's, EDN's and SAMNet's).

    A logarithm of 0 counts as −100. A background pixel whose logit is above 17 has a probability of
    exactly 1: it costs 100 and has no gradient.

    Args:
        logits, mask: as for ``bce``.
        of_logits: ``bce`` itself, where a confident error costs what its logit says.
    """
    require_same_shape(logits, mask)
    if of_logits:
        return bce(logits, mask)
    with torch.autocast(logits.device.type, enabled=False):  # which forbids it on a GPU
        probability = logits.float().sigmoid()
        return F.binary_cross_entropy(probability, mask.to(probability.dtype))


def bce_sum(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy summed over an image's pixels, mean over the images (EGNet, ICCV 2019;
    PoolNet, CVPR 2019). Arguments and errors are those of ``bce``."""
    return bce(logits, mask) * mask[0].numel()


def balanced_bce(logits: Tensor, edge: Tensor) -> Tensor:
    """Cross-entropy with the same weight for the few edge pixels as for all others, mean over all
    pixels (HED, ICCV 2015, Eq. 2; the factor 1.1 is EGNet's).

    With P pixels that are exactly 1 and Q that are exactly 0 in the batch, ones weigh Q / (P + Q),
    zeros 1.1 P / (P + Q). Pixels between 0 and 1 do not count.

    Args:
        logits: (N, 1, H, W).
        edge: (N, 1, H, W) in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    require_same_shape(logits, edge)
    ones, zeros = (edge == 1).to(logits.dtype), (edge == 0).to(logits.dtype)
    share = ones.sum() / (ones.sum() + zeros.sum()).clamp(min=1)
    weights = (1 - share) * ones + NEGATIVES * share * zeros
    return F.binary_cross_entropy_with_logits(logits, edge.to(logits.dtype), weights)


def balanced_bce_sum(logits: Tensor, edge: Tensor) -> Tensor:
    """``balanced_bce`` summed over an image's pixels, mean over the images (EGNet, PoolNet)."""
    return balanced_bce(logits, edge) * edge[0].numel()
