"""Scores against PySODMetrics, image by image, and folders with something wrong."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import eval as eval_script
from benchmarks.metrics import ours
from benchmarks.metrics import theirs as reference
from data import Pair
from metrics import Scores, joint_histogram, score_folder
from metrics.histogram import joint_histogram_torch


@st.composite
def map_and_truth(draw):
    """Maps of any size, range and smoothness, with truths from empty to full."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = sorted((draw(st.integers(0, 255)), draw(st.integers(0, 255))))
    prediction = random.integers(low, high + 1, (height, width)).astype(np.uint8)
    kind = draw(st.sampled_from(["binary", "grey", "empty", "full", "one pixel"]))
    truth = {"binary": random.integers(0, 2, (height, width)) * 255,
             "grey": random.integers(0, 256, (height, width)),
             "empty": np.zeros((height, width)), "full": np.full((height, width), 255),
             "one pixel": np.zeros((height, width))}[kind].astype(np.uint8)
    if kind == "one pixel":
        truth[-1, -1] = 255
    return prediction, truth


@settings(max_examples=150, deadline=None)
@given(map_and_truth())
def test_one_image_equals_pysodmetrics(pair):
    expected, got = reference([pair]), ours([pair])
    for measure, value in expected.items():
        assert got[measure] == pytest.approx(value, abs=1e-12), measure


@settings(max_examples=30, deadline=None)
@given(st.lists(map_and_truth(), min_size=2, max_size=6))
def test_a_data_set_averages_curves_before_the_maximum(pairs):
    assert ours(pairs) == pytest.approx(reference(pairs), abs=1e-12)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255])
@pytest.mark.parametrize("truth", [0, 128, 129, 255])
def test_constant_maps_and_constant_truths(value, truth):
    pair = np.full((5, 7), value, np.uint8), np.full((5, 7), truth, np.uint8)
    assert ours([pair]) == pytest.approx(reference([pair]), abs=1e-12)


def test_real_maps_equal_pysodmetrics(shared):
    maps = shared / "data/mini/maps/WSSA/ECSSD"
    masks = shared / "data/mini/ECSSD/ground_truth_mask"
    pairs = [(np.array(Image.open(path).convert("L")),
              np.array(Image.open(masks / path.name).convert("L")))
             for path in sorted(maps.glob("*.png"))]
    assert len(pairs) == 16
    assert ours(pairs) == pytest.approx(reference(pairs), abs=1e-12)
    folder = score_folder(maps.glob("*.png"), [Pair(path.stem, None, path)
                                               for path in sorted(masks.glob("*.png"))])
    assert folder.problems == []
    assert folder.scores.summary() == pytest.approx(reference(pairs), abs=1e-12)


@given(map_and_truth())
@settings(max_examples=20, deadline=None)
def test_the_torch_backend_counts_the_same(pair):
    assert (joint_histogram_torch(*pair, device="cpu") == joint_histogram(*pair)).all()


def test_flipped_views_score_as_their_copies():
    random = np.random.default_rng(0)
    prediction, truth = random.integers(0, 256, (2, 9, 8)).astype(np.uint8)
    flipped = prediction[:, ::-1], truth[::-1]
    copies = tuple(np.ascontiguousarray(a) for a in flipped)
    assert ours([flipped]) == ours([copies])
    assert (joint_histogram_torch(*flipped, device="cpu") == joint_histogram(*copies)).all()


def test_wrong_arrays_are_refused():
    good = np.zeros((4, 5), np.uint8)
    for bad in (np.zeros((5, 4), np.uint8), np.zeros((4, 5)), np.zeros((4, 5, 3), np.uint8)):
        with pytest.raises(ValueError):
            joint_histogram(bad, good)
    with pytest.raises(ValueError, match="no maps"):
        Scores().summary()


# --- eval.py ---------------------------------------------------------------------------------


@pytest.fixture
def scored(sets, tmp_path):
    """A results folder in which method ``copy`` predicts TINY-TE perfectly."""
    folder = tmp_path / "results/copy/TINY-TE"
    folder.mkdir(parents=True)
    for path in (sets / "TINY-TE/masks").iterdir():
        Image.open(path).save(folder / path.name)
    return folder


def evaluate(sets, scored, *more) -> int:
    return eval_script.main(["--pred", str(scored.parents[1]), "--root", str(sets), *more])


