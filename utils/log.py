"""What a run leaves behind besides its weights: log.csv, TensorBoard events, its origin."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tensorboardX import SummaryWriter

from .paths import ROOT

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "omegaconf", "imageio")


class RunLog:
    """Rows of ``log.csv`` and the same numbers as TensorBoard scalars.

    On resume, rows of steps after the checkpoint are taken out: they will be written again.
    """

    def __init__(self, folder: Path, columns: Sequence[str], resume_step: int = 0):
        self.path = folder / "log.csv"
        self.columns = ["step", "epoch", *columns]
        kept = []
        if resume_step and self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= resume_step]
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, self.columns, extrasaction="ignore")
        self._writer.writeheader()
        self._writer.writerows(kept)
        self._events = SummaryWriter(str(folder), purge_step=resume_step or None)

    def row(self, step: int, epoch: int, **values: float) -> None:
        """Write one row; columns without a value stay empty."""
        unknown = set(values) - set(self.columns)
        if unknown:
            raise ValueError(f"no such columns: {sorted(unknown)}")
        self._writer.writerow({"step": step, "epoch": epoch,
                               **{key: f"{value:.6g}" for key, value in values.items()}})
        self._file.flush()
        for key, value in values.items():
            self._events.add_scalar(key, value, step)

    def images(self, step: int, picture: torch.Tensor) -> None:
        """Add a picture (3, H, W) in [0, 1] to the events."""
        self._events.add_image("input, mask, prediction", picture.cpu().numpy(), step)

    def close(self) -> None:
        self._file.close()
        self._events.close()


def write_origin(folder: Path, device: torch.device) -> None:
    """``origin.json``: command, commit and versions that a run came from."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    origin = {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": _commit(),
        "device": f"{device} ({name})",
        "python": platform.python_version(),
        **{library: importlib.metadata.version(library) for library in _LIBRARIES},
    }
    (folder / "origin.json").write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")


def _commit() -> str:
    """The checked-out commit, with ``+changes`` when files differ from it; or ``unknown``."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, text=True,
                              capture_output=True).stdout.strip()
    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
