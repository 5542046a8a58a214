"""The parts of ITSD that are written for speed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import model
from model.itsd import PairMax, PlanarGroupNorm, row_max
from utils.errors import UserError


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_maximum_of_channels_in_a_row_and_its_gradient_are_torchs(count, layout):
    torch.manual_seed(0)
    x = torch.randn(2, 24, 5, 7).contiguous(memory_format=layout).requires_grad_()
    expected = x.unflatten(1, (-1, count)).amax(dim=2)
    ours, weight = row_max(x, count), torch.randn_like(expected)
    assert torch.equal(ours, expected)
    assert torch.equal(*(torch.autograd.grad((values * weight).sum(), x)[0]
                         for values in (ours, expected)))
    with torch.no_grad():
        assert torch.equal(row_max(x, count), expected)
        trace = torch.jit.trace(lambda values: row_max(values, count), torch.zeros(1, 24, 2, 2))
        assert torch.equal(trace(x), expected)


def test_the_gradient_of_a_tie_goes_to_one_channel_and_nan_stays():
    x = torch.zeros(1, 8, 1, 1, requires_grad=True)
    row_max(x, 4).sum().backward()
    assert x.grad.flatten().tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    for place in range(4):
        x = torch.zeros(1, 4, 1, 1)
        x[0, place] = torch.nan
        assert row_max(x, 4).isnan().all()


def test_it_differentiates_as_functions_of_torch_do():
    x = torch.randn(2, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: row_max(values, 4), x)
    (expected,) = torch.autograd.grad(row_max(x, 4).square().sum(), x)
    ours = torch.func.grad(lambda values: PairMax.apply(PairMax.apply(values)).square().sum())(x)
    assert torch.equal(ours, expected)


def test_trunks_whose_channels_do_not_part_are_refused():
    with pytest.raises(UserError, match=r"multiples of 64, not 4, 8, 16, 32, 32"):
        model.build("itsd_vgg", width=1 / 16)
    assert model.build("itsd_vgg", width=3)


def test_the_group_norm_is_torchs_in_every_layout():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 5, 7)
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = PlanarGroupNorm(4, 8)(x.contiguous(memory_format=layout))
        assert ours.is_contiguous()
        assert torch.allclose(ours, nn.GroupNorm(4, 8)(x), atol=1e-6)
