"""SAMNet's weights of its branches, and its probabilities that are resized."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from model.blocks import resize_probability
from model.trunks.samnet import MultiScale


def test_each_pixel_and_channel_weighs_the_branches():
    """The module written with loops over branches, channels and pixels."""
    torch.manual_seed(0)
    module, x = MultiScale(8, (1, 2)).eval(), torch.randn(1, 8, 5, 4)
    with torch.no_grad():
        entered = module.enter(x)
        branches = [*(branch(entered) for branch in module.branches), entered]
        joined = sum(branches)
        channel = module.channel(joined.mean((2, 3), keepdim=True)).flatten()
        spatial, mixed = module.spatial(joined)[0, 0], torch.zeros_like(x)
        for number in range(8):
            for row in range(5):
                for column in range(4):
                    # Gates of all channels of the first branch come first.
                    gates = channel[number::8] * spatial[row, column]
                    values = torch.stack([each[0, number, row, column] for each in branches])
                    mixed[0, number, row, column] = (gates.softmax(0) * values).sum()
        assert torch.allclose(module(x), x + module.fuse(mixed), atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_probabilities_are_resized_and_not_logits(align_corners):
    logits = torch.tensor([[[[-40.0, 3.0], [40.0, 0.5]]]], requires_grad=True)
    large = resize_probability(logits, torch.empty(1, 3, 5, 7), align_corners)
    expected = F.interpolate(logits.sigmoid(), (5, 7), mode="bilinear", align_corners=align_corners)
    assert torch.allclose(large.sigmoid(), expected, atol=1e-6) and torch.isfinite(large).all()
    large.sum().backward()
    assert torch.isfinite(logits.grad).all()
