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
RICH = ["model.name=tracer_vgg", "loss.name=tracer", "loss.variant=paper", "data.edges=mask",
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
    assert "trying the one before" in capsys.readouterr().err
    assert equal(whole, weights(last))


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
