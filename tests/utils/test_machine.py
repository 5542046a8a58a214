"""Cores and memory, within the limits of a container."""

from __future__ import annotations

import os

from utils import machine


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
