"""Rewriting files of weights."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from utils.convert import main
from utils.paths import ROOT
from utils.weights_file import read_file


@pytest.fixture
def file(tmp_path):
    """Weights beside an epoch: a transposed one, one in half precision that is not a number."""
    tensors = {"a.weight": torch.randn(3, 4).T, "a.bias": torch.tensor([torch.nan, 1]).half(),
               "n.num_batches_tracked": torch.tensor(3)}
    torch.save({"state_dict": tensors, "epoch": np.float64(3), "optimizer": {"lr": 0.1}},
               tmp_path / "in.pth")
    return tmp_path / "in.pth"


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value.nan_to_num(7), second[key].nan_to_num(7))
        and value.dtype == second[key].dtype for key, value in first.items())


def test_a_file_in_three_formats_holds_the_same_tensors(file, tmp_path, capsys):
    before = read_file(file, of_others=True)["state_dict"]
    assert main(["convert", str(file), str(tmp_path / "a.safetensors")]) == 0
    assert "a.safetensors: 3 tensors" in capsys.readouterr().out
    assert same(before, load_file(tmp_path / "a.safetensors"))
    assert main(["convert", str(tmp_path / "a.safetensors"), str(tmp_path / "b.pth")]) == 0
    assert same(before, read_file(tmp_path / "b.pth"))
    assert main(["convert", str(file), str(tmp_path / "old.pth"), "--legacy"]) == 0
    assert not (tmp_path / "old.pth").read_bytes().startswith(b"PK")
    content = read_file(tmp_path / "old.pth")
    assert same(before, content["state_dict"]) and content["optimizer"] == {"lr": 0.1}
    assert "epoch" not in content  # NumPy's numbers are code in a pickle


def test_keys_are_listed_with_shapes_and_types(file, capsys):
    assert main(["convert", str(file), "--list"]) == 0
    assert capsys.readouterr().out == (
        "state_dict: 3 tensors, 15 values\n  a.weight (4, 3) float32\n  a.bias (2,) float16\n"
        "  n.num_batches_tracked () int64\n")


@pytest.mark.parametrize("content, words, message", [
    ({"a": {"x": torch.ones(1)}, "b": {"x": torch.ones(1)}}, ["out.safetensors"],
     "2 mappings of tensors, and one is written. Name it with --key: a, b"),
    ({"a": {"x": torch.ones(1)}}, ["out.pth", "--key", "b"],
     "0 mappings of tensors under b, and one is written. Name it with --key: a"),
    ({"x": torch.ones(1)}, ["in.pth"], "in.pth is there already"),
    ({"x": torch.ones(1)}, ["out.safetensors", "--legacy"], "--legacy is a format of torch"),
    ({"x": torch.ones(1).to_sparse()}, ["out.pth"], "1 tensors are sparse"),
    ({1: torch.ones(1), "1": torch.ones(2)}, ["out.safetensors"], "have the names of others"),
    ({"x": torch.ones(1, dtype=torch.cfloat)}, ["out.safetensors"], "x hold complex numbers"),
    ({"x": torch.ones(1)}, [], "name the file to write as OUT, or give --list")])
def test_what_cannot_be_written_is_said_and_nothing_is_written(
        tmp_path, monkeypatch, capsys, content, words, message):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "in.pth")
    assert main(["convert", "in.pth", *words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.pth"]


def test_a_mapping_is_chosen_and_of_a_checkpoint_of_ours_it_is_the_network(tmp_path, capsys):
    ours = {"network": {"x": torch.ones(1)}, "average": {"x": torch.zeros(1)}, "config": {}}
    torch.save(ours, tmp_path / "last.pt")
    for key, words in (("network", []), ("average", ["--key", "average"])):
        out = tmp_path / f"{key}.safetensors"
        assert main(["convert", str(tmp_path / "last.pt"), str(out), *words]) == 0
        assert same(ours[key], load_file(out))


def test_it_is_a_command():
    done = subprocess.run([sys.executable, "-m", "utils.weights", "convert", "nowhere.pth", "x"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "nowhere.pth: file not found" in done.stderr
