"""Losses between pixels of a map, and between two maps: released values and plain formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import losses


@pytest.mark.parametrize("name, loss", [
    ("scwssod/lsc", lambda x, y, image: losses.saliency_coherence(x.sigmoid(), image)),
    ("scwssod/structure_consistency",
     lambda x, y, image: losses.structure_consistency(x.sigmoid(), y.sigmoid())),
])
def test_values_and_gradients_equal_the_released_losses(released_inputs, agrees, name, loss):
    arguments = [released_inputs[key].clone().requires_grad_() for key in ("logit", "logit_b")]
    value = loss(*arguments, released_inputs["image"])
    agrees(name, value, arguments[:1 if name == "scwssod/lsc" else 2])


def by_unfolding(saliency, image, radius, sigma_xy, sigma_rgb, padded) -> torch.Tensor:
    """The formula as it stands: all windows unfolded."""
    count, _, height, width = saliency.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([rows, columns])[None].to(image).expand(count, -1, -1, -1)
    features = torch.cat([place / sigma_xy, image / sigma_rgb,
                          torch.ones_like(image[:, :1])], dim=1)

    def windows(x):
        return F.unfold(x, 2 * radius + 1, padding=radius).unflatten(
            1, (x.shape[1], -1)).unflatten(-1, (height, width))

    near = windows(features)
    inside = near[:, -1]
    distance = (near[:, :-1] - features[:, :-1, None]).square().sum(dim=1)
    weight = torch.exp(-distance / 2) * (1 if padded else inside)
    return ((windows(saliency)[:, 0] - saliency).abs() * weight).sum(dim=1).mean()


@given(st.integers(0, 10**6), st.integers(1, 13), st.integers(1, 13), st.integers(1, 5),
       st.booleans())
@settings(max_examples=40, deadline=None)
def test_coherence_equals_the_unfolded_formula(seed, height, width, radius, padded):
    random = torch.Generator().manual_seed(seed)
    saliency = torch.rand(2, 1, height, width, generator=random, dtype=torch.float64)
    image = torch.rand(2, 3, height, width, generator=random, dtype=torch.float64)
    results = []
    for function in (losses.saliency_coherence, by_unfolding):
        x = saliency.clone().float().requires_grad_()
        value = function(x, image.float(), radius, 6.0, 0.3, padded)
        value.backward()
        results.append((value.item(), x.grad))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5, abs=1e-7)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-6)


def test_coherence_is_zero_for_constant_maps_and_refuses_misfits():
    image = torch.rand(1, 3, 8, 8)
    assert losses.saliency_coherence(torch.full((1, 1, 8, 8), 0.7), image, padded=False) == 0
    assert losses.saliency_coherence(torch.full((1, 1, 8, 8), 0.7), image) > 0  # the border's bias
    with pytest.raises(ValueError, match="do not fit"):
        losses.saliency_coherence(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 9, 8))
    with pytest.raises(ValueError, match="positive"):
        losses.saliency_coherence(torch.zeros(1, 1, 8, 8), image, sigma_rgb=0)
