"""The three scripts, end to end on a small network and a small set."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eval as eval_script
import export as export_script
import losses
import test as test_script
import train as train_script
from data.inputs import collect_inputs
from tests.small_runs import RECIPE, equal, predict, train, weights, words
from utils.errors import UserError
from utils.paths import ROOT


def test_train_test_eval(made_sets, runs, results, tmp_path, capsys):
    assert train(made_sets, "val.fraction=0.2", "train.images_every=2") == 0
    folder = runs / "trial"
    names = {path.name for path in folder.iterdir()}
    assert {"last.pt", "best.pt", "config.yaml", "origin.json", "log.csv"} <= names
    assert any(name.startswith("events") for name in names)
    origin = json.loads((folder / "origin.json").read_text())
    assert torch.__version__.startswith(origin["torch"])
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["loss"]] == [1, 2, 3, 4]
    assert float(rows[0]["loss"]) == pytest.approx(
        float(rows[0]["side3_bce"]) + float(rows[0]["saliency_bce"]), abs=1e-4)
    assert sum(bool(row["val_maxF"]) for row in rows) == 2

    out, scores = tmp_path / "results", tmp_path / "scores.json"
    command = ["--gpu", "cpu", "--checkpoint", str(folder / "best.pt"), "--out", str(out)]
    assert test_script.main([*command, "--data", "TINY-TE", "--show", "--rows", "3"]) == 0
    for path in (made_sets / "TINY-TE/images").iterdir():
        with Image.open(path) as image, Image.open(out / f"trial/TINY-TE/{path.stem}.png") as map_:
            assert map_.size == image.size
            assert map_.mode == "L"
    with Image.open(out / "trial/TINY-TE.png") as sheet:
        assert sheet.height > 3 * 160
    assert eval_script.main(["--pred", str(out), "--root", str(made_sets), "--json",
                             str(scores)]) == 0
    (row,) = json.loads(scores.read_text())
    assert (row["method"], row["dataset"], row["images"]) == ("trial", "TINY-TE", 4)
    assert "4 maps written" in capsys.readouterr().out
    (row,) = json.loads((results / "scores.json").read_text())
    assert row["origin"] == json.loads((out / "trial/origin.json").read_text())["TINY-TE"]
    digest = hashlib.sha256((folder / "best.pt").read_bytes()).hexdigest()
    assert (row["origin"]["sha256"], row["origin"]["finished"], row["origin"]["kept"]) == \
        (digest, True, 0)


def test_the_same_seed_gives_the_same_weights(made_sets, runs):
    assert train(made_sets) == 0
    first = weights(runs / "trial/last.pt")
    assert train(made_sets, "--overwrite", "data.workers=2") == 0
    assert equal(first, weights(runs / "trial/last.pt"))
    assert train(made_sets, "--overwrite", "seed=1", "train.steps=1") == 0
    assert not equal(first, weights(runs / "trial/last.pt"))


def test_steps_that_are_not_finite_are_left_out_within_a_budget(made_sets, runs, capsys,
                                                                monkeypatch):
    calls = []

    def sometimes(logits, mask):
        calls.append(1)
        return losses.bce(logits, mask) * (float("nan") if len(calls) == 5 else 1)

    monkeypatch.setitem(losses.LOSSES, "bce", losses.Loss(sometimes))  # twice a step
    assert train(made_sets) == 2
    assert "the loss is nan at step 3" in capsys.readouterr().err
    calls.clear()
    assert train(made_sets, "--overwrite", "train.max_skipped=1") == 0
    assert "the step is left out (1 of 1)" in capsys.readouterr().err
    assert all(torch.isfinite(value).all() for value in weights(runs / "trial/last.pt").values())


def test_training_stops_early_when_validation_does_not_improve(made_sets, runs, capsys):
    assert train(made_sets, "val.fraction=0.2", "train.patience=2", "optim.lr=1e-30",
                 "optim.eval_norm=[all]", "train.epochs=9") == 0
    assert "stopped early: 2 validations" in capsys.readouterr().out
    assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["epoch"] == 4


def test_the_average_is_what_is_tested(made_sets, runs, tmp_path, capsys):
    assert train(made_sets, "train.ema=0.99", "optim.lr=0.01", "train.epochs=1") == 0
    content = torch.load(runs / "trial/last.pt", weights_only=True)
    command = ["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"), "--data", "TINY-TE"]
    assert test_script.main([*command, "--out", str(tmp_path / "a")]) == 0
    assert "moving average (train.ema)" in capsys.readouterr().out
    assert test_script.main([*command, "--out", str(tmp_path / "c"), "--config",
                             str(runs / "trial/config.yaml")]) == 0
    content["network"] = {key.removeprefix("module."): value
                          for key, value in content.pop("average").items() if key != "n_averaged"}
    torch.save(content, runs / "trial/averaged.pt")
    command[3] = str(runs / "trial/averaged.pt")
    assert test_script.main([*command, "--out", str(tmp_path / "b")]) == 0
    for path in (tmp_path / "a/trial/TINY-TE").iterdir():
        for folder in ("b", "c"):
            assert path.read_bytes() == \
                (tmp_path / folder / "trial/TINY-TE" / path.name).read_bytes(), folder


def test_a_list_that_is_given_in_parts_is_one():
    args = test_script.parse(["--data", "A", "test.batch=1", "--data", "B", "--save", "blur",
                              "--save", "white"])
    assert (args.data, args.overrides) == (["A", "B"], ["test.batch=1"])
    assert {"blur", "white"} <= set(args.save)
    assert export_script.parse(["--check", "a", "--check", "b"]).check == ["a", "b"]


@pytest.mark.parametrize("arguments, message", [
    (["--resume"], "there is no checkpoint"),
    (["data.train=[NOWHERE]"], "not found"),
    (["weights.backbone=nowhere.pth"], "not found"),
    (["model.name=cpd_vg"], "did you mean 'cpd_vgg'"),
    (["optim.lrr=1"], "did you mean 'optim.lr'"),
    (["--config", "nowhere.yaml"], "not found")])
def test_train_says_what_is_wrong(made_sets, runs, capsys, arguments, message):
    assert train(made_sets, *arguments) == 2
    assert message in capsys.readouterr().err


def test_bad_files_stop_training_before_it_starts(sets, runs, capsys):
    (sets / "TINY-TR/masks/03.png").write_bytes(b"")
    assert train(sets) == 2
    assert "03.png: empty file" in capsys.readouterr().err
    assert not (runs / "trial/last.pt").exists()


def test_a_loss_that_is_not_finite_names_step_and_images(made_sets, runs, capsys):
    assert train(made_sets, "optim.lr=1e9", "train.epochs=4", "optim.clip_value=null") == 2
    err = capsys.readouterr().err
    assert "the loss is" in err
    assert "on the images" in err


def test_any_image_folder_or_pattern(trained, made_sets, tmp_path, monkeypatch, capsys):
    out, photos = tmp_path / "out", tmp_path / "photos"
    photos.mkdir()
    Image.new("L", (33, 21), 90).save(photos / "grey.v2.png")
    Image.new("RGBA", (17, 40), (9, 200, 30, 100)).save(photos / "alpha.png")
    monkeypatch.chdir(tmp_path)
    assert predict(trained, out, "--input", "photos/*.v2.png", str(photos / "alpha.png"),
                   str(made_sets / "TINY-TE/images"), "test.minmax=false", "--show") == 0
    written = {path.name for path in (out / "trial/input").iterdir()}
    assert written == {"grey.v2.png", "alpha.png", "00.png", "01.png", "02.png", "03.png"}
    with Image.open(out / "trial/input/grey.v2.png") as image:
        assert image.size == (33, 21)
    Image.new("RGB", (8, 8)).save(photos / "alpha.jpg")
    assert predict(trained, out, "--input", "photos") == 2
    assert "same stem" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert predict(trained, out, "--input", "photos/alpha.png", "empty") == 2
    assert "--input empty: no images in it" in capsys.readouterr().err


@pytest.fixture
def nested(sets) -> Path:
    """A data root with the set NESTED, of which half lies in subfolders."""
    for part, kind in (("images", "jpg"), ("masks", "png")):
        for number, folder in enumerate(("", "", "night", "night/deep")):
            (sets / "NESTED" / part / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(sets / f"TINY-TE/{part}/{number:02d}.{kind}",
                        sets / f"NESTED/{part}/{folder}/{number:02d}.{kind}")
    (sets / "NESTED/images/film.mp4").write_bytes(b"x")
    return sets


def test_subfolders_are_kept_and_scored(trained, nested, tmp_path, capsys):
    out, images, root = tmp_path / "out", nested / "NESTED/images", f"data.root={nested}"
    names = ["00.png", "01.png", "night/02.png", "night/deep/03.png"]

    def written(folder: str) -> list[str]:
        return sorted(path.relative_to(out / "trial" / folder).as_posix()
                      for path in (out / "trial" / folder).rglob("*.png"))

    assert predict(trained, out, "--input", str(images)) == 0
    assert written("input") == names[:2]
    note = f"note: {images}: 1 file left out: film.mp4; 1 subfolder (night), see --recursive"
    assert capsys.readouterr().err.count(note) == 1
    assert predict(trained, out, "--input", str(images), "--recursive") == 0
    assert written("input") == names
    assert predict(trained, out, "--data", "NESTED", root, "--recursive", "--show") == 0
    assert written("NESTED") == names
    score = ["--pred", str(out), root, "--json", str(tmp_path / "rows.json"), "--data"]
    assert eval_script.main([*score, "NESTED", "--recursive"]) == 0
    (nested_row,) = json.loads((tmp_path / "rows.json").read_text())
    assert predict(trained, out, "--data", "TINY-TE", root) == 0
    assert eval_script.main([*score, "TINY-TE"]) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert nested_row | {"dataset": "TINY-TE"} == row
    assert eval_script.main(["--pred", str(out / "trial/NESTED"), "--gt",
                             str(nested / "NESTED/masks"), "--recursive"]) == 0


def test_every_kind_of_picture_is_predicted_or_named(tmp_path, capsys, monkeypatch):
    for name, kind in (("a.jpg", "JPEG"), ("b.gif", "GIF"), ("c.jfif", "JPEG"), ("d.avif", "AVIF"),
                       ("e.ppm", "PPM"), ("f.tga", "TGA"), ("g.JP2", "JPEG2000")):
        Image.new("RGB", (8, 6), (200, 30, 9)).save(tmp_path / name, kind)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    for entry in (str(tmp_path), "*", "./*.*"):
        pairs = collect_inputs([entry], None)
        assert [pair.name for pair in pairs] == list("abcdefg")
        assert "1 file left out: clip.mp4" in capsys.readouterr().err
    assert [pair.name for pair in collect_inputs(["a.jpg", "."], None)] == \
        list("abcdefg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(UserError, match=r"gone.jpg"):
        collect_inputs(["."], None)


def test_a_map_has_its_images_name_or_is_refused_before_anything_is_computed(
        trained, tmp_path, monkeypatch, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    longest = "n" * 251
    Image.new("RGB", (8, 6)).save(photos / f"{longest}.jpg")
    Image.new("RGB", (8, 6)).save(photos / "cafe\u0301.jpg")
    assert predict(trained, out, "--input", str(photos)) == 0
    assert {path.name for path in (out / "trial/input").iterdir()} == \
        {f"{longest}.png", "cafe\u0301.png"}
    Image.new("RGB", (8, 6)).save(photos / f"{longest}n.gi", "GIF")
    assert predict(trained, out, "--input", str(photos / f"{longest}n.gi")) == 2
    assert f"{longest}n.png has 256 bytes" in capsys.readouterr().err


def test_bf16_changes_a_map_by_little(trained, made_sets, tmp_path):
    """This network's maps are so flat that a change is certain only where they are stretched."""
    def maps(precision: str, minmax: str) -> list[np.ndarray]:
        out = tmp_path / precision / minmax
        assert predict(trained, out, "--data", "TINY-TE", f"test.precision={precision}",
                       f"test.minmax={minmax}") == 0
        return [np.asarray(Image.open(path), int) for path in sorted(out.glob("trial/TINY-TE/*"))]

    for exact, rounded in zip(maps("fp32", "false"), maps("bf16", "false"), strict=True):
        assert np.abs(exact - rounded).max() <= 3
    for exact, rounded in zip(maps("fp32", "true"), maps("bf16", "true"), strict=True):
        assert (exact != rounded).any()


