"""Reading a file of weights: torch's, TorchScript's, safetensors or ONNX. None of its code runs.

Whatever else people save, download or rename to ``.pth`` is told apart by its first bytes, and the
message says what to do with it.
"""

from __future__ import annotations

import builtins
import codecs
import os
import re
import shlex
import sys
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import BuiltinFunctionType

import torch
from torch import Tensor

from .archive import damage_of, is_archive
from .errors import UserError, lacks_memory
from .files import sha256_of
from .onnx_file import read_onnx
from .script_file import is_script, read_script

_ONNX = rb"\x08[\x01-\x40][\x12\x3a]"
#: How a file begins → what it is, and the way out.
_KINDS = (
    (rb"(\xef\xbb\xbf)?\s*(?i:<!doctype|<html|<head|<\?xml)",
     "it is a web page, as sites send where a download must be confirmed or has a quota. Fetch the "
     "file itself, with a browser if need be"),
    (rb"version https://git-lfs",
     "it is a Git LFS pointer, which only stands for the file. Fetch the file itself, with "
     "`git lfs pull` where it was cloned"),
    (rb"\x89HDF\r\n",
     "it is an HDF5 file, such as Keras writes (.h5). Only weights of PyTorch can be loaded"),
    (_ONNX,
     "it is an ONNX network. Name the PyTorch weights that it was exported from; test.py with "
     "--config RECIPE reads it, and train.py as weights.network"),
    (rb"(?s:.{257})ustar", "it is a tar archive. Unpack it and name the file in it"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd",
     "it is a compressed archive. Unpack it and name the file in it"),
    (rb"\x93NUMPY", "it is one NumPy array, not a dict of PyTorch's tensors. Name the file that "
     "holds the weights"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0{4}|%PDF", "it is a picture or a document, no weights"),
)
_TORCH = re.compile(rb"PK\x03\x04|\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")  # zip, and before
_MOST_CLASSES = 100  # in one file, of those that torch does not load
_ATTEMPTS = 5  # to read a file that is replaced meanwhile
_SHOWN = 60  # characters of a text file, or of a zip's list of files
_ANSI = re.compile(r"\x1b\[[0-9;]*m")  # torch colours some of its messages
#: Beginnings of names of classes that hold numbers, options and paths. Where objects of them stand
#: beside the tensors, they are left out.
_BESIDE = ("numpy.", "argparse.Namespace", "pathlib.", "datetime.")
#: What gets at the tensors of a pickled network, and of a dict that cannot be looked into.
_WHOLE, _UNKNOWN = "c.state_dict()", "dict(c.get('state_dict', c))"


def read_file(path: Path, of_others: bool = False) -> dict:
    """The content of a weights file, on the CPU: tensors and plain containers only.

    Args:
        of_others: whether the file may be another project's. NumPy's numbers, a Namespace and the
            like are then replaced by a ``LeftOut``, with a note; of an ONNX network the result is
            an ``onnx_file.Exported``.

    Raises:
        UserError: missing, damaged, or not a weights file; the message says what it is.
    """
    if not path.is_file():
        raise UserError(f"weights {path}: " + (
            "this is a folder, name a file in it" if path.is_dir() else
            "this is neither a file nor a folder" if path.exists() else "file not found"))
    if path.stat().st_size == 0:
        raise UserError(f"weights file is empty (0 bytes): {path}; fetch or write it again")
    with path.open("rb") as file:
        head = file.read(512)
    if _is_safetensors(head):
        return _read_safetensors(path)
    if head.startswith(b"\x93NUMPY") and b"'|O'" in head:  # an object, such as a dict of arrays
        raise _unreadable(path, _of_arrays(path, "numpy.load(sys.argv[1], allow_pickle=True)[()]"))
    if of_others and re.match(_ONNX, head):
        return read_onnx(path)
    if strange := _kind(head):
        raise _unreadable(path, strange)
    if path.suffix == ".safetensors" and not _TORCH.match(head):
        return _read_safetensors(path)  # tells what is wrong with it
    if of_others and is_archive(path) and is_script(_files_in(path)):
        note(f"{path}: of this TorchScript archive the tensors are read, and its program is not")
        content: object = read_script(path)
    else:
        content = _read_torch(path, of_others)
    if is_archive(path) and (damage := damage_of(path)):  # torch itself looks at no checksum
        raise _unreadable(path, f"it is damaged ({damage}). Fetch or write it again")
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    if where := _arrays_alone(content):
        raise _unreadable(path, _of_arrays(path, "torch.load(sys.argv[1])", where))
    return dict(content)


def read_hashed(path: Path, of_others: bool = False) -> tuple[dict, str]:
    """The content of a weights file, as of ``read_file``, and the SHA-256 of that very file.

    A training may put another in its place meanwhile; then the new one is read.

    Raises:
        UserError: see ``read_file``; also where the file changes again and again.
    """
    for _ in range(_ATTEMPTS):
        before = _identity(path)
        content, digest = read_file(path, of_others), sha256_of(path)
        if _identity(path) == before:
            return content, digest
    raise UserError(f"weights {path}: the file is written to all the time; copy it, and name the "
                    "copy")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Changes when a file is replaced or written to; None where there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def note(message: str) -> None:
    """Print a note, in the main process alone."""
    if os.environ.get("RANK", "0") == "0":
        print(f"note: {message}", file=sys.stderr)


class LeftOut:
    """What stands for an object whose class is not loaded: it takes everything, keeps nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> LeftOut:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _unreadable(path: Path, sentence: str) -> UserError:
    return UserError(f"cannot read {path} as weights: {sentence}.")


def _kind(head: bytes) -> str:
    """What a file is that begins so, if it is certain that it holds no weights; else empty."""
    for beginning, sentence in _KINDS:
        if re.match(beginning, head):
            return sentence
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # its last letter may be cut
    except UnicodeDecodeError:
        return ""
    if all(character.isprintable() or character.isspace() for character in text):
        line = " ".join(text.split())[:_SHOWN]
        return f"it is a text file, which begins with {line!r}. Fetch the file itself"
    return ""


def _is_safetensors(head: bytes) -> bool:
    """Whether a file begins as a safetensors file does: eight bytes with the header's length, which
    are no text, then the header, which is JSON."""
    return head[8:10] in (b'{"', b"{}") and not all(32 <= byte < 127 for byte in head[:8])


def _read_safetensors(path: Path) -> dict:
    try:
        import safetensors.torch
    except ImportError:
        raise _unreadable(path, "safetensors files need the package safetensors; install it with "
                          "pip install -r requirements.txt") from None
    content = path.read_bytes()
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # the package raises errors of its own, key and value errors
        if lacks_memory(error):
            raise
        raise _unreadable(path, f"the safetensors file is damaged or cut short ({error}). Fetch "
                          "it again") from None


def _read_torch(path: Path, of_others: bool) -> object:
    """What torch finds in a file. Classes that torch does not load are replaced, one by one as it
    names them, so that the message can tell where the tensors are."""
    stand_ins: dict[str, type[LeftOut]] = {}
    while True:
        classes = [(stand_in, name) for name, stand_in in stand_ins.items()]
        try:
            with (path.open("rb") as file, warnings.catch_warnings(),
                  torch.serialization.safe_globals(classes)):
                warnings.simplefilter("ignore")  # of the pickle's protocol, with torch's advice
                content = torch.load(file, map_location="cpu", weights_only=True)
            break
        except Exception as error:  # torch raises pickle, zip, runtime and type errors here
            if lacks_memory(error):
                raise
            reason = _ANSI.sub("", str(error)) or type(error).__name__
            match = re.search(r"Unsupported global: GLOBAL ([\w.]+)", reason)
            name = match[1] if match else ""
            if not name or name in stand_ins or len(stand_ins) == _MOST_CLASSES:
                names = [*stand_ins, *([name] if name else [])]
                raise _unreadable(path, _reason(path, reason, names)) from None
        stand_ins[name] = type(name, (LeftOut,), {})
    if isinstance(content, LeftOut):
        raise _unreadable(path, _of_classes(path, [type(content).__name__], _WHOLE))
    if strange := [name for name in stand_ins if not (of_others and name.startswith(_BESIDE))]:
        raise _unreadable(path, _of_classes(path, strange, _where(content), beside=True))
    if stand_ins and not _arrays_alone(content):
        note(f"{path}: objects of {', '.join(stand_ins)} are left out")
    return content


def _reason(path: Path, reason: str, names: list[str]) -> str:
    """Why torch does not read a file, from torch's own words, and the way out.

    Args:
        names: the classes in the file that torch does not load.
    """
    called = re.findall(r"GLOBAL ([\w.]+) whose module", reason) or \
        [name for name in names if isinstance(getattr(builtins, name, None), BuiltinFunctionType)]
    if called:
        return (f"it calls {called[0]} when it is opened, which weights never do. Do not trust it; "
                "nothing of it was run")
    if "persistent_load of storage is allowed" in reason:  # of classes, in torch's old format
        return _of_classes(path, names, _WHOLE)
    files, is_pickle = _files_in(path), _begins(path, b"\x80")
    if is_pickle and not files and names and all(name.startswith("numpy.") for name in names):
        return _of_arrays(path, "pickle.load(open(sys.argv[1], 'rb'))")
    if names:
        return _of_classes(path, names, _UNKNOWN)
    if files and all(name.endswith(".npy") for name in files):
        return _of_arrays(path, "numpy.load(sys.argv[1])")
    if files and (sentence := _kind_of_zip(files)):
        return sentence
    if _begins(path, b"PK") and not files:
        return "its end is missing, so the download or copy was cut short. Fetch it again"
    if ("Unsupported operand" in reason and (files or is_pickle)) or (
            "Invalid magic number" in reason and is_pickle):
        return ("it is a pickle that torch.save has not written, or not in its own protocol, 2. "
                "Where it opens, save it anew with torch.save(state_dict, 'weights.pth')")
    words = reason.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0].rstrip(". ")
    known = f" ({words})" if words and "weights_only" not in words else ""
    return f"it is damaged, or not a torch file{known}. Fetch it again"


def _begins(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _files_in(path: Path) -> list[str]:
    """The files in a zip archive; none for what is no archive, or has lost its end, the list."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return []


def _kind_of_zip(names: list[str]) -> str:
    """What a zip archive of these files is, if torch.save did not write it; else empty."""
    if is_script(names):
        return ("it is a TorchScript archive (torch.jit.save), which holds a program. Its tensors "
                "are read as weights for a recipe: by test.py with --config RECIPE, by train.py as "
                "weights.network")
    if any(name.endswith("data.pkl") for name in names):
        return ""
    listed = ", ".join(names)
    listed = listed[:_SHOWN] + "…" * (len(listed) > _SHOWN)
    return (f"it is a zip archive that torch.save did not write, of {len(names)} files ({listed}). "
            "If the weights are in it, unpack it and name their file")


def _where(content: object) -> str:
    """What gets at the tensors of a file's content ``c``, in Python."""
    if not isinstance(content, Mapping):
        return _UNKNOWN
    for key, value in content.items():
        if str(key).isidentifier() and isinstance(value, Mapping) \
                and any(isinstance(tensor, Tensor) for tensor in value.values()):
            return f"c[{key!r}]"
    return "{k: v for k, v in c.items() if torch.is_tensor(v)}"


def _arrays_alone(content: object) -> str:
    """What gets at NumPy's arrays in a file's content ``c`` that holds them instead of tensors;
    empty where it holds tensors, or no arrays."""
    if not isinstance(content, Mapping) or _has_tensors(content):
        return ""
    tables = {"c": content} | {f"c[{key!r}]": value for key, value in content.items()
                               if str(key).isidentifier() and isinstance(value, Mapping)}
    return next((name for name, table in tables.items() if any(map(_is_array, table.values()))), "")


def _has_tensors(content: object) -> bool:
    if isinstance(content, Mapping):
        return any(map(_has_tensors, content.values()))
    return isinstance(content, Tensor)


def _is_array(value: object) -> bool:
    """Whether a stand-in is for an array of NumPy, and not for one number."""
    return isinstance(value, LeftOut) and re.fullmatch(r"numpy\..*\._reconstruct",
                                                       type(value).__name__) is not None


def _of_arrays(path: Path, load: str, where: str = "c") -> str:
    """The sentence for a file whose weights are NumPy's arrays.

    Args:
        load: opens the file, whose name is ``sys.argv[1]``, as ``c``.
        where: what gets at the arrays in ``c``.
    """
    code = (f"import sys, numpy, pickle, torch; c = {load}; torch.save({{k: torch.from_numpy(v) "
            f"for k, v in {where}.items() if isinstance(v, numpy.ndarray)}}, sys.argv[2])")
    return ("it holds NumPy's arrays, not PyTorch's tensors. Make tensors of them (opening such a "
            f"file may run code, so only if you trust it):\n{_command(path, code)}")


def _command(path: Path, code: str) -> str:
    return (f'  TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python -c "{code}" '
            f"{shlex.quote(path.name)} weights.pth\nand name weights.pth here")


def _of_classes(path: Path, names: list[str], where: str, beside: bool = False) -> str:
    """The sentence for a file with objects of classes that torch does not load.

    Args:
        names: the classes, as far as they are known.
        where: what gets at the tensors of the file's content ``c``, in Python.
        beside: whether the tensors can be read without these objects.
    """
    listed = ", ".join(dict.fromkeys(names)) or "unknown classes"
    sentence = f"it is a whole pickled object of {listed}, no state dict" if where == _WHOLE else \
        f"it holds objects of {listed}, not only tensors"
    if beside and all(name.startswith(_BESIDE) for name in names):
        return (f"{sentence}. As weights of another project it can be read all the same: by "
                f"test.py with --config RECIPE --checkpoint {shlex.quote(str(path))}, by train.py "
                "as weights.network")
    code = f"import sys, torch; c = torch.load(sys.argv[1]); torch.save({where}, sys.argv[2])"
    return (f"{sentence}. Save its tensors alone, in the project that wrote the file (whose code "
            f"runs then, so only if you trust it):\n{_command(path, code)}")
