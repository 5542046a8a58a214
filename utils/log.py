"""What a run shows and leaves behind besides its weights: progress, log.csv, events, origin."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import torch
from tensorboardX import SummaryWriter
from torch import Tensor
from tqdm import tqdm

from .paths import ROOT
from .step import Done

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "omegaconf", "imageio")


class RunLog:
    """Progress on the screen, rows of ``log.csv``, and the same numbers as TensorBoard scalars.

    The columns of log.csv follow from the first step's loss terms. On resume, rows of steps
    after the checkpoint are taken out: they will be written again.
    """

    def __init__(self, folder: Path, last_step: int, every: int, resume_step: int = 0):
        self.every, self.last_step, self.resume_step = every, last_step, resume_step
        self.path = folder / "log.csv"
        self._columns: list[str] = []
        self._file: TextIO | None = None
        self._events = SummaryWriter(str(folder), purge_step=resume_step or None)
        self._bar = tqdm(total=last_step, initial=resume_step, unit="step", disable=None,
                         dynamic_ncols=True)
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave what just happened (a validation, a checkpoint) out of the images per second."""
        self._since, self._images, self._steps = time.perf_counter(), 0, 0

    def step(self, step: int, epoch: int, lr: float, done: Done, images: int) -> None:
        """Count a step of ``images`` images; every few steps write a row of its values."""
        self._bar.update()
        self._images += images
        self._steps += 1
        if self._file is None:
            self._open(["step", "epoch", "lr", "loss", *done.terms, "gradient_norm",
                        "images_per_second", "val_MAE", "val_maxF"])
        if step % self.every and step != self.last_step:
            return
        values = {"lr": lr, "loss": done.loss.item(),
                  **{name: term.item() for name, term in done.terms.items()},
                  "gradient_norm": done.norm.item()}
        speed = self._images / (time.perf_counter() - self._since)
        self.row(step, epoch, **values, images_per_second=speed)
        shown = {name: f"{value:.3g}" for name, value in values.items()} | {"img/s": f"{speed:.1f}"}
        if self._bar.disable:  # not a terminal
            left = (self.last_step - step) * self._seconds_per_step()
            print(f"step {step}/{self.last_step}, epoch {epoch}: "
                  + ", ".join(f"{name} {value}" for name, value in shown.items())
                  + f", {timedelta(seconds=round(left))} left", flush=True)
        else:
            self._bar.set_postfix(shown)
        self.restart_clock()

    def _seconds_per_step(self) -> float:
        return (time.perf_counter() - self._since) / self._steps

    def validation(self, step: int, epoch: int, scores: Mapping[str, float]) -> None:
        """A row with the validation's scores."""
        self.row(step, epoch, val_MAE=scores["MAE"], val_maxF=scores["maxF"])
        tqdm.write(f"validation at step {step}: MAE {scores['MAE']:.4f}, "
                   f"maxF {scores['maxF']:.4f}")

    def row(self, step: int, epoch: int, **values: float) -> None:
        """Write one row; columns without a value stay empty."""
        self._writer.writerow({"step": step, "epoch": epoch,
                               **{key: f"{value:.6g}" for key, value in values.items()}})
        self._file.flush()
        for key, value in values.items():
            self._events.add_scalar(key, value, step)

    def images(self, step: int, picture: Tensor) -> None:
        """Add a picture (3, H, W) in [0, 1] to the events."""
        self._events.add_image("input, mask, prediction", picture.cpu().numpy(), step)

    def _open(self, columns: list[str]) -> None:
        kept = []
        if self.resume_step and self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                # A row cut short by a crash has empty fields or half a number: it is left out.
                kept = [row for row in csv.DictReader(file) if None not in row.values()
                        and row["step"].isdigit() and int(row["step"]) <= self.resume_step]
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)
        self._writer.writeheader()
        self._writer.writerows(kept)

    def close(self) -> None:
        """Finish the files and the progress bar."""
        self._bar.close()
        self._events.close()
        if self._file is not None:
            self._file.close()


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
