"""Losses for scribbles: released values, missing strokes, what the variants change."""

from __future__ import annotations

import math

import pytest
import torch

import losses
from data.transforms import linear_gray


@pytest.mark.parametrize("name, loss", [
    ("wssa/smoothness", lambda x, i: losses.smoothness(x.sigmoid(), i["gray"])),
    ("wssa/partial_bce", lambda x, i: losses.partial_bce(x, i["scribble"])),
    ("wssa/edge_bce", lambda x, i: losses.bce(x, i["edge"])),
    ("scwssod/partial_ce", lambda x, i: losses.balanced_ce(x, i["scribble"])),
])
def test_values_and_gradients_equal_the_released_losses(released_inputs, agrees, name, loss):
    logits = released_inputs["logit"].clone().requires_grad_()
    agrees(name, loss(logits, released_inputs), [logits])


@pytest.mark.parametrize("loss", [losses.partial_bce, losses.balanced_ce,
                                  lambda x, y: losses.balanced_ce(x, y, double_softmax=False)])
@pytest.mark.parametrize("codes", [[255], [255, 1], [255, 0], [0, 1, 255]])
def test_missing_strokes_give_finite_losses(loss, codes):
    scribble = torch.tensor(codes)[torch.randint(len(codes), (2, 1, 6, 6))]
    logits = (torch.randn(2, 1, 6, 6) * 200).requires_grad_()
    value = loss(logits, scribble)
    value.backward()
    assert math.isfinite(value.item()) and torch.isfinite(logits.grad).all()
    assert (logits.grad[scribble == 255] == 0).all()
    assert codes != [255] or value == 0


def test_scribbles_must_be_integers_of_the_same_shape():
    for scribble in (torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)):
        with pytest.raises(ValueError, match="integer scribbles"):
            losses.partial_bce(torch.zeros(1, 1, 4, 4), scribble)


def test_the_double_softmax_flattens_the_loss():
    scribble = torch.ones(1, 1, 1, 2, dtype=torch.long)
    right, wrong = (losses.balanced_ce(torch.full((1, 1, 1, 2), x), scribble).item()
                    for x in (50.0, -50.0))
    assert (right, wrong) == pytest.approx((0.3133, 1.3133), abs=1e-4)
    plain = losses.balanced_ce(torch.full((1, 1, 1, 2), -50.0), scribble, double_softmax=False)
    assert plain == pytest.approx(50)


def test_the_gate_forgives_edges_of_the_background():
    """An edge of the image far from the object allows the map to change there, but for the gate."""
    gray = torch.zeros(1, 1, 40, 40)
    gray[..., 30:, :] = 1.0
    saliency = torch.full((1, 1, 40, 40), 0.1)
    saliency[..., 5:12, 5:12] = 0.9
    saliency[..., 30:, :] = 0.4  # follows the edge
    follows = losses.smoothness(saliency, gray)
    ignores = losses.smoothness(saliency, torch.zeros_like(gray))
    assert follows < 0.9 * ignores
    with_gate = losses.smoothness(saliency, gray, gate=True)
    assert with_gate == losses.smoothness(saliency, torch.zeros_like(gray), gate=True)


def test_smoothness_has_finite_gradients_on_flat_maps():
    saliency = torch.zeros(1, 1, 8, 8, requires_grad=True)
    losses.smoothness(saliency, torch.zeros(1, 1, 8, 8)).backward()
    assert torch.isfinite(saliency.grad).all()


def test_grey_images_are_of_linear_light():
    pixels = torch.tensor([[0, 255, 128], [0, 255, 128], [0, 255, 10]], dtype=torch.uint8)
    gray = linear_gray(pixels.view(3, 1, 3))
    half = ((128 / 255 + 0.055) / 1.055) ** 2.4
    expected = (0.2126 + 0.7152) * half + 0.0722 * (10 / 255) / 12.92
    assert gray.flatten().tolist() == pytest.approx([0, 1, round(expected * 255) / 255])
