"""Losses of the edge-guided networks: released values, plain formulas, what the variants change."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import losses
from losses.intensity import pixel_intensity
from losses.structure import local_contrast, outline_weights, weighted_iou
from model import objectives
from utils.errors import UserError


@pytest.mark.parametrize("name, loss", [
    ("tracer/adaptive_pixel_intensity", losses.adaptive_pixel_intensity),
    ("f3net/structure_loss_as_released", losses.structure),
    ("f3net/structure_loss_paper", lambda x, y: losses.structure(x, y, released=False)),
])
def test_values_and_gradients_equal_the_released_losses(golden, name, loss):
    values = json.loads((golden.folder / "losses.json").read_text())["losses"][name]
    arrays = np.load(golden.folder / "losses_inputs.npz")
    logits = torch.from_numpy(arrays["logit"]).requires_grad_()
    value = loss(logits, torch.from_numpy(arrays["mask"]))
    value.backward()
    assert value.item() == pytest.approx(values["value"], rel=1e-5)
    assert [logits.grad.abs().sum().item()] == pytest.approx(values["grad_abs_sum"], rel=1e-5)


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
    found = {"structure": losses.structure(logits, mask, released=False),
             "intensity": losses.adaptive_pixel_intensity(logits, mask, released=False),
             "dice": losses.dice(logits, mask)}
    expected = {name: [] for name in found}
    for one, m, c, w, o in zip(p, mask, ce, outline_weights(mask), 1 + pixel_intensity(mask),
                               strict=True):
        def iou(weights, one=one, m=m):
            both = (weights * one * m).sum()
            return 1 - (both + 1) / ((weights * (one + m)).sum() - both + 1)
        expected["structure"].append((w * c).sum() / w.sum() + iou(w))
        expected["intensity"].append((o * c).sum() / (o + 0.5).sum() + iou(o)
                                     + (o * (one - m).abs()).sum() / o.sum())
        expected["dice"].append(1 - (2 * (one * m).sum() + 1)
                                / ((one ** 2).sum() + (m ** 2).sum() + 1))
    for name, value in found.items():
        assert value.item() == pytest.approx(float(sum(expected[name]) / 2), rel=1e-5), name


def test_an_empty_mask_is_finite_in_the_paper_and_infinite_as_released():
    for mask in (torch.zeros(1, 1, 40, 40), torch.ones(1, 1, 40, 40)):
        logits = torch.randn(1, 1, 40, 40, requires_grad=True)
        loss = losses.adaptive_pixel_intensity(logits, mask, released=False)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    empty = torch.zeros(1, 1, 40, 40)
    assert losses.adaptive_pixel_intensity(logits, empty).isinf()
    for loss in (losses.structure, losses.dice):
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
    rest = {released: [losses.structure(logits, mask, released).item()
                       - weighted_iou(logits.sigmoid(), mask, weights).item()
                       for logits in (near, far)] for released in (True, False)}
    assert rest[True][0] == pytest.approx(rest[True][1], abs=1e-6)
    assert rest[False][0] > 1.5 * rest[False][1]


@pytest.mark.parametrize("name, maps", [
    ("tracer", {"saliency": "api", "side0": "api", "side1": "api", "side2": "api", "edge": "api"}),
    ("bgnet", {"saliency": "structure", "side2": "structure", "side3": "structure",
               "edge": "dice"}),
])
def test_objectives_add_up_their_outputs(name, maps):
    mask = blob()
    edge = (local_contrast(mask, 3) > 0).float()
    outputs = {key: torch.randn(2, 1, 64, 64) for key in maps}
    sample = {"image": torch.zeros(2, 3, 64, 64), "mask": mask, "edge": edge}
    assert objectives.targets(name) == ("mask", "edge")
    for variant in ("released", "paper"):
        released = variant == "released"
        _, terms = objectives.build(name, variant)(lambda image: outputs, sample)
        assert list(terms) == [f"{key}_{kind}" for key, kind in maps.items()]
        for key, kind in maps.items():
            target = edge if key == "edge" else mask
            expected = {
                "api": lambda x, y: losses.adaptive_pixel_intensity(x, y, released),  # noqa: B023
                "structure": lambda x, y: losses.structure(x, y, released),  # noqa: B023
                "dice": lambda x, y: 3 * losses.dice(x, y)}[kind](outputs[key], target)
            assert terms[f"{key}_{kind}"].item() == pytest.approx(expected.item(), rel=1e-5)
        single = objectives.build(name, "paper", reduced_first=released)
        assert sum(single(lambda image: outputs, sample)[1].values()) == sum(terms.values())
    with pytest.raises(UserError, match="reduced"):
        objectives.build(name, reduced=True)


@pytest.mark.parametrize("loss", [losses.structure, losses.dice, losses.adaptive_pixel_intensity])
def test_losses_refuse_to_broadcast(loss):
    with pytest.raises(ValueError, match="differ"):
        loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9))
