"""One call from an image to its map: the same as what test.py writes."""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import engine
import engine.trained
from engine import Predictor
from tests.small_runs import predict
from utils.choices import RESIZES
from utils.errors import UserError
from utils.maps import read_map, to_bytes, to_unit
from utils.paths import ROOT


@pytest.fixture(scope="module")
def predictor(trained) -> Predictor:
    return Predictor(trained, device="cpu")


@pytest.fixture
def photos(made_sets) -> list[Path]:
    return sorted((made_sets / "TINY-TE/images").iterdir())


@pytest.mark.parametrize("words", [
    *([f"test.resize={name}"] for name in RESIZES), ["test.minmax=false", "test.bytes=cut"],
    ["data.image_resize=skimage"], ["data.scale=own_max"], ["data.size=native", "test.batch=1"]])
def test_maps_are_those_of_test_py_to_the_byte(trained, made_sets, photos, tmp_path, words):
    assert predict(trained, tmp_path, "--data", "TINY-TE", *words) == 0
    written = [read_map(tmp_path / f"trial/TINY-TE/{photo.stem}.png") for photo in photos]
    for map_, theirs in zip(Predictor(trained, device="cpu", overrides=words)(photos), written,
                            strict=True):
        assert map_.dtype == np.float32
        assert np.array_equal(np.round(255 * map_), theirs)


def test_a_file_a_picture_and_an_array_have_one_map(predictor, photos):
    of_file = predictor(str(photos[0]))
    with Image.open(photos[0]) as picture:
        pixels = np.asarray(picture)
        assert np.array_equal(predictor(picture), of_file)
    assert np.array_equal(predictor(pixels), of_file)
    assert of_file.shape == pixels.shape[:2] and 0 <= of_file.min() < of_file.max() <= 1
    several = predictor([photos[0], pixels, photos[1]])
    assert [map_.shape for map_ in several[:2]] == [of_file.shape] * 2
    assert all(np.abs(map_ - of_file).max() < 1e-4 for map_ in several[:2])  # in one batch
    assert predictor([]) == []


def test_pictures_stand_upright_and_keep_their_colours(predictor, photos, tmp_path):
    with Image.open(photos[0]) as picture:
        upright = predictor(picture)
        exif = picture.getexif()
        exif[0x0112] = 6  # stored lying
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png", exif=exif)
        assert np.array_equal(predictor(picture.convert("RGBA")), upright)
    with Image.open(tmp_path / "lying.png") as lying:
        assert np.array_equal(predictor(lying), upright)
        assert np.array_equal(predictor(lying), upright)  # nor is it turned twice
    assert np.array_equal(predictor(tmp_path / "lying.png"), upright)


@pytest.mark.parametrize("photo, message", [
    (np.zeros((8, 8, 3)), r"not float64 of shape \(8, 8, 3\)"),
    (np.zeros((8, 8, 4), np.uint8), r"not uint8 of shape \(8, 8, 4\)"),
    ("nowhere.jpg", r"nowhere.jpg: .*no such file"), (7, "not int")])
def test_what_is_no_photo_is_refused(predictor, photo, message):
    with pytest.raises(UserError, match=message):
        predictor([photo])


def test_a_recipe_stands_for_its_run_else_for_official_weights(trained, runs):
    with pytest.raises(UserError, match=r"no run in .*u2netp, and the official weights"):
        Predictor("u2netp")
    (runs / "demo").mkdir()
    (runs / "demo/last.pt").write_bytes(trained.read_bytes())
    assert Predictor("demo", device="cpu").config.name == "trial"  # its own configuration
    with pytest.raises(UserError, match="did you mean 'demo'"):
        Predictor("dem")
    with pytest.raises(UserError, match="was trained by another recipe"):
        Predictor("cpd_vgg", weights=trained)


def test_other_attributes_of_the_engine_are_missing_as_ever():
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Predicter'"):
        engine.Predicter  # noqa: B018


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)),
              elements=st.floats(0, 1, width=32)), st.booleans(), st.booleans())
def test_unit_maps_round_to_the_bytes(saliency, minmax, cut):
    unit = to_unit(saliency, minmax, cut=cut)
    assert unit.dtype == np.float32
    assert np.array_equal(np.round(255 * unit), to_bytes(saliency, minmax, cut=cut))
    if not minmax and not cut:
        assert np.abs(unit - saliency).max() < 1e-6


def test_hub_gives_networks_and_the_predictor(trained, photos, predictor, tmp_path):
    def load(*arguments, **options):
        return torch.hub.load(str(ROOT), *arguments, source="local", **options)

    network = load("ras_v2", weights=str(trained), trunk="vgg16", width=0.0625)
    assert not network.training
    for key, value in predictor.network.state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    of_hub = load("predictor", str(trained), device="cpu")
    assert np.array_equal(of_hub(photos[0]), predictor(photos[0]))


def test_hub_names_a_package_of_others_that_is_in_the_way(monkeypatch):
    for others in (types.ModuleType("utils"), cv2.utils):  # without a file, and elsewhere
        monkeypatch.setitem(sys.modules, "utils", others)
        with pytest.raises(ImportError, match="its package 'utils' cannot be imported"):
            runpy.run_path(str(ROOT / "hubconf.py"))
