"""CSNet's convolution against its definition, and its dynamic weight decay."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import model
from model.csnet import CSNetObjective, OctConv
from utils.config import load_config
from utils.errors import UserError


@pytest.mark.parametrize("stride", [1, 2])
def test_an_octave_convolution_sums_over_all_branches(stride):
    """Branch by branch as the paper has it: pooled before, or enlarged after, its convolution."""
    torch.manual_seed(0)
    before, after = (2, 3), (4, 1, 5)
    layer = OctConv(before, after, 3, stride)
    branches = [torch.randn(1, 2, 32, 16), torch.randn(1, 3, 16, 8)]
    high, low = [F.avg_pool2d(x, 2) for x in branches] if stride == 2 else branches
    weight = layer.weight
    for level, (start, end) in enumerate(((0, 4), (4, 5), (5, 10))):
        x = F.max_pool2d(high, 2 ** level) if level else high
        expected = F.conv2d(x, weight[start:end, :2], padding=1)
        x = F.max_pool2d(low, 2 ** (level - 1)) if level > 1 else low
        part = F.conv2d(x, weight[start:end, 2:], padding=1)
        expected = expected + (F.interpolate(part, scale_factor=2, mode="bilinear")
                               if level == 0 else part)
        assert torch.allclose(layer(branches)[level], expected, atol=1e-6)


def test_the_dynamic_decay_is_as_strong_as_the_features_behind_a_scale():
    """Its gradient is λ times the mean over the images of a channel's absolute mean, times the
    scale."""
    torch.manual_seed(0)
    network, objective = model.build("csnet_l_x1"), CSNetObjective("released", decay=2.0)
    layer, seen = network.stages[2][1][1][1], []
    hook = layer.register_forward_hook(lambda module, given, branches: seen.extend(branches))
    sample = {"image": torch.randn(2, 3, 32, 48), "mask": torch.ones(2, 1, 32, 48)}
    outputs, terms = objective(network, sample)
    hook.remove()
    assert torch.equal(terms["saliency_bce"],
                       F.binary_cross_entropy_with_logits(outputs["saliency"], sample["mask"]))
    scale = layer.norms[1].weight
    gradient, = torch.autograd.grad(terms["decay"], scale)
    assert torch.allclose(gradient, 2 * seen[1].mean((2, 3)).abs().mean(0) * scale, atol=1e-6)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_decay_must_be_a_number():
    with pytest.raises(UserError, match=r"csnet_l_x1 does not take these loss\.options.*strong"):
        model.objective_of(load_config("csnet_l_x1", ["loss.options.decay=strong"]))
