"""Photos that are decoded some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from utils import bands as module
from utils.bands import bands
from utils.images import UnreadableError, open_image, opened

COLOUR = np.random.default_rng(0).integers(0, 256, (53, 31, 3), dtype=np.uint8)
COLOUR[20:] = np.add.outer(np.arange(33), np.arange(31))[..., None]  # so that filters differ
TIFFS = {name: {"compression": name, "strip_size": 31 * 3 * rows} for name, rows in (
    ("raw", 5), ("tiff_lzw", 5), ("tiff_adobe_deflate", 8), ("packbits", 1), ("jpeg", 8))}
FILES = {"a.png": ("RGB", {}), "b.png": ("RGBA", {}), "c.png": ("LA", {}), "d.png": ("P", {}),
         "a.bmp": ("RGB", {}), "a.ppm": ("RGB", {}), "a.gif": ("P", {}), "a.tif": ("RGB", {})} | {
    f"{name}.tif": ("RGB", options) for name, options in TIFFS.items()}


@pytest.mark.parametrize("name", FILES)
def test_bands_together_are_the_picture(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "_ROWS", 16)
    mode, options = FILES[name]
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / name, **options)
    with opened(tmp_path / name) as file:
        parts = list(bands(file))
    assert all(part.height % 8 == 0 for part in parts[:-1]) and len(parts) > 1
    whole = np.asarray(open_image(tmp_path / name))
    assert np.array_equal(np.concatenate([np.asarray(part) for part in parts]), whole)


def test_a_png_and_plain_pixels_are_never_decoded_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_of_whole", None)
    for name, options in (("a.png", {}), ("a.bmp", {}), ("a.tif", {}),
                          ("b.tif", TIFFS["tiff_lzw"])):
        Image.fromarray(COLOUR).save(tmp_path / name, **options)
        with opened(tmp_path / name) as file:
            assert sum(part.height for part in bands(file)) == 53


@pytest.mark.parametrize("name", ["a.bmp", "a.tif", "tiff_lzw.tif"])
def test_a_file_that_is_cut_short_is_named(tmp_path, name):
    Image.fromarray(COLOUR).save(tmp_path / name, **FILES[name][1])
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UnreadableError, match=name), opened(tmp_path / name) as file:
        list(bands(file))
