"""Canny in torch against OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from model.canny import opencv_canny, torch_canny


def picture(seed: int, height: int, width: int, channels: int = 3) -> torch.Tensor:
    """Smooth noise with a few hard edges, integers 0 … 255, (1, C, H, W)."""
    random = np.random.default_rng(seed)
    pixels = cv2.GaussianBlur(random.normal(128, 120, (height, width, channels)), (0, 0), 1.5)
    pixels = pixels.reshape(height, width, channels)
    pixels[height // 3:, width // 4:width // 2] += random.integers(-90, 90)
    return torch.from_numpy(pixels.clip(0, 255).round()).float().permute(2, 0, 1)[None]


@given(st.integers(0, 10**6), st.integers(3, 50), st.integers(3, 50), st.sampled_from([1, 3]),
       st.sampled_from([(10, 100), (50, 200), (0, 0)]))
@settings(max_examples=60, deadline=None)
def test_edges_equal_opencvs(seed, height, width, channels, thresholds):
    image = picture(seed, height, width, channels)
    pixels = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy().astype(np.uint8))
    expected = cv2.Canny(pixels, *thresholds)
    got = torch_canny(image, *thresholds, reach=height * width)
    assert np.array_equal(got[0, 0].numpy(), expected)


def test_images_of_a_batch_do_not_touch():
    images = torch.cat([picture(seed, 40, 50) for seed in range(3)])
    for function in (opencv_canny, torch_canny):
        together = function(images, 10, 100)
        alone = torch.cat([function(image[None], 10, 100) for image in images])
        assert torch.equal(together, alone)
        assert set(together.unique().tolist()) == {0.0, 255.0}


def test_the_reach_ends_weak_edges():
    """A ramp along an edge: strong at its left end, weak in the rest of it."""
    image = torch.full((1, 1, 9, 60), 100.0)
    image[..., 4:, :] += torch.linspace(60, 8, 60)
    whole = torch_canny(image, 10, 200, reach=100)
    assert (whole.sum(dim=(0, 1, 2)) > 0).all()
    short = torch_canny(image, 10, 200, reach=5)
    strong = torch_canny(image, 200, 200, reach=0)
    assert (short > 0).sum() == (strong > 0).sum() + 5


def test_a_gaussian_removes_noise():
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64))).float()
    edges = [float((torch_canny(noise, 150, 300, sigma) > 0).float().mean())
             for sigma in (0, 1, 3)]
    assert edges[0] > edges[1] > edges[2] == 0


def test_no_gradient_flows_through_edges():
    image = picture(0, 20, 20).requires_grad_()
    assert not torch_canny(image, 10, 100).requires_grad
    assert not opencv_canny(image, 10, 100).requires_grad
    assert image.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_edges_keep_the_dtype(dtype):
    assert torch_canny(picture(0, 16, 16).to(dtype), 10, 100).dtype == dtype
    assert opencv_canny(picture(0, 16, 16).to(dtype), 10, 100).dtype == dtype


class Edges(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return opencv_canny(image, 10, 100) / 255


@pytest.mark.parametrize("trace", [
    lambda module, image: torch.jit.trace(module, image),
    lambda module, image: torch.export.export(module, (image,)),
    lambda module, image: torch.export.export(module, (image,), strict=True),
    lambda module, image: torch.fx.symbolic_trace(module),
    lambda module, image: make_fx(module)(image),
], ids=["jit", "export", "strict export", "fx", "make_fx"])
@pytest.mark.filterwarnings("ignore")  # torch.jit.trace is deprecated
def test_opencvs_edges_are_not_frozen_into_a_trace(trace):
    with pytest.raises(Exception, match=r"canny=torch"):  # torch wraps it in errors of its own
        trace(Edges(), picture(0, 16, 16))


@pytest.mark.filterwarnings("error::UserWarning")  # Dynamo's, where it looks into OpenCV
def test_compiled_opencvs_edges_are_each_images_own():
    compiled = torch.compile(Edges(), backend="eager")
    first, second = picture(0, 32, 32), picture(1, 32, 32)
    for image in (first, second, first):
        assert torch.equal(compiled(image), Edges()(image))
    assert not torch.equal(compiled(first), compiled(second))
