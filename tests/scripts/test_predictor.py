"""One call from an image to its map: the same as what test.py writes."""

from __future__ import annotations

import io
import os
import runpy
import subprocess
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
import model
from engine import Predictor
from engine.predictor import _device
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
    (np.zeros((8, 8, 3)), r"image 1: .*not float64 of shape \(8, 8, 3\)"),
    (np.zeros((8, 8, 4), np.uint8), r"not uint8 of shape \(8, 8, 4\)"),
    (np.zeros((0, 5, 3), np.uint8), r"not uint8 of shape \(0, 5, 3\)"),
    (Image.new("RGB", (0, 5)), r"the picture: has no pixels, its size is \(0, 5\)"),
    ("nowhere.jpg", r"nowhere.jpg: .*no such file"), (None, "not NoneType"), (7, "not int")])
def test_what_is_no_photo_is_refused(predictor, photos, photo, message):
    with pytest.raises(UserError, match=message):
        predictor([photos[0], photo])
    if not isinstance(photo, str):
        with pytest.raises(UserError, match=message.replace("image 1", "image 0")):
            predictor(photo)


def test_pictures_are_as_sound_as_files(predictor, photos, tmp_path):
    data = photos[0].read_bytes()
    with Image.open(io.BytesIO(data[:len(data) // 2])) as cut, \
            pytest.raises(UserError, match=r"the picture: cannot be decoded \(.*truncated"):
        predictor(cut)
    frames = [Image.new("L", (40, 40), grey) for grey in (0, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "moving.gif") as moving, \
            pytest.raises(UserError, match=r"moving.gif: holds several pictures"):
        predictor(moving)
    with Image.open(photos[0]) as picture:
        info = dict(picture.info)
        predictor(picture)
        assert picture.info == info


def test_the_size_of_a_photo_that_the_network_does_not_take_is_named(trained, photos):
    native = Predictor(trained, device="cpu", overrides=["data.size=native"])
    with pytest.raises(UserError, match=r"image 1: RAS takes images of at least 32 pixels"):
        native([photos[0], np.zeros((3, 40, 3), np.uint8)])


def test_a_recipe_stands_for_its_run_else_for_official_weights(trained, runs):
    for words in (("u2netp",), ("u2netp", "official")):
        with pytest.raises(UserError, match=r"(?s)weights of u2netp are not .*weights=FILE"):
            Predictor(*words)
    (runs / "demo").mkdir()
    (runs / "demo/last.pt").write_bytes(trained.read_bytes())
    assert Predictor("demo", device="cpu").config.name == "trial"  # its own configuration
    with pytest.raises(UserError, match=r"dem: no such file or folder, .*did you mean 'demo'"):
        Predictor("dem")
    with pytest.raises(UserError, match=r"best.pt: no such file or folder"):
        Predictor("best.pt")
    with pytest.raises(UserError, match=r"best.pt: no recipe, for which weights could be given"):
        Predictor("best.pt", weights=trained)
    with pytest.raises(UserError, match="was trained by another recipe"):
        Predictor("cpd_vgg", weights=trained)


@pytest.mark.parametrize("options, message", [
    ({"precision": "float32"}, "precision 'float32': it is one of auto, bf16, fp16, fp32"),
    ({"precision": "fp16", "device": "cpu"}, "fp16 is for GPUs"),
    ({"device": "mps"}, "device='mps': expected auto, cpu, an index"),
    ({"device": "0,1"}, "device='0,1': expected"), ({"device": None}, "device='None': expected")])
def test_words_that_no_device_or_precision_has_are_refused(trained, options, message):
    with pytest.raises(UserError, match=message):
        Predictor(trained, **options)


def test_devices_have_the_names_that_torch_gives_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for word, index in (("cuda", 0), ("cuda:1", 1), (1, 1), ("auto", 0),
                        (torch.device("cuda", 1), 1)):
        assert _device(word) == torch.device("cuda", index)
    assert _device("cpu") == _device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(UserError, match="device=2: there is no GPU 2"):
        _device("cuda:2")


def test_other_attributes_of_the_engine_are_missing_as_ever():
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Predicter'"):
        engine.Predicter  # noqa: B018


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)),
              elements=st.floats(0.25, 0.75, width=32)), st.booleans(), st.booleans(),
       st.sampled_from([None, (0.125, 0.875)]))
def test_unit_maps_round_to_the_bytes(saliency, minmax, cut, limits):
    """Also those of a part of a map with other limits."""
    unit = to_unit(saliency, minmax, limits, cut)
    assert unit.dtype == np.float32
    assert np.array_equal(np.round(255 * unit), to_bytes(saliency, minmax, limits, cut))
    if not minmax and not cut:
        assert np.abs(unit - saliency).max() < 1e-6


#: As a notebook elsewhere does.
HUB = """
import sys
import numpy as np
import torch
root, checkpoint, photo, out = sys.argv[1:]
predictor = torch.hub.load(root, "predictor", checkpoint, source="local", device="cpu")
saliency = predictor(photo)
network = torch.hub.load(root, "ras_v2", source="local", weights=checkpoint, trunk="vgg16",
                         width=0.0625)
equal = all(torch.equal(value, network.state_dict()[key])
            for key, value in predictor.network.state_dict().items())
assert equal and not network.training
np.save(out, np.round(255 * saliency).astype(np.uint8))
"""


def test_hub_gives_networks_and_the_predictor_anywhere(trained, photos, tmp_path):
    """Of a run with a moving average that is what test.py tests."""
    content = torch.load(trained, weights_only=True)
    content["average"] = {"n_averaged": torch.tensor(3)} | {
        f"module.{key}": value.clone() for key, value in content["network"].items()}
    content["average"]["module.context.score.weight"] *= 1.5
    torch.save(content, tmp_path / "averaged.pt")
    assert predict(tmp_path / "averaged.pt", tmp_path, "--input", str(photos[0])) == 0
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", HUB, str(ROOT), str(tmp_path / "averaged.pt"), str(photos[0]),
         "map.npy"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = read_map(tmp_path / f"trial/input/{photos[0].stem}.png")
    assert np.array_equal(np.load(tmp_path / "map.npy"), written)


def test_hub_has_entries_for_networks_alone_and_refuses_a_run_of_another(trained):
    hub = runpy.run_path(str(ROOT / "hubconf.py"))
    entries = {name for name, value in hub.items() if callable(value) and not name.startswith("_")}
    assert entries == {*model.names(), "predictor"}
    with pytest.raises(UserError, match=r"was trained as ras_v2 with the options .*'vgg16'"):
        hub["ras_v2"](weights=str(trained), trunk="vgg16")


def test_hub_names_a_package_of_others_that_is_in_the_way(monkeypatch):
    for others in (types.ModuleType("utils"), cv2.utils):  # without a file, and elsewhere
        monkeypatch.setitem(sys.modules, "utils", others)
        with pytest.raises(ImportError, match="its package 'utils' cannot be imported"):
            runpy.run_path(str(ROOT / "hubconf.py"))
