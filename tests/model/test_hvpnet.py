"""HVPNet's groups of channels."""

from __future__ import annotations

import torch

from model.trunks.hvpnet import HVP


def test_a_branch_groups_neighbours_of_all_its_inputs_side_by_side():
    """Of two inputs of four channels each, the first half of the outputs sees the first input
    alone, and the second half the second; no output sees one channel of each."""
    conv = HVP(4).branches[1][0].conv
    joined = torch.randn(1, 8, 5, 5, requires_grad=True)
    for number, output in enumerate(conv(joined)[0]):
        gradient, = torch.autograd.grad(output.sum(), joined, retain_graph=True)
        seen = gradient[0].abs().sum((1, 2)).nonzero().flatten().tolist()
        assert seen == [2 * number, 2 * number + 1]
