"""Large photos, which come smaller from their decoder."""

from __future__ import annotations

import numpy as np
import pytest

from data import decode_image, shrink
from data.decode import original_size
from data.depth import bits_of

from .made import save

COLOUR = np.add.outer(np.arange(64) * 3, np.arange(96))[..., None] // [1, 2, 3]
COLOUR = (COLOUR % 256).astype(np.uint8)


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch):
    for name, pixels in (("LARGE", 2000), ("_ENOUGH", 2000), ("_WEBP", 500)):
        monkeypatch.setattr(shrink, name, pixels)


def test_a_photo_is_shrunk_until_it_is_small_enough_and_never_below_twice_what_is_asked_for():
    assert [shrink.shrinking((96, 64), least) for least in (1, 16, 17)] == [2, 2, 1]
    assert shrink.shrinking((40, 50), 1) == 1
    assert shrink.shrinking((4000, 4000), 1) == 8


@pytest.mark.parametrize("name, turn", [
    (f"photo.{kind}", turn) for turn in (1, 2, 6)
    for kind in ("jpg", "png", "tif", "webp")] + [("photo.bmp", 1), ("photo.gif", 1)])
def test_a_large_photo_is_the_mean_of_its_squares_upright(tmp_path, name, turn):
    options = {"png": {}, "webp": {"lossless": True}, "jpg": {"quality": 95}}.get(name[6:], {})
    if turn > 1:
        options |= {"tiffinfo": {274: turn}} if name.endswith("tif") else {"orientation": turn}
    path = save(tmp_path / name, COLOUR, **options)
    whole, shrunk = decode_image(path), decode_image(path, 8)
    assert original_size(whole) == original_size(shrunk) == whole.size
    assert shrunk.size == (whole.width // 2, whole.height // 2) and shrunk.mode == "RGB"
    difference = np.abs(np.asarray(whole.reduce(2)).astype(int) - np.asarray(shrunk))
    assert difference.mean() < 2 and (name.endswith("jpg") or difference.max() <= 1)


@pytest.mark.parametrize("top", [200, 4000, 60000])
def test_a_large_grey_photo_keeps_its_depth(tmp_path, top):
    path = save(tmp_path / "a.png", np.linspace(0, top, 6144).reshape(64, 96).astype(np.uint16))
    whole, shrunk = decode_image(path), decode_image(path, 8)
    assert bits_of(whole) == bits_of(shrunk)
    assert np.abs(np.asarray(whole.reduce(2)).astype(int) - np.asarray(shrunk)).max() <= 1
