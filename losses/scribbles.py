"""Cross-entropy on the pixels that scribbles label."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def require_scribbles(logits: Tensor, scribble: Tensor) -> None:
    """Raise ValueError unless the scribbles are integers and of the logits' shape."""
    if logits.shape != scribble.shape or scribble.is_floating_point():
        raise ValueError(f"logits {tuple(logits.shape)} need integer scribbles of their shape, not "
                         f"{scribble.dtype} {tuple(scribble.shape)}")


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values; 0, with a gradient of 0, where none is chosen."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def partial_bce(logits: Tensor, scribble: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labelled pixels (WSSA, Eq. 2).

    Args:
        logits: (N, 1, H, W).
        scribble: (N, 1, H, W) integers: 1 foreground, 0 background, 255 unknown. Without any
            label the loss is 0.

    Raises:
        ValueError: the shapes differ, or the scribbles are no integers.
    """
    require_scribbles(logits, scribble)
    foreground, labelled = (scribble == 1).to(logits.dtype), (scribble <= 1).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, foreground, reduction="none")
    return mean_where(losses, labelled)


def balanced_ce(logits: Tensor, scribble: Tensor, double_softmax: bool = True) -> Tensor:
    """Mean over the foreground's strokes plus mean over the background's (SCWSSOD's code).

    Args:
        logits: (N, 1, H, W); p is their sigmoid.
        scribble: as for ``partial_bce``. A class without a stroke adds 0; the released code's
            mean over nothing is NaN.
        double_softmax: as in the released code, the probabilities (1 − p, p) are the scores of a
            softmax. The loss of a pixel then lies between 0.313 and 1.313, whatever the network
            predicts. Otherwise it is the cross-entropy of p itself.

    Raises:
        ValueError: the shapes differ, or the scribbles are no integers.
    """
    require_scribbles(logits, scribble)
    score = 2 * logits.sigmoid() - 1 if double_softmax else logits
    return sum(mean_where(F.softplus(sign * score), (scribble == code).to(logits.dtype))
               for code, sign in ((1, -1), (0, 1)))
