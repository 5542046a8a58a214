"""Files that are given as weights: each is read, or named as what it is, with the way out."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import pickle
import re
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from utils.errors import UserError
from utils.weights_file import LeftOut, read_file, read_hashed

STATE = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


class Options:
    """A class that only its own project has."""


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def torch_bytes(content: object, **how) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def zip_bytes(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def tar_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("CPD.pth"))
    return buffer.getvalue()


def script_bytes() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        torch.jit.save(torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), buffer)
    return buffer.getvalue()


SAFE = safetensors.torch.save(STATE)
LEGACY = {"_use_new_zipfile_serialization": False}
OTHERS = {
    "web page": (b"\n <!DOCTYPE html><html><body>quota</body></html>", "web page.*browser"),
    "web page, no doctype": (b"<HTML><head>", "web page"),
    "error in XML": (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
                    "LFS pointer.*git lfs pull"),
    "text": ("Not Found — é".encode() * 90, "text file, which begins with 'Not Found"),
    "json": (b'{"message": "404"}', "text file"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5.*Keras"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x05" + b"\xff" * 90, "ONNX"),
    "gzip": (gzip.compress(b"weights"), "compressed archive.*[Uu]npack"),
    "tar": (tar_bytes(), "tar archive.*[Uu]npack"),
    "zip": (zip_bytes(README="x", CPD="y"), r"zip archive .* 2 files \(README, CPD\).*unpack"),
    "NumPy array": (b"\x93NUMPY\x01\0" + bytes(90), "NumPy array"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "picture"),
    "pickle": (pickle.dumps({"a": np.zeros(3)}), "pickle that torch.save has not written"),
    "old pickle": (pickle.dumps({"a": 1}, protocol=2), "pickle that torch.save has not written"),
    "protocol 4": (torch_bytes(STATE, pickle_protocol=4), "protocol"),
    "noise": (np.random.default_rng(0).bytes(999), "damaged, or not a torch file"),
    "zeros": (bytes(999), "damaged, or not a torch file"),
    "cut": (torch_bytes(STATE)[:-90], "cut short"),
    "cut, old format": (torch_bytes(STATE, **LEGACY)[:-9], "damaged"),
    "cut within the pickle": (torch_bytes(STATE, **LEGACY)[:40], "damaged"),
    "list": (torch_bytes([torch.zeros(1)]), "holds a list"),
    "network": (torch_bytes(nn.Conv2d(1, 1, 1)), r"Conv2d.*c\.state_dict\(\)"),
    "network, old format": (torch_bytes(nn.Conv2d(1, 1, 1), **LEGACY), r"c\.state_dict\(\)"),
    "safetensors, cut": (SAFE[:-5], "safetensors file is damaged"),
    "safetensors, longer": (SAFE + b"x", "safetensors file is damaged"),
    "safetensors, huge header": (b"\xff" * 7 + b"\x7f" + SAFE[8:], "safetensors file is damaged"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_weights_file_is_named(name, tmp_path):
    content, reason = OTHERS[name]
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"(?s){reason}") as error:
        read_file(path, of_others=True)
    assert str(path) in str(error.value)
    assert "weights_only=False" not in str(error.value) and "Re-running" not in str(error.value)


def test_an_archive_with_a_program_is_no_checkpoint_of_ours(tmp_path):
    """As weights of others its tensors are read, see ``test_script_file``."""
    (tmp_path / "last.pt").write_bytes(script_bytes())
    with pytest.raises(UserError, match=r"last\.pt.*TorchScript.*--config RECIPE"):
        read_file(tmp_path / "last.pt")


@pytest.mark.parametrize("name", ["safetensors, cut", "noise"])
def test_a_damaged_safetensors_file_is_called_so(name, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(OTHERS[name][0])
    with pytest.raises(UserError, match="the safetensors file is damaged or cut short"):
        read_file(path)


def test_a_safetensors_file_is_not_taken_for_what_its_headers_length_looks_like(tmp_path):
    header = SAFE[8:8 + int.from_bytes(SAFE[:8], "little")]
    length = int.from_bytes(b"\x1f\x8b", "little")  # as gzip begins
    (tmp_path / "w.pth").write_bytes(length.to_bytes(8, "little") + header.ljust(length)
                                     + SAFE[8 + len(header):])
    assert torch.equal(read_file(tmp_path / "w.pth")["a"], STATE["a"])


@pytest.mark.parametrize("content", [SAFE, torch_bytes(STATE), torch_bytes(STATE, **LEGACY)])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pth.tar"])
def test_weights_are_read_whatever_their_name(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    state = read_file(tmp_path / name)
    assert all(torch.equal(state[key], value) for key, value in STATE.items())


def test_the_digest_is_of_what_was_loaded_also_where_a_training_replaces_the_file(
        tmp_path, monkeypatch):
    path, kept = tmp_path / "best.pt", torch.load
    torch.save({"step": 1}, path)

    def load(*arguments, **options):
        content = kept(*arguments, **options)
        if content == {"step": 1}:
            torch.save({"step": 2}, tmp_path / "new.pt")
            (tmp_path / "new.pt").replace(path)
        return content

    monkeypatch.setattr(torch, "load", load)
    assert read_hashed(path) == ({"step": 2}, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_folder_a_pipe_and_nothing_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in ((".", "a folder"), ("pipe", "neither"), ("x", "not found")):
        with pytest.raises(UserError, match=reason):
            read_file(tmp_path / name)


@pytest.mark.parametrize("how", [{}, LEGACY])
def test_numbers_and_options_beside_the_tensors_are_left_out(how, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": STATE, "best": np.float64(0.3), "history": np.zeros(3),
                "args": argparse.Namespace(lr=1, path=Path("x"))}, path, **how)
    content = read_file(path, of_others=True)
    assert torch.equal(content["state_dict"]["a"], STATE["a"])
    assert all(isinstance(content[key], LeftOut) for key in ("best", "history", "args"))
    assert "argparse.Namespace" in (err := capsys.readouterr().err) and "numpy" in err
    with pytest.raises(UserError, match=r"argparse\.Namespace.*--config RECIPE"):  # not ours
        read_file(path)


def saved(path: Path, arrays: dict, how: str) -> None:
    if how == "npz":
        with path.open("wb") as file:
            np.savez(file, **arrays)
    elif how == "npy":
        with path.open("wb") as file:
            np.save(file, arrays, allow_pickle=True)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    else:
        torch.save({"net": arrays, "best": np.float64(.3)} if how == "nested" else arrays, path)


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE")
@pytest.mark.parametrize("how", ["plain", "nested", "npz", "npy", "pickle"])
def test_arrays_of_numpy_are_named_with_the_command_that_makes_tensors_of_them(
        how, tmp_path, monkeypatch):
    path, out = tmp_path / "weights.pth", tmp_path / "tensors.pth"
    saved(path, {key: value.numpy() for key, value in STATE.items()}, how)
    with pytest.raises(UserError, match="holds NumPy's arrays, not PyTorch's tensors") as error:
        read_file(path, of_others=True)
    code = re.search(r'python -c "([^"]*)" weights.pth', str(error.value))[1]
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(sys, "argv", ["-c", str(path), str(out)])
    exec(code, {})
    assert all(torch.equal(value, STATE[key]) for key, value in read_file(out).items())


@pytest.mark.parametrize("content, code", [
    ({"net": STATE, "cfg": Options()}, "c['net']"),
    ({**STATE, "cfg": Options()}, "if torch.is_tensor(v)"),
])
def test_other_classes_are_named_with_the_command_that_leaves_them_out(content, code, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"Options, not only tensors") as error:
        read_file(path, of_others=True)
    assert code in str(error.value) and "weights_only=False" not in str(error.value)


@pytest.mark.parametrize("call", [(os.system, "touch {}"), (eval, "open('{}', 'w')"),
                                  (getattr, Options, "x")])
@pytest.mark.parametrize("how", [{}, LEGACY])
def test_a_payload_is_named_and_not_run(call, how, tmp_path):
    path, mark = tmp_path / "weights.pth", tmp_path / "ran"
    arguments = [part.format(mark) if isinstance(part, str) else part for part in call[1:]]
    torch.save({**STATE, "x": Payload(call[0], *arguments)}, path, **how)
    with pytest.raises(UserError, match=f"it calls .*{call[0].__name__} when it is opened"):
        read_file(path, of_others=True)
    assert not mark.exists()


def test_a_key_of_the_file_does_not_get_into_the_command(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({'x"; rm -r "$HOME': STATE, "cfg": Options()}, path)
    with pytest.raises(UserError) as error:
        read_file(path, of_others=True)
    assert "HOME" not in str(error.value)
