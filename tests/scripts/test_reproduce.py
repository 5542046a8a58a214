"""reproduce.py: the whole way, again, after a stop or a kill, with other weights; its records."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import sys
from pathlib import Path

import pytest

import eval as eval_script
import reproduce as reproduce_script
import test as test_script
import train as train_script
from report.records import read_records
from tests.apart import Apart
from tests.small_runs import equal, weights
from utils.maps import save_map
from utils.origin import origin_of
from utils.paths import ROOT

RECIPE = """
name: trial
paper: A paper
model: {name: cpd_vgg, options: {width: 0.0625}}
weights: {backbone: none}
loss: {terms: {attention: {bce: 1}, saliency: {bce: 1}}}
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
    monkeypatch.setattr(reproduce_script, "CHECKPOINTS", runs)
    monkeypatch.setattr(reproduce_script, "RESULTS", tmp_path / "results")
    (tmp_path / "trial.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def reproduce(place, made_sets, monkeypatch):
    def run(*more: str, recipe: str = "trial.yaml") -> int:
        words = [str(place / recipe), "--gpu", "cpu", f"data.root={made_sets}",
                 "--records", str(place / "records"), *more]
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *words])  # origins tell the command
        return reproduce_script.main(words)
    return run


def train(place, sets, *more) -> int:
    """The recipe by train.py alone."""
    return train_script.main(["--config", str(place / "trial.yaml"), "--gpu", "cpu",
                              f"data.root={sets}", *more])


def only_record(place) -> dict:
    (record,) = read_records(place / "records").values()
    return record


def test_the_whole_way_leaves_a_record(place, reproduce, made_sets, capsys):
    assert reproduce() == 0
    assert "trial against A paper" in capsys.readouterr().out  # the table
    record = only_record(place)
    assert (record["run"], record["recipe"], record["paper"]) == ("trial", "…/trial.yaml",
                                                                  "A paper")
    assert record["configuration"]["data"]["size"] == 32
    origin = record["origin"]
    assert origin["steps"] == 6 and origin["checkpoint"] == "last.pt"
    assert origin["sha256"] == origin_of(place / "results/trial/TINY-TE")["sha256"]
    assert origin["command"][0] == "reproduce.py" and {"python", "torch", "commit"} <= set(origin)
    assert record["machine"]["cores"] >= 1 and record["machine"]["processor"]
    assert list(record["times"]) == ["train", "test", "eval"]
    assert None not in record["times"].values()
    assert [(s["dataset"], s["profile"], s["images"]) for s in record["scores"]] == \
        [("TINY-TE", "pysodmetrics", 4), ("TINY-TE", "tracer", 4)]
    scored = {(row["dataset"], row["profile"]): row
              for row in json.loads((eval_script.RESULTS / "scores.json").read_text())}
    for score in record["scores"]:
        row = scored[score["dataset"], score["profile"]]
        assert score["measures"].items() <= row.items() and "MAE" in score["measures"]
    first, second = record["comparisons"]
    assert (first["measure"], first["reported"], first["verified"]) == ("maxF", "0.900", True)
    assert float(first["difference"]) == pytest.approx(float(first["ours"]) - .9)
    assert second["within_third_digit"] is None
    text = next((place / "records").glob("*.json")).read_text()
    assert str(place) not in text and str(made_sets.parent) not in text and str(ROOT) not in text
    assert f"data.root=…/{made_sets.name}" in origin["command"]
    assert platform.node() not in re.findall(r"[\w.-]+", text)


def test_a_second_call_does_nothing_again(place, reproduce, runs, monkeypatch, capsys):
    assert reproduce() == 0
    written = [*(place / "records").glob("*.json"), *(place / "results").rglob("*.png"),
               place / "results/trial/origin.json", runs / "trial/last.pt"]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written}
    assert len(before) == 7
    for script, name in ((train_script, "main"), (test_script, "main"), (eval_script, "run")):
        monkeypatch.setattr(script, name, None)
    capsys.readouterr()
    assert reproduce() == 0
    out = capsys.readouterr().out
    assert "trained already" in out and "recorded already" in out
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written} == before
    assert reproduce("optim.lr=0.5") == 2  # another recipe is not this run
    assert "optim.lr: 0.0001 in the checkpoint, 0.5 now" in capsys.readouterr().err


def test_maps_of_other_weights_or_settings_are_made_anew(place, reproduce, runs, capsys):
    assert reproduce() == 0
    before = only_record(place)
    (place / "results/trial/TINY-TE/01.png").unlink()
    assert reproduce() == 0
    assert "3 maps are there, 1 to do" in capsys.readouterr().out
    assert only_record(place) == before  # the same maps
    assert reproduce("train.epochs=3") == 0  # trains on
    assert "4 maps of other weights or settings are made anew" in capsys.readouterr().out
    (after,) = (record for record in read_records(place / "records").values()
                if record["origin"]["steps"] == 9)
    assert after["configuration"]["train"]["epochs"] == 3
    assert after["origin"]["sha256"] != before["origin"]["sha256"]
    assert after["times"]["train"] is None and after["times"]["test"] is not None
    for again in (True, False):
        assert reproduce("train.epochs=3", "test.minmax=true") == 0
        assert ("4 maps of other weights or settings" in capsys.readouterr().out) == again
    (stretched,) = (record for record in read_records(place / "records").values()
                    if record["configuration"]["test"]["minmax"])
    assert stretched["origin"]["sha256"] == after["origin"]["sha256"]


