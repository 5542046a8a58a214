"""Runs that are killed, stopped, damaged or started again."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import train as train_script
from tests.apart import HANGS, Apart, run_script_until, wait_for
from tests.small_runs import equal, train, weights, words
from utils.paths import ROOT
from utils.stop import stop_signals


def train_into(folder: Path, sets: Path, *more: str) -> Path:
    """A run of its own; returns its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_script, "CHECKPOINTS", folder)
        assert train(sets, *more) == 0
    return folder / "trial"


@pytest.fixture(scope="module")
def two_epochs(made_sets, tmp_path_factory) -> Path:
    """The folder of a run of six steps, each of them saved; tests only read it."""
    return train_into(tmp_path_factory.mktemp("two"), made_sets, "train.save_every=1")


@pytest.fixture(scope="module")
def three_epochs(made_sets, tmp_path_factory) -> dict:
    """The weights of a run of nine steps that nothing stops."""
    return weights(train_into(tmp_path_factory.mktemp("three"), made_sets, "train.epochs=3")
                   / "last.pt")


@pytest.fixture
def run(two_epochs, runs) -> Path:
    """A copy of ``two_epochs`` that a test may damage or replace."""
    return Path(shutil.copytree(two_epochs, runs / "trial"))


def test_a_resumed_run_ends_with_the_same_weights(made_sets, runs, three_epochs):
    """As jobs that are requeued start and go on."""
    for stop in (1, 3, 5):  # in the first epoch, at its end, in the second
        assert train(made_sets, "--resume-if-any", "train.epochs=3", f"train.steps={stop}") == 0
        assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["step"] == stop
    assert train(made_sets, "--resume", "train.epochs=3") == 0
    assert equal(three_epochs, weights(runs / "trial/last.pt"))
    with (runs / "trial/log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 10))


#: Everything that a checkpoint has to hold beside weights: an average, a plateau, parts, bf16, and
#: the random numbers of dropout.
RICH = ["model.name=tracer_vgg", "model.options={trunk: vgg16, width: 0.0625, widths: [8, 8, 8]}",
        "loss.name=tracer", "loss.variant=paper", "data.edges=mask", "optim.name=adam",
        "data.size=64", "train.ema=0.9", "optim.schedule=plateau", "optim.patience=1",
        "train.accumulate=2", "train.precision=bf16", "val.fraction=0.2", "optim.warmup=3"]


def test_averages_plateaus_and_precision_survive_a_stop(made_sets, runs):
    assert train(made_sets, *RICH, "train.epochs=3") == 0
    whole = torch.load(runs / "trial/last.pt", weights_only=True)
    assert train(made_sets, *RICH, "--overwrite", "train.epochs=3", "train.steps=4") == 0
    assert train(made_sets, *RICH, "--resume", "train.epochs=3") == 0
    again = torch.load(runs / "trial/last.pt", weights_only=True)
    assert equal(whole["network"], again["network"])
    assert equal(whole["average"], again["average"])
    assert not equal(whole["network"], {key.removeprefix("module."): value
                                        for key, value in whole["average"].items()})
    assert (whole["at"], whole["schedule"]) == (again["at"], again["schedule"])


def test_a_killed_run_resumes_to_the_same_weights(made_sets, runs, three_epochs):
    more = ["train.epochs=3", "train.save_every=1"]
    random = np.random.default_rng()  # at another point every time
    for option in ("--overwrite", "--resume-if-any"):
        place = str(random.choice(["train.add_l1", "train.watch", "torch.save", "os.fsync"]))
        process = Apart(run_script_until, place, int(random.integers(1, 5)), "train", runs,
                        words(made_sets, option, *more))
        assert process.wait() == -signal.SIGKILL, place
    assert train(made_sets, "--resume-if-any", *more) == 0  # both may have come before a save
    assert equal(three_epochs, weights(runs / "trial/last.pt"))


#: A training that starts and ends as a script does, with all that an interpreter does then.
PROGRAM = """
import pathlib, sys, train
train.CHECKPOINTS = pathlib.Path(sys.argv[1])
print("status:", train.main(sys.argv[2:]))
train.batch_grid = None
train.main([*sys.argv[2:], "name=broken", "train.images_every=1"])
"""


def test_loaders_outlive_a_signal_to_the_group_and_end_with_their_run(made_sets, runs):
    """The signal as Ctrl-C in a terminal, or a scheduler, sends it; then a run that fails, whatever
    happens, with loader processes waiting."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(runs),
         *words(made_sets, "train.epochs=1000000", "data.workers=2")], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    wait_for(process, "step 4/")
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=HANGS)
    first, status, second = output.partition(f"status: {128 + signal.SIGTERM}\n")
    assert status and "go on with --resume" in first and "Traceback" not in first, output
    assert "'NoneType' object is not callable" in second
    assert process.returncode == 1


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(made_sets, run, capsys):
    whole, last = weights(run / "last.pt"), run / "last.pt"
    assert (run / "previous.pt").is_file()
    last.write_bytes(last.read_bytes()[:1000])  # as a crash of the machine may leave it
    assert train(made_sets, "--resume", "train.save_every=1") == 0
    assert "it is kept as last.damaged; going on from" in capsys.readouterr().err
    assert equal(whole, weights(last)) and (run / "last.damaged").stat().st_size == 1000


def bend(path: Path, **parts: object) -> None:
    """Write a sound file with other parts."""
    torch.save(torch.load(path, weights_only=True) | parts, path)


def test_a_run_of_which_no_checkpoint_can_be_used_is_left_as_it_is(made_sets, run, capsys):
    """As after a change of version; the next call would otherwise start anew."""
    shutil.copy(run / "last.pt", run / "best.pt")
    bend(run / "last.pt", config={"optim": {"lrr": 1}})
    bend(run / "previous.pt", random={})
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    for option in ("--resume-if-any", "--resume", "--resume-if-any"):
        assert train(made_sets, option) == 2
        error = capsys.readouterr().err
        assert "last.pt" in error and "previous.pt" in error and "optim.lrr" in error
        assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    for name in ("last.pt", "previous.pt"):
        (run / name).unlink()
    assert train(made_sets, "--resume-if-any") == 2
    assert "the folder holds best.pt" in capsys.readouterr().err
    assert train(made_sets) == 2


def test_a_last_checkpoint_that_is_bent_is_kept_and_the_one_before_taken(made_sets, run, capsys):
    whole, last = weights(run / "last.pt"), run / "last.pt"
    bend(last, at={"step": 10**9})
    assert train(made_sets, "--resume-if-any", "train.save_every=1") == 0
    error = capsys.readouterr().err
    assert "at.epoch is None" in error and "kept as last.unused" in error
    assert equal(whole, weights(last)) and (run / "last.unused").is_file()


def test_a_second_training_of_the_name_is_refused(made_sets, runs, monkeypatch, capsys):
    watch, statuses = train_script.watch, []

    def start_another(*arguments):
        if not statuses:
            statuses.append(None)
            statuses.append(train(made_sets, "--overwrite"))
        watch(*arguments)

    monkeypatch.setattr(train_script, "watch", start_another)
    assert train(made_sets, "train.epochs=1") == 0
    assert statuses == [None, 2]
    assert f"{runs / 'trial'} is in use: process {os.getpid()}" in capsys.readouterr().err
    with (runs / "trial/log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3


@pytest.mark.parametrize("more", [[], ["train.steps=1"]])  # at the epoch's end, and in its midst
def test_a_stop_in_the_last_step_leaves_the_validation_to_the_resumed_run(
        made_sets, runs, monkeypatch, capsys, more):
    more = [*more, "val.fraction=0.2", "train.epochs=1"]  # of two steps
    watch, folder = train_script.watch, runs / "trial"

    def stop(run, *arguments):
        watch(run, *arguments)
        if run.progress.step == run.last_step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train_script, "watch", stop)
    assert train(made_sets, *more) == 128 + signal.SIGTERM
    stopped = torch.load(folder / "last.pt", weights_only=True)
    assert not (folder / "best.pt").exists()
    monkeypatch.setattr(train_script, "watch", None)  # no step is left
    assert train(made_sets, *more, "--resume-if-any") == 0
    best = torch.load(folder / "best.pt", weights_only=True)
    assert equal(stopped["network"], best["network"])
    assert best["at"]["step"] == stopped["at"]["step"] and best["at"]["best"] is not None
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val_MAE"]) for row in rows] == [False] * (len(rows) - 1) + [True]
    assert "validation at step" in capsys.readouterr().out
    assert train(made_sets, *more, "--resume-if-any") == 0
    assert "validation at step" not in capsys.readouterr().out


@pytest.mark.parametrize("more", [(), ("train.ema=0.5",), ("val.fraction=0.2",)])
def test_a_last_update_after_which_the_network_gives_nan_is_an_error(made_sets, runs, capsys, more):
    assert train(made_sets, "optim.lr=1e20", "train.steps=1", *more) == 2  # the weights are finite
    error = capsys.readouterr().err
    assert "after step 1, the last one, the network gives NaN" in error
    assert "No sound checkpoint was saved yet" in error
    assert not list((runs / "trial").glob("*.pt"))


def test_weights_that_the_last_update_made_infinite_are_an_error(made_sets, runs, capsys,
                                                                 monkeypatch):
    watch, last = train_script.watch, runs / "trial/last.pt"

    def spoil(run, *arguments):
        watch(run, *arguments)
        if run.progress.step == run.last_step:
            next(run.network.parameters()).data.fill_(float("nan"))

    monkeypatch.setattr(train_script, "watch", spoil)
    assert train(made_sets, "train.steps=1") == 2
    error = capsys.readouterr().err
    assert "after step 1" in error and "not finite" in error and "No sound checkpoint" in error
    assert not last.exists()
    assert train(made_sets, "train.save_every=1", "train.steps=2", "val.fraction=0.2") == 2
    assert f"weights.network={last} starts it from the last checkpoint with finite weights, of " \
        "step 1" in capsys.readouterr().err
    assert torch.load(last, weights_only=True)["at"]["step"] == 1


def test_a_run_goes_on_with_the_same_pairs_wherever_they_lie(sets, runs, capsys):
    def again(folder: str, *more: str) -> int:
        return train(sets, "--resume", "train.steps=2", f"data.train=[{sets / folder}]", *more)

    assert train(sets, "train.steps=1", f"data.train=[{sets / 'TINY-TR'}]") == 0
    shutil.move(sets / "TINY-TR", sets / "moved")
    assert again("moved") == 0
    first, second = (sets / f"moved/masks/0{number}.png" for number in (1, 2))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert again("moved") == 2
    assert "the training pairs have other names, files or another order" in capsys.readouterr().err
    first.write_bytes(content)
    state = torch.load(runs / "trial/last.pt", weights_only=True)
    del state["pairs"]  # of an earlier version: the words tell
    torch.save(state, runs / "trial/last.pt")
    shutil.copytree(sets / "moved", sets / "TINY-TR")
    assert again("TINY-TR") == 2
    assert again("moved") == 0


def test_a_run_of_which_only_the_spare_checkpoint_is_left_goes_on(made_sets, run, capsys):
    """As after a kill between the two renames of a save."""
    whole = weights(run / "last.pt")
    (run / "last.pt").unlink()
    assert train(made_sets) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert train(made_sets, "--resume-if-any") == 0
    assert equal(whole, weights(run / "last.pt"))


def test_a_run_is_not_overwritten_by_accident(made_sets, run, capsys):
    assert train(made_sets) == 2
    assert "--resume" in capsys.readouterr().err
    assert train(made_sets, "--resume", "optim.lr=0.5") == 2
    assert "optim.lr: 0.0001 in the checkpoint, 0.5 now" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [
    "optim.freeze=trnk", "optim.frozen_norm=trnk", "loss.options.gate=true",
    "data.train=[NOWHERE]", "--resume"])
def test_a_wrong_word_does_not_cost_the_run_that_is_replaced(made_sets, run, wrong):
    assert train(made_sets, "--overwrite", wrong) == 2
    assert (run / "last.pt").is_file()


def test_a_restart_goes_on_only_with_its_own_run(made_sets, run, capsys, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(made_sets) == 0  # started by the same process
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another")
    assert train(made_sets) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_the_first_signal_asks_and_the_second_interrupts(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as came:
        assert not came
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
    assert "SIGTERM: saving after this step" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_the_run_leaves_its_folder_as_it_is(made_sets, runs):
    assert train(made_sets, "train.steps=1") == 0
    content = torch.load(runs / "trial/last.pt", weights_only=True)
    content["random"][0]["torch"] = content["random"][0]["torch"][:10]
    torch.save(content, runs / "trial/last.pt")
    files = [path for path in (runs / "trial").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert train(made_sets, "--resume", "train.steps=2") == 2
    assert {path: path.read_bytes() for path in (runs / "trial").rglob("*")
            if path.is_file()} == before
