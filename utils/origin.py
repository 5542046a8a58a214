"""Where a run came from."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

import torch

from .paths import ROOT
from .world import launch

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "omegaconf", "imageio")


def write_origin(folder: Path, device: torch.device, processes: int) -> None:
    """``origin.json``: command, commit, versions, device and processes of a run."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    origin = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": commit(),
        "device": f"{device} ({name})",
        "processes": processes,
        "launch": launch(),
        "python": platform.python_version(),
        **{library: importlib.metadata.version(library) for library in _LIBRARIES},
    }
    (folder / "origin.json").write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")


def of_this_launch(folder: Path) -> bool:
    """Whether the torchrun that started this process has begun the run in ``folder``."""
    try:
        origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
        return origin["launch"] == launch()
    except (OSError, ValueError, KeyError):
        return False


def commit() -> str:
    """The checked-out commit, with ``+changes`` when files differ from it; or ``unknown``."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, text=True,
                              capture_output=True).stdout.strip()
    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