def run_apart(place: Path, words: list[str], number: int) -> None:
    """reproduce.py for a process of its own, which gets a signal when it has printed step 4."""
    write = sys.stdout.write

    def write_and_stop(text: str) -> int:
        if text.startswith("step 4/"):
            os.kill(os.getpid(), number)
        return write(text)

    sys.stdout.write = write_and_stop
    for script in (train_script, test_script, reproduce_script):
        script.CHECKPOINTS = place / "checkpoints"
    reproduce_script.RESULTS = eval_script.RESULTS = place / "results"
    sys.argv = ["reproduce.py", *words]
    sys.exit(reproduce_script.main(words))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stop_in_training_resumes_to_the_same_weights(place, reproduce, runs, made_sets, capsys,
                                                        number):
    words = ["train.epochs=10", "train.save_every=2"]
    process = Apart(run_apart, place, [
        str(place / "trial.yaml"), "--gpu", "cpu", f"data.root={made_sets}", "--records",
        str(place / "records"), *words], number)
    output = process.stdout.read()
    status = process.wait()
    assert status == (-number if number == signal.SIGKILL else 128 + number), output
    assert ("the same command goes on" in output) == (number != signal.SIGKILL)
    assert not (place / "records").exists()
    if number == signal.SIGINT:
        return  # goes on as after SIGTERM
    assert reproduce(*words) == 0
    steps = re.findall(r"^step (\d+)/30", capsys.readouterr().out, re.MULTILINE)
    assert "1" not in steps and steps[-1] == "30"
    record = only_record(place)
    assert record["origin"]["steps"] == 30
    assert record["times"]["train"] is None and record["times"]["test"] is not None
    resumed = weights(runs / "trial/last.pt")
    assert train(place, made_sets, "--overwrite", *words) == 0
    assert equal(resumed, weights(runs / "trial/last.pt"))


def test_a_stop_while_testing_goes_on(place, reproduce, monkeypatch, capsys):
    def save_once(path, saliency):
        save_map(path, saliency)
        raise KeyboardInterrupt

    monkeypatch.setattr(test_script, "save_map", save_once)
    assert reproduce() == 130
    assert not (place / "records").exists()
    monkeypatch.setattr(test_script, "save_map", save_map)
    assert reproduce() == 0
    assert "1 maps are there, 3 to do" in capsys.readouterr().out
    times = only_record(place)["times"]
    assert times["train"] is None and times["test"] is None and times["eval"] is not None


def test_stale_maps_are_gone_before_new_ones_are_made(place, reproduce, monkeypatch):
    """A kill would leave them among the new ones, and the origin would be that of the new."""
    assert reproduce() == 0
    monkeypatch.setattr(test_script, "save_map", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert reproduce("test.minmax=true") == 130
    assert not list((place / "results/trial/TINY-TE").glob("*.png"))


def test_a_run_of_train_py_is_taken_as_it_is(place, reproduce, made_sets):
    assert train(place, made_sets) == 0
    assert reproduce() == 0
    record = only_record(place)
    assert record["times"]["train"] is None
    assert record["origin"]["device"].startswith("cpu") and record["origin"]["processes"] == 1


@pytest.mark.parametrize("words, message", [
    (["--data", "TINY-TE", "ECSSD"], "ECSSD not found under"), (["test.data=[]"], "no data sets"),
    (["--data", "TINY-TE", "TINY-TE"], "two of one name"),
    (["tran.epochs=3"], "unknown configuration key 'tran.epochs'"), (["none.yaml"], "none.yaml")])
def test_what_cannot_run_is_an_error_before_training(reproduce, runs, capsys, words, message):
    assert reproduce(*words) == 2
    assert message in capsys.readouterr().err
    assert not any(runs.iterdir())


def test_wrong_calls(place, reproduce, monkeypatch, capsys):
    assert reproduce_script.main([]) == 2
    assert "name a recipe" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert reproduce() == 2
    assert "without torchrun" in capsys.readouterr().err


def test_maps_of_others_are_not_replaced(place, reproduce, runs, capsys):
    theirs = place / "results/trial/TINY-TE/00.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"")
    assert reproduce() == 2
    assert "are not test.py's; move them elsewhere" in capsys.readouterr().err
    assert theirs.is_file() and not any(runs.iterdir())


def test_two_sets_make_another_record(place, reproduce):
    assert reproduce() == 0
    assert reproduce("--data", "TINY-TE", "TINY-TR") == 0
    (more,) = (record for record in read_records(place / "records").values()
               if record["configuration"]["test"]["data"] != ["TINY-TE"])
    assert more["configuration"]["test"]["data"] == ["TINY-TE", "TINY-TR"]
    assert {score["dataset"] for score in more["scores"]} == {"TINY-TE", "TINY-TR"}


def test_a_recipe_that_fails_leaves_the_others_their_turn(place, reproduce, capsys):
    (place / "broken.yaml").write_text(RECIPE.replace("name: trial", "name: broken", 1)
                                       .replace("backbone: none", "backbone: none.pth"))
    assert reproduce(str(place / "trial.yaml"), recipe="broken.yaml") == 2
    assert "none.pth" in capsys.readouterr().err
    assert only_record(place)["run"] == "trial"
