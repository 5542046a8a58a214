"""What a run leaves on the disk to go on from: checkpoints, random state, the log."""

from __future__ import annotations

import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.checkpoint import (
    checkpoint_to_resume,
    load_checkpoint,
    load_latest,
    require_same_recipe,
    save_checkpoint,
)
from engine.contents import part_of
from engine.log import RunLog
from engine.optimizer import build_optimizer
from engine.seed import random_state, restore_random_state, set_seed
from engine.step import StepResult
from utils.archive import damage_of
from utils.config import default_config, merge_config
from utils.errors import UserError

CPU = torch.device("cpu")


def test_a_checkpoint_comes_back(tmp_path):
    config = merge_config({"name": "x", "optim": {"lr": 0.25}})
    save_checkpoint(tmp_path / "last.pt", {"network": {"w": torch.ones(2)}}, config)
    state, again = load_checkpoint(tmp_path / "last.pt")
    assert state["network"]["w"].tolist() == [1, 1]
    assert again == config
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    config = default_config()
    save_checkpoint(tmp_path / "last.pt", {"network": {}, "step": 1}, config)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left"):
        save_checkpoint(tmp_path / "last.pt", {"network": {}, "step": 2}, config)
    assert load_checkpoint(tmp_path / "last.pt")[0]["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("options", [(False, False, False), (True, False, False),
                                     (False, True, False), (False, False, True)])
def test_what_is_no_file_where_a_checkpoint_goes_is_refused_at_the_start(tmp_path, options):
    (tmp_path / "best.pt").mkdir()
    with pytest.raises(UserError, match=r"best\.pt is where a checkpoint is written, and is no"):
        checkpoint_to_resume(tmp_path, default_config(), *options)


def test_an_interrupted_write_is_no_full_disk(tmp_path, monkeypatch):
    def interrupted(content, file):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:  # as torch closes the record that was being written
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "last.pt", {"network": {}}, default_config())
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of 1 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # files may be open


def test_a_full_disk_keeps_the_checkpoint_before(small_disk):
    config, path = default_config(), small_disk / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.ones(100_000)}}, config)  # 400 kB
    with pytest.raises(UserError, match=r"cannot write checkpoint .*intact. Make room"):
        save_checkpoint(path, {"network": {"w": torch.zeros(200_000)}}, config,
                        keep=small_disk / "previous.pt")
    assert load_checkpoint(path)[0]["network"]["w"].sum() == 100_000
    assert [file.name for file in small_disk.iterdir()] == ["last.pt"]


def test_a_full_disk_names_the_file_that_is_logged_to(small_disk):
    log = RunLog(small_disk, last_step=9, every=1)
    with pytest.raises(OSError, match="No space left") as error:
        for step in range(1, 9):
            log.images(step, torch.rand(3, 512, 512))
    assert str(small_disk / "events.out.tfevents") in error.value.filename
    quarter = torch.tensor(0.25)
    with pytest.raises(OSError, match="No space left") as error:
        log.step(1, 1, build_optimizer(default_config().optim, torch.nn.Linear(1, 1)),
                 StepResult({}, {}, quarter, quarter, 1, {}))
    assert error.value.filename == str(small_disk / "log.csv")


def test_resuming_under_another_recipe_names_the_fields():
    before = merge_config({"optim": {"lr": 0.1}})
    require_same_recipe(before, merge_config({"optim": {"lr": 0.1}, "train": {"epochs": 7}}),
                        Path("last.pt"))
    with pytest.raises(UserError, match=r"optim\.lr: 0\.1 in the checkpoint, 0\.2 now"):
        require_same_recipe(before, merge_config({"optim": {"lr": 0.2}}), Path("last.pt"))


def test_the_random_state_is_restored(tmp_path):
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    set_seed(3)
    torch.save(random_state(CPU), tmp_path / "state.pt")
    first = draw()
    draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True), CPU)
    assert draw() == first


def test_a_log_that_a_crash_cut_short_goes_on(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("step,epoch,loss\n1,1,0.5\n2,1,0.4\n3,1\n4")
    log = RunLog(tmp_path, last_step=10, every=1, resume_step=3)
    quarter = torch.tensor(0.25)
    optimizer = build_optimizer(default_config().optim, torch.nn.Linear(1, 1))
    log.step(4, 1, optimizer, StepResult({}, {"bce": quarter}, quarter, quarter, 2, {}))
    log.close()
    steps = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert steps == ["step", "1", "2", "4"]
    assert "log.csv: 2 lines that are no rows of it are left out" in capsys.readouterr().err


@pytest.mark.parametrize("mark, text", [
    ("\ufeff", "step,epoch,loss\n1,1,0.5\n"), ("", "step;epoch;loss\n1;1;0.5\n")])
def test_a_log_that_a_spreadsheet_saved_keeps_its_rows(tmp_path, mark, text):
    path = tmp_path / "log.csv"
    path.write_text(mark + text, encoding="utf-8")
    log = RunLog(tmp_path, last_step=10, every=1, resume_step=3)
    if mark:
        log.row(4, 1, val_MAE=0.25)
        assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["step", "1", "4"]
    else:
        with pytest.raises(UserError, match=r"names no column step.*move it away"):
            log.row(4, 1, val_MAE=0.25)
        assert path.read_text() == text
    log.close()


@pytest.mark.parametrize("error", [
    MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), OSError(12, "Cannot allocate"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_checkpoint_that_memory_is_too_short_for_is_not_called_damaged(tmp_path, monkeypatch,
                                                                         error):
    for name in ("last.pt", "previous.pt"):
        save_checkpoint(tmp_path / name, {"network": {"w": torch.ones(2)}}, default_config())

    def fail(*arguments, **named):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", fail)
        with pytest.raises(type(error)):
            load_latest(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "testzip", fail)
        with pytest.raises(type(error)):
            damage_of(tmp_path / "last.pt")
    with pytest.raises(type(error)), part_of(tmp_path / "last.pt", "optimizer"):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "previous.pt"]
