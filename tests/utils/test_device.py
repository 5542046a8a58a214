"""Devices and threads."""

from __future__ import annotations

import os

import pytest
import torch

from utils.device import select_device, set_threads
from utils.errors import UserError

CPU = torch.device("cpu")


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


def test_the_visible_devices_are_left_to_the_user(monkeypatch):
    """Set inside a script, CUDA_VISIBLE_DEVICES comes too late; an index never does."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    pretend_gpus(monkeypatch, 1)
    assert select_device("0").index == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
