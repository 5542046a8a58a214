"""Reproducing recipes: the whole way, again, after a stop, with other weights; the records."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import eval as eval_script
import report.reproduce
import test as test_script
import train as train_script
from engine.run import has_ended
from report.__main__ import main
from report.document import document
from report.records import portable, read_records
from report.worklog import WorkLog
from tests.apart import Apart, wait_for
from tests.small_runs import equal, weights
from utils.errors import UserError
from utils.maps import save_map
from utils.origin import origin_of
from utils.paths import DOCS, ROOT

RECIPE = """
name: trial
paper: A paper
model: {name: cpd_vgg, options: {width: 0.0625}}
weights: {backbone: none}
data: {train: [TINY-TR], size: 32, workers: 0, flip: 0.5}
train: {batch: 4, epochs: 2, log_every: 1}
test: {data: [TINY-TE]}
reported:
- {dataset: TINY-TE, measure: maxF, value: .9, source: README, verified: true, protocol: cpd}
- {dataset: TINY-TE, measure: MAE, value: .1, source: README, protocol: tracer}
- {dataset: ECSSD, measure: MAE, value: .1, source: README, protocol: cpd}
"""


@pytest.fixture
def place(tmp_path, runs, monkeypatch) -> Path:
    """A folder with a recipe, where everything is written."""
    monkeypatch.setattr(report.reproduce, "CHECKPOINTS", runs)
    monkeypatch.setattr(report.reproduce, "RESULTS", tmp_path / "results")
    (tmp_path / "trial.yaml").write_text(RECIPE)
    return tmp_path


def reproduce(place, sets, *more) -> int:
    return main(["reproduce", str(place / "trial.yaml"), "--gpu", "cpu", f"data.root={sets}",
                 "--records", str(place / "records"), *more])


def train(place, sets, *more) -> int:
    """The recipe by train.py alone."""
    return train_script.main(["--config", str(place / "trial.yaml"), "--gpu", "cpu",
                              f"data.root={sets}", *more])


def only_record(place) -> dict:
    (record,) = read_records(place / "records").values()
    return record


def timeless(record: dict) -> dict:
    return {key: value for key, value in record.items() if key not in ("date", "parts")}


def test_the_whole_way_leaves_a_record(place, runs, made_sets, capsys):
    assert reproduce(place, made_sets) == 0
    assert "trial against A paper" in capsys.readouterr().out  # the table
    record = only_record(place)
    assert (record["run"], record["recipe"], record["seed"], record["steps"]) == \
        ("trial", "trial.yaml", 0, 6)
    assert record["command"][:4] == ["python", "-m", "report", "reproduce"]
    assert len(record["commit"]) == 40 or record["commit"] == "unknown"
    assert {"python", "torch", "torchvision", "numpy"} <= record["versions"].keys()
    assert record["hardware"]["cores"] >= 1 and record["hardware"]["processor"]
    assert all(part["seconds"] > 0 and part["sessions"] == 1 for part in record["parts"].values())
    assert record["differences"] == {}
    assert record["checkpoint"] == {
        "file": "last.pt", "sha256": origin_of(place / "results/trial/TINY-TE")["sha256"]}
    assert [(s["dataset"], s["profile"], s["images"]) for s in record["scores"]] == \
        [("TINY-TE", "pysodmetrics", 4), ("TINY-TE", "tracer", 4)]
    first, second = record["comparisons"]
    assert (first["measure"], first["reported"], first["verified"]) == ("maxF", "0.900", True)
    assert float(first["difference"]) == pytest.approx(float(first["ours"]) - .9)
    assert second["within_third_digit"] is None
    text = next((place / "records").glob("*.json")).read_text()
    assert str(place) not in text and str(made_sets) not in text and str(ROOT) not in text
    assert f"data.root=…/{made_sets.name}" in record["command"]


def test_a_second_call_trains_and_tests_nothing(place, runs, made_sets, monkeypatch, capsys):
    assert reproduce(place, made_sets) == 0
    (path,) = (place / "records").glob("*.json")
    first, checkpoint = path.read_bytes(), (runs / "trial/last.pt").stat().st_mtime_ns
    maps = {p: p.stat().st_mtime_ns for p in (place / "results/trial/TINY-TE").glob("*.png")}
    monkeypatch.setattr(report.reproduce.train_script, "main", None)
    capsys.readouterr()
    assert reproduce(place, made_sets) == 0
    assert "trained already" in capsys.readouterr().out
    assert path.read_bytes() == first
    assert (runs / "trial/last.pt").stat().st_mtime_ns == checkpoint
    assert {p: p.stat().st_mtime_ns for p in maps} == maps and len(maps) == 4
    with FileLock(runs / ".trial.lock"):
        assert reproduce(place, made_sets) == 2
    assert "trial is being reproduced by another call" in capsys.readouterr().err
    assert reproduce(place, made_sets, "optim.lr=0.5") == 2  # another recipe is not this run
    assert "optim.lr: 0.0001 in the checkpoint, 0.5 now" in capsys.readouterr().err


def test_a_record_holds_the_scores_of_its_own_run(place, runs, made_sets, monkeypatch, capsys):
    assert reproduce(place, made_sets) == 0
    before = only_record(place)
    kept = report.reproduce.eval_script.RESULTS / "scores.json"
    rows = json.loads(kept.read_text())
    kept.write_text(json.dumps([rows[0] | {"profile": "matlab"}, *rows]))
    assert reproduce(place, made_sets) == 0
    assert only_record(place) == before
    (place / "file").touch()  # where scores cannot be kept
    monkeypatch.setattr(report.reproduce.eval_script, "RESULTS", place / "file")
    assert reproduce(place, made_sets) == 0
    assert "the scores are not kept" in capsys.readouterr().err
    assert only_record(place) == before
    (runs / "trial/parts.json").write_text('{"train": 5, "maps": [], "eval": {"of": 1}}')
    assert reproduce(place, made_sets) == 0
    record = only_record(place)
    assert [record[key] for key in ("scores", "checkpoint", "commit")] == \
        [before[key] for key in ("scores", "checkpoint", "commit")]
    assert record["parts"]["train"]["seconds"] is record["parts"]["train"]["sessions"] is None


@pytest.mark.parametrize("content", [
    "[]", "null", "[", '{"train": {"of": "x"}}', "\0", '{"maps": {"TINY-TE": 5}}', '{"maps": 5}',
    json.dumps({"train": {"of": "x", "seconds": "x", "sessions": 1, "commits": [], "date": "",
                          "versions": {}, "hardware": {}}})])
def test_a_damaged_work_log_costs_no_more_than_times(tmp_path, content):
    (tmp_path / "parts.json").write_text(content)
    log = WorkLog(tmp_path, torch.device("cpu"))
    assert log.entry("train", "x") is None and log.maps_of("TINY-TE") is None
    with log.session("train", "x", lambda: "y", anew=False):
        pass
    assert log.entry("train", "y")["sessions"] is None


def test_maps_of_other_weights_or_settings_are_made_anew(place, runs, made_sets, capsys):
    assert reproduce(place, made_sets) == 0
    before = only_record(place)
    lost = place / "results/trial/TINY-TE/01.png"
    lost.unlink()
    assert reproduce(place, made_sets) == 0
    assert "3 maps are there, 1 to do" in capsys.readouterr().out
    assert timeless(only_record(place)) == timeless(before)
    assert only_record(place)["parts"]["test"]["sessions"] == 2
    assert reproduce(place, made_sets, "train.epochs=3") == 0  # trains on
    said = capsys.readouterr().out
    assert "4 maps of other weights or settings are made anew" in said
    records = read_records(place / "records")
    assert len(records) == 2
    (after,) = (record for record in records.values() if record["steps"] == 9)
    assert after["differences"] == {"train.epochs": {"recipe": 2, "run": 3}}
    assert after["checkpoint"]["sha256"] != before["checkpoint"]["sha256"]
    assert after["parts"]["train"]["sessions"] == 2
    assert after["parts"]["train"]["seconds"] > before["parts"]["train"]["seconds"]
    assert reproduce(place, made_sets, "train.epochs=3", "test.minmax=true") == 0
    assert "4 maps of other weights or settings" in capsys.readouterr().out
    assert reproduce(place, made_sets, "train.epochs=3", "test.minmax=true") == 0
    assert "made anew" not in capsys.readouterr().out


def run_report(place: Path, words: list[str]) -> None:
    """``python -m report`` for a process of its own."""
    for module in (train_script, test_script, report.reproduce):
        module.CHECKPOINTS = place / "checkpoints"
    report.reproduce.RESULTS = eval_script.RESULTS = place / "results"
    sys.exit(main(words))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_resumes(place, runs, made_sets, number):
    words = ["reproduce", str(place / "trial.yaml"), "--gpu", "cpu", f"data.root={made_sets}",
             "--records", str(place / "records"), "train.epochs=10"]
    process = Apart(run_report, place, words)
    wait_for(process, "step 4/")
    process.send_signal(number)
    said = process.stdout.read()
    assert process.wait() == 128 + number, said
    assert "the same command goes on from there" in said
    assert not (place / "records").exists()
    if number == signal.SIGINT:
        return  # both do the same from here on
    assert main(words) == 0
    record = only_record(place)
    assert record["steps"] == 30 and record["parts"]["train"]["sessions"] == 2
    assert record["parts"]["train"]["seconds"] > 0
    resumed = weights(runs / "trial/last.pt")
    assert train(place, made_sets, "--overwrite", "train.epochs=10") == 0
    assert equal(resumed, weights(runs / "trial/last.pt"))


def test_a_run_of_train_py_is_taken_as_it_is(place, runs, made_sets, capsys):
    assert train(place, made_sets) == 0
    assert reproduce(place, made_sets) == 0
    record = only_record(place)
    assert record["parts"]["train"]["seconds"] is None
    assert record["hardware"]["device"].startswith("cpu")
    assert len(record["parts"]["train"]["commits"]) == 1
    assert "train not timed" in document(read_records(place / "records"))


def test_what_cannot_run_is_said_before_training(place, runs, made_sets, capsys):
    assert reproduce(place, made_sets, "--data", "TINY-TE", "ECSSD") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: trial: ECSSD not found under")
    assert reproduce(place, made_sets, "data.train=[NOWHERE]", "--data", "ECSSD") == 2
    assert "data sets or maps cannot be used (2 in all)" in capsys.readouterr().err
    assert reproduce(place, made_sets, str(place / "trial.yaml")) == 2
    assert "would share the run trial" in capsys.readouterr().err
    assert reproduce(place, made_sets, "test.data=[]") == 2
    assert "no data sets to test on" in capsys.readouterr().err
    assert reproduce(place, made_sets, "tran.epochs=3") == 2
    assert "unknown configuration key 'tran'" in capsys.readouterr().err
    assert reproduce(place, made_sets, str(place / "none.yaml")) == 2
    assert "none.yaml" in capsys.readouterr().err
    assert main(["reproduce"]) == 2
    assert "Name a recipe" in capsys.readouterr().err
    assert not any(runs.iterdir())


def test_a_stop_while_testing_goes_on(place, runs, made_sets, monkeypatch, capsys):
    """The first map is there then; SIGTERM would end the process at once, without the times."""
    def save_one(path, saliency):
        save_map(path, saliency)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(report.reproduce.test_script, "save_map", save_one)
    with pytest.raises(SystemExit) as left:
        reproduce(place, made_sets)
    assert left.value.code == 128 + signal.SIGTERM
    monkeypatch.setattr(report.reproduce.test_script, "save_map", save_map)
    assert reproduce(place, made_sets) == 0
    assert "1 maps are there, 3 to do" in capsys.readouterr().out
    parts = only_record(place)["parts"]
    assert (parts["train"]["sessions"], parts["test"]["sessions"]) == (1, 2)
    assert parts["test"]["seconds"] > 0


def test_maps_of_others_are_not_replaced(place, runs, made_sets, capsys):
    theirs = place / "results/trial/TINY-TE/00.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"")
    assert reproduce(place, made_sets) == 2
    assert "are not test.py's; move them elsewhere" in capsys.readouterr().err
    kept = report.reproduce.eval_script.RESULTS / "scores.json"
    kept.parent.mkdir()
    kept.write_text("[")
    assert reproduce(place, made_sets) == 2
    assert "Delete it and score again" in capsys.readouterr().err
    assert theirs.is_file() and not any(runs.iterdir())


def test_one_more_set_keeps_the_times_of_the_first(place, runs, made_sets):
    assert reproduce(place, made_sets) == 0
    assert reproduce(place, made_sets, "--data", "TINY-TE", "TINY-TR") == 0
    (more,) = (r for r in read_records(place / "records").values() if r["differences"])
    assert more["differences"] == {
        "test.data": {"recipe": ["TINY-TE"], "run": ["TINY-TE", "TINY-TR"]}}
    assert {score["dataset"] for score in more["scores"]} == {"TINY-TE", "TINY-TR"}
    assert all(part["seconds"] > 0 for part in more["parts"].values())


def test_a_recipe_that_fails_does_not_keep_the_others(place, runs, made_sets, capsys):
    (place / "other.yaml").write_text(RECIPE.replace("name: trial", "name: other", 1)
                                      .replace("backbone: none", "backbone: none.pth"))
    assert main(["reproduce", str(place / "other.yaml"), str(place / "trial.yaml"), "--gpu", "cpu",
                 f"data.root={made_sets}", "--records", str(place / "records")]) == 2
    assert "1 of 2 recipes are not reproduced: other" in capsys.readouterr().err
    assert only_record(place)["run"] == "trial"
    (place / "file").touch()  # a record that cannot be written
    assert reproduce(place, made_sets, "--records", str(place / "file")) == 2
    said = capsys.readouterr().err
    assert "cannot write" in said and "1 of 1 recipes" in said


def test_a_run_has_ended():
    from utils.schema import TrainConfig

    at = {"step": 6, "epoch": 3, "stale": 0}
    assert has_ended(at, TrainConfig(epochs=2))
    assert not has_ended(at, TrainConfig(epochs=3))
    assert has_ended(at, TrainConfig(epochs=3, steps=6))
    assert has_ended(at | {"stale": 2}, TrainConfig(epochs=3, patience=2))


@pytest.mark.parametrize("word, left", [
    ("configs/demo.yaml", "configs/demo.yaml"), (str(ROOT / "configs/demo.yaml"),
                                                 "configs/demo.yaml"),
    ("/home/someone/my sets/ECSSD", "…/ECSSD"), ("data.root=/mnt/sets/", "data.root=…/sets"),
    ("test.data=[/a/b,ECSSD,/c/d:/e/f]", "test.data=[…/b,ECSSD,…/d:…/f]"),
    ("~someone/x.yaml", "…/x.yaml"), ("../x/y.yaml", "../x/y.yaml"), ("optim.lr=1e-3",
                                                                      "optim.lr=1e-3"),
    (r"C:\sets\ECSSD", "…/ECSSD"), ("./a/b", "./a/b")])
def test_words_of_a_command_hold_no_paths_of_the_machine(word, left):
    assert portable(word) == left
    assert portable(left) == left


def test_the_document_is_what_the_records_say(tmp_path, capsys):
    """The committed one; python -m report records writes it anew."""
    out = tmp_path / "reproduction.md"
    assert main(["records", "--out", str(out)]) == 0
    once = out.read_bytes()
    assert main(["records", "--out", str(out)]) == 0
    assert out.read_bytes() == once == (DOCS / "reproduction.md").read_bytes()
    records = read_records(DOCS / "records")
    assert records
    for path in (DOCS / "records").glob("*.json"):
        assert not re.search(r'["=:,[]/', path.read_text()), "a path of the machine"
    assert document(dict(reversed(records.items()))).encode() == once


def test_the_newest_run_comes_first_and_each_recipe_has_a_table():
    record = next(iter(read_records(DOCS / "records").values()))
    text = document({"old": record | {"date": "2026-01-01T00:00:00Z"},
                     "new": record | {"date": "2026-02-01T00:00:00Z"},
                     "other": record | {"recipe": "configs/another.yaml"}})
    assert [line for line in text.splitlines() if line.startswith("## ")] == \
        ["## another", "## demo"]
    assert text.index("| new |") < text.index("| old |")


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(UserError, match="no records"):
        read_records(tmp_path / "none")
    (tmp_path / "x.json").write_text("[1")
    with pytest.raises(UserError, match="cannot be read as a record"):
        read_records(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps({"run": "x"}))
    with pytest.raises(UserError, match="it has no recipe, date"):
        read_records(tmp_path)
