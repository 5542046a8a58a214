"""Reading and saving saliency maps."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.images import UnreadableError, open_image
from utils.maps import read_map, save_map, to_bytes


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_bytes_are_rounded_once_or_cut(seed, minmax, cut):
    saliency = np.random.default_rng(seed).uniform(0.2, 0.7, (4, 5)).astype(np.float32)
    got = to_bytes(saliency, minmax, cut=cut)
    exact = saliency.astype(np.float64)
    if minmax:
        exact = (exact - exact.min()) / (exact.max() - exact.min())
        assert (got.min(), got.max()) == (0, 255)
    apart = exact * 255 - got
    assert (apart.min() >= 0 and apart.max() < 1) if cut else np.abs(apart).max() <= 0.5


def test_constant_maps_are_not_stretched_and_bad_values_are_refused():
    assert (to_bytes(np.full((2, 2), 0.5), minmax=True) == 128).all()
    for bad in (np.full((2, 2), np.nan), np.full((2, 2), 1.5), np.zeros((1, 2, 2))):
        with pytest.raises(ValueError):
            to_bytes(bad)


def test_maps_are_saved_as_png_alone(tmp_path):
    saliency = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for name in ("img.v2.png", "a.png"):
        with Image.open(save_map(tmp_path / "deep" / name, saliency[:, ::-1])) as image:
            assert image.mode == "L"
            assert (np.asarray(image) == saliency[:, ::-1]).all()
    for name in ("a.jpg", "a", "img.v2"):
        with pytest.raises(ValueError, match="PNG"):
            save_map(tmp_path / name, saliency)
    with pytest.raises(ValueError, match="uint8"):
        save_map(tmp_path / "a.png", saliency / 255)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "RGBA"])
def test_grey_is_read_in_whatever_mode_it_was_saved(tmp_path, mode):
    levels = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)
    Image.fromarray(levels).convert(mode).save(tmp_path / "map.png")
    assert read_map(tmp_path / "map.png").tolist() == levels.tolist()


def palette_with_colour() -> Image.Image:
    image = Image.new("P", (4, 3))
    image.putpalette([9, 9, 8])
    return image


@pytest.mark.parametrize("image, reason", [
    (Image.new("RGB", (4, 3), (9, 9, 8)), "has colours"), (palette_with_colour(), "has colours"),
    (Image.new("I;16", (4, 3), 999), "has more than 8 bits, or colours of another"),
    (Image.new("LA", (4, 3), (9, 254)), "has transparent pixels")])
def test_a_file_that_is_no_grey_map_is_refused(tmp_path, image, reason):
    path = tmp_path / "map.png"
    image.save(path)
    with pytest.raises(UnreadableError, match=f"^{re.escape(f'{path}: {reason}')}"):
        read_map(path)


def test_a_file_of_several_pictures_is_refused(tmp_path):
    frames = [Image.new("L", (4, 3), level) for level in (9, 7)]
    frames[0].save(tmp_path / "map.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match="several pictures"):
        read_map(tmp_path / "map.gif")


@pytest.mark.parametrize("content, reason", [
    (None, r"cannot be decoded \(no such file\)"), (b"", r"empty file \(0 bytes\)"),
    (b"text", r"cannot be decoded \(not an image file\)"), ("cut", r"cannot be decoded \(.+\)")])
def test_a_file_that_does_not_decode_is_named_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "map.png"
    if content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(path)
        content = path.read_bytes()[:2000]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError, match=f"^{re.escape(str(path))}: {reason}$"):
        open_image(path)
