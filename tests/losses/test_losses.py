"""Losses, and the first optimisation steps of the released training code."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import losses
import model
from engine.optimizer import build_optimizer, clip_gradients
from model import objectives
from utils.config import default_config
from utils.errors import UserError
from utils.weights import load_weights


def test_first_steps_equal_the_released_training(golden, discs):
    """Four Adam steps of CPD-VGG. In float64, because float32 rounding alone moves the sixth step
    by up to 8e-3 between convolution algorithms; the reference, in float32, moved by 1.7e-3.
    On a machine like the reference's six float32 steps agree to 1.9e-5 (docs/cpd.md)."""
    reference = json.loads((golden.folder / "train_cpd_vgg.json").read_text())
    shapes = json.loads((golden.folder / "models/cpd_vgg.json").read_text())["state_dict"]
    network = model.build("cpd_vgg")
    load_weights(network, golden.golden_state(shapes))
    network.double().train()
    sample = {"image": golden.golden_input((2, 3, 96, 128), 0).double(),
              "mask": discs}
    objective = objectives.build("cpd")
    optimizer = build_optimizer(default_config().optim, network)
    for step, expected in enumerate(reference["steps"][:4], start=1):
        _, terms = objective(network, sample)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        clip_gradients(network.parameters(), value=0.5)
        optimizer.step()
        assert list(terms) == reference["terms"]
        values = [term.item() for term in terms.values()]
        assert values == pytest.approx(expected, rel=1e-3), f"step {step}"


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


def test_bce_refuses_to_broadcast():
    with pytest.raises(ValueError, match="differ"):
        losses.bce(torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8))


def test_unknown_losses_and_variants_are_errors():
    with pytest.raises(UserError, match="did you mean 'cpd'"):
        objectives.build("cdp")
    with pytest.raises(UserError, match="variant"):
        objectives.build("cpd", "improved")


def test_label_smoothing_draws_masks_towards_one_half():
    network = nn.Conv2d(3, 1, 1)
    both = lambda image: {"saliency": network(image), "attention": network(image)}  # noqa: E731
    sample = {"image": torch.randn(2, 3, 4, 4), "mask": (torch.rand(2, 1, 4, 4) > 0.5).float()}
    _, terms = objectives.build("cpd", smoothing=0.2)(both, sample)
    # Cross-entropy is linear in the mask: 0.8 of the mask's own and 0.2 of one half's.
    _, own = objectives.build("cpd")(both, sample)
    _, half = objectives.build("cpd")(both, sample | {"mask": torch.full((2, 1, 4, 4), 0.5)})
    assert torch.allclose(terms["detection_bce"],
                          0.8 * own["detection_bce"] + 0.2 * half["detection_bce"])
    assert sample["mask"].unique().tolist() == [0, 1]
