"""Records of how a run and its maps were made: command, commit, versions, device, weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from filelock import FileLock

from .config import flat
from .files import write_text
from .mask_keys import decided_words
from .paths import ROOT
from .values import read_json

if TYPE_CHECKING:  # scoring, which asks for the commit, does without torch
    import torch
    from omegaconf import DictConfig

#: What reproduce.py, the benchmarks' ``--save``, the test of every export and ``python -m report
#: records`` write: a record must not make the next one say that the code was changed.
_WRITTEN = ("docs/records", "docs/reproduction.md", "docs/benchmarks.json", "docs/exports.json",
            "docs/inference.json")
#: Keys of these groups change maps, but for those that begin as the second ones do.
_GROUPS = ("model.", "data.", "test.", "weights.")
_IDLE = ("data.root", "data.workers", "data.cache", "data.train", "data.edge_train", "data.mask",
         "data.body", "data.detail", "data.decoupling", "test.data", "weights.backbone",
         "weights.network")
LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "omegaconf", "imageio")


def write_origin(folder: Path, device: torch.device, processes: int,
                 masks: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write a run's ``origin.json``: command, commit, versions, device and processes, and the
    coding of the ``masks`` of each folder."""
    origin = {**_session(device), "processes": processes, "launch": launch(),
              "masks": dict(masks)}
    write_text(folder / "origin.json", json.dumps(origin, indent=2) + "\n")


def of_this_launch(folder: Path) -> bool:
    """Whether the torchrun that started this process has begun the run in ``folder``."""
    return read_origin(folder / "origin.json").get("launch") == launch()


def launch() -> str:
    """A name for the torchrun that started this process; the same after a restart by it."""
    return f"{os.environ.get('TORCHELASTIC_RUN_ID', '')} {socket.gethostname()} {os.getppid()}"


class MapsOrigin:
    """How the maps of a method were made, set by set, in ``results/<method>/origin.json``.

    A set's entry is written before its first map and is not yet ``finished``, so that the maps of
    a killed run are not taken for those of the run before it.

    Args:
        checkpoint: the file of the weights.
        sha256: the SHA-256 of what was loaded of it, see ``weights_file.read_hashed``.
        config: the configuration that runs them.
        device: None where no maps are made, and the origin is only asked about those of before.
    """

    def __init__(self, checkpoint: Path, sha256: str, config: DictConfig,
                 device: torch.device | None = None):
        self.entry = {"checkpoint": str(checkpoint), "sha256": sha256,
                      "settings": settings_of(config), "config": config.name,
                      "paper": config.paper, "root": str(ROOT / config.data.root),
                      "masks": decided_words(config.data),
                      **({} if device is None else _session(device))}

    def differs_from(self, folder: Path) -> str:
        """What the maps in ``folder`` are of, if not of these weights and settings; else empty."""
        before = origin_of(folder) or {}
        reasons = [f"{'other' if key in before else 'unknown'} {name}" for key, name in
                   (("sha256", "weights"), ("settings", "settings"))
                   if before.get(key) != self.entry[key]]
        if before.get("kept") and not reasons:  # which of them is not recorded
            reasons = ["earlier weights or settings"]
        return " and ".join(reasons)

    def begin(self, folder: Path, kept: int = 0, limit: int | None = None) -> None:
        """To be called before maps are written to ``folder``, which is ``<method>/<set>``.

        Args:
            kept: the number of maps that are in it already, and stay, and are of something else.
            limit: that only the first so many images of the set get maps; None for all. Those
                that an earlier run of these weights and settings left there count, too.
        """
        before = origin_of(folder) or {}
        self.entry.pop("limit", None)  # of another set
        if limit and not self.differs_from(folder):
            whole = before.get("finished") and "limit" not in before
            limit = None if whole else max(limit, before.get("limit") or 0)
        self.entry |= {"kept": kept} | ({"limit": limit} if limit else {})
        self._write(folder, finished=False)

    def end(self, folder: Path) -> None:
        """To be called when all maps are written."""
        self._write(folder, finished=True)

    def _write(self, folder: Path, finished: bool) -> None:
        path = folder.parent / "origin.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(".origin.json.lock")):  # other sets may be tested meanwhile
            sets = read_origin(path) | {folder.name: self.entry | {"finished": finished}}
            write_text(path, json.dumps(sets, indent=2) + "\n")


def changes_maps(key: str) -> bool:
    """Whether another value of a configuration's key may change the maps of given weights."""
    return key.startswith(_GROUPS) and not key.startswith(_IDLE)


def settings_of(config: DictConfig) -> str:
    """A digest of what changes the maps of given weights: the keys of a configuration with their
    values."""
    values = {key: value for key, value in flat(config).items() if changes_maps(key)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def origin_of(maps: Path) -> dict | None:
    """The entry that test.py wrote on the maps in ``<method>/<set>``; None for maps of others."""
    entry = read_origin(maps.absolute().parent / "origin.json").get(maps.absolute().name)
    return entry if isinstance(entry, dict) else None


def read_origin(path: Path) -> dict:
    """The content of an ``origin.json``; empty where it is missing or, with a note, unreadable."""
    try:
        content = read_json(path)
        return content if isinstance(content, dict) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        print(f"note: {path} cannot be read, so the origin of what lies there is unknown: {error}",
              file=sys.stderr)
        return {}


def _session(device: torch.device) -> dict:
    """Command, commit, device with its model, and the versions that predictions depend on."""
    model = platform.machine()
    if device.type == "cuda":
        import torch

        model = torch.cuda.get_device_name(device)
    return {"command": [Path(sys.argv[0]).name, *sys.argv[1:]], "commit": commit(),
            "device": f"{device} ({model})", "python": platform.python_version(),
            **{library: importlib.metadata.version(library) for library in LIBRARIES}}


def commit() -> str:
    """The checked-out commit, with ``+changes`` when files differ from it; or ``unknown``."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, text=True,
                              capture_output=True).stdout.strip()
    try:
        code = [".", *(f":(exclude){path}" for path in _WRITTEN)]
        changed = git("status", "--porcelain", "--", *code)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def short_commit(commit: str) -> str:
    """Ten digits of a commit, and whether files differed from it."""
    head, plus, rest = commit.partition("+")
    return head[:10] + plus + rest
