"""What TensorBoard gets of a run that has ended, beside the events of its steps: ``train.board``.

It lies in a folder of its own, which is written whole or not at all, after the last checkpoint: so
that the run's weights do not depend on it. TensorBoard shows the folder as ``<run>/final``.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from tensorboardX import embedding, summary
from torch import nn

from engine.events import Events
from engine.graph import graph_of
from engine.run import Validated
from metrics import Evaluator
from utils.errors import UserError
from utils.files import naming
from utils.schema import options

from .tables import one_line

FINAL = "final"  # folder
_UNFINISHED = f".{FINAL}-"  # its name while it is written; the number of the process follows
_NO_SETTINGS = ("paper", "official", "reported")  # of a recipe, but what is known of its paper
_SIDE = 900  # pixels, the longer side of a figure in TensorBoard


@dataclass
class _Line:
    """The run, as ``report.curves.Scored`` asks for it."""

    name: str
    evaluator: Evaluator
    row: dict
    number: int = 0


@dataclass
class Board:
    """A run that has ended, for TensorBoard.

    Attributes:
        network: the one that is tested.
        size: of an image, in pixels: one side, or height and width.
        validated: None where the run has no validation, and then no projector either.
    """

    folder: Path
    config: DictConfig
    step: int
    network: nn.Module
    size: int | Sequence[int]
    validated: Validated | None = None
    _made: Path = field(init=False)  # the folder, before it has its place
    _events: Events = field(init=False)

    def write(self) -> None:
        """Write the parts that ``train.board`` names. A part that cannot be made is named in a note
        on stderr with the reason.

        Raises:
            OSError: a file cannot be written; what lay there before is untouched.
        """
        parts = {"figures": self._add_figures, "graph": self._add_graph,
                 "hparams": self._add_settings, "projector": self._add_points}
        self._made = self.folder / f"{_UNFINISHED}{os.getpid()}"
        try:
            self._events = Events(self._made)
            for part in dict.fromkeys(self.config.train.board):
                try:
                    parts[part]()
                except UserError as error:
                    print(f"note: TensorBoard gets no {part}: {error}", file=sys.stderr)
            self._events.close()
            remove_board(self.folder)
            self._made.rename(self.folder / FINAL)
        except BaseException:
            shutil.rmtree(self._made, ignore_errors=True)
            raise

    def _add_figures(self) -> None:
        for key, picture in self._figures():
            self._events.add(summary.image(f"figures/{key}", picture, dataformats="HWC"), self.step)

    def _figures(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and picture, uint8 (H, W, 3), of each figure."""
        from .curves import draw_curves, to_bytes  # Matplotlib takes half a second to load
        from .run import draw_run

        figures = [("steps", draw_run(self.folder))]
        if self.validated is not None:
            line = _Line(self.config.name, self.validated.evaluator, dict(self.validated.scores))
            figures += [(figure.key, figure) for figure in draw_curves(
                f"validation at step {self.validated.step}", [line])]
        for key, figure in figures:
            with Image.open(io.BytesIO(to_bytes(figure, "png"))) as picture:
                shown = picture.convert("RGB")
            shown.thumbnail((_SIDE, _SIDE))
            yield key, np.asarray(shown)

    def _add_graph(self) -> None:
        self._events.add_graph(graph_of(self.network, self.size))

    def _add_settings(self) -> None:
        scores = dict(self.validated.scores) if self.validated is not None else {}
        # TensorBoard would take the columns of all runs from the first description of an
        # experiment that lies there. Without one it finds them in the runs, and which of them
        # differ.
        _, start, end = summary.hparams(settings_of(self.config), scores)
        self._events.add(start, 0)
        for name, value in scores.items():
            self._events.add(summary.scalar(name, value), self.step)
        self._events.add(end, 0)

    def _add_points(self) -> None:
        pairs, numbers = self.validated.pairs, sorted(self.validated.points)
        if not numbers:
            raise UserError(f"{type(self.network).__name__} has neither a trunk nor another stage "
                            "that is known to be its deepest")
        points = [self.validated.points[number] for number in numbers]
        per_image = self.validated.evaluator.per_image
        columns = [name for name in ("MAE", "maxF") if name in per_image[str(numbers[0])]]
        rows = [[one_line(pairs[number].name), *(f"{per_image[str(number)][column]:.4f}"
                                                 for column in columns)] for number in numbers]
        pictures = whole_square(np.stack([point.picture for point in points]))
        folder = str(self._made)
        with naming(self._made):
            embedding.make_mat([point.features for point in points], folder)
            embedding.make_tsv(rows, folder, ["name", *columns])
            embedding.make_sprite(pictures, folder)
            embedding.append_pbtxt(rows, pictures, folder, "", self.validated.step,
                                  self.validated.stage)


def require_board(config: DictConfig) -> None:
    """Raise a UserError where ``train.board`` names what a run of this recipe cannot have."""
    board, val = config.train.board, config.val
    if "graph" in board and importlib.util.find_spec("tensorboard") is None:
        raise UserError("train.board: the graph is made by TensorBoard's own package: pip install "
                        "tensorboard, or leave graph out")
    if "projector" in board and not (val.data or val.fraction):
        raise UserError("train.board: the projector shows validation images, and there are none: "
                        "set val.data or val.fraction, or leave projector out")


def whole_square(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (N, 3, S, S) in [0, 1], float32, with white ones up to the next square of a
    whole number, as the projector's sheet is one: tensorboardX leaves the rest of it to chance."""
    missing = int(np.ceil(np.sqrt(len(pictures)))) ** 2 - len(pictures)
    return np.pad(pictures / np.float32(255), ((0, missing), (0, 0), (0, 0), (0, 0)),
                  constant_values=1)


def settings_of(config: DictConfig) -> dict[str, bool | float | str]:
    """Key → value of a run's settings; lists and free tables are JSON. Those that are null are left
    out."""
    settings = {}
    for key, _ in options():
        value = OmegaConf.select(config, key)
        if key not in _NO_SETTINGS and value is not None:
            settings[key] = json.dumps(OmegaConf.to_container(value), ensure_ascii=False) \
                if OmegaConf.is_config(value) else value
    return settings


def remove_board(folder: Path) -> None:
    """Remove what a run in the folder has left for TensorBoard at its end, and what a killed one
    has begun."""
    for path in (folder / FINAL, *folder.glob(f"{_UNFINISHED}*")):
        if path.is_dir() and path.name != f"{_UNFINISHED}{os.getpid()}":
            shutil.rmtree(path)
