"""``python -m report explain`` on a run of train.py."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from engine.predictor import Predictor
from report import __main__ as report_script
from report.explain import command
from report.explain.about import read_about
from utils import errors
from utils.files import sha256_of
from utils.origin import MapsOrigin


@pytest.fixture
def explain(trained, made_sets, tmp_path):
    """The command, on an image of the made sets."""
    fixed = ["explain", "--checkpoint", str(trained), "--gpu", "cpu", "--out", str(tmp_path),
             "--input", str(made_sets / "TINY-TE/images/00.jpg")]
    return lambda *words: report_script.main([*fixed, *words])


@pytest.fixture
def rows(monkeypatch) -> list:
    """The rows of tiles of each sheet that is written."""
    kept, save = [], command.save_sheet
    monkeypatch.setattr(command, "save_sheet",
                        lambda path, tiles, *more: (kept.append(tiles), save(path, tiles, *more)))
    return kept


@pytest.fixture
def without_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    errors._print_note.cache_clear()  # another test may have had the note


def test_a_sheet_shows_the_cam_of_the_trunks_last_stage(explain, rows, tmp_path, capsys):
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
    assert explain() == 0
    assert f"{tmp_path}/trial/00.png: GradCAM of trunk.pool5, " in capsys.readouterr().out
    assert rows[0][0][2].title == "GradCAM"
    layer = "trunk.conv3.conv3_1"
    assert explain("--layer", layer, "--target", "0,0,9,9", "--method", "layercam") == 0
    assert rows[1][0][2].title == "LayerCAM"
    assert layer in [tile.title for tile in rows[1][1]]
    assert rows[1][0][2].figures.startswith(f"{layer}, ")


@pytest.mark.usefixtures("without_library")
def test_without_the_library_the_rest_is_there(explain, rows, trained, made_sets, tmp_path,
                                               capsys):
    assert explain("test.minmax=false") == 0
    captured = capsys.readouterr()
    assert "pip install grad-cam" in captured.err
    assert captured.out.splitlines()[-1] == f"{tmp_path / 'trial/00.png'}"
    assert Image.open(tmp_path / "trial/00.png").format == "PNG"
    first, means, components = rows[0]
    assert [tile.title for tile in first][:2] == ["input", "map"]
    assert {"side3"} <= {tile.title for tile in first[2:]}
    assert [tile.title for tile in means] == [tile.title for tile in components]
    predictor = Predictor(trained, overrides=["test.minmax=false"], device="cpu")
    expected = np.round(255 * predictor(made_sets / "TINY-TE/images/00.jpg"))
    assert np.array_equal(np.asarray(first[1].picture), expected)
    about, _ = read_about(tmp_path / "trial/00.png")
    assert about.image == sha256_of(made_sets / "TINY-TE/images/00.jpg")
    assert about.text.startswith("input, map, side3, side4, side5; mean and principal ")
    entry = MapsOrigin(trained, sha256_of(trained), predictor.config).entry  # as test.py has it
    assert (about.sha256, about.settings) == (entry["sha256"], entry["settings"])
    for words in (["--method", "gradcam"], ["--target", "object"]):
        assert explain(*words) == 2
        assert "pip install grad-cam" in capsys.readouterr().err


@pytest.mark.parametrize("words, message", [
    (["--method", "gradcm"], "did you mean 'gradcam'?"), (["--layer", "conv5"], "trunk.conv5"),
    (["--target", "1,2"], "--target"), (["--input", "nowhere"], "--input nowhere"),
    (["test.output=edge"], "test.output=edge")])
def test_mistakes_are_answered(explain, tmp_path, capsys, words, message):
    if words[0] == "--target":
        pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
    assert explain(*words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "trial").exists()
