"""WSSA's edges, and the normalisation that it undoes for them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import model
from model.canny import opencv_canny
from tests.model.test_canny import picture
from utils.config import load_config
from utils.errors import UserError
from utils.paths import CONFIGS


def test_wssa_takes_the_edges_that_it_is_told_to():
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = picture(1, 64, 64)
    image = (pixels / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    edges = {kind: model.build("wssa", width=0.0625, canny=kind).image_edges(image)
             for kind in ("released", "image", "torch")}
    assert torch.equal(edges["image"], edges["torch"])
    assert torch.equal(edges["image"], opencv_canny(pixels, 10, 100))
    bytes_ = np.trunc(image.numpy()).astype(np.int64) % 256  # 0, 1, 2, 254, 255
    expected = cv2.Canny(np.ascontiguousarray(
        bytes_[0].transpose(1, 2, 0).astype(np.uint8)), 10, 100)
    assert np.array_equal(edges["released"][0, 0].numpy(), expected)
    assert not torch.equal(edges["released"], edges["image"])


def test_a_recipe_tells_wssa_its_normalisation():
    recipe = load_config(CONFIGS / "wssa.yaml", [
        "data.mean=[0.5,0.4,0.3]", "data.std=[0.1,0.2,0.3]", "model.options.width=0.0625",
        "model.options.canny=torch"])
    network = model.from_recipe(recipe)
    assert network.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert network.std.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    recipe.model.options.mean = [0.1, 0.1, 0.1]
    assert model.from_recipe(recipe).mean.flatten().tolist() == pytest.approx([0.1, 0.1, 0.1])
    with pytest.raises(UserError, match=r"test\.statistics"):
        load_config(CONFIGS / "wssa.yaml", ["model.options.canny=image", "test.statistics=per_set"])
