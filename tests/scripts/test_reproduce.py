"""reproduce.py: the whole way, again, after a stop or a kill, with other weights; its records."""

from __future__ import annotations

import functools
import io
import json
import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

import engine.trained
import eval as eval_script
import reproduce as reproduce_script
import test as test_script
import train as train_script
import utils.official
import utils.weights
from report.records import document, read_records
from tests.apart import Apart
from tests.small_runs import RECIPE as SMALL
from tests.small_runs import equal, weights
from utils.files import sha256_of
from utils.maps import save_map
from utils.mask_keys import MASK_KEYS
from utils.origin import origin_of
from utils.paths import ROOT

RECIPE = f"""
base: {SMALL}
name: trial
paper: A paper
test: {{data: [TINY-TE], minmax: false}}
reported:
- {{dataset: TINY-TE, measure: maxF, value: .9, source: README, verified: true, protocol: cpd}}
- {{dataset: TINY-TE, measure: MAE, value: .1, source: README, protocol: tracer}}
- {{dataset: ECSSD, measure: MAE, value: .1, source: README, protocol: cpd}}
"""
EPOCHS = ("train.epochs=3", "train.save_every=2")  # of the run that is stopped


def redirect(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every script keep what it writes in a folder."""
    for script in (train_script, engine.trained, reproduce_script, utils.weights):
        patch.setattr(script, "CHECKPOINTS", folder / "checkpoints")
    patch.setattr(reproduce_script, "RESULTS", folder / "results")
    patch.setattr(eval_script, "RESULTS", folder / "kept")


def words_for(folder: Path, sets: Path, *more: str, recipe: str = "trial.yaml") -> list[str]:
    """The command line after ``reproduce.py``."""
    return [str(folder / recipe), "--gpu", "cpu", f"data.root={sets}", "--records",
            str(folder / "records"), *more]


def reproduce_in(folder: Path, sets: Path, *more: str, recipe: str = "trial.yaml") -> int:
    with pytest.MonkeyPatch.context() as patch:
        words = words_for(folder, sets, *more, recipe=recipe)
        patch.setattr(sys, "argv", ["reproduce.py", *words])  # origins tell the command
        return reproduce_script.main(words)


def train(folder: Path, sets: Path, *more: str) -> int:
    """The recipe by train.py alone."""
    return train_script.main(["--config", str(folder / "trial.yaml"), "--gpu", "cpu",
                              f"data.root={sets}", *more])


@pytest.fixture(scope="module")
def whole(made_sets, tmp_path_factory) -> Path:
    """A folder in which a recipe was reproduced, with what was printed; tests only read it."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "checkpoints").mkdir()
    (folder / "trial.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        redirect(patch, folder)
        assert reproduce_in(folder, made_sets) == 0
    (folder / "stdout").write_text(output.getvalue())
    return folder


@pytest.fixture(scope="module")
def reference(made_sets, tmp_path_factory) -> dict:
    """The weights of three epochs that nothing stops."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "checkpoints").mkdir()
    (folder / "trial.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        redirect(patch, folder)
        assert train(folder, made_sets, *EPOCHS) == 0
    return weights(folder / "checkpoints/trial/last.pt")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a recipe, where everything is written."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "trial.yaml").write_text(RECIPE)
    redirect(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def again(place, whole) -> Path:
    """``place``, where the recipe has been reproduced once."""
    return Path(shutil.copytree(whole, place, dirs_exist_ok=True))


@pytest.fixture
def reproduce(place, made_sets):
    return functools.partial(reproduce_in, place, made_sets)


def only_record(place) -> dict:
    (record,) = read_records(place / "records").values()
    return record


def test_the_whole_way_leaves_a_record(whole, made_sets):
    assert "trial against A paper" in (whole / "stdout").read_text()  # the table
    record = only_record(whole)
    assert (record["run"], record["recipe"], record["paper"]) == ("trial", "…/trial.yaml",
                                                                  "A paper")
    assert record["configuration"]["data"]["size"] == 32
    origin = record["origin"]
    assert origin["steps"] == 6 and origin["checkpoint"] == "last.pt"
    assert origin["sha256"] == origin_of(whole / "results/trial/TINY-TE")["sha256"]
    assert origin["command"][0] == "reproduce.py" and {"python", "torch", "commit"} <= set(origin)
    assert record["machine"]["cores"] >= 1 and record["machine"]["processor"]
    assert list(record["times"]) == ["train", "test", "eval"]
    assert None not in record["times"].values()
    assert [(s["dataset"], s["profile"], s["images"]) for s in record["scores"]] == \
        [("TINY-TE", "pysodmetrics", 4), ("TINY-TE", "tracer", 4)]
    scored = {(row["dataset"], row["profile"]): row
              for row in json.loads((whole / "kept/scores.json").read_text())}
    for score in record["scores"]:
        row = scored[score["dataset"], score["profile"]]
        assert score["measures"].items() <= row.items() and "MAE" in score["measures"]
    first, second = record["comparisons"]
    assert (first["measure"], first["reported"], first["verified"]) == ("maxF", "0.900", True)
    assert float(first["difference"]) == pytest.approx(float(first["ours"]) - .9)
    assert second["within_third_digit"] is None
    text = next((whole / "records").glob("*.json")).read_text()
    assert str(whole) not in text and str(made_sets.parent) not in text and str(ROOT) not in text
    assert f"data.root=…/{made_sets.name}" in origin["command"]
    assert platform.node() not in re.findall(r"[\w.-]+", text)


def test_a_second_call_does_nothing_again(again, reproduce, monkeypatch, capsys):
    written = [*(again / "records").glob("*.json"), *(again / "results").rglob("*.png"),
               again / "results/trial/origin.json", *(again / "checkpoints/trial").glob("*.*")]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written}
    assert {"last.pt", "config.yaml", "origin.json"} <= {path.name for path in written}
    for script, name in ((train_script, "prepare"), (test_script, "main"), (eval_script, "run")):
        monkeypatch.setattr(script, name, None)
    assert reproduce() == 0
    out = capsys.readouterr().out
    assert "trained already" in out and "recorded already" in out
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written} == before
    assert reproduce("optim.lr=0.5") == 2  # another recipe is not this run
    assert "optim.lr: 0.0001 in the checkpoint, 0.5 now" in capsys.readouterr().err


def test_maps_of_other_weights_or_settings_are_made_anew(again, reproduce, capsys):
    before = only_record(again)
    (again / "results/trial/TINY-TE/01.png").unlink()
    assert reproduce() == 0
    assert "3 maps are there, 1 to do" in capsys.readouterr().out
    assert only_record(again) == before  # the same maps
    assert reproduce("train.epochs=3") == 0  # trains on
    assert "4 maps of other weights are made anew" in capsys.readouterr().err
    (after,) = (record for record in read_records(again / "records").values()
                if record["origin"]["steps"] == 9)
    assert after["configuration"]["train"]["epochs"] == 3
    assert after["origin"]["sha256"] != before["origin"]["sha256"]
    assert after["times"]["train"] is None and after["times"]["test"] is not None
    for anew in (True, False):
        assert reproduce("train.epochs=3", "test.minmax=true") == 0
        assert ("4 maps of other settings are made anew" in capsys.readouterr().err) == anew
    (stretched,) = (record for record in read_records(again / "records").values()
                    if record["configuration"]["test"]["minmax"])
    assert stretched["origin"]["sha256"] == after["origin"]["sha256"]


def run_apart(folder: Path, words: list[str], number: int) -> None:
    """reproduce.py for a process of its own, which gets a signal when it has printed step 4."""
    write = sys.stdout.write

    def write_and_stop(text: str) -> int:
        if text.startswith("step 4/"):
            os.kill(os.getpid(), number)
        return write(text)

    sys.stdout.write = write_and_stop
    redirect(pytest.MonkeyPatch(), folder)
    sys.argv = ["reproduce.py", *words]
    sys.exit(reproduce_script.main(words))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stop_in_training_resumes_to_the_same_weights(place, reproduce, reference, made_sets,
                                                        capsys, number):
    process = Apart(run_apart, place, words_for(place, made_sets, *EPOCHS), number)
    output = process.stdout.read()
    status = process.wait()
    assert status == (-number if number == signal.SIGKILL else 128 + number), output
    assert ("the same command goes on" in output) == (number != signal.SIGKILL)
    assert not (place / "records").exists()
    if number == signal.SIGINT:
        return  # goes on as after SIGTERM
    assert reproduce(*EPOCHS) == 0
    steps = re.findall(r"^step (\d+)/9", capsys.readouterr().out, re.MULTILINE)
    assert "1" not in steps and steps[-1] == "9"
    record = only_record(place)
    assert record["origin"]["steps"] == 9
    assert record["times"]["train"] is None and record["times"]["test"] is not None
    assert equal(reference, weights(place / "checkpoints/trial/last.pt"))


def test_a_stop_while_testing_goes_on(again, reproduce, monkeypatch, capsys):
    for folder in ("results", "records"):
        shutil.rmtree(again / folder)

    def save_once(path, saliency):
        save_map(path, saliency)
        raise KeyboardInterrupt

    monkeypatch.setattr(test_script, "save_map", save_once)
    assert reproduce() == 130
    assert not (again / "records").exists()
    monkeypatch.setattr(test_script, "save_map", save_map)
    assert reproduce() == 0
    assert "1 map is there, 3 to do" in capsys.readouterr().out
    times = only_record(again)["times"]
    assert times["train"] is None and times["test"] is None and times["eval"] is not None


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C interrupts, also where pytest runs in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_stale_maps_are_gone_before_new_ones_are_made(again, reproduce, monkeypatch):
    """A kill would leave them among the new ones, and the origin would be that of the new."""
    monkeypatch.setattr(test_script, "save_map", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert reproduce("test.minmax=true") == 130
    assert not list((again / "results/trial/TINY-TE").glob("*.png"))


def test_a_run_of_train_py_is_taken_as_it_is(place, reproduce, made_sets):
    assert train(place, made_sets) == 0
    assert reproduce() == 0
    record = only_record(place)
    assert record["times"]["train"] is None
    assert record["origin"]["device"].startswith("cpu") and record["origin"]["processes"] == 1


@pytest.mark.parametrize("words, message", [
    (["--data", "ECSSD", "--data", "TINY-TE"], "ECSSD not found under"),
    (["test.data=[]"], "no data sets"),
    (["--data", "TINY-TE", "TINY-TE"], "two of one name"),
    (["tran.epochs=3"], "unknown configuration key 'tran.epochs'"), (["none.yaml"], "none.yaml")])
def test_what_cannot_run_is_an_error_before_training(place, reproduce, capsys, words, message):
    assert reproduce(*words) == 2
    assert message in capsys.readouterr().err
    assert not any((place / "checkpoints").iterdir())


def test_wrong_calls(place, reproduce, monkeypatch, capsys):
    assert reproduce_script.main([]) == 2
    assert "name a recipe" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert reproduce() == 2
    assert "without torchrun" in capsys.readouterr().err


def test_maps_of_others_are_not_replaced(place, reproduce, capsys):
    theirs = place / "results/trial/TINY-TE/00.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"")
    assert reproduce() == 2
    assert "is not test.py's, as the folder above has no" in capsys.readouterr().err
    assert theirs.is_file() and not any((place / "checkpoints").iterdir())


def test_what_a_recipe_decides_on_masks_reaches_scoring(place, sets, monkeypatch):
    for path in sorted(sets.glob("*/masks/*.png")):
        night = path.parent / "night"
        night.mkdir(exist_ok=True)
        path.rename(night / f"GT_{path.stem}_mask.png")
        Image.new("L", (8, 8)).save(night / path.name)  # no mask: it lacks prefix and suffix
    for path in sorted(sets.glob("*/images/*.jpg")):
        (path.parent / "night").mkdir(exist_ok=True)
        path.rename(path.parent / "night" / path.name)
    masks = ["data.recursive=True", "data.mask_prefix=GT_", "data.mask_suffix=_mask",
             "data.mask_coding=binary", "data.mask_threshold=99", "data.mask_void=background",
             "data.mask_void_value=7", "data.mask_trimap=[1, 2, 3]"]
    commands, score = [], eval_script.run
    monkeypatch.setattr(eval_script, "run", lambda words: commands.append(words) or score(words))
    assert reproduce_in(place, sets, "train.steps=1", *masks) == 0
    assert set(masks) <= set(commands[0]) and {word.partition("=")[0] for word in masks} == \
        set(MASK_KEYS)
    (score,) = [row for row in only_record(place)["scores"] if row["profile"] == "pysodmetrics"]
    assert score["images"] == 4


def test_two_sets_make_another_record(again, reproduce):
    assert reproduce("--data", "TINY-TE", "TINY-TR") == 0
    (more,) = (record for record in read_records(again / "records").values()
               if record["configuration"]["test"]["data"] != ["TINY-TE"])
    assert more["configuration"]["test"]["data"] == ["TINY-TE", "TINY-TR"]
    assert {score["dataset"] for score in more["scores"]} == {"TINY-TE", "TINY-TR"}


def test_a_recipe_that_fails_leaves_the_others_their_turn(again, reproduce, capsys):
    shutil.rmtree(again / "records")
    (again / "broken.yaml").write_text(
        "base: trial.yaml\nname: broken\nweights: {backbone: none.pth}\n")
    assert reproduce(str(again / "trial.yaml"), recipe="broken.yaml") == 2
    assert "none.pth" in capsys.readouterr().err
    assert only_record(again)["run"] == "trial"


def test_published_weights_are_scored_without_training(again, reproduce, monkeypatch, made_sets):
    """The file's digest, the command that made the maps, and no steps."""
    monkeypatch.setattr(utils.official, "CHECKPOINTS", again / "checkpoints")
    shutil.copy(again / "checkpoints/trial/last.pt", again / "checkpoints/theirs.pth")
    (again / "theirs.yaml").write_text("base: trial.yaml\nname: theirs\nofficial: "
                                       "[{file: theirs.pth, url: 'https://example.org/x'}]\n")
    monkeypatch.setattr(train_script, "main", None)
    for _ in range(2):  # the second call does nothing again
        assert reproduce("--official", recipe="theirs.yaml") == 0
        monkeypatch.setattr(test_script, "main", None)
    record, = (each for each in read_records(again / "records").values()
               if each["run"] == "theirs")
    assert record["origin"]["checkpoint"] == "theirs.pth" and "steps" not in record["origin"]
    assert record["origin"]["sha256"] == sha256_of(again / "checkpoints/theirs.pth")
    assert "--official" in record["origin"]["command"] and record["times"]["train"] is None
    assert record["configuration"]["official"] == []  # they are the recipe's, as reported numbers
    assert "; published weights; " in document({"theirs": record})


def test_a_run_without_its_origin_has_no_record(again, reproduce, capsys):
    shutil.rmtree(again / "records")
    (again / "checkpoints/trial/origin.json").unlink()
    assert reproduce() == 2
    assert "origin.json does not say how the run was made" in capsys.readouterr().err
    assert not (again / "records").exists()
