"""Runs that are killed, stopped, damaged or started again."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.apart import HANGS, Apart, run_script_until, wait_for
from tests.small_runs import equal, start, train, weights, words
from utils.paths import ROOT
from utils.stop import stop_signals


def test_a_resumed_run_ends_with_the_same_weights(made_sets, runs):
    assert train(made_sets, "train.epochs=3") == 0
    whole = weights(runs / "trial/last.pt")
    for stop in (1, 3, 5):  # in the first epoch, at its end, in the second
        assert train(made_sets, "--overwrite", "train.epochs=3", f"train.steps={stop}") == 0
        assert not equal(whole, weights(runs / "trial/last.pt"))
        assert train(made_sets, "--resume", "train.epochs=3") == 0
        assert equal(whole, weights(runs / "trial/last.pt")), stop
        with (runs / "trial/log.csv").open() as file:
            assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 10)), stop


#: Everything that a checkpoint has to hold beside weights: an average, a plateau, parts, bf16, and
#: the random numbers of dropout.
RICH = ["model.name=tracer_vgg", "loss.name=tracer", "loss.variant=paper", "data.edges=mask",
        "data.size=64", "train.ema=0.9", "optim.schedule=plateau", "optim.patience=1",
        "train.accumulate=2", "train.precision=bf16", "val.fraction=0.2", "optim.warmup=3"]


def test_averages_plateaus_and_precision_survive_a_stop(made_sets, runs):
    assert train(made_sets, *RICH, "train.epochs=4") == 0
    whole = torch.load(runs / "trial/last.pt", weights_only=True)
    assert train(made_sets, *RICH, "--overwrite", "train.epochs=4", "train.steps=4") == 0
    assert train(made_sets, *RICH, "--resume", "train.epochs=4") == 0
    again = torch.load(runs / "trial/last.pt", weights_only=True)
    assert equal(whole["network"], again["network"])
    assert equal(whole["average"], again["average"])
    assert not equal(whole["network"], {key.removeprefix("module."): value
                                        for key, value in whole["average"].items()})
    assert (whole["at"], whole["schedule"]) == (again["at"], again["schedule"])


def test_a_killed_run_resumes_to_the_same_weights(made_sets, runs):
    more = ["train.epochs=5", "train.save_every=1"]
    assert train(made_sets, *more) == 0
    whole = weights(runs / "trial/last.pt")
    random = np.random.default_rng()  # at another point every time
    for option in ("--overwrite", "--resume-if-any"):
        place = str(random.choice(["train.add_l1", "train.watch", "torch.save", "os.fsync"]))
        process = Apart(run_script_until, place, int(random.integers(1, 7)), "train", runs,
                        words(made_sets, option, *more))
        assert process.wait() == -signal.SIGKILL, place
    assert train(made_sets, "--resume", *more) == 0
    assert equal(whole, weights(runs / "trial/last.pt"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_saves_and_resumes(made_sets, runs, number):
    process = start(made_sets, runs, "train.epochs=1000000")
    wait_for(process, "step 4/")
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait() == 128 + number
    assert "go on with --resume" in rest
    stopped = torch.load(runs / "trial/last.pt", weights_only=True)
    assert stopped["at"]["step"] >= 4
    if number == signal.SIGINT:
        return  # both do the same from here on
    more = [f"train.epochs={stopped['at']['epoch'] + 1}"]
    assert train(made_sets, "--resume", *more) == 0
    again = weights(runs / "trial/last.pt")
    assert train(made_sets, "--overwrite", *more) == 0
    assert equal(again, weights(runs / "trial/last.pt"))


def interpreter(runs, arguments, change="pass") -> subprocess.Popen:
    """A training that starts and ends as a script does, with all that an interpreter does then."""
    program = ("import sys, pathlib, train; train.CHECKPOINTS = pathlib.Path(sys.argv[1]); "
               f"{change}; sys.exit(train.main(sys.argv[2:]))")
    return subprocess.Popen([sys.executable, "-c", program, str(runs), *arguments], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def test_a_signal_to_the_whole_group_leaves_the_loader_alive(made_sets, runs):
    """As Ctrl-C in a terminal, or a scheduler, sends it."""
    process = interpreter(runs, words(made_sets, "train.epochs=1000000", "data.workers=2"))
    wait_for(process, "step 4/")
    os.killpg(process.pid, signal.SIGTERM)
    said = process.stdout.read()
    assert process.wait(timeout=HANGS) == 128 + signal.SIGTERM, said
    assert "go on with --resume" in said and "Traceback" not in said


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(made_sets, runs, capsys):
    assert train(made_sets, "train.epochs=4") == 0
    whole = weights(runs / "trial/last.pt")
    last = runs / "trial/last.pt"
    assert (runs / "trial/previous.pt").is_file()
    last.write_bytes(last.read_bytes()[:1000])  # as a crash of the machine may leave it
    assert train(made_sets, "--resume", "train.epochs=4") == 0
    assert "trying the one before" in capsys.readouterr().err
    assert equal(whole, weights(last))
    last.unlink()
    assert train(made_sets, "--resume", "train.epochs=4") == 0
    assert equal(whole, weights(last))


def test_a_run_is_not_overwritten_by_accident(made_sets, runs, capsys):
    assert train(made_sets, "train.steps=1") == 0
    assert train(made_sets) == 2
    assert "--resume" in capsys.readouterr().err
    assert train(made_sets, "--resume", "optim.lr=0.5") == 2
    assert "optim.lr: 0.0001 in the checkpoint, 0.5 now" in capsys.readouterr().err


def test_a_run_of_which_only_the_spare_checkpoint_is_left_goes_on(made_sets, runs, capsys):
    """As after a kill between the two renames of a save."""
    more = ["train.epochs=2", "train.save_every=1"]
    assert train(made_sets, *more) == 0
    whole = weights(runs / "trial/last.pt")
    (runs / "trial/last.pt").unlink()
    assert train(made_sets, *more) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert train(made_sets, *more, "--resume-if-any") == 0
    assert equal(whole, weights(runs / "trial/last.pt"))


def test_a_wrong_option_does_not_cost_the_run_that_is_replaced(made_sets, runs, capsys):
    assert train(made_sets, "train.steps=1") == 0
    for wrong in ("optim.freeze=trnk", "optim.frozen_norm=trnk", "loss.options.gate=true"):
        assert train(made_sets, "--overwrite", wrong) == 2
        assert (runs / "trial/last.pt").is_file()


def test_a_restart_goes_on_only_with_its_own_run(made_sets, runs, capsys, monkeypatch):
    assert train(made_sets, "train.steps=1") == 0
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(made_sets) == 0  # started by the same process
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another")
    assert train(made_sets) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_a_failing_run_ends_its_loaders(made_sets, runs):
    """Whatever happens, and with loader processes waiting."""
    process = interpreter(runs, words(made_sets, "data.workers=2", "train.images_every=1"),
                          "train.batch_grid = None")
    said, _ = process.communicate(timeout=HANGS)
    assert "'NoneType' object is not callable" in said
    assert process.returncode == 1


def test_a_requeued_job_starts_or_goes_on(made_sets, runs):
    more = ["train.epochs=2", "--resume-if-any"]
    assert train(made_sets, *more, "train.steps=2") == 0
    assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["step"] == 2
    assert train(made_sets, *more) == 0
    went_on = weights(runs / "trial/last.pt")
    assert train(made_sets, "train.epochs=2", "--overwrite") == 0
    assert equal(went_on, weights(runs / "trial/last.pt"))


def test_a_wrong_word_does_not_cost_the_run_that_is_there(made_sets, runs):
    assert train(made_sets, "train.steps=1") == 0
    assert train(made_sets, "--overwrite", "data.train=[NOWHERE]") == 2
    assert (runs / "trial/last.pt").is_file()
    assert train(made_sets, "--overwrite", "--resume") == 2


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