def test_a_batch_gives_the_same_maps_as_one_by_one(trained, made_sets, tmp_path):
    for batch in (1, 4):
        assert predict(trained, tmp_path / str(batch), "--data", "TINY-TE",
                       f"test.batch={batch}", "test.minmax=false") == 0
    for path in (tmp_path / "1/trial/TINY-TE").iterdir():
        single, batched = (np.asarray(Image.open(tmp_path / batch / "trial/TINY-TE" / path.name))
                      for batch in ("1", "4"))
        assert np.abs(single.astype(int) - batched).max() <= 1


def test_pictures_are_made_of_all_maps_and_scoring_leaves_them_alone(trained, made_sets, tmp_path,
                                                                     capsys):
    command = [trained, tmp_path, "--data", "TINY-TE"]
    assert predict(*command) == 0
    assert predict(*command, "--skip-existing", "--save", "overlay", "map", "cutout") == 0
    assert f"cutout: {tmp_path}/trial/_cutout/TINY-TE" in capsys.readouterr().out
    for kind, mode in (("overlay", "RGB"), ("cutout", "RGBA")):
        for path in (made_sets / "TINY-TE/images").iterdir():
            with Image.open(path) as image, \
                    Image.open(tmp_path / f"trial/_{kind}/TINY-TE/{path.stem}.png") as picture:
                assert (picture.size, picture.mode) == (image.size, mode)
    assert eval_script.main(["--pred", str(tmp_path), "--root", str(made_sets)]) == 0
    printed = "".join(capsys.readouterr())
    assert "TINY-TE" in printed and "cutout" not in printed


