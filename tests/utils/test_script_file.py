"""Weights in TorchScript archives: the tensors are read, and no program runs."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

import model
from utils.errors import UserError
from utils.weights import load_weights
from utils.weights_file import read_file

THIN = {"trunk": "vgg16", "width": 0.0625}


def save(module: nn.Module, path: Path, frozen: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        script = torch.jit.trace(module.eval(), torch.zeros(1, 3, 64, 64), strict=False)
        (torch.jit.freeze(script) if frozen else script).save(path)
    return path


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image)["saliency"].sigmoid()


def test_a_networks_archive_gives_its_weights(tmp_path, capsys):
    """Batch norms' numbers, too; a wrapper's prefix is removed as that of any file."""
    first, second = (model.build("ras_v2", **THIN) for _ in range(2))
    with torch.no_grad():
        for buffer in first.buffers():
            buffer += 1
    load_weights(second, save(Wrapped(first), tmp_path / "theirs.pt"))
    expected = first.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in second.state_dict().items())
    output = capsys.readouterr().err
    assert "the tensors are read, and its program is not" in output and "network." in output


def test_views_of_one_storage_and_half_precision_are_read(tmp_path):
    layer = nn.Conv2d(3, 6, 1, bias=False).half()
    layer.weight = nn.Parameter(torch.arange(36.0).half()[:18].view(3, 6, 1, 1).transpose(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(layer).save(path := tmp_path / "half.pt")
    (weight,) = read_file(path, of_others=True).values()
    assert weight.dtype == torch.float16 and torch.equal(weight, layer.weight)


def test_a_frozen_archive_has_no_weights(tmp_path):
    path = save(nn.Conv2d(3, 1, 1), tmp_path / "frozen.pt", frozen=True)
    with pytest.raises(UserError, match=r"torch\.jit\.freeze has made constants"):
        read_file(path, of_others=True)


def test_a_flipped_bit_is_damage(tmp_path):
    layer = nn.Conv2d(3, 1, 1, bias=False)
    content = bytearray(save(layer, path := tmp_path / "flipped.pt").read_bytes())
    content[content.index(layer.weight.detach().numpy().tobytes()) + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_file(path, of_others=True)


class Call:
    """A pickle of it calls a function when it is opened."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def test_what_a_pickle_calls_is_not_called(tmp_path):
    for number, payload in enumerate((Call(Path.touch, tmp_path / "ran"), Call(exec, "1 / 0"))):
        with zipfile.ZipFile(path := tmp_path / f"{number}.pt", "w") as archive:
            archive.writestr("net/constants.pkl", b"")
            archive.writestr("net/data.pkl", pickle.dumps(payload, protocol=2))
        with pytest.raises(UserError, match="as weights"):
            read_file(path, of_others=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("size", [(10**6, 10**6), (3,)])
def test_a_tensor_larger_than_its_bytes_is_refused(tmp_path, size):
    """Stride 0 would make any size of two values."""
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\n" \
        b"S'cpu'\nI2\ntQI0\n" + repr_of(size) + repr_of((0,) * len(size)) + b"I00\nNtR"
    with zipfile.ZipFile(path := tmp_path / "large.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/data.pkl", b"c__torch__\nNet\n)\x81}S'w'\n" + rebuilt + b"sb.")
        archive.writestr("net/data/0", bytes(8))
    with pytest.raises(UserError, match="of 2 values"):
        read_file(path, of_others=True)


def repr_of(numbers: tuple[int, ...]) -> bytes:
    """A tuple in the opcodes of a pickle."""
    return b"(" + b"".join(b"I%d\n" % number for number in numbers) + b"t"
