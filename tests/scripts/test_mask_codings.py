"""Sets whose masks are palettes with void, from training to scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import eval as eval_script
import test as test_script
from data.__main__ import main as data_main
from report import __main__ as report_script
from tests.data.mask_codings import indexed, with_void
from tests.small_runs import train


@pytest.fixture
def labelled(sets):
    """The small sets with masks as PASCAL VOC has them: class 5, its outline void."""
    for path in sorted(sets.glob("*/masks/*.png")):
        inside = np.array(Image.open(path)) > 128
        indexed(with_void(inside, 5, 0, 255)).save(path)
    return sets


def test_void_pixels_from_training_to_scores(labelled, runs, results, tmp_path, capsys):
    assert train(labelled) == 2
    error = capsys.readouterr().err
    assert "masks of TINY-TR: 10 of 10 that were looked at have void pixels (255)" in error
    assert "data.mask_void=ignore" in error
    assert train(labelled, "data.mask_void=ignore", "val.data=[TINY-TE]", "val.watch=loss") == 0
    text = "palette, 0 = background, others = object, 255 = void, left out"
    assert f"masks: {text} (TINY-TR)" in capsys.readouterr().out
    origin = json.loads((runs / "trial/origin.json").read_text())
    assert origin["masks"] == {str(labelled / f"{name}/masks"): text
                               for name in ("TINY-TR", "TINY-TE")}
    out = ["--out", str(tmp_path / "out")]
    assert test_script.main(["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"),
                             "--data", "TINY-TE", "--show", *out]) == 0
    assert f"masks: {text} (TINY-TE)" in capsys.readouterr().out
    assert test_script.main(["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"),
                             "--data", "TINY-TE", "data.mask_void=error", *out]) == 0
    assert "note: maps are made without masks, but eval.py needs them: masks of TINY-TE: 4 of 4" \
        in capsys.readouterr().err
    assert test_script.main(["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"),
                             "--data", "TINY-TE", *out]) == 0
    assert f"masks: {text} (TINY-TE)" in capsys.readouterr().out
    command = ["--pred", str(tmp_path / "out"), "--root", str(labelled)]
    assert eval_script.main(command) == 2
    assert "wF, S look at where pixels lie" in capsys.readouterr().err
    assert eval_script.main([*command, "--measures", "MAE", "F", "E"]) == 0
    (row,) = json.loads((results / "scores.json").read_text())
    assert row["masks"] == text
    assert data_main(["check", str(labelled), "data.mask_void=background"]) == 0


def test_edges_of_masks_with_void_pixels_are_refused(labelled, runs, capsys):
    assert train(labelled, "data.mask_void=ignore", "data.edges=mask") == 2
    assert "data.edges=mask draws edges around void pixels" in capsys.readouterr().err


def test_perfect_maps_score_1_where_void_is_left_out(labelled, tmp_path, capsys):
    maps, scores = tmp_path / "maps", tmp_path / "scores.json"
    maps.mkdir()
    for path in (labelled / "TINY-TE/masks").iterdir():
        indices = np.array(Image.open(path))
        Image.fromarray(np.where(indices == 5, 255, 0).astype(np.uint8)).save(maps / path.name)
    command = ["--gpu", "cpu", "--pred", str(maps), "--gt", str(labelled / "TINY-TE/masks"),
               "--json", str(scores)]
    assert eval_script.main(command) == 2
    assert "4 of 4 that were looked at have void pixels" in capsys.readouterr().err
    measures = ["MAE", "F", "E", "IoU", "Dice", "BER", "accuracy", "specificity", "AUC"]
    assert eval_script.main([*command, "data.mask_void=ignore", "--measures", *measures]) == 0
    (row,) = json.loads(scores.read_text())
    assert (row["MAE"], row["maxF"], row["maxIoU"], row["AUC"]) == (0, 1, 1, 1)
    assert eval_script.main([*command, "data.mask_void=foreground"]) == 0
    (row,) = json.loads(scores.read_text())
    assert row["maxF"] < 1
    assert eval_script.main([*command, "data.mask_resize=nearest"]) == 2
    assert "data.mask_resize=nearest: of the configuration keys" in capsys.readouterr().err


def test_one_mask_in_another_coding_stops_training_and_scoring(sets, runs, tmp_path, capsys):
    path = sets / "TINY-TR/masks/03.png"
    Image.fromarray(np.array(Image.open(path)) // 255).save(path)
    assert train(sets) == 2
    assert "03.png: holds 0, 1, unlike the masks of its set" in capsys.readouterr().err
    maps = sets / "TINY-TR/masks"
    assert eval_script.main(["--gpu", "cpu", "--pred", str(maps), "--gt", str(maps)]) == 2
    assert "03.png: holds 0, 1, unlike" in capsys.readouterr().err
    assert train(sets, "data.mask_coding=binary") == 0
    assert "no foreground in" in capsys.readouterr().err
    assert eval_script.main(["--gpu", "cpu", "--pred", str(maps), "--gt", str(maps),
                             "data.mask_coding=binary"]) == 0
    assert "note: masks of masks without foreground" in capsys.readouterr().err


def perfect_maps(labelled, folder) -> None:
    """Maps of TINY-TE that score 1 where void is left out, in a folder of a method."""
    folder.mkdir(parents=True)
    for path in (labelled / "TINY-TE/masks").iterdir():
        indices = np.array(Image.open(path))
        Image.fromarray(np.where(indices == 5, 255, 0).astype(np.uint8)).save(folder / path.name)


def test_masks_are_read_as_test_py_was_told_unless_the_command_line_decides(labelled, results,
                                                                          tmp_path, capsys):
    folder = tmp_path / "maps/copy/TINY-TE"
    perfect_maps(labelled, folder)
    recorded = {"root": str(labelled), "masks": ["data.mask_void=ignore"]}
    (folder.parent / "origin.json").write_text(json.dumps({"TINY-TE": recorded}))
    command = ["--gpu", "cpu", "--pred", str(tmp_path / "maps"), "--root", str(labelled)]
    assert eval_script.main([*command, "--measures", "MAE", "F"]) == 0
    assert f"note: masks for {folder} are read with data.mask_void=ignore, as test.py was told" \
        in capsys.readouterr().err
    (row,) = json.loads((results / "scores.json").read_text())
    assert row["masks"].endswith("left out") and (row["MAE"], row["maxF"]) == (0, 1)
    assert eval_script.main(["--table", "data.mask_void=maybe"]) == 2  # not a table of before
    assert "data.mask_void = 'maybe'" in capsys.readouterr().err
    page = ["page", *command[2:], "--out", str(tmp_path / "page.html")]
    assert report_script.main(page) == 0
    assert "note: void pixels are left out, so these alone are given: MAE, F, E" in \
        capsys.readouterr().err
    assert report_script.main(["curves", *page[1:-1], str(tmp_path / "figures")]) == 0
    assert report_script.main([*page, "data.mask_void=background"]) == 0
    assert (f"note: masks for {folder} are read with data.mask_void=background, as given here; "
            "test.py was told data.mask_void=ignore") in capsys.readouterr().err


def test_eval_and_the_page_take_the_same_names_of_masks_and_of_maps(labelled, results, tmp_path):
    folder, masks = tmp_path / "maps", tmp_path / "masks"
    perfect_maps(labelled, folder / "night")
    (masks / "night").mkdir(parents=True)
    for path in (labelled / "TINY-TE/masks").iterdir():
        path.rename(masks / "night" / f"{path.stem}_mask.png")
        (folder / "night" / path.name).rename(folder / "night" / f"{path.stem}_sal.png")
        Image.new("L", (8, 8)).save(masks / "night" / path.name)  # no mask: it lacks the suffix
    words = ["--pred", str(folder), "--gt", str(masks), "--recursive", "--name", "WSSA", "--set",
             "ECSSD", "--suffix", "_sal", "data.mask_suffix=_mask", "data.mask_void=background"]
    assert eval_script.main([*words, "--gpu", "cpu"]) == 0
    (row,) = json.loads((results / "scores.json").read_text())
    assert (row["method"], row["dataset"], row["images"]) == ("WSSA", "ECSSD", 4)
    page = tmp_path / "page.html"
    assert report_script.main(["page", *words, "--out", str(page)]) == 0
    assert "ECSSD" in page.read_text() and "WSSA" in page.read_text()
    assert report_script.main(["table", "data.mask_void=background"]) == 2
