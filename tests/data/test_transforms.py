"""Resizing and normalisation, against Pillow, OpenCV and arithmetic."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.transform import resize

from data.transforms import (
    denormalise,
    normalise,
    resize_image,
    resize_map,
    resize_scribble,
)


@given(st.integers(0, 10**6), st.integers(20, 90), st.integers(20, 90))
@settings(max_examples=20, deadline=None)
def test_images_are_resized_as_pillow_or_opencv_do(seed, height, width):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert np.array_equal(resize_image(image, (32, 32), "pillow"),
                          image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(resize_image(image, (32, 32), "opencv"),
                          cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_LINEAR))


@given(st.integers(0, 10**6), st.integers(2, 90), st.integers(2, 90), st.booleans())
@settings(max_examples=20, deadline=None)
def test_images_are_resized_as_scikit_image_does(seed, height, width, black):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = resize_image(Image.fromarray(pixels), (40, 50), "skimage" + "_black" * black)
    expected = resize(pixels, (40, 50), order=1, anti_aliasing=False, preserve_range=True,
                      mode="constant" if black else "reflect")
    assert resized.dtype == np.float32
    assert np.allclose(resized, expected, atol=1e-4)


def test_maps_are_resized_bilinearly_or_to_the_nearest():
    values = np.random.default_rng(0).choice([0, 255], (50, 70)).astype(np.uint8)
    linear = Image.fromarray(values).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(resize_map(values, (32, 32), "bilinear"), linear)
    assert np.array_equal(resize_map(values, (32, 32), "nearest"),
                          cv2.resize(values, (32, 32), interpolation=cv2.INTER_NEAREST))


def test_flipped_arrays_are_read_as_they_look():
    values = np.zeros((4, 4), np.uint8)
    values[0, 0] = 255
    for method in ("bilinear", "nearest"):
        assert resize_map(values[::-1, ::-1], (4, 4), method)[3, 3] == 255
    assert resize_scribble(values[:, ::-1], (4, 4), "nearest")[0, 3] == 255


def test_scribbles_stay_codes_and_the_released_resize_invents_some():
    """Between a stroke and the unknown lie codes that are cut to another class."""
    scribble = np.full((64, 64), 255, np.uint8)
    scribble[20:23, 10:50] = 0
    assert set(np.unique(resize_scribble(scribble, (40, 40), "nearest"))) == {0, 255}
    assert (resize_scribble(scribble, (40, 40), "released") == 1).any()  # of background strokes
    # Nothing lies between at the same size.
    assert np.array_equal(resize_scribble(scribble, (64, 64), "released"), scribble)


def test_normalised_is_scaled_to_one_less_the_mean_over_the_deviation():
    image = torch.tensor([[[0, 51]], [[102, 153]], [[204, 255]]], dtype=torch.uint8)
    normal = normalise(image, [0.1, 0.2, 0.3], [1.0, 0.5, 0.25])
    assert torch.allclose(normal, torch.tensor([[[-0.1, 0.1]], [[0.4, 0.8]], [[2.0, 2.8]]]))


def test_images_may_be_bgr_up_to_255_as_in_caffe():
    image = torch.tensor([[[0, 51]], [[102, 153]], [[204, 255]]], dtype=torch.uint8)
    normal = normalise(image, [104, 117, 123], [1, 1, 1], "bgr", 255)
    assert torch.equal(normal, torch.tensor([[[100., 151]], [[-15, 36]], [[-123, -72]]]))
    assert torch.allclose(denormalise(normal, [104, 117, 123], [1, 1, 1], "bgr", 255), image / 255)


def test_an_image_may_be_divided_by_its_own_maximum():
    images = torch.tensor([[[0, 50]] * 3, [[100, 200]] * 3, [[0, 0]] * 3]).view(3, 3, 1, 2)
    before = images.clone()
    for kind in (torch.uint8, torch.float32):
        normal = normalise(images.to(kind), [0.0] * 3, [1.0] * 3, own_max=True)
        assert torch.equal(normal[:, 0, 0], torch.tensor([[0, 1], [0.5, 1], [0, 0]]))
    given = images.float()
    normalise(given, [0.5] * 3, [0.5] * 3)
    assert torch.equal(given, before.float())  # what is finished is left as it was


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_denormalise_inverts_normalise(seed):
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, 5, 6), np.uint8))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    back = denormalise(normalise(image, mean, std), mean, std)
    assert torch.allclose(back, image / 255, atol=1e-6)