def test_test_time_augmentation_is_a_word_or_two_keys(trained, made_sets, tmp_path, capsys):
    def maps(*words: str) -> list[bytes]:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        assert predict(trained, out, "--data", "TINY-TE", *words) == 0
        return [path.read_bytes() for path in sorted(out.glob("trial/TINY-TE/*.png"))]

    plain, both = maps(), maps("--tta", "flip,0.5,2")
    assert both == maps("test.flip=true", "test.scales=[1,0.5,2]") != plain
    assert maps("--tta", "1") == plain != maps("--tta", "flip")
    for arguments, message in (
            (["--tta", "flop"], "'flop' is neither flip nor a factor"),
            (["--tta", "flip", "test.scales=[2]"], "--tta and test.scales=[2] say the same thing"),
            (["--tta", "0.5", "data.size=64", "test.precision=fp16"], "fp16 is for GPUs")):
        assert predict(trained, tmp_path / "x", *arguments) == 2
        assert message in capsys.readouterr().err


def test_another_output_goes_to_a_folder_of_its_own(trained, made_sets, tmp_path):
    assert predict(trained, tmp_path, "--data", "TINY-TE", "test.output=side3") == 0
    assert len(list((tmp_path / "trial_side3/TINY-TE").iterdir())) == 4
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("arguments, message", [
    (["--data", "NOWHERE"], "not found"), (["--input", "nowhere.jpg"], "no such file"),
    (["--data", "TINY-TE", "--input", "x"], "not both"),
    (["test.data=[]"], "no data sets to predict"),
    (["--data", "TINY-TE", "test.output=edge"], "its outputs are saliency, side3")])
