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

import model
from engine.checkpoint import load_checkpoint, require_same_recipe, save_checkpoint
from engine.log import RunLog
from engine.optimizer import build_optimizer
from engine.precision import Precision
from engine.prediction import maps_of, predict
from engine.seed import random_state, restore_random_state, set_seed
from engine.step import Done
from model import objectives
from utils import machine
from utils.config import default_config, help_text, load_config, merge_config
from utils.device import select_device, set_threads
from utils.errors import UserError, reports_errors
from utils.maps import save_map, to_bytes
from utils.paths import CONFIGS, ROOT, folder_pair

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)

# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_is_valid_and_names_things_that_exist(path):
    config = load_config(path)
    assert config.name == path.stem
    assert config.model.name in model.names()
    assert config.loss.name in objectives.names()
    for row in config.reported:
        assert 0 < row.value < 1
        assert row.source


def test_a_recipe_is_laid_over_its_base(tmp_path):
    (tmp_path / "first.yaml").write_text("name: first\noptim: {lr: 0.5, name: sgd}\n"
                                         "data: {train: [A, B]}")
    (tmp_path / "second.yaml").write_text("base: first.yaml\nname: second\noptim: {lr: 0.25}")
    (tmp_path / "third.yaml").write_text("base: second.yaml\ndata: {train: [C]}")
    config = load_config(tmp_path / "third.yaml", ["optim.momentum=0.5"])
    assert (config.name, config.optim.lr, config.optim.name) == ("second", 0.25, "sgd")
    assert (list(config.data.train), config.optim.momentum) == (["C"], 0.5)
    (tmp_path / "first.yaml").write_text("optim: {lrr: 1}")
    with pytest.raises(UserError, match=r"'optim.lrr' in .*first.yaml; did you mean"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").write_text("base: third.yaml")
    with pytest.raises(UserError, match="is its own base"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").write_text("- 1")
    with pytest.raises(UserError, match="is a mapping of keys, not list"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").unlink()
    with pytest.raises(UserError, match=r"not found: .*first.yaml, the base of .*second.yaml"):
        load_config(tmp_path / "third.yaml")


def test_the_recipes_of_tracer_differ_in_size_alone():
    sizes = (320, 320, 352, 384, 448, 512, 576, 640)
    first = load_config(CONFIGS / "tracer_te0.yaml")
    assert (first.optim.lr, first.optim.weight_decay, first.optim.clip_norm) == (5e-5, 1e-4, 2)
    assert (first.train.batch, first.train.epochs, first.train.patience) == (32, 100, 10)
    assert (first.val.fraction, first.val.watch, first.optim.patience) == (0.05, "loss", 5)
    for number, size in enumerate(sizes):
        config = load_config(CONFIGS / f"tracer_te{number}.yaml")
        assert (config.model.name, config.data.size) == (f"tracer_te{number}", size)
        for group in ("optim", "val", "loss"):
            assert config[group] == first[group]


def test_the_recipe_of_cpd_is_the_released_one():
    config = load_config(CONFIGS / "cpd_vgg.yaml")
    assert (config.data.size, config.train.batch, config.train.epochs) == (352, 10, 99)
    assert (config.optim.name, config.optim.lr, config.optim.clip_value) == ("adam", 1e-4, 0.5)
    assert config.optim.schedule == "released"
    assert config.data.soft_mask
    assert config.test.minmax


@pytest.mark.parametrize("override, said", [
    ("data.cache=Memory", "memory, none, or a folder"),
    ("optim.lrr=1", "did you mean 'optim.lr'"), ("trian.batch=4", "unknown configuration key"),
    ("train.batch=many", "train.batch"), ("train.batch=0", "1 or more"),
    ("data.flip=2", "probability"), ("data.size=[3]", "data.size"), ("batch", "key=value"),
    ("name=a/b", "plain folder name"), ("seed=-1", "0 or more"),
    ("name=${x}", "interpolations"), ("optim.clip_value=0", "positive"),
    ("optim.schedule=steps", "one of constant"), ("data.std=[0,1,1]", "positive")])
def test_wrong_keys_and_values_are_named(override, said):
    with pytest.raises(UserError) as error:
        load_config(CONFIGS / "cpd_vgg.yaml", [override])
    assert said in str(error.value)


def test_unknown_keys_in_a_file_and_files_that_are_none(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("optim: {learning_rate: 1}\n")
    with pytest.raises(UserError, match=r"optim\.learning_rate"):
        load_config(path)
    path.write_text("a: [")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(path)
    with pytest.raises(UserError, match="not found"):
        load_config(tmp_path / "none.yaml")


def test_overrides_win_and_paths_are_anchored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(CONFIGS / "cpd_vgg.yaml", ["data.root=sets", "optim.lr=0.5",
                                                    "model.options.width=0.5",
                                                    "data.train=ECSSD",
                                                    "test.data=[mine/img:mine/gt,SOD]"])
    assert config.data.train == ["ECSSD"]
    assert config.test.data == [f"{tmp_path}/mine/img:{tmp_path}/mine/gt", "SOD"]
    assert config.data.root == str(tmp_path / "sets")
    assert config.optim.lr == 0.5
    assert config.model.options == {"width": 0.5}
    assert ROOT / load_config(CONFIGS / "cpd_vgg.yaml").data.root == ROOT / "datasets"


@pytest.mark.parametrize("spec, folders", [
    ("ECSSD", None), ("a/b", None), ("", None), (":b", None), ("C:\\sets\\a", None),
    ("a/img:a/gt", ("a/img", "a/gt")), ("/a:/b", ("/a", "/b")),
    ("C:\\a:D:/b", ("C:\\a", "D:/b")), ("img:D:\\b", ("img", "D:\\b"))])
def test_two_folders_are_told_from_one(spec, folders):
    assert folder_pair(spec) == folders


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


def test_help_lists_every_key():
    assert "clip_value" in help_text()
    assert "soft_mask" in help_text()


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
