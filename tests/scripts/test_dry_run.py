"""train.py --dry-run: all is checked, nothing is kept, and what a run takes is told."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

import train as train_script
from engine import forecast as module
from engine.forecast import forecast, time_of_validation
from engine.log import RunLog
from tests.data.made import age
from tests.small_runs import equal, train, weights
from utils.config import merge_config

step_of = RunLog.step


def test_a_dry_run_tells_what_the_run_takes_and_leaves_nothing(made_sets, runs, capsys):
    assert train(made_sets, "--dry-run", "val.fraction=0.2", "train.epochs=50",
                 "train.log_every=20") == 0
    out = capsys.readouterr().out
    assert re.search(r"^dry run: 100 steps of \S+ s each take [\d:]+, 50 validations of 2 images "
                     r"[\d:]+, in all [\d:]+; memory up to \d+ MiB; nothing is kept$", out, re.M)
    assert "step 2/2" in out and "step 3" not in out and "weights in" not in out
    assert [path.name for path in runs.iterdir()] in ([], [".checked"])  # of old enough files


def test_what_would_stop_the_run_stops_the_dry_run(sets, runs, capsys):
    next((sets / "TINY-TR/masks").iterdir()).write_bytes(b"no picture")
    assert train(sets, "--dry-run") == 2
    assert "TINY-TR" in capsys.readouterr().err


def test_a_second_run_does_not_check_again_and_ends_with_the_same_weights(
        sets, trained, runs, capsys):
    age(sets)
    assert train(sets, "--dry-run", "val.fraction=0.2") == 0
    assert train(sets, "train.steps=1") == 0
    out = capsys.readouterr().out
    assert f"training data: 8 of 10 were checked before, and have not changed since " \
        f"({runs / '.checked'})" in out
    assert equal(weights(trained), weights(runs / "trial/last.pt"))


@pytest.mark.parametrize("word", ["--resume", "--resume-if-any", "--overwrite"])
def test_a_dry_run_is_no_run_that_was_there(made_sets, runs, capsys, word):
    assert train(made_sets, "--dry-run", word) == 2
    assert "--dry-run begins a run that is not kept" in capsys.readouterr().err


class Data(list):
    """So many images, and a cache that will take 2 MiB more."""

    cache_to_come = 2 * 2**20

    def __init__(self, images: int):
        super().__init__(range(images))


def made_run(batch: int = 10, pairs: int = 100, every: int = 1, processes: int = 1):
    """What a forecast asks a run for."""
    return SimpleNamespace(
        config=merge_config({"train": {"batch": batch}, "val": {"every": every},
                             "test": {"batch": 2}}), per_epoch=10, tested=None,
        loader=SimpleNamespace(data=Data(pairs)), world=SimpleNamespace(size=processes),
        precision=SimpleNamespace(device=torch.device("cpu")))


@pytest.mark.parametrize("run, rows, images, text", [
    (made_run(), "1,1,0.1\n2,1,2\n", 0, "dry run: 30 steps of 5 s each take 0:02:30; memory up to "
                                        "512 MiB; nothing"),
    (made_run(), "1,1,2\n", 0, "30 steps of 5 s each"),
    (made_run(pairs=4), "1,1,0.1\n2,1,2\n", 0, "30 steps of 2 s each take 0:01:00;"),
    (made_run(), "1,1,0.1\n2,1,1\n3,1,2\n", 0, "30 steps of 7.5 s each"),  # of two sizes
    (made_run(processes=2), "1,1,0.1\n2,1,2\n", 0, "30 steps of 10 s each take 0:05:00; memory up "
                                                   "to 512 MiB in each process"),
    (made_run(every=3), "1,1,0.1\n2,1,2\n", 6, "take 0:02:30, 1 validation of 6 images 0:00:18,"),
    (made_run(every=2), "1,1,0.1\n2,1,2\n", 6,
     "take 0:02:30, 2 validations of 6 images 0:00:36, in all 0:03:06; memory"),
])
def test_the_forecast_is_of_the_steps_after_the_first(tmp_path, monkeypatch, run, rows, images,
                                                      text):
    monkeypatch.setattr(module, "peak_memory", lambda device: 510.4)
    (tmp_path / "log.csv").write_text(f"step,loss,images_per_second\n{rows}")
    assert text in forecast(tmp_path / "log.csv", 30, run, images, 18.0)


@pytest.mark.parametrize("pairs, processes, seconds", [
    (0, 1, 0), (1, 1, 1.5), (2, 1, 2), (5, 1, 3.5), (100, 1, 51), (100, 4, 51)])
def test_a_validation_starts_its_processes_once(monkeypatch, pairs, processes, seconds):
    """One that takes a second to start and half a second for each image."""
    clock = [0.0]

    def validate(network, chosen, run):
        clock[0] += 1 + len(chosen) / 2 + 9 * (clock[0] == 0)  # the first makes more

    monkeypatch.setattr(module, "validate", validate)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    run = made_run(processes=processes)
    assert time_of_validation(run, range(pairs)) == pytest.approx(seconds)


def test_a_dry_run_takes_a_step_of_each_size(made_sets, runs, capsys, monkeypatch):
    sizes = []
    monkeypatch.setattr(train_script.RunLog, "step", lambda log, step, epoch, optimizer, result:
                        sizes.append(result.sample["image"].shape[-1]) or step_of(
                            log, step, epoch, optimizer, result))
    assert train(made_sets, "--dry-run", "data.scales=[1,2]", "train.batch=2") == 0
    assert sizes == [32, 64, 32]
    assert "dry run: 10 steps of" in capsys.readouterr().out