def test_test_says_what_is_wrong(trained, tmp_path, capsys, arguments, message):
    assert predict(trained, tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


def test_without_weights_test_says_how_to_get_them(runs, capsys):
    assert test_script.main(["--gpu", "cpu"]) == 2
    assert "python train.py --config" in capsys.readouterr().err


def test_official_weights_need_the_recipe(trained, made_sets, tmp_path, capsys):
    """A plain state dict, with the prefix that DataParallel left, runs with --config."""
    state = {f"module.{key}": value for key, value in weights(trained).items()}
    torch.save(state, tmp_path / "CPD.pth")
    assert predict(tmp_path / "CPD.pth", tmp_path, "--data", "TINY-TE") == 2
    assert "--config" in capsys.readouterr().err
    assert predict(tmp_path / "CPD.pth", tmp_path, "--data", "TINY-TE", "--config",
                   str(RECIPE), f"data.root={made_sets}") == 0


#: Runs scripts as Python does, all in one process, which imports torch once.
PROGRAM = """
import runpy, sys
root, *scripts = sys.argv[1:]
for script in scripts:
    sys.path[0], sys.argv = root, [script, "--help"]
    try:
        runpy.run_path(f"{root}/{script}", run_name="__main__")
    except SystemExit as end:
        print(script, "ends with", end.code)
"""


def test_scripts_run_from_any_directory(tmp_path):
    scripts = ["train.py", "test.py", "eval.py", "reproduce.py"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT), *scripts], cwd=tmp_path,
                            env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for script in scripts:
        assert f"usage: {script}" in result.stdout and f"{script} ends with 0" in result.stdout


def test_the_exit_status_of_a_script_is_not_zero_on_errors(tmp_path):
    result = subprocess.run([sys.executable, str(ROOT / "eval.py"), "--pred", "nowhere"],
                            cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("error: folder not found")
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_train_and_test_on_a_gpu(made_sets, runs, tmp_path):
    assert train_script.main(words(made_sets, "--gpu", "0")) == 0
    assert test_script.main(["--gpu", "0", "--checkpoint", str(runs / "trial/last.pt"), "--out",
                             str(tmp_path), "--data", "TINY-TE"]) == 0
