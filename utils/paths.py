"""Paths of the repository, whatever directory a script is started from."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

#: The repository. ``ROOT / path`` is how every path of a configuration is read: relative
#: ones are relative to the repository, absolute ones stay as they are.
ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
CHECKPOINTS = ROOT / "checkpoints"
DATASETS = ROOT / "datasets"
RESULTS = ROOT / "results"
DOCS = ROOT / "docs"

#: IMAGES:MASKS. The colon of a Windows drive (C:\data) does not part them.
_FOLDER_PAIR = re.compile(r"(?![A-Za-z]:[\\/][^:]*$)((?:[A-Za-z]:[\\/])?[^:]+)"
                          r":((?:[A-Za-z]:[\\/])?[^:]+)")


def folder_pair(spec: str) -> tuple[str, str] | None:
    """The two folders that a data set's ``IMAGES:MASKS`` names, or None for any other spec."""
    match = _FOLDER_PAIR.fullmatch(spec)
    return (match[1], match[2]) if match else None


def hidden_beside(folder: Path, ending: str) -> Path:
    """The hidden file beside a folder that keeps what is to be known of it, such as its lock."""
    name = f".{folder.name}.{ending}"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.blake2b(os.fsencode(folder.name), digest_size=8).hexdigest()}.{ending}"
    return folder.with_name(name)


def home_expanded(path: str | Path) -> Path:
    """A path with a leading ``~`` or ``~user`` replaced by that home folder; of no such user it
    stays as it is, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises RuntimeError there)


def absolute(path: str) -> str:
    """A path as given on the command line: from the working directory, ``~`` expanded."""
    return str(home_expanded(path).absolute())


def absolute_spec(spec: str) -> str:
    """A data set's spec from the command line, with its paths absolute; names stay names."""
    is_path = spec.startswith((".", "~")) or any(mark in spec for mark in "/\\:")
    if is_path and Path(absolute(spec)).exists():  # also one with a colon in its name
        return absolute(spec)
    folders = folder_pair(spec)
    return ":".join(map(absolute, folders)) if folders else spec
