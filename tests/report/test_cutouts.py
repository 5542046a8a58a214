"""Pictures of photos and their maps."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from data import Pair
from report import cutouts
from report.cutouts import KINDS, cutout, kinds_in, object_colours, on_blur, on_white, overlay
from utils.errors import UserError
from utils.maps import save_map

GREEN, BLUE = (20, 200, 40), (10, 30, 220)


@pytest.fixture
def photo() -> tuple[np.ndarray, np.ndarray]:
    """A green object on blue, whose edge is half transparent, and its map."""
    saliency = np.zeros((40, 60), np.uint8)
    saliency[10:30, 20:40] = 128
    saliency[12:28, 22:38] = 255
    share = saliency[..., None] / 255
    return np.round(share * GREEN + (1 - share) * BLUE).astype(np.uint8), saliency


@pytest.fixture
def without_pymatting(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    cutouts._estimator.cache_clear()
    yield
    cutouts._estimator.cache_clear()


@pytest.mark.usefixtures("without_pymatting")
def test_pictures_follow_the_map(photo, capsys):
    image, saliency = photo
    assert np.array_equal(cutout(image, saliency), np.dstack([image, saliency]))
    assert "pip install pymatting" in capsys.readouterr().err
    red = overlay(image, saliency)
    assert np.array_equal(red[0, 0], BLUE)
    assert np.array_equal(red[20, 30], np.round(0.6 * cutouts.RED + 0.4 * np.array(GREEN)))
    white = on_white(image, saliency)
    assert np.array_equal(white[0, 0], (255, 255, 255)) and np.array_equal(white[20, 30], GREEN)
    blurred = on_blur(image, saliency)
    assert np.array_equal(blurred[20, 30], GREEN)
    assert np.abs(blurred[10, 10].astype(int) - BLUE).max() <= 1  # no green shines into it
    full, none = np.full_like(saliency, 255), np.zeros_like(saliency)
    assert np.array_equal(on_blur(image, full), image)
    assert np.array_equal(overlay(image, none), image)


def test_the_colours_of_an_edge_are_the_objects(photo):
    pytest.importorskip("pymatting", reason="PyMatting is not installed")
    image, saliency = photo
    edge, threads = saliency == 128, torch.get_num_threads()
    assert np.abs(image[edge].astype(int) - GREEN).max() > 80
    assert np.abs(object_colours(image, saliency)[edge].astype(int) - GREEN).max() < 20
    assert torch.get_num_threads() == threads


def test_colours_of_large_photos_are_estimated_one_photo_at_a_time(photo, monkeypatch):
    """PyMatting takes 1.6 GB for 16 megapixels."""
    at_work, most, both = [], [], Barrier(2)

    def estimate(image, saliency):
        at_work.append(None)
        most.append(len(at_work))
        if saliency.size <= cutouts._COSTLY:
            both.wait(timeout=10)  # two are there
        time.sleep(0.01)
        at_work.pop()
        return image

    monkeypatch.setattr(cutouts, "_estimator", lambda: estimate)
    for costly, expected in ((cutouts._COSTLY, 2), (100, 1)):
        monkeypatch.setattr(cutouts, "_COSTLY", costly)
        most.clear()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: object_colours(*photo), range(2)))
        assert max(most) == expected


@pytest.mark.usefixtures("without_pymatting")
def test_files_have_the_photos_size_and_lie_beside_the_set(photo, tmp_path):
    image, saliency = photo
    Image.fromarray(image).save(tmp_path / "a.png")
    folder = tmp_path / "method/SET"
    save_map(folder / "night/a.png", saliency[1:, 2:])  # as its mask has fewer pixels
    cutouts.save_pictures([Pair("night/a", tmp_path / "a.png")], folder, list(KINDS))
    for kind in KINDS:
        written = iio.imread(tmp_path / f"method/_{kind}/SET/night/a.png")
        assert written.shape == (40, 60, 4 if kind == "cutout" else 3)


def test_without_a_kind_of_picture_no_photo_is_decoded(tmp_path, monkeypatch):
    """A photo of 200 megapixels takes 2 GB to decode, and predicting it does not."""
    monkeypatch.setattr(cutouts, "decode_image", None)
    monkeypatch.setattr(cutouts, "read_map", None)
    cutouts.save_pictures([Pair("a", tmp_path / "a.png")], tmp_path / "method/SET", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_pymatting")
def test_large_photos_give_the_same_pictures_part_by_part(photo, monkeypatch):
    image, saliency = photo
    expected = {kind: make(image, saliency) for kind, make in KINDS.items()}
    monkeypatch.setattr(cutouts, "_PART", 100)  # rows are cut into many parts
    for kind, make in KINDS.items():
        assert np.array_equal(make(image, saliency), expected[kind]), kind


@pytest.mark.usefixtures("without_pymatting")
def test_large_photos_give_the_same_files_in_their_own_memory(photo, tmp_path, monkeypatch, capsys):
    image, saliency = photo
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.fromarray(image).save(tmp_path / "a.jpg", exif=exif, dpi=(99, 99), icc_profile=b"a",
                                comment="a comment")
    expected = {}
    for large in (cutouts.LARGE, 100):
        monkeypatch.setattr(cutouts, "LARGE", large)
        monkeypatch.setattr(cutouts, "_PART", large)
        folder = tmp_path / f"{large}/SET"
        save_map(folder / "a.png", saliency[1:])  # as its mask has fewer pixels
        cutouts.save_pictures([Pair("a", tmp_path / "a.jpg")], folder, list(KINDS))
        files = {kind: (tmp_path / f"{large}/_{kind}/SET/a.png").read_bytes() for kind in KINDS}
        expected = expected or files
        assert files == expected
    assert "megapixels, half transparent edges keep some" in capsys.readouterr().err


def test_pictures_of_earlier_maps_are_removed_with_a_note(tmp_path, capsys):
    pairs = [Pair("a", tmp_path / "a.png"), Pair("b", tmp_path / "b.png")]
    for kind in ("white", "blur"):
        for name in ("a", "b"):
            save_map(tmp_path / f"m/_{kind}/SET/{name}.png", np.zeros((2, 2), np.uint8))
    cutouts.drop_pictures(pairs[:1], tmp_path / "m/SET", ["blur"])
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert left == ["m/_blur/SET/a.png", "m/_blur/SET/b.png", "m/_white/SET/b.png"]
    assert "_white/SET: 1 picture of earlier maps removed" in capsys.readouterr().err


def test_unknown_kinds_are_named():
    assert kinds_in(["blur", "map", "cutout"]) == ["cutout", "blur"] and kinds_in(["map"]) == []
    with pytest.raises(UserError, match=r"--save cutuot: unknown kind of picture; .*'cutout'"):
        kinds_in(["cutuot"])
