"""Matrix capsules that EM routing connects (Hinton, Sabour and Frosst, ICLR 2018), as in ICON.

A capsule is a pose, a matrix of 4×4, and an activation. Each capsule below votes for the poses of
those above it, and expectation maximisation finds which votes agree.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 4  # of a pose
ROUNDS = 3
EPSILON = 1e-12
WINDOW = {"kernel_size": 3, "stride": 2, "padding": 1}  # of capsules that a capsule gets votes from


class EMRouting(nn.Module):
    """From ``before`` capsules at each place to ``after`` at every second one.

    A Gaussian for each capsule above is fitted to the votes by their shares (M-step), and votes are
    shared by how well they fit (E-step).
    """

    def __init__(self, before: int, after: int):
        super().__init__()
        votes = before * WINDOW["kernel_size"] ** 2
        self.W = nn.Parameter(torch.empty(votes, after, SIDE, SIDE))
        self.beta_u = nn.Parameter(torch.zeros(1, 1, after, 1))
        self.beta_a = nn.Parameter(torch.zeros(1, 1, after))
        nn.init.normal_(self.W)

    def forward(self, pose: Tensor, active: Tensor) -> Tensor:
        """Poses (N, 16 before, h, w) and activations in [0, 1] (N, before, h, w) → the poses above,
        (N, 16 after, ⌈h / 2⌉, ⌈w / 2⌉)."""
        height, width = ((side + 1) // WINDOW["stride"] for side in pose.shape[-2:])
        below = self.places(pose, SIDE * SIDE).unflatten(-1, (SIDE, SIDE))
        votes = (below[:, :, :, None] @ self.W).flatten(-2)
        # Differences of votes, and their squares, need more than 16 bits.
        votes, given = (x.to(torch.promote_types(x.dtype, torch.float32))
                        for x in (votes, self.places(active, 1)))
        mean = self.route(votes, given)
        return mean.flatten(2).transpose(1, 2).unflatten(2, (height, width))

    @staticmethod
    def places(x: Tensor, size: int) -> Tensor:
        """(N, before · size, h, w) → (N, places, 9 before, size): what lies in each window, where
        the capsules of one place stand side by side."""
        windows = F.unfold(x, **WINDOW).unflatten(1, (-1, size, WINDOW["kernel_size"] ** 2))
        return windows.permute(0, 4, 3, 1, 2).flatten(2, 3)

    def route(self, votes: Tensor, given: Tensor) -> Tensor:
        """Votes (N, places, below, after, 16) and activations (N, places, below, 1) → poses
        (N, places, after, 16), the means of the Gaussians."""
        share = torch.ones_like(given)
        for turn in range(1, ROUNDS + 1):
            share = share * given
            total = share.sum(dim=2, keepdim=True)
            weights = (share / (total + EPSILON))[..., None]
            mean = (weights * votes).sum(dim=2, keepdim=True)
            square = (votes - mean).square()
            if turn == ROUNDS:
                break
            variance = (weights * square).sum(dim=2, keepdim=True) + EPSILON
            cost = ((self.beta_u + variance.log() / 2) * total[..., None]).sum(dim=-1)
            active = 0.01 * (1 - 0.95 ** turn) * (self.beta_a - cost)
            fit = -(variance.log() + square / variance).sum(dim=-1) / 2
            share = (fit + F.logsigmoid(active)).softmax(dim=-1)
        return mean.squeeze(2)
