"""train.py --dry-run: all is checked, nothing is kept, and what a run takes is told."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from engine.forecast import forecast
from tests.data.made import age
from tests.small_runs import equal, train, weights
from utils.config import merge_config


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


@pytest.mark.parametrize("batch, pairs, every, images, text", [
    (10, 100, 1, 0, "dry run: 30 steps of 5 s each take 0:02:30; memory up to 512 MiB"),
    (10, 4, 1, 0, "dry run: 30 steps of 2 s each take 0:01:00; memory up to 512 MiB"),
    (10, 100, 2, 6, "take 0:02:30, 2 validations of 6 images 0:00:36, in all 0:03:06; memory"),
])
def test_the_forecast_is_of_the_last_step(tmp_path, batch, pairs, every, images, text):
    log = tmp_path / "log.csv"
    log.write_text("step,loss,images_per_second,memory_mib\n1,1,0.1,256\n2,1,2,512\n")
    run = SimpleNamespace(config=merge_config({"train": {"batch": batch}, "val": {"every": every}}),
                          loader=SimpleNamespace(data=range(pairs)), per_epoch=10)
    assert text in forecast(log, 30, run, images, 3.0)
