"""Weights in a TorchScript archive (``torch.jit.save``), read without its program.

Such an archive holds a pickle of the network's modules, whose classes are the program's, the
tensors' bytes, and the program. Only the first two are read here: a module becomes the table of its
attributes, and whatever else the pickle names is left out.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from .errors import UserError, lacks_memory

#: torch's name of a storage → the type of its values.
_TYPES = {f"{name}Storage": getattr(torch, kind) for name, kind in {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool"}.items()}


def is_script(files: list[str]) -> bool:
    """Whether a zip archive of these files is torch.jit's."""
    return any(re.fullmatch(r"[^/]+/(constants\.pkl|code/.*)", name) for name in files)


def read_script(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers in a TorchScript archive, under the names of its modules.

    Raises:
        UserError: the archive is damaged, frozen, or of a torch before 1.4.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (folder,) = [match[1] for name in archive.namelist()
                         if (match := re.fullmatch(r"([^/]+/data)\.pkl", name))]
            network = _Reader(archive, folder).load()
            tensors = dict(_tensors_in(network, "", set()))
    except Exception as error:  # zip, pickle, value, key, type and recursion errors
        if lacks_memory(error):
            raise
        raise UserError(f"cannot read {path} as weights: its TorchScript archive is damaged, or of "
                        f"an unknown version ({error or type(error).__name__}). Where it opens: "
                        "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth').") from None
    if not tensors:
        raise UserError(f"cannot read {path} as weights: its TorchScript archive holds no "
                        "parameters, since torch.jit.freeze has made constants of them. Name the "
                        "weights that it was made of.")
    return tensors


class _Module:
    """A module of the program: its attributes."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _Nothing:
    """What stands for everything else that a pickle names: it takes everything, keeps nothing."""

    def __new__(cls, *args: object) -> _Nothing:
        return super().__new__(cls)

    def __init__(self, *args: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Reads the modules' pickle. No name in it leads to anything but this file's own classes."""

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(archive.open(f"{folder}.pkl"))
        self.archive, self.folder = archive, folder
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[0] == "__torch__":
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        return _TYPES.get(name, _Nothing) if module == "torch" else _Nothing

    def persistent_load(self, identity: tuple) -> Tensor:
        """The values of a storage, flat."""
        _, kind, key, *_ = identity
        if key not in self.storages:
            record = self.archive.getinfo(f"{self.folder}/{key}")
            if record.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{record.filename} is compressed")
            content = bytearray(self.archive.read(record))
            self.storages[key] = torch.frombuffer(content, dtype=kind) if content else \
                torch.empty(0, dtype=kind)
        return self.storages[key]


def _tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: object) -> Tensor:
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor {tuple(size)} of {storage.numel()} values")
    return storage.as_strided(size, stride, offset).clone()


def _tensors_in(module: _Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a module and the modules in it; one that comes twice counts once."""
    seen.add(id(module))
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module) and id(value) not in seen:
            yield from _tensors_in(value, f"{prefix}{name}.", seen)
