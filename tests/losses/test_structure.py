"""Losses of regions and outlines: released values, plain formulas, what the variants change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import losses
from losses.intensity import pixel_intensity
from losses.overlap import weighted_iou
from losses.structure import local_contrast, outline_weights


@pytest.mark.parametrize("name, loss", [
    ("tracer/adaptive_pixel_intensity", losses.adaptive_pixel_intensity),
    ("f3net/structure_loss_as_released", losses.structure),
    ("f3net/structure_loss_paper", lambda x, y: losses.structure(x, y, reduced_first=False)),
])
def test_values_and_gradients_equal_the_released_losses(released_inputs, agrees, name, loss):
    logits = released_inputs["logit"].clone().requires_grad_()
    agrees(name, loss(logits, released_inputs["mask"]), [logits])


def blob(count: int = 2, size: int = 64) -> torch.Tensor:
    mask = torch.zeros(count, 1, size, size)
    for number in range(count):
        mask[number, :, 10:30 + 5 * number, 20:45] = 1
    return mask


@given(st.integers(0, 10**6), st.sampled_from([3, 15, 31]), st.integers(8, 40), st.integers(8, 40))
@settings(max_examples=30, deadline=None)
def test_contrast_equals_the_square_window(seed, window, height, width):
    mask = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed))
    whole = F.avg_pool2d(mask, window, stride=1, padding=window // 2)
    assert torch.allclose(local_contrast(mask, window), (whole - mask).abs(), atol=1e-6)


def test_the_papers_losses_are_the_formulas():
    mask, logits = blob(), torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    p = logits.sigmoid()
    ce = -(mask * p.log() + (1 - mask) * (1 - p).log())
    values = {"structure": losses.structure(logits, mask, reduced_first=False),
              "intensity": losses.adaptive_pixel_intensity(logits, mask, reduced_first=False),
              "dice": losses.dice(logits, mask), "iou": losses.iou(logits, mask),
              "bare iou": losses.iou(logits, mask, smooth=0)}
    expected = {name: [] for name in values}
    for q, m, c, w, o in zip(p, mask, ce, outline_weights(mask), 1 + pixel_intensity(mask),
                             strict=True):
        def iou(weights, smooth=1, q=q, m=m):
            both = (weights * q * m).sum()
            return 1 - (both + smooth) / ((weights * (q + m)).sum() - both + smooth)
        expected["structure"].append((w * c).sum() / w.sum() + iou(w))
        expected["intensity"].append((o * c).sum() / (o + 0.5).sum() + iou(o)
                                     + (o * (q - m).abs()).sum() / o.sum())
        expected["dice"].append(1 - (2 * (q * m).sum() + 1)
                                / ((q ** 2).sum() + (m ** 2).sum() + 1))
        expected["iou"].append(iou(torch.ones_like(q)))
        expected["bare iou"].append(iou(torch.ones_like(q), smooth=0))
    for name, value in values.items():
        assert value.item() == pytest.approx(float(sum(expected[name]) / 2), rel=1e-5), name


def test_an_empty_mask_is_finite_in_the_paper_and_infinite_as_released():
    for mask in (torch.zeros(1, 1, 40, 40), torch.ones(1, 1, 40, 40)):
        logits = torch.randn(1, 1, 40, 40, requires_grad=True)
        loss = losses.adaptive_pixel_intensity(logits, mask, reduced_first=False)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    empty = torch.zeros(1, 1, 40, 40)
    assert losses.adaptive_pixel_intensity(logits, empty).isinf()
    for loss in (losses.structure, losses.dice, losses.iou):
        assert torch.isfinite(loss(logits, empty))


@pytest.mark.parametrize("radius, factor", [(5, 1678), (30, 186), (80, 70)])
def test_the_released_error_counts_many_times(radius, factor):
    """The factor on the absolute error, at TRACER's 320 pixels."""
    y, x = np.mgrid[:320, :320] - 160
    mask = torch.from_numpy(x ** 2 + y ** 2 < radius ** 2).float()[None, None]
    extra = pixel_intensity(mask)
    assert ((1 + extra).sum() / extra.sum()).item() == pytest.approx(factor, rel=0.03)


def test_as_released_the_weights_of_the_cross_entropy_cancel_out():
    """Moving an error from the outline into the background changes the paper's loss alone."""
    mask = blob(1)
    near, far = (torch.full_like(mask, -6).where(mask == 0, 6.0) for _ in range(2))
    near[0, 0, 9, 30], far[0, 0, 60, 60] = 6.0, 6.0
    weights = outline_weights(mask)
    ce = {first: [losses.structure(logits, mask, reduced_first=first).item()
                  - weighted_iou(logits.sigmoid(), mask, weights).item()
                  for logits in (near, far)] for first in (True, False)}
    assert ce[True][0] == pytest.approx(ce[True][1], abs=1e-6)
    assert ce[False][0] > 1.5 * ce[False][1]


@pytest.mark.parametrize("loss", [losses.structure, losses.dice, losses.adaptive_pixel_intensity,
                                  losses.iou, losses.ssim, losses.balanced_bce, losses.bce])
def test_losses_refuse_to_broadcast(loss):
    with pytest.raises(ValueError, match="differ"):
        loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9))
