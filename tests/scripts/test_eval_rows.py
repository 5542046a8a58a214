"""eval.py: what it writes and keeps, what rows are called, and where truths lie."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
from PIL import Image

import eval as eval_script
from metrics import Evaluator
from tests.scripts.evaluation import evaluate


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
    assert evaluate(sets, scored, "--measures", "mae", "--measures", "auc") == 0
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
    assert eval_script.main(["--forget", "copy", "--json", str(results / "rows.json")]) == 2
    assert "score in another command" in capsys.readouterr().err
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
    monkeypatch.setattr("scoring.truths.DATASETS", tmp_path / "none")
    assert eval_script.main(pred) == 0
    assert f"note: TINY-TE is taken from {sets}, as test.py did" in capsys.readouterr().err
    assert eval_script.main([*pred, "--data", "TINY-TE"]) == 0
    assert eval_script.main([*pred, "--data", "TINY-TE", "--root", str(tmp_path)]) == 2
    assert f"test.py had TINY-TE from {sets}" in capsys.readouterr().err
    monkeypatch.setattr("scoring.truths.DATASETS", shutil.copytree(sets, tmp_path / "others"))
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
