"""Parts that networks share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.blocks import GroupedConv, ReceptiveField, conv_norm, conv_norm_relu, resize_to


@pytest.mark.parametrize("align_corners", [True, False])
def test_resizing_is_bilinear_with_the_corners_that_are_asked_for(align_corners):
    """From two pixels to four: with aligned corners thirds, else quarters."""
    row = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    result = resize_to(row, torch.zeros(1, 7, 1, 4), align_corners)
    expected = [0, 1 / 3, 2 / 3, 1] if align_corners else [0, 0.25, 0.75, 1]
    assert result.flatten().tolist() == pytest.approx(expected)
    with pytest.raises(TypeError):
        resize_to(row, row)  # there is no default


def test_a_norm_follows_a_convolution_without_bias_and_keeps_the_size():
    block = conv_norm_relu(3, 5, dilation=4)
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert block[0].bias is None and conv_norm_relu(3, 5, 1, bias=True)[0].bias is not None
    assert block(torch.randn(2, 3, 11, 14)).shape == (2, 5, 11, 14)
    with_names = conv_norm(3, 5, (1, 3), nn.SELU(), padding=(0, 1))
    assert [name for name, _ in with_names.named_children()] == ["conv", "bn", "activation"]
    assert len(conv_norm(3, 5, 1)) == 2


@pytest.mark.parametrize("branch, reach", [(0, 0), (1, 4), (2, 7), (3, 10)])
def test_the_branches_of_a_receptive_field_reach_as_far_as_the_paper_says(branch, reach):
    """1×k, k×1, then 3×3 with dilation k: ⌊k / 2⌋ + k pixels to each side."""
    def summing(*arguments, **options) -> nn.Module:
        conv = nn.Conv2d(*arguments, bias=False, **options)
        nn.init.ones_(conv.weight)
        return conv

    block = ReceptiveField(1, 2, summing)
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    response = block.branches[branch](point)[0, 0] > 0
    for dim in (0, 1):
        places = response.any(dim=dim).nonzero()
        assert (places.min(), places.max()) == (20 - reach, 20 + reach)


@pytest.mark.parametrize("channels, dilation", [(12, 5), (20, 3), (24, 1)])
def test_depthwise_gradients_are_those_of_float32(channels, dilation):
    """On a CPU with bf16 units, torch 2.15's own are garbage at times for dilated kernels."""
    torch.manual_seed(0)
    conv = GroupedConv(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels,
                       bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(4, channels, 80, 80).contiguous(memory_format=torch.channels_last)
    gradients = []
    for enabled in (True, True, True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = conv(x.bfloat16() if enabled else x.bfloat16().float())
        (gradient,) = torch.autograd.grad(out.float().square().mean(), conv.weight)
        gradients.append(gradient)
    for gradient in gradients[:-1]:
        assert torch.allclose(gradient, gradients[-1], rtol=1e-3, atol=1e-5)
