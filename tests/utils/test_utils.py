"""Configuration, devices, schedules, checkpoints, saving maps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from engine.checkpoint import load_checkpoint, require_same_recipe, save_checkpoint
from engine.log import RunLog
from engine.optimizer import build_optimizer
from engine.precision import Precision
from engine.prediction import maps_of, predict
from engine.seed import random_state, restore_random_state, set_seed
from engine.step import Done
from utils import machine
from utils.config import default_config, merge_config
from utils.device import select_device, set_threads
from utils.errors import UserError, reports_errors
from utils.maps import save_map, to_bytes

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)

@pytest.mark.parametrize("message, shown", [
    ("plain\nsecond line", "plain\nsecond line"),
    ("Caught UserError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
     "last):\n  File \"x.py\"\nutils.errors.UserError: a.png: bad\nrow\n", "a.png: bad\nrow")])
def test_an_error_is_one_message_wherever_it_was_raised(capsys, message, shown):
    @reports_errors
    def main():
        raise UserError(message)
    assert main() == 2
    assert capsys.readouterr().err == f"error: {shown}\n"


def test_a_log_that_a_crash_cut_short_goes_on(tmp_path):
    (tmp_path / "log.csv").write_text("step,epoch,loss\n1,1,0.5\n2,1,0.4\n3,1\n4")
    log = RunLog(tmp_path, last_step=10, every=1, resume_step=3)
    quarter = torch.tensor(0.25)
    optimizer = build_optimizer(default_config().optim, torch.nn.Linear(1, 1))
    log.step(4, 1, optimizer, Done({}, {"bce": quarter}, quarter, quarter, images=2))
    log.close()
    steps = [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert steps == ["step", "1", "2", "4"]


# --- devices -----------------------------------------------------------------------------------


def pretend_gpus(monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_devices(monkeypatch, capsys):
    pretend_gpus(monkeypatch, 0)
    assert select_device("auto") == select_device("cpu") == CPU
    assert capsys.readouterr().err == ""
    assert select_device("0") == CPU
    assert "no GPU" in capsys.readouterr().err
    pretend_gpus(monkeypatch, 2)
    assert select_device("auto") == torch.device("cuda", 0)
    assert select_device("1") == torch.device("cuda", 1)
    assert select_device("cpu") == CPU
    for wrong in ("2", "-1", "first", "0,", "0,2"):
        with pytest.raises(UserError, match="--gpu"):
            select_device(wrong)
    with pytest.raises(UserError, match=r"torchrun --nproc-per-node 2 .* --gpu 0,1"):
        select_device("0,1")


def test_processes_of_torchrun_take_a_gpu_each(monkeypatch):
    pretend_gpus(monkeypatch, 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert select_device("auto") == torch.device("cuda", 1)
    assert select_device("2,3") == torch.device("cuda", 3)
    assert select_device("cpu") == CPU
    with pytest.raises(UserError, match="2 processes on this machine, but 1 GPU"):
        select_device("0")


def test_threads_follow_the_cores_of_each_process(monkeypatch):
    before = torch.get_num_threads()
    try:
        set_threads(1)
        assert torch.get_num_threads() == 1
        monkeypatch.setattr("utils.device.cores", lambda: 2)
        set_threads(None)
        assert torch.get_num_threads() == 1  # torch's own choice was smaller
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        set_threads(None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_container_has_its_share_of_cores_and_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert machine.cores() == 16
    (tmp_path / "cpu.max").write_text("350000 100000\n")
    assert machine.cores() == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine.cores() == 2
    whole = machine.available_memory()
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert machine.available_memory() == 2000 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() > 2000


def test_the_visible_devices_are_left_to_the_user(monkeypatch):
    """Set inside a script, CUDA_VISIBLE_DEVICES comes too late; an index never does."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    pretend_gpus(monkeypatch, 1)
    assert select_device("0").index == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


# --- checkpoints and random state --------------------------------------------------------------


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


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of 1 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_checkpoint_before(small_disk):
    config, path = default_config(), small_disk / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.ones(100_000)}}, config)  # 400 kB
    with pytest.raises(UserError, match=r"cannot write checkpoint .*intact. Is the disk full"):
        save_checkpoint(path, {"network": {"w": torch.zeros(200_000)}}, config,
                        keep=small_disk / "previous.pt")
    assert load_checkpoint(path)[0]["network"]["w"].sum() == 100_000
    assert [file.name for file in small_disk.iterdir()] == ["last.pt"]


