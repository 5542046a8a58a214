"""eval.py: complete input or a list of what is wrong, and comparisons."""

from __future__ import annotations

import csv
import json
import shutil
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

import eval as eval_script
from metrics import Evaluator
from tests.scripts.evaluation import evaluate


def test_perfect_maps(sets, scored, tmp_path, capsys):
    file = tmp_path / "out/scores.json"
    assert evaluate(sets, scored, "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert (row["method"], row["dataset"]) == ("copy", "TINY-TE")
    assert (row["images"], row["MAE"], row["maxF"]) == (4, 0, 1)
    assert "pysodmetrics" in capsys.readouterr().out


@pytest.mark.parametrize("side", ["maps", "masks"])
@pytest.mark.parametrize("prefix, suffix", [("", "_sal_fuse"), ("map_", "")])
def test_maps_or_masks_with_one_affix_are_scored(sets, scored, tmp_path, capsys, side, prefix,
                                                 suffix):
    folder = scored if side == "maps" else sets / "TINY-TE/masks"
    for path in list(folder.iterdir()):
        path.rename(folder / f"{prefix}{path.stem}{suffix}.png")
    arguments = ["--pred", str(scored), "--gt", str(sets / "TINY-TE/masks"),
                 "--json", str(tmp_path / "rows.json")]
    option = ("--" if side == "maps" else "data.mask_") + ("prefix=" if prefix else "suffix=")
    for given in ([f"{option}{prefix or suffix}"], []):  # a note is printed once
        assert eval_script.main([*arguments, *given]) == 0
        (row,) = json.loads((tmp_path / "rows.json").read_text())
        assert (row["images"], row["MAE"], row["maxF"]) == (4, 0, 1)
        noted = f"{side} are named with the" in capsys.readouterr().err
        assert noted == (not given)
    if side == "masks":  # those of a set, whose images have no affix
        assert evaluate(sets, scored, "--data", "TINY-TE") == 0


def test_maps_of_several_kinds_must_be_chosen(sets, scored, tmp_path, capsys):
    for path in list(scored.iterdir()):
        Image.new("L", Image.open(path).size).save(scored / f"{path.stem}_edge.png")
        path.rename(scored / f"{path.stem}_sal.png")
    file = tmp_path / "rows.json"
    assert evaluate(sets, scored, "--json", str(file)) == 2
    err = capsys.readouterr().err
    assert "--suffix=_edge" in err
    assert "--suffix=_sal" in err
    assert len(err.splitlines()) < 6
    assert evaluate(sets, scored, "--json", str(file), "--suffix", "_sal") == 0
    assert json.loads(file.read_text())[0]["maxF"] == 1


def test_files_that_are_no_maps_are_counted_and_named(sets, scored, capsys):
    (scored / "log.txt").write_text("x")
    (scored / "old").mkdir()
    assert evaluate(sets, scored) == 0
    assert capsys.readouterr().err.count(
        f"note: {scored}: 1 file left out: log.txt; 1 subfolder (old), see --recursive") == 1


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


def alpha(folder):
    with Image.open(folder / "01.png") as image:
        image.putalpha(100)
        image.save(folder / "01.png")


def transparent(folder):
    with Image.open(folder / "01.png") as image:
        image.save(folder / "01.png", transparency=0)


def deep(folder):
    with Image.open(folder / "01.png") as image:
        Image.fromarray(np.array(image).astype(np.uint16) * 257).save(folder / "01.png")


@pytest.mark.parametrize("damage, message, scored_images", [
    (remove, "no map for", 3), (add, "surplus.png", 4), (shrink, "01.png is 5×5", 3),
    (truncate, "01.png: cannot be decoded", 3), (empty, "01.png: empty file", 3),
    (colour, "01.png: has colours", 3), (alpha, "has transparent pixels", 3),
    (transparent, "has transparent pixels", 3), (deep, "save maps as 8-bit grey", 3)])
def test_incomplete_input_gives_no_row_unless_asked(sets, scored, tmp_path, capsys, damage,
                                                    message, scored_images):
    damage(scored)
    file = tmp_path / "scores.json"
    assert evaluate(sets, scored, "--json", str(file)) == 2
    assert json.loads(file.read_text()) == []
    assert message in capsys.readouterr().err
    assert evaluate(sets, scored, "--allow-missing", "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert (row["images"], row["expected"]) == (scored_images, 4)
    captured = capsys.readouterr()
    assert message in captured.err
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


def test_folders_without_truth_are_named_and_requested_sets_must_be_there(sets, scored, capsys):
    (scored.parent / "input").mkdir()
    assert evaluate(sets, scored) == 0
    assert capsys.readouterr().err == ""  # where test.py writes maps of photos
    (scored.parent / "photos").mkdir()
    assert evaluate(sets, scored) == 0
    assert "photos is not scored" in capsys.readouterr().err
    assert evaluate(sets, scored, "--data", "TINY-TE", "TINY-TR") == 2
    assert "no maps of TINY-TR" in capsys.readouterr().err
    assert evaluate(sets, scored, "--data", "TINY-TE", "TINY-TR", "--allow-missing") == 0


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


@pytest.mark.parametrize("arguments, message", [
    (["--gt", ".", "--data", "TINY-TE"], "leave --data out"),
    (["--pred", "nowhere"], "folder not found"), (["--pred", __file__], "this is a file"),
    (["--gt", __file__], "this is a file"), (["--set", "X"], "what the set of --gt is called"),
    (["--name", "a", "b"], "the methods are copy;"), (["--name", " "], "a name has letters"),
    (["--json", "a.csv", "--csv", "./a.csv"], "--json writes that file already"),
    (["--forget", "copy"], "score in another command"),
    (["--measures", "Fmeasure"], "known: core, all, MAE"),
    (["--measures", "E", "--profile", "tracer"], "does not define E"),
    (["--measures", "core", "AUC", "--profile", "tracer"], "does not define AUC"),
    (["--compare", "copy", "nothing"], "nothing"),
    (["--data", "NO-SUCH-SET"], "not found")])
def test_wrong_arguments(sets, scored, capsys, arguments, message):
    assert evaluate(sets, scored, *arguments) == 2
    assert message in capsys.readouterr().err


def test_scoring_does_not_import_torch(sets, scored, results):
    """Starting torch takes longer than scoring a small set."""
    import subprocess
    from pathlib import Path

    program = ("import sys, pathlib, eval; eval.RESULTS = pathlib.Path(sys.argv.pop(1)); "
               "status = eval.main(); assert 'torch' not in sys.modules; sys.exit(status)")
    subprocess.run([sys.executable, "-c", program, str(results), "--gpu", "cpu",
                    "--table", "--pred", str(scored.parents[1]), "--root", str(sets)],
                   check=True, cwd=Path(eval_script.__file__).parent, capture_output=True)


def test_every_map_is_scored_at_full_precision(sets, scored, tmp_path):
    shrunk = np.array(Image.open(scored / "02.png"))
    shrunk[:5] = 77
    Image.fromarray(shrunk).save(scored / "02.png")
    table, rows = tmp_path / "images.csv", tmp_path / "rows.csv"
    file = tmp_path / "scores.json"
    assert evaluate(sets, scored, "--per-image", str(table), "--csv", str(rows), "--json",
                    str(file)) == 0
    images = list(csv.DictReader(table.open()))
    (row,), (same,) = json.loads(file.read_text()), csv.DictReader(rows.open())
    assert [image["image"] for image in images] == ["00", "01", "02", "03"]
    for measure in ("MAE", "meanF", "adpF", "wF", "Sm", "meanE", "adpE"):
        assert float(same[measure]) == row[measure]
        assert np.mean([float(image[measure]) for image in images]) == pytest.approx(
            row[measure], abs=1e-15)
    assert list(row) == ["method", "dataset", "images", "expected", "profile", "empty", "MAE",
                         "maxF", "meanF", "adpF", "wF", "Sm", "maxE", "meanE", "adpE"]


def test_maps_of_another_size_are_resized_on_request_and_counted(sets, scored, tmp_path, capsys):
    Image.fromarray(np.arange(25, dtype=np.uint8).reshape(5, 5) * 10).save(scored / "01.png")
    file = tmp_path / "scores.json"
    assert evaluate(sets, scored, "--resize", "--json", str(file)) == 0
    assert "4 (1 resized)" in capsys.readouterr().out
    (row,) = json.loads(file.read_text())
    assert row["resized"] == 1
    with Image.open(scored / "01.png") as small, \
            Image.open(sets / "TINY-TE/masks/01.png") as mask:
        evaluator = Evaluator()  # OpenCV's bilinear is the definition, half pixels aligned
        evaluator.update("01", cv2.resize(np.array(small), mask.size), np.array(mask))
    assert row["MAE"] == pytest.approx(evaluator.compute()["MAE"] / 4, abs=1e-12)
    assert evaluate(sets, scored) == 2


def test_two_methods_are_compared(sets, scored, tmp_path, capsys):
    grey = tmp_path / "results/grey/TINY-TE"
    grey.mkdir(parents=True)
    for path in scored.iterdir():
        Image.fromarray(np.array(Image.open(path)) // 2 + 60).save(grey / path.name)
    Image.open(scored / "00.png").save(grey / "00.png")
    flat = np.full(np.array(Image.open(scored / "01.png")).shape, 128, np.uint8)
    Image.fromarray(flat).save(grey / "01.png")
    assert evaluate(sets, scored, "--compare", "copy", "grey") == 0
    out = capsys.readouterr().out
    assert "copy against grey on TINY-TE, 4 images" in out
    assert "images that differ most in MAE" in out
    assert evaluate(sets, scored, "--compare", "copy", str(scored.parent), "--name", "a", "b") == 0
    out = capsys.readouterr().out
    assert "a against b on TINY-TE" in out and "differ most" not in out  # equal maps
    assert eval_script.main(["--compare", str(scored), str(grey), "--gt",
                             str(sets / "TINY-TE/masks")]) == 0
    assert "copy against grey" in capsys.readouterr().out
    renamed = grey.rename(grey.with_name("half"))
    assert eval_script.main(["--compare", str(scored), str(renamed), "--gt",
                             str(sets / "TINY-TE/masks")]) == 0
    assert "TINY-TE against half on masks, 4 images" in capsys.readouterr().out
    renamed.rename(grey)
    assert eval_script.main(["--compare", str(scored.parent), str(grey.parent), "--pred",
                             str(tmp_path / "nowhere"), "--root", str(sets)]) == 0
    (scored.parent / "TINY-TR").mkdir()
    assert evaluate(sets, scored, "--compare", "copy", "grey") == 2
    (scored.parent / "TINY-TR").rmdir()
    grey.rename(grey.with_name("TINY-TR"))
    Image.open(sets / "TINY-TR/masks/00.png").save(grey.with_name("TINY-TR") / "00.png")
    assert evaluate(sets, scored, "--compare", "copy", "grey", "--allow-missing") == 2
    assert "both methods need maps of TINY-TE" in capsys.readouterr().err


def test_maps_of_a_set_with_depth_are_scored_as_any(sets, scored, tmp_path, capsys):
    """Its folder of depth beside images and masks changes nothing."""
    folder = sets / "RGBD_for_test/NJU2K"
    for name, own in (("images", "RGB"), ("masks", "GT"), ("masks", "depth")):
        shutil.copytree(sets / "TINY-TE" / name, folder / own)
    file = tmp_path / "rows.json"
    for name, words in (("NJU2K", ["--data", "NJU2K", "--root", str(folder.parent)]),
                        ("NJU2K-TE", ["--data", "NJU2K-TE", "--root", str(sets)])):
        scored = scored.rename(scored.with_name(name))
        assert eval_script.main(["--pred", str(scored.parents[1]), *words,
                                 "--json", str(file)]) == 0
        (row,) = json.loads(file.read_text())
        assert (row["images"], row["maxF"]) == (4, 1)
        assert "4 pairs here, the published set has" in capsys.readouterr().err
