"""Reading and saving saliency maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.maps import save_map, to_bytes


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_bytes_are_rounded_once(seed, minmax):
    saliency = np.random.default_rng(seed).uniform(0.2, 0.7, (4, 5)).astype(np.float32)
    got = to_bytes(saliency, minmax)
    exact = saliency.astype(np.float64)
    if minmax:
        exact = (exact - exact.min()) / (exact.max() - exact.min())
        assert (got.min(), got.max()) == (0, 255)
    assert np.abs(got - exact * 255).max() <= 0.5


def test_constant_maps_are_not_stretched_and_bad_values_are_refused():
    assert (to_bytes(np.full((2, 2), 0.5), minmax=True) == 128).all()
    for bad in (np.full((2, 2), np.nan), np.full((2, 2), 1.5), np.zeros((1, 2, 2))):
        with pytest.raises(ValueError):
            to_bytes(bad)


def test_maps_are_saved_as_png_whatever_the_path(tmp_path):
    saliency = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for name, written in (("0001", "0001.png"), ("img.v2", "img.v2.png"), ("a.png", "a.png")):
        assert save_map(tmp_path / "deep" / name, saliency[:, ::-1]).name == written
        with Image.open(tmp_path / "deep" / written) as image:
            assert image.mode == "L"
            assert (np.asarray(image) == saliency[:, ::-1]).all()
    with pytest.raises(ValueError, match="PNG"):
        save_map(tmp_path / "a.jpg", saliency)
    with pytest.raises(ValueError, match="uint8"):
        save_map(tmp_path / "a.png", saliency / 255)
