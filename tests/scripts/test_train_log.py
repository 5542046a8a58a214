"""train.log: what a run prints, whatever ends it."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

import train as train_script
from tests.apart import Apart, run_script_until
from tests.small_runs import equal, train, weights, words
from utils.errors import UserError

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}  \S.*")


def lines(run: Path) -> list[str]:
    """The lines of a run's train.log without their times."""
    text = (run / "train.log").read_text(encoding="utf-8")
    assert all(LINE.fullmatch(line) or line[26:].startswith(" ") for line in text.splitlines())
    return [line[26:] for line in text.splitlines()]


def test_a_killed_run_keeps_its_lines_and_a_resumed_one_appends(made_sets, runs):
    process = Apart(run_script_until, "train.watch", 2, "train", runs,
                    words(made_sets, "train.save_every=1", "train.steps=2"))
    assert process.wait() == -signal.SIGKILL
    before = lines(runs / "trial")
    assert before[0].startswith("command: ") and before[-1].startswith("step 1/2, epoch 1: lr ")
    assert any(line.startswith("data: 10 pairs to train on") for line in before)
    assert train(made_sets, "--resume", "train.save_every=1", "train.steps=2") == 0
    after = lines(runs / "trial")
    assert after[:len(before)] == before
    again = after[len(before):]
    assert again[0].startswith("command: train.py") and "--resume" in again[0]
    assert [line[:8] for line in again if line.startswith("step")] == ["step 2/2"]
    assert again[-1] == f"done: 2 steps; weights in {runs / 'trial'}"


@pytest.fixture
def run(trained, runs) -> Path:
    """A run of one step, to go on with."""
    return Path(shutil.copytree(trained.parent, runs / "trial"))


@pytest.mark.parametrize("error, texts", [
    (UserError("the disk\nis full"), ["error: the disk", "is full"]),
    (ValueError("a fault"), ["Traceback (most recent call last):", "ValueError: a fault"]),
    (KeyboardInterrupt(), ["interrupted"])])
def test_what_ends_a_run_is_in_it(made_sets, run, monkeypatch, error, texts):
    def fail(*_):
        print("note: take care", file=sys.stderr)
        print("half a line", end="", file=sys.stderr)
        raise error

    monkeypatch.setattr(train_script, "watch", fail)
    status = None
    try:
        status = train(made_sets, "--resume", "train.steps=2")
    except ValueError:
        assert isinstance(error, ValueError)
    assert status == {UserError: 2, KeyboardInterrupt: 130}.get(type(error))
    kept = lines(run)
    assert "note: take care" in kept and "half a line" in kept
    assert kept[-1] == texts[-1] and texts[0] in kept
    assert sys.stderr is not None and not hasattr(sys.stderr, "end")  # the streams are back


def test_on_a_terminal_the_bar_is_left_out_and_its_numbers_are_in(made_sets, runs, monkeypatch,
                                                                 capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert train(made_sets, "train.steps=2", "val.fraction=0.2") == 0
    assert "\r" in capsys.readouterr().err
    kept = lines(runs / "trial")
    assert not any("\r" in line or "step/s" in line or "%|" in line for line in kept)
    assert [line.partition(",")[0] for line in kept if line.startswith("step")] == \
        ["step 1/2", "step 2/2"]
    assert sum(line.startswith("validation at step 2") for line in kept) == 1


def test_the_log_changes_no_weights_and_a_new_run_begins_a_new_one(made_sets, trained, runs):
    assert train(made_sets, "train.steps=1", "name=other") == 0
    (runs / "other/train.log").write_text("of before")
    assert train(made_sets, "--overwrite", "train.steps=1", "name=other") == 0
    assert "of before" not in (runs / "other/train.log").read_text()
    assert equal(weights(trained), weights(runs / "other/last.pt"))


def test_a_run_without_streams_keeps_its_lines(made_sets, runs, monkeypatch):
    """As after ``>&- 2>&-``, which leaves None in their place."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        patch.setattr(sys, "stderr", None)
        assert train(made_sets, "train.steps=1") == 0
    assert lines(runs / "trial")[-1] == f"done: 1 step; weights in {runs / 'trial'}"


def test_a_name_that_is_not_utf_8_is_an_error_before_the_folder_is_there(made_sets, runs, capsys):
    assert train(made_sets, "data.train=[caf\udce9]") == 2
    assert "data.train = ['caf\\udce9']: this name is not UTF-8" in capsys.readouterr().err
    assert not (runs / "trial").exists()


def test_a_log_that_cannot_be_written_stops_no_run(made_sets, runs, monkeypatch, capsys):
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise OSError(28, "No space left on device")

        close = flush

    monkeypatch.setattr("logging.FileHandler._open", lambda handler: Full())
    assert train(made_sets, "train.steps=1") == 0
    assert capsys.readouterr().err.count("train.log cannot be written, and the run goes on") == 1
