"""eval.py: complete input or a list of what is wrong, and what it writes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

import eval as eval_script
from metrics import Evaluator


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
    (transparent, "has transparent pixels", 3), (deep, "a map is 8-bit grey", 3)])
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
    (["--measures", "maxF"], "known: core, all, MAE"),
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


def test_files_that_cannot_be_written_cost_neither_scores_nor_other_files(
        sets, scored, results, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    files = {"--json": "file/a.json", "--csv": "a.csv", "--per-image": "b.csv"}
    words = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    saved = [str(tmp_path / name) for name in ("file/t.md", "t.tex")]
    assert evaluate(sets, scored, *words, "--save", *saved) == 2
    captured = capsys.readouterr()
    assert "TINY-TE" in captured.out
    assert captured.err.count("cannot write") == 2
    assert f"{tmp_path / 'file/a.json'}: {tmp_path / 'file'}: File exists" in captured.err
    assert all((tmp_path / name).is_file() for name in ("a.csv", "b.csv", "t.tex"))
    assert len(json.loads((results / "scores.json").read_text())) == 1


def test_scores_are_kept_before_files_are_written(sets, scored, results, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(eval_script, "write_all", killed)
    assert evaluate(sets, scored, "--json", str(tmp_path / "a.json")) == 130
    assert len(json.loads((results / "scores.json").read_text())) == 1


def test_some_measures_are_scored_again_and_the_others_stay(sets, scored, results):
    assert evaluate(sets, scored) == 0
    before = json.loads((results / "scores.json").read_text())
    assert evaluate(sets, scored, "--measures", "MAE", "--measures", "AUC") == 0
    (row,) = json.loads((results / "scores.json").read_text())
    assert list(row) == ["method", "dataset", "images", "expected", "profile", "empty", "MAE",
                         "maxF", "meanF", "adpF", "wF", "Sm", "maxE", "meanE", "adpE", "AUC",
                         "maps", "content", "scored", "origin"]
    assert row["maxF"] == before[0]["maxF"] and row["AUC"] == 1
    assert set(row["scored"]["earlier"]) == {"maxF", "meanF", "adpF", "wF", "Sm", "maxE", "meanE",
                                             "adpE"}


def test_two_folders_are_called_as_the_user_says(sets, scored, tmp_path, capsys):
    masks, file = str(sets / "TINY-TE/masks"), tmp_path / "a.json"
    folder = ["--pred", str(scored), "--gt", masks, "--json", str(file)]
    assert eval_script.main([*folder, "--name", "ours", "--set", "ecssd"]) == 0
    (row,) = json.loads(file.read_text())
    assert (row["method"], row["dataset"]) == ("ours", "ECSSD")
    same = tmp_path / "other/copy"
    shutil.copytree(scored.parent, same)
    both = ["--compare", str(scored.parent), str(same), "--root", str(sets)]
    assert eval_script.main(both) == 2
    assert f"two methods are called copy: {scored} and {same}/TINY-TE" in capsys.readouterr().err
    assert evaluate(sets, scored, "--compare", "copy", "copy") == 2
    assert f"two methods are called copy: {scored} and {scored}" in capsys.readouterr().err
    assert eval_script.main([*both, "--name", "a", "b"]) == 0
    assert "a against b on TINY-TE" in capsys.readouterr().out


def test_scores_are_forgotten(sets, scored, results, capsys):
    assert evaluate(sets, scored) == 0
    assert eval_script.main(["--forget", "copi"]) == 2
    assert "did you mean 'copy'?" in capsys.readouterr().err
    scored.parent.rename(scored.parents[1] / "lr=0.1")  # a method's name, no configuration key
    assert evaluate(sets, scored) == 0
    assert eval_script.main(["--forget", "lr=0.1"]) == 0
    assert "forgot the scores of lr=0.1" in capsys.readouterr().out
    assert eval_script.main(["--forget", "copy/TINY-TE"]) == 0
    assert capsys.readouterr().out == \
        "forgot the scores of copy on TINY-TE (profiles pysodmetrics)\n"
    assert json.loads((results / "scores.json").read_text()) == []


def test_truths_without_foreground_are_counted(sets, scored, tmp_path, capsys):
    mask = sets / "TINY-TE/masks/02.png"
    grey = np.zeros(np.array(Image.open(mask)).shape, np.uint8)
    grey[0] = np.arange(grey.shape[1]) % 101  # not black, and below one half all over
    Image.fromarray(grey).save(mask)
    file = tmp_path / "a.json"
    assert evaluate(sets, scored, "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert row["empty"] == 1
    assert "TINY-TE: 1 of 4 truths are empty" in capsys.readouterr().out


def test_the_root_that_test_py_used_is_used(sets, scored, tmp_path, monkeypatch, capsys):
    origin = {"TINY-TE": {"root": str(sets), "checkpoint": "a.pt"}}
    (scored.parent / "origin.json").write_text(json.dumps(origin))
    pred = ["--pred", str(scored.parents[1])]
    monkeypatch.setattr("scoring.jobs.DATASETS", tmp_path / "none")
    assert eval_script.main(pred) == 0
    assert f"note: TINY-TE is taken from {sets}, as test.py did" in capsys.readouterr().err
    assert eval_script.main([*pred, "--data", "TINY-TE"]) == 0
    assert eval_script.main([*pred, "--data", "TINY-TE", "--root", str(tmp_path)]) == 2
    assert f"test.py had TINY-TE from {sets}" in capsys.readouterr().err
    monkeypatch.setattr("scoring.jobs.DATASETS", shutil.copytree(sets, tmp_path / "others"))
    assert eval_script.main(pred) == 0
    assert f"scored against {tmp_path / 'others'}, but test.py had" in capsys.readouterr().err


def test_names_that_are_not_utf8_or_look_like_markup(sets, scored, results, tmp_path, capsys):
    odd, method = os.fsdecode(b"\xb2\xe2\xca\xd4"), scored.parent.rename(
        scored.parents[1] / "[bold]=m[red]")  # the four bytes are a word in GBK
    for folder, extension in (("images", ".jpg"), ("masks", ".png")):
        for stem, name in (("00", odd), ("01", "=1+1")):
            path = sets / "TINY-TE" / folder / f"{stem}{extension}"
            path.rename(path.with_name(name + extension))
    for stem, name in (("00", odd), ("01", "=1+1")):
        path = method / "TINY-TE" / f"{stem}.png"
        path.rename(path.with_name(f"{name}.png"))
    table, rows = tmp_path / "images.csv", tmp_path / "a.json"
    assert evaluate(sets, scored, "--per-image", str(table), "--json", str(rows),
                    "--save", *(str(tmp_path / f"t.{kind}") for kind in ("md", "tex", "csv"))) == 0
    names = [line["image"] for line in csv.DictReader(table.open(encoding="utf-8"))]
    assert sorted(names) == ["'=1+1", "02", "03", "\\udcb2\\udce2\\udcca\\udcd4"]
    assert "[bold]=m[red]" in capsys.readouterr().out
    assert r"\[bold\]=m\[red\]" in (tmp_path / "t.md").read_text()


def test_an_interrupted_evaluation_keeps_nothing(sets, scored, results, monkeypatch, capsys):
    def update(self, name, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluator, "update", update)
    assert evaluate(sets, scored) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not results.exists()


def test_no_cache_is_accepted_and_says_that_there_is_none(sets, scored, results, capsys):
    assert evaluate(sets, scored) == 0
    assert capsys.readouterr().err == ""
    assert evaluate(sets, scored, "--no-cache") == 0
    assert capsys.readouterr().err == \
        "note: --no-cache does nothing: scores are not cached any more\n"
    assert sorted(path.name for path in results.iterdir()) == [".scores.json.lock", "scores.json"]


def test_what_is_scored_is_what_lies_there_now(sets, scored, tmp_path):
    file = tmp_path / "scores.json"
    assert evaluate(sets, scored, "--json", str(file)) == 0
    (before,) = json.loads(file.read_text())
    mask = sets / "TINY-TE/masks/00.png"
    Image.fromarray(255 - np.array(Image.open(mask))).save(mask)
    assert evaluate(sets, scored, "--json", str(file)) == 0
    (row,) = json.loads(file.read_text())
    assert (before["MAE"], row["MAE"]) == (0, 0.25)