def test_resuming_under_another_recipe_names_the_fields():
    before = merge_config({"optim": {"lr": 0.1}})
    require_same_recipe(before, merge_config({"optim": {"lr": 0.1}, "train": {"epochs": 7}}),
                        Path("last.pt"))
    with pytest.raises(UserError, match=r"optim\.lr: 0\.1 in the checkpoint, 0\.2 now"):
        require_same_recipe(before, merge_config({"optim": {"lr": 0.2}}), Path("last.pt"))


def test_the_random_state_is_restored(tmp_path):
    import random

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    set_seed(3)
    torch.save(random_state(CPU), tmp_path / "state.pt")
    first = draw()
    draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True), CPU)
    assert draw() == first


# --- predictions -------------------------------------------------------------------------------


class Dropping(nn.Module):
    """A network whose output tells whether dropout is on."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, image):
        return {"saliency": self.dropout(image[:, :1] * 0 + 1)}


def test_prediction_switches_dropout_off_and_back_on():
    network = Dropping().train()
    batch = {"image": torch.zeros(2, 3, 16, 16), "size": [(5, 7), (9, 3)], "name": ["a", "b"]}
    maps = list(predict(network, batch, FP32))
    assert [m.shape for m in maps] == [(5, 7), (9, 3)]
    assert all((m == m.flat[0]).all() for m in maps)
    assert network.training


def test_a_network_that_gives_nan_is_named_with_its_image():
    batch = {"image": torch.full((1, 3, 8, 8), float("nan")), "size": [(8, 8)], "name": ["0007"]}
    with pytest.raises(UserError, match="NaN for the image 0007"):
        list(predict(Dropping(), batch, FP32))


def test_maps_are_made_of_resized_logits_or_probabilities():
    """Sizes may be tensors, as a default collate makes them, which resize functions refuse."""
    logits = torch.tensor([[[[-9.0, 9.0]]]])
    batch = {"size": [(torch.tensor(1), torch.tensor(4))], "name": ["a"]}
    low, high = torch.tensor([-9.0, 9.0]).sigmoid().tolist()
    for resize, middle in (("logits", torch.tensor([-4.5, 4.5]).sigmoid().tolist()),
                           ("probabilities", [0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high])):
        (found,) = maps_of(logits, batch, resize)
        assert found[0] == pytest.approx([low, *middle, high], abs=1e-6), resize
    (same,) = maps_of(logits, batch | {"size": [(1, 2)]})
    assert same[0] == pytest.approx([low, high])


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_bytes_are_rounded_once(seed, minmax):
    saliency = np.random.default_rng(seed).uniform(0.2, 0.7, (4, 5)).astype(np.float32)
    got = to_bytes(saliency, minmax)
    exact = saliency.astype(np.float64)
    if minmax:
        exact = (exact - exact.min()) / (exact.max() - exact.min())
        assert (got.min(), got.max()) == (0, 255)
    assert np.abs(got - exact * 255).max() <= 0.5


def test_constant_maps_are_not_stretched_and_bad_values_are_refused():
    assert (to_bytes(np.full((2, 2), 0.5), minmax=True) == 128).all()
    for bad in (np.full((2, 2), np.nan), np.full((2, 2), 1.5), np.zeros((1, 2, 2))):
        with pytest.raises(ValueError):
            to_bytes(bad)


def test_maps_are_saved_as_png_whatever_the_path(tmp_path):
    saliency = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for name, written in (("0001", "0001.png"), ("img.v2", "img.v2.png"), ("a.png", "a.png")):
        assert save_map(tmp_path / "deep" / name, saliency[:, ::-1]).name == written
        with Image.open(tmp_path / "deep" / written) as image:
            assert image.mode == "L"
            assert (np.asarray(image) == saliency[:, ::-1]).all()
    with pytest.raises(ValueError, match="PNG"):
        save_map(tmp_path / "a.jpg", saliency)
    with pytest.raises(ValueError, match="uint8"):
        save_map(tmp_path / "a.png", saliency / 255)
