"""What a run leaves behind besides its weights: lines of progress, log.csv, TensorBoard events."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from tensorboardX import summary
from torch import Tensor, nn
from tqdm import tqdm

from utils.errors import UserError, counted
from utils.files import naming, written_whole
from utils.transcript import note_line

from .events import Events
from .step import StepResult

BINS = 64  # of histograms
VALIDATION = ("val_MAE", "val_maxF", "val_loss")  # columns


class NoLog:
    """Stands in for ``RunLog`` in the processes that log nothing."""

    def __getattr__(self, name: str):
        return lambda *arguments, **named: None


class RunLog:
    """Progress on the screen, rows of ``log.csv``, and the same numbers as TensorBoard scalars.

    The first step's loss terms make the columns of log.csv. On resume, the rows of steps after the
    checkpoint are taken out, because those steps are taken again.

    Args:
        every: steps between rows; the run's ``last_step`` has one too.
        resume_step: the step of the checkpoint that the run goes on from, 0 without one.
        configuration: YAML, which TensorBoard shows.
    """

    def __init__(self, folder: Path, last_step: int, every: int, resume_step: int = 0,
                 configuration: str = ""):
        self.every, self.last_step, self.resume_step = every, last_step, resume_step
        self.path = folder / "log.csv"
        self._file = None
        self._events = Events(folder, resume_step)
        if configuration:
            self._events.add(summary.text("configuration", f"```yaml\n{configuration}```"),
                             resume_step)
        self._bar = tqdm(total=last_step, initial=resume_step, unit="step", disable=None,
                         dynamic_ncols=True)
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave the time since the last step (a validation, a checkpoint) out of the speed."""
        self._since, self._images, self._steps = time.perf_counter(), 0, 0

    def step(self, step: int, epoch: int, optimizer: torch.optim.Optimizer,
             result: StepResult) -> None:
        """Count a step; every few steps write a row of its values."""
        self._bar.update()
        self._images += result.images
        self._steps += 1
        if step == self.resume_step + 1:
            self._open([*rates(optimizer), "loss", *result.terms, "gradient_norm",
                        "images_per_second", "memory_mib"])
        if step % self.every and step != self.last_step:
            return
        values = {**rates(optimizer), "loss": result.loss.item(),
                  **{name: term.item() for name, term in result.terms.items()},
                  "gradient_norm": result.norm.item()}
        elapsed = time.perf_counter() - self._since
        speed = self._images / elapsed
        self.row(step, epoch, **values, images_per_second=speed,
                 memory_mib=peak_memory(result.loss.device))
        texts = {name: f"{value:.3g}" for name, value in values.items()} | {"img/s": f"{speed:.1f}"}
        left = (self.last_step - step) * elapsed / self._steps
        line = (f"step {step}/{self.last_step}, epoch {epoch}: "
                + ", ".join(f"{name} {value}" for name, value in texts.items())
                + f", {timedelta(seconds=round(left))} left")
        if self._bar.disable:  # not a terminal
            print(line, flush=True)
        else:
            self._bar.set_postfix(texts)
            note_line(line)
        self.restart_clock()

    def validation(self, step: int, epoch: int, scores: Mapping[str, float],
                   curves: Mapping[str, np.ndarray]) -> None:
        """A row with the validation's scores; its precision–recall curve for TensorBoard."""
        chosen = {name: scores[name] for name in ("MAE", "maxF", "loss") if name in scores}
        self.row(step, epoch, **{f"val_{name}": value for name, value in chosen.items()})
        for name, value in scores.items():
            self._events.add(summary.scalar(f"validation/{name}", value), step)
        # The plugin wants threshold 0 first, and counts of pixels, which are not known here.
        precision, recall = curves["precision"][::-1], curves["recall"][::-1]
        unknown = np.zeros_like(precision)
        self._events.add(summary.pr_curve_raw("validation", unknown, unknown, unknown, unknown,
                                              precision, recall, len(precision)), step)
        tqdm.write(f"validation at step {step}: " + ", ".join(
            f"{name} {value:.4f}" for name, value in chosen.items()))

    def row(self, step: int, epoch: int, **values: float) -> None:
        """Write one row; columns without a value stay empty."""
        if self._file is None:  # a validation that a stopped run had left out
            self._open([])
        with naming(self.path):
            self._writer.writerow({"step": step, "epoch": epoch,
                                   **{key: f"{value:.6g}" for key, value in values.items()}})
            self._file.flush()
        for key, value in values.items():
            self._events.add(summary.scalar(key, value), step)

    def images(self, step: int, picture: Tensor) -> None:
        """Add a picture (3, H, W), values in [0, 1], to the events."""
        self._events.add(summary.image("pictures", picture.numpy()), step)

    def histograms(self, step: int, network: nn.Module) -> None:
        """Add the distribution of every trained weight and of its gradient to the events."""
        trained = [(name, weight) for name, weight in network.named_parameters()
                   if weight.grad is not None]
        for tag, values in [*((f"weights/{name}", weight.detach()) for name, weight in trained),
                            *((f"gradients/{name}", weight.grad) for name, weight in trained)]:
            low, high = (bound.item() for bound in values.aminmax())
            if np.isfinite(high - low):  # or else the guard reports it
                counts = torch.histc(values, BINS, low, high)
                edges = np.linspace(low, high, BINS + 1)[1:]
                self._events.add(summary.histogram_raw(
                    tag, low, high, values.numel(), values.sum().item(),
                    values.square().sum().item(), edges.tolist(), counts.tolist()), step)

    def _open(self, columns: list[str]) -> None:
        """Begin log.csv with ``columns`` and those of the rows that a resumed run keeps."""
        columns = ["step", "epoch", *columns, *VALIDATION]
        kept: list[dict[str, str]] = []
        strange = 0
        if self.resume_step and self.path.is_file():
            try:
                # Spreadsheets begin files with the mark that utf-8-sig skips.
                with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                    reader = csv.DictReader(file)
                    if reader.fieldnames and "step" not in reader.fieldnames:
                        raise csv.Error("its first line names no column step")
                    # A row cut short by a crash has empty fields or half a number: it is left out.
                    for row in reader:
                        if None in row or None in row.values() or not row["step"].isdecimal():
                            strange += 1
                        elif int(row["step"]) <= self.resume_step:
                            kept.append(row)
            except csv.Error as error:
                raise UserError(f"{self.path} cannot be read ({error}); move it away, and the run "
                                "goes on with a new one") from None
        if strange:
            number = counted(strange, "line that is no row of it is",
                             "lines that are no rows of it are")
            print(f"note: {self.path}: {number} left out", file=sys.stderr)
        header = list(kept[0]) if kept else []
        columns = header + [name for name in columns if name not in header]
        if self._file is not None:
            self._file.close()
        with written_whole(self.path, newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(kept)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)

    def close(self) -> None:
        """Finish the files and the progress bar."""
        self._bar.close()
        self._events.close()
        if self._file is not None:
            self._file.close()


def rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """``lr``, and ``lr_trunk`` or ``lr_bias`` where trunks or biases have a rate of their own."""
    # The optimizer's state in older checkpoints has no columns.
    columns = {group.get("column", "lr" if group["factor"] == 1 else "lr_trunk"): group["lr"]
               for group in optimizer.param_groups}
    return dict(sorted(columns.items()))


def peak_memory(device: torch.device) -> float:
    """Peak memory of this process, MiB, of the GPU if it computes there; NaN where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource  # Windows has none
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
