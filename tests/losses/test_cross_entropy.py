"""Cross-entropy and structural similarity: formulas, types of masks, saturated logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import losses
from losses.similarity import gaussian_mean, similarity


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_bce_takes_masks_of_any_dtype(dtype):
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    mask = torch.rand(2, 1, 8, 8) > 0.5
    loss = losses.bce(logits, mask.to(dtype))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(losses.bce(logits, mask.float()).item())


def test_bce_is_the_formula_and_finite_for_saturated_logits():
    logits = torch.tensor([[[[0.0, 2.0, -300.0, 300.0]]]], requires_grad=True)
    mask = torch.tensor([[[[1.0, 0.25, 1.0, 0.0]]]])
    p = 1 / (1 + np.exp(-2.0))
    expected = (np.log(2) - 0.25 * np.log(p) - 0.75 * np.log(1 - p) + 300 + 300) / 4
    loss = losses.bce(logits, mask)
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_the_cross_entropy_of_probabilities_differs_where_they_are_exactly_0_or_1():
    logits = torch.tensor([[[[0.5, -3.0, 30.0, -120.0]]]], requires_grad=True)
    mask = torch.tensor([[[[0.3, 1.0, 0.0, 1.0]]]])
    value = losses.probability_bce(logits, mask)
    unsaturated = losses.bce(logits[..., :2], mask[..., :2])
    assert value.item() == pytest.approx((2 * unsaturated.item() + 100 + 100) / 4, rel=1e-6)
    value.backward()
    assert (logits.grad != 0).flatten().tolist() == [True, True, False, False]
    assert losses.probability_bce(logits, mask, of_logits=True) == losses.bce(logits, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert losses.probability_bce(logits.bfloat16(), mask).dtype == torch.float32


def test_sums_are_means_times_the_pixels_of_an_image():
    logits, mask = torch.randn(3, 1, 4, 6), (torch.rand(3, 1, 4, 6) > 0.5).float()
    for mean, total in ((losses.bce, losses.bce_sum),
                        (losses.balanced_bce, losses.balanced_bce_sum)):
        assert total(logits, mask).item() == pytest.approx(24 * mean(logits, mask).item())


def test_balanced_cross_entropy_counts_classes_and_leaves_greys_out():
    logits = torch.randn(1, 1, 2, 5, requires_grad=True)
    edge = torch.tensor([[[[1.0, 1, 0, 0, 0], [0, 0, 0, 0.3, 0.999]]]])
    each = F.softplus(-logits)[edge == 1].sum() * 6 / 8 \
        + F.softplus(logits)[edge == 0].sum() * 1.1 * 2 / 8
    value = losses.balanced_bce(logits, edge)
    assert value.item() == pytest.approx(each.item() / 10, rel=1e-6)
    value.backward()
    assert ((logits.grad == 0) == ((edge > 0) & (edge < 1))).all()
    for empty in (torch.zeros_like(edge), torch.full_like(edge, 0.5)):
        assert losses.balanced_bce(logits, empty) == 0


def test_similarity_is_the_formula_in_a_windows_middle():
    """At the one pixel whose window is the whole map."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, 11, 11, generator=random, dtype=torch.float64)
    mask = (torch.rand(1, 1, 11, 11, generator=random) > 0.5).double()
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    weights = torch.exp(-(x**2 + y**2) / 4.5)
    weights = weights / weights.sum()
    p = logits.sigmoid()
    mean_p, mean_m = (weights * p).sum(), (weights * mask).sum()
    var_p, var_m = (weights * (p - mean_p)**2).sum(), (weights * (mask - mean_m)**2).sum()
    both = (weights * (p - mean_p) * (mask - mean_m)).sum()
    expected = (2 * mean_p * mean_m + 1e-4) * (2 * both + 9e-4) \
        / (mean_p**2 + mean_m**2 + 1e-4) / (var_p + var_m + 9e-4)
    middle = similarity(p, mask, gaussian_mean)[0, 0, 5, 5]
    assert middle.item() == pytest.approx(expected.item(), rel=1e-9)


def test_similarity_is_zero_for_a_perfect_map_and_keeps_float32_in_bf16():
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., 6:18, 6:18] = 1
    logits = 200 * mask - 100
    assert losses.ssim(logits, mask).item() == pytest.approx(0, abs=1e-6)
    noise = torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = losses.ssim(noise, mask)
    assert inside == losses.ssim(noise, mask)
