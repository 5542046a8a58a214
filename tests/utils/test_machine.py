"""Cores and memory, within the limits of a container."""

from __future__ import annotations

import os

import pytest

from utils import machine


@pytest.fixture
def container(monkeypatch, tmp_path):
    """The folder of control groups, still without limits, on a machine of 16 cores."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    return tmp_path


@pytest.mark.parametrize("files, cores", [
    ({}, 16), ({"cpu.max": "350000 100000"}, 4), ({"cpu.max": "max 100000"}, 16),
    ({"cpu.max": "2000 100000"}, 1), ({"cpu.max": "9900000 100000"}, 16),
    ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "50000"}, 5),
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "50000"}, 16)])
def test_a_container_has_the_cores_of_its_quota(monkeypatch, container, files, cores):
    for name, content in files.items():
        (container / name).parent.mkdir(exist_ok=True)
        (container / name).write_text(f"{content}\n")
    assert machine.cores() == cores
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine.cores() == max(1, cores // 2)


def test_a_container_has_the_memory_of_its_limit(container):
    whole = machine.available_memory()
    (container / "memory.max").write_text("3000\n")
    (container / "memory.current").write_text("1000\n")
    assert machine.available_memory() == 2000 < whole
    (container / "memory.max").write_text("max\n")
    assert machine.available_memory() > 2000
