"""A run of train.py as one figure: loss terms, learning rate and validation over its steps."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.figure
from matplotlib.axes import Axes

from utils.errors import UserError

from .curves import Figure
from .drawing import COLOURS, settings

#: Columns of log.csv that are no terms of the loss.
_OTHERS = ("step", "epoch", "gradient_norm", "images_per_second", "memory_mib")
_DASHES = ("-", "--", ":", "-.", (0, (1, 4)))  # with six colours 30 lines, more than any loss has
_FEW = 8  # lines, whose names have room in the panel; more stand beside it
_HEIGHT, _WIDTH = 2.1, 6.4  # inches, of a panel


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Column of ``log.csv`` → its steps and values, where it has any.

    Raises:
        UserError: there is no such file, it is no log of train.py, or rows of it are damaged. A
            last row without its line break, which a crash cut short, is left out.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a run's folder in checkpoints/, which holds "
                        "log.csv")
    columns: dict[str, list[tuple[int, float]]] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin files with a mark
        reader = csv.DictReader(text[:text.rfind("\n") + 1].splitlines())
        if "step" not in (reader.fieldnames or ["step"]):
            raise ValueError("its first line names no column step")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"line {reader.line_num} has too "
                                 f"{'many' if None in row else 'few'} cells; take it out")
            for name, value in row.items():
                if value:
                    columns.setdefault(name, []).append((int(row["step"]), float(value)))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a log.csv as train.py writes it ({error})") from None
    if "loss" not in columns:
        raise UserError(f"{path}: has no loss yet; train.py writes a row every train.log_every "
                        "steps")
    return columns


def draw_run(folder: Path) -> Figure:
    """The figure of the run in ``folder``.

    Raises:
        UserError: see ``read_log``.
    """
    columns, name = read_log(folder / "log.csv"), folder.absolute().name
    rates = {key: line for key, line in columns.items() if key == "lr" or key.startswith("lr_")}
    validation = {key: line for key, line in columns.items() if key.startswith("val_")}
    terms = {key: line for key, line in columns.items()
             if key not in (*_OTHERS, *rates, *validation)}
    panels = [(terms, "loss"), (rates, "learning rate"),
              *(({key: line}, f"validation {key.removeprefix('val_')}")
                for key, line in validation.items())]
    panels = [(lines, label) for lines, label in panels if lines]
    with settings(name):
        drawing = matplotlib.figure.Figure(figsize=(_WIDTH, _HEIGHT * len(panels)),
                                           layout="constrained")
        for axes, (lines, label) in zip(drawing.subplots(len(panels), sharex=True,
                                                         squeeze=False).flat, panels, strict=True):
            _panel(axes, lines, label)
        axes.set_xlabel("step")
        drawing.suptitle(name, x=0.01, ha="left", fontsize=10)
    return Figure(f"run_{name}", f"Run {name}", "Loss and its terms, learning rate, and what the "
                  "validation measured, over the steps.", drawing)


def _panel(axes: Axes, lines: dict[str, list[tuple[int, float]]], label: str) -> None:
    """Lines of one panel. Of several, each is named. Values above 0 that span a factor of more than
    ten stand on a logarithmic axis, but for rates that fall to nothing."""
    values = [value for line in lines.values() for _, value in line]
    if min(values) > 0 and 10 * min(values) < max(values) < 1e5 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
    for number, (name, line) in enumerate(lines.items()):
        few = len(line) < 50
        axes.plot(*zip(*line, strict=True), color=COLOURS[number % len(COLOURS)], label=name,
                  linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)], linewidth=1.2,
                  marker="o" if few else "", markersize=3)
    axes.set_ylabel(label)
    if len(lines) > _FEW:
        axes.legend(frameon=False, fontsize=6, ncols=1 + len(lines) // 16, loc="upper left",
                    bbox_to_anchor=(1, 1), borderaxespad=0)
    elif len(lines) > 1:
        axes.legend(frameon=False, fontsize=8, ncols=2)
