"""What is noted of photos that can be used."""

from __future__ import annotations

import numpy as np
import pytest

from data import find_pairs, require_sound
from data.check import check
from data.loader import training_loader
from data.pairing import PLAIN
from data.soundness import file_problems

from .made import data_config, save

RAMP = np.linspace(0, 255, 48).reshape(6, 8).astype(np.uint8)


@pytest.fixture
def photos(tmp_path):
    """A set of photos, each of its own kind; returns its pairs."""
    speck = np.zeros((64, 64), np.uint8)
    speck[3, 3] = 255  # no mean of 8×8 pixels is above 31
    wide = RAMP.astype(np.uint16)
    images = {"good.png": RAMP, "dark.png": RAMP // 8, "night.jpg": RAMP // 9, "speck.jpg": speck,
              "twelve.png": wide * 16, "fourteen.png": wide * 64, "odd.jpg": RAMP}
    for name, values in images.items():
        options = {"exif": b"Exif\0\0garbage"} if name == "odd.jpg" else {}
        path = save(tmp_path / "SET/images" / name, values, **options)
        mask = np.triu(np.full(values.shape, 255, np.uint8))
        save(tmp_path / "SET/masks" / f"{path.stem}.png", mask)
    return find_pairs("SET", tmp_path)


NOTES = ("2 photos nearly black: nothing above 31 of 255, an eighth of the range: dark.png, "
         "night.jpg",
         "1 photo with 12 bits in a file of 16; read with that range: twelve.png",
         "1 photo with less than a quarter of the range of 16 bits; scale them if they were taken "
         "with 14: fourteen.png",
         "1 photo with metadata that cannot be read; taken as upright: odd.jpg")


def test_photos_that_may_not_be_what_they_seem_are_named(photos, capsys):
    require_sound(photos, "SET")
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(f"note: SET: {n}" for n in NOTES)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_training_names_them_too(photos, capsys, cache):
    training_loader(photos, data_config(cache=cache), 2, 0).data.require_sound("SET")
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(f"note: SET: {n}" for n in NOTES)


def test_files_of_other_sizes_are_told_by_their_headers(photos, monkeypatch):
    pair = next(pair for pair in photos if pair.name == "good")
    save(pair.mask, np.zeros((600, 800), np.uint8))
    for reader in ("decode_image", "read_mask", "small_jpeg"):  # pixels may take gigabytes
        monkeypatch.setattr(f"data.soundness.{reader}", None)
    assert file_problems(pair) == [f"sizes differ: {pair.image} is 8×6, {pair.mask} is 800×600"]


def test_check_names_them_too(photos, capsys):
    root = photos[0].image.parents[2]
    assert check([str(root)], root, PLAIN) == 0
    printed = capsys.readouterr().out
    assert all(note in printed for note in NOTES)