def test_perfect_maps(sets, scored, tmp_path, capsys):
    file = tmp_path / "out/scores.json"
    assert evaluate(sets, scored, "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert row["method"], row["dataset"] == ("copy", "TINY-TE")
    assert (row["images"], row["MAE"], row["maxF"]) == (4, 0, 1)
    assert "pysodmetrics" in capsys.readouterr().out


def test_a_method_folder_and_a_folder_pair_score_the_same(sets, scored, tmp_path):
    file = tmp_path / "scores.json"
    assert eval_script.main(["--pred", str(scored), "--gt", str(sets / "TINY-TE/masks"),
                             "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())
    assert (row["method"], row["dataset"], row["images"]) == ("copy", "TINY-TE", 4)


def remove(folder):
    (folder / "01.png").unlink()


def add(folder):
    Image.new("L", (5, 5)).save(folder / "surplus.png")


def shrink(folder):
    Image.new("L", (5, 5)).save(folder / "01.png")


def truncate(folder):
    data = (folder / "01.png").read_bytes()
    (folder / "01.png").write_bytes(data[:len(data) // 2])


def empty(folder):
    (folder / "01.png").write_bytes(b"")


def colour(folder):
    with Image.open(folder / "01.png") as image:
        size = image.size
    Image.new("RGB", size, (255, 0, 0)).save(folder / "01.png")


@pytest.mark.parametrize("damage, said, scored_images", [
    (remove, "no map for", 3), (add, "surplus.png", 4), (shrink, "01.png is 5×5", 3),
    (truncate, "01.png: cannot be decoded", 3), (empty, "01.png: empty file", 3),
    (colour, "01.png: has colours", 3)])
def test_incomplete_input_gives_no_row_unless_asked(sets, scored, tmp_path, capsys, damage, said,
                                                    scored_images):
    damage(scored)
    file = tmp_path / "scores.json"
    assert evaluate(sets, scored, "--json", str(file)) == 2
    assert json.loads(file.read_text()) == []
    assert said in capsys.readouterr().err
    assert evaluate(sets, scored, "--allow-missing", "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert (row["images"], row["expected"]) == (scored_images, 4)
    captured = capsys.readouterr()
    assert said in captured.err
    assert ("3/4" in captured.out) == (scored_images == 3)


def test_an_unreadable_mask_is_listed_not_fatal_for_the_others(sets, scored, capsys):
    (sets / "TINY-TE/masks/01.png").write_bytes(b"")
    assert evaluate(sets, scored, "--allow-missing") == 0
    captured = capsys.readouterr()
    assert "masks/01.png: empty file" in captured.err
    assert "3/4" in captured.out


def test_maps_that_share_a_stem_are_not_scored(sets, scored, capsys):
    Image.open(scored / "01.png").save(scored / "01.bmp")
    assert evaluate(sets, scored) == 2
    assert evaluate(sets, scored, "--allow-missing") == 0
    captured = capsys.readouterr()
    assert "same stem" in captured.err
    assert "3/4" in captured.out


def test_folders_without_truth_are_said_and_requested_sets_must_be_there(sets, scored, capsys):
    (scored.parent / "input").mkdir()
    assert evaluate(sets, scored) == 0
    assert "input is not scored" in capsys.readouterr().err
    assert evaluate(sets, scored, "--data", "TINY-TE", "TINY-TR") == 2
    assert "no maps of TINY-TR" in capsys.readouterr().err
    assert evaluate(sets, scored, "--data", "TINY-TE", "TINY-TR", "--allow-missing") == 0


def test_one_methods_folder_can_be_given_for_custom_sets(sets, scored):
    assert eval_script.main(["--pred", str(scored.parent), "--root", str(sets), "--data",
                             "TINY-TE"]) == 0


def test_the_truth_follows_the_orientation_of_its_image(tmp_path):
    """test.py's map is upright; the mask of a turned photo is usually not."""
    exif = Image.Exif()
    exif[0x0112] = 3
    truth = np.zeros((8, 8), np.uint8)
    truth[:3] = 255
    root, maps = tmp_path / "datasets/TURNED", tmp_path / "results/m/TURNED"
    for folder in (root / "images", root / "masks", maps):
        folder.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / "images/a.png", exif=exif)
    Image.fromarray(truth).save(root / "masks/a.png")
    Image.fromarray(truth[::-1]).save(maps / "a.png")
    file = tmp_path / "scores.json"
    assert eval_script.main(["--pred", str(tmp_path / "results"), "--root",
                             str(tmp_path / "datasets"), "--json", str(file)]) == 0
    assert json.loads(file.read_text())[0]["MAE"] == 0


@pytest.mark.parametrize("arguments, said", [
    (["--gt", ".", "--data", "TINY-TE"], "leave --data out"),
    (["--pred", "nowhere"], "folder not found"),
    (["--data", "NO-SUCH-SET"], "not found")])
def test_wrong_arguments(sets, scored, capsys, arguments, said):
    assert evaluate(sets, scored, *arguments) == 2
    assert said in capsys.readouterr().err


def test_scoring_does_not_import_torch(sets, scored):
    """Starting torch takes longer than scoring a small set."""
    import subprocess
    from pathlib import Path

    program = ("import sys; sys.argv = ['eval.py', *sys.argv[1:]]; import eval; "
               "status = eval.main(); assert 'torch' not in sys.modules; sys.exit(status)")
    subprocess.run([sys.executable, "-c", program, "--gpu", "cpu", "--pred",
                    str(scored.parents[1]), "--root", str(sets)],
                   check=True, cwd=Path(eval_script.__file__).parent, capture_output=True)
