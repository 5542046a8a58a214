"""Augmentations that change the image alone: tones, jitter, blurs and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from data.augmentation import CHANGES

from .made import SIZE, always, layers_of


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_the_image_leave_the_targets_alone(name):
    results = [always(name, layers_of(), seed) for seed in range(10)]
    for layers in results:
        for target in ("mask", "scribble", "edge"):
            assert torch.equal(layers[target], layers_of()[target])
    assert not all(torch.equal(layers["image"], layers_of()["image"]) for layers in results)


def grey(level: int, size: int = SIZE) -> dict[str, torch.Tensor]:
    return {"image": torch.full((3, size, size), level, dtype=torch.uint8)}


@pytest.mark.parametrize("limit", [0.2, 0.1])
@pytest.mark.parametrize("name, ends", [
    ("contrast", lambda limit: (100 * (1 - limit), 100 * (1 + limit))),
    ("brightness", lambda limit: (100 - 255 * limit, 100 + 255 * limit)),
    ("gamma", lambda limit: (255 * (100 / 255) ** (1 + limit), 255 * (100 / 255) ** (1 - limit)))])
def test_tones_keep_to_their_limits(name, ends, limit):
    images = [always(name, grey(100), seed, limit=limit)["image"] for seed in range(300)]
    assert all(len(image.unique()) == 1 for image in images)
    levels = [image[0, 0, 0].item() for image in images]
    assert (min(levels), max(levels)) == pytest.approx(ends(limit), abs=2)
    levels = [always(name, grey(level), seed, limit=limit)["image"][0, 0, 0].item()
              for seed in range(50) for level in (0, 255)]
    assert all(level <= 51 or level >= 200 for level in levels)  # nothing runs over


@pytest.mark.parametrize("name, adjust, low, high", [
    ("brightness", F.adjust_brightness, 0.6, 1.4), ("contrast", F.adjust_contrast, 0.6, 1.4),
    ("saturation", F.adjust_saturation, 0.6, 1.4), ("hue", F.adjust_hue, -0.4, 0.4)])
def test_jitter_is_torchvisions(name, adjust, low, high):
    """Each image is what torchvision makes of some factor within the limits, up to rounding."""
    none = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0)
    smooth = F.resize(layers_of()["image"], [8, 8]) // 2  # whose mean is not the middle grey
    nearest = []
    for seed in range(40):
        image = always("color_jitter", {"image": smooth}, seed, **{**none, name: 0.4})["image"]
        factors = np.linspace(low, high, 161)
        errors = [(adjust(smooth, factor).int() - image.int()).abs().float().mean().item()
                  for factor in factors]
        assert min(errors) < 1.5
        nearest.append(factors[int(np.argmin(errors))])
    assert min(nearest) < low + 0.15 * (high - low) and max(nearest) > high - 0.15 * (high - low)
    assert torch.equal(always("color_jitter", {"image": smooth}, 0, **none)["image"], smooth)


@pytest.mark.parametrize("name", ["motion_blur", "median_blur", "gaussian_blur"])
@pytest.mark.parametrize("side", [3, 5])
def test_blurs_keep_flat_parts_and_reach_half_their_side(name, side):
    half = grey(40)
    half["image"][..., SIZE // 2:] = 200
    reach, spread = side // 2, set()
    for seed in range(60):
        assert torch.equal(always(name, grey(77), seed, side=side)["image"], grey(77)["image"])
        row = always(name, half, seed, side=side)["image"][0, SIZE // 2]
        spread.add(int(((row != 40) & (row != 200)).sum()))
        assert (row[:SIZE // 2 - reach] == 40).all() and (row[SIZE // 2 + reach:] == 200).all()
    assert max(spread) == (0 if name == "median_blur" else 2 * reach)  # it keeps straight borders


@pytest.mark.parametrize("values, low, high", [
    ({}, 5, 20), ({"smallest": 50, "largest": 60}, 50, 60)])
def test_noise_has_the_variance_that_is_asked_for(values, low, high):
    variances = [always("noise", grey(128, 96), seed, **values)["image"].float().var().item()
                 for seed in range(60)]
    assert min(variances) == pytest.approx(low, abs=1.5)
    assert max(variances) == pytest.approx(high, abs=1.5)
    image = always("noise", grey(128, 96), 0)["image"]
    assert abs(image.float().mean().item() - 128) < 0.2
    assert not torch.equal(image[0], image[1])
