"""Rewriting a file of weights in another format: ``python -m utils.weights convert IN OUT``."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .errors import UserError, counted, reports_errors
from .files import written_whole
from .onnx_file import Exported
from .state import TOP, mappings_in, mappings_under
from .weights_file import LeftOut, read_file

EPILOG = """
The format follows from the name of OUT: .safetensors, else torch's. Into safetensors goes one
mapping of tensors, which --key names where the file holds several; into torch's format goes all
that the file holds, or that mapping. What is written is read again and compared.
"""


def list_keys(path: Path) -> str:
    """A line for each tensor of a file: its key, shape and type, below its mapping's name."""
    lines = []
    for where, mapping in mappings_in(_content(path)).items():
        tensors = {key: value for key, value in mapping.items() if isinstance(value, Tensor)}
        numbers = sum(value.numel() for value in tensors.values())
        lines.append(f"{where}: {counted(len(tensors), 'tensor')}, {counted(numbers, 'value')}")
        lines += [f"  {key} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
                  for key, value in tensors.items()]
    return "\n".join(lines) or f"{path}: no tensors up to two levels deep"


def convert(source: Path, target: Path, key: str = "", legacy: bool = False) -> int:
    """Write what a file of weights holds to another file; returns the number of tensors.

    Args:
        key: the mapping to take, as ``weights.key`` names it.
        legacy: torch's format of before version 1.6.

    Raises:
        UserError: the file cannot be read, the other one is there already, or it takes one mapping
            where there are several.
    """
    if target.exists():
        raise UserError(f"{target} is there already; remove it, or name another file")
    if legacy and target.suffix == ".safetensors":
        raise UserError("--legacy is a format of torch; name a file that ends in .pth")
    content = _content(source)
    if key or target.suffix == ".safetensors":
        content = _one_mapping(content, source, key)
    if target.suffix == ".safetensors":
        content = _nameable(content, source)
    with written_whole(target, "wb") as file:
        if target.suffix == ".safetensors":
            from safetensors.torch import save

            file.write(save({name: value.clone(memory_format=torch.contiguous_format)
                             for name, value in content.items()}))
        else:
            torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    try:
        before, after = _tensors(content), _tensors(read_file(target))
        if before.keys() != after.keys() or not all(
                _same(before[key], after[key]) for key in before):
            raise UserError(f"{target}: what was written is not what was read, and is removed")
    except BaseException:
        target.unlink()
        raise
    return len(after)


def _nameable(content: dict, source: Path) -> dict[str, Tensor]:
    """Tensors by texts, which safetensors takes for keys; complex numbers it does not take."""
    named = {str(key): value for key, value in content.items()}
    if len(named) < len(content):
        raise UserError(f"{source}: keys that are numbers have the names of others as texts; write "
                        "a file of torch's, which keeps them apart")
    if strange := [key for key, value in named.items() if value.is_complex()]:
        raise UserError(f"{source}: {', '.join(strange[:3])} hold complex numbers, which "
                        "safetensors does not take; write a file of torch's")
    return named


def _content(path: Path) -> dict:
    content = read_file(path, of_others=True)
    if isinstance(content, Exported):
        raise UserError(f"{path} is an ONNX network, which holds no state dict; test.py with "
                        "--config RECIPE runs it")
    known = _known(content)
    strange = sum(tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta
                  for tensor in _tensors(known).values())
    if strange:
        raise UserError(f"{path}: {strange} tensors are sparse, quantised or without values; only "
                        "dense ones are rewritten")
    return known


def _known(content: object) -> object:
    """Content without the objects of classes that torch does not load."""
    if isinstance(content, Mapping):
        known = OrderedDict((key, _known(value)) for key, value in content.items()
                            if not isinstance(value, LeftOut) and not isinstance(key, LeftOut))
        if hasattr(content, "_metadata"):  # by which torch tells versions of its modules
            known._metadata = content._metadata
            return known
        return dict(known)
    if isinstance(content, (list, tuple)):
        return type(content)(_known(value) for value in content
                             if not isinstance(value, LeftOut))
    return content


def _one_mapping(content: dict, path: Path, key: str) -> dict[str, Tensor]:
    mappings = mappings_under(content, key)
    if len(mappings) != 1:
        names = ", ".join(mappings_in(content)) or "none"
        raise UserError(f"{path} holds {len(mappings)} mappings of tensors"
                        f"{f' under {key}' if key else ''}, and one is written. Name it with "
                        f"--key: {names}")
    (mapping,) = mappings.values()
    return {name: value for name, value in mapping.items() if isinstance(value, Tensor)}


def _tensors(content: object, where: tuple = ()) -> dict[tuple, Tensor]:
    """All tensors in nested containers, by the keys and places that lead to them."""
    if isinstance(content, Tensor):
        return {where: content}
    entries = content.items() if isinstance(content, Mapping) else \
        enumerate(content) if isinstance(content, (list, tuple)) else ()
    return {path: tensor for key, value in entries
            for path, tensor in _tensors(value, (*where, key)).items()}


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether two dense tensors hold the same bytes."""
    return first.dtype == second.dtype and first.shape == second.shape and torch.equal(
        *(tensor.reshape(-1).view(torch.uint8) for tensor in (first, second)))


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.weights", description=__doc__,
                                     epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command = parser.add_subparsers(required=True).add_parser(
        "convert", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("source", type=Path, metavar="IN")
    command.add_argument("target", type=Path, metavar="OUT", nargs="?")
    command.add_argument("--list", action="store_true",
                         help="print the keys of IN, write nothing")
    command.add_argument("--key", default="", help="the mapping to take, such as state_dict; "
                         f"{TOP} for tensors that lie in none")
    command.add_argument("--legacy", action="store_true",
                         help="torch's format of before version 1.6, for old code")
    args = parser.parse_args(argv)
    if args.list:
        print(list_keys(args.source))
    elif args.target is None:
        raise UserError("name the file to write as OUT, or give --list")
    else:
        count = convert(args.source, args.target, args.key, args.legacy)
        print(f"{args.target}: {counted(count, 'tensor')}")
    return 0
