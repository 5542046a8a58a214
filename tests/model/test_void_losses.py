"""Losses of masks with void pixels, which are left out of them with data.mask_void=ignore."""

from __future__ import annotations

import pytest
import torch

import losses
import model
from model.objectives import TableObjective
from utils.config import load_config, merge_config
from utils.errors import UserError
from utils.paths import CONFIGS

ABLE = [name for name, loss in losses.LOSSES.items() if loss.of_void is not None]


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_void_pixels_give_no_loss_and_no_gradient(name, smoothing):
    """A loss of images with void columns is that of the images without these columns."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 6, 8, generator=random, requires_grad=True)
    mask = (torch.rand(2, 1, 6, 8, generator=random) > 0.6).float()
    void = torch.zeros(2, 1, 6, 8, dtype=torch.bool)
    void[..., 5:] = True
    config = merge_config({"loss": {"terms": {"saliency": {name: 2}}, "smoothing": smoothing},
                           "data": {"mask_void": "ignore"}})
    objective = model.objective_of(config)
    assert objective.targets == ("mask", "void")
    _, terms = objective(lambda image: {"saliency": image},
                         {"image": logits, "mask": mask.where(~void, 1), "void": void})
    (value,) = terms.values()
    kept = logits.detach()[..., :5].clone().requires_grad_()
    target = mask[..., :5] * (1 - smoothing) + smoothing / 2
    expected = 2 * losses.LOSSES[name].function(kept, target)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert not logits.grad[..., 5:].any()
    assert torch.allclose(logits.grad[..., :5], kept.grad, rtol=1e-4, atol=1e-7)


def test_an_image_of_void_alone_has_a_loss_of_nothing():
    objective = TableObjective({"saliency": {"bce": 1}}, without_void=True)
    logits = torch.ones(1, 1, 4, 4, requires_grad=True)
    sample = {"image": logits, "mask": torch.ones(1, 1, 4, 4),
              "void": torch.ones(1, 1, 4, 4, dtype=torch.bool)}
    value = objective(lambda image: {"saliency": image}, sample)[1]["saliency_bce"]
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("recipe, names", [("bgnet", "structure"), ("tracer_te0", "api")])
def test_losses_that_look_around_a_pixel_refuse_void_pixels(recipe, names):
    config = load_config(CONFIGS / f"{recipe}.yaml", ["data.mask_void=ignore"])
    with pytest.raises(UserError, match=f"=ignore: {names} in loss.terms .* can: bce, bce_sum"):
        model.objective_of(config)
