"""Films: a network's maps of every frame, and pictures made of them, as films again."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from engine.predictor import Predictor
from utils.errors import UserError
from utils.lock import locked
from utils.origin import MapsOrigin
from utils.stop import terminable
from utils.world import World

from .cutouts import KINDS, picture_folder

# Frames a second above which MPEG-4 keeps two digits after the point.
_FAST = 65

#: How the names of films end.
SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
_CODEC = cv2.VideoWriter.fourcc(*"mp4v")  # MPEG-4, which OpenCV writes everywhere
_USUAL_RATE = 25.0  # frames a second, where a film tells none


def is_film(word: str) -> bool:
    """Whether a word names a film's file."""
    return Path(word).suffix.lower() in SUFFIXES and Path(word).is_file()


class Film:
    """A film that is read frame by frame.

    Attributes:
        rate: frames a second.
        count: of the frames, as the film tells it; 0 where it does not.
        size: height and width, upright.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path):
        self.path, self._capture = path, cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise UserError(f"{path}: not a film that OpenCV reads")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = round(rate, 2 if rate > _FAST else 6) if 0 < rate < 500 else _USUAL_RATE
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.size = tuple(int(self._capture.get(key)) for key in (
            cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))

    def frames(self) -> Iterator[np.ndarray]:
        """Each frame, RGB uint8 (H, W, 3).

        Raises:
            UserError: there is none.
        """
        number = 0
        while True:
            decoded, frame = self._capture.read()
            if not decoded:
                break
            number += 1
            yield frame[..., ::-1]
        if number == 0:
            raise UserError(f"{self.path}: no frame can be read")
        if number < self.count:
            print(f"note: {self.path}: {number} of {self.count} frames can be read; the film may "
                  "be cut short", file=sys.stderr)

    def close(self) -> None:
        self._capture.release()


@contextmanager
def film_writer(path: Path, rate: float, size: tuple[int, int]) -> Iterator[Callable]:
    """A function that adds a frame, RGB (H, W, 3) or grey (H, W) of height and width ``size``, to
    the film ``path``, which is there when the block ends without an error. Sides that are odd get
    their last row or column twice, since MPEG-4 has even ones.

    Raises:
        UserError: the film cannot be begun, or some of its frames could not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.tmp.mp4")
    even = [side + side % 2 for side in size]
    writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, _CODEC, rate, even[::-1])
    if not writer.isOpened():
        raise UserError(f"{path}: OpenCV cannot write this film")
    added = 0

    def add(frame: np.ndarray) -> None:
        nonlocal added
        colours = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else frame[..., ::-1]
        writer.write(np.pad(colours, [(0, side % 2) for side in size] + [(0, 0)], mode="edge"))
        added += 1

    try:
        yield add
        writer.release()
        _require_frames(temporary, path, added)
        temporary.replace(path)
    finally:
        writer.release()
        temporary.unlink(missing_ok=True)


def _require_frames(written: Path, path: Path, added: int) -> None:
    """Raise a UserError unless a film that was written for ``path`` has all frames: OpenCV says
    nothing of a disk that is full."""
    try:
        with closing(Film(written)) as film:
            count = film.count
    except UserError:
        count = 0
    if count != added:
        raise UserError(f"{path}: only {count} of {added} frames could be written; is the disk "
                        "full? The film is not kept")


def require_new(films: Sequence[Path], folder: Path, kinds: Sequence[str]) -> None:
    """Raise a UserError if a film that would be written is there already."""
    for path in films:
        for target in _targets(path, folder, kinds).values():
            if target.exists():
                raise UserError(f"{target} is there already; move it, or give another --out")


def _targets(path: Path, folder: Path, kinds: Sequence[str]) -> dict[str, Path]:
    """Kind → the film of it that is made of the film ``path``."""
    return {kind: (folder if kind == "map" else picture_folder(folder, kind)) / f"{path.stem}.mp4"
            for kind in ("map", *kinds)}


def predict_film(predict: Callable[[list[np.ndarray]], list[np.ndarray]], batch: int, path: Path,
                 folder: Path, kinds: Sequence[str]) -> list[Path]:
    """Write the maps of a film's frames as ``<folder>/<stem>.mp4``, and pictures of these ``kinds``
    beside (see ``cutouts``), of the film's size and rate; returns the files. A few frames are in
    memory at a time.

    Args:
        predict: frames, RGB uint8 (H, W, 3) → their maps, float (H, W) in [0, 1].
        batch: frames at a time.

    Raises:
        UserError: it cannot be read or written, or a kind has no place in a film.
    """
    if "cutout" in kinds:
        raise UserError("--save cutout: films are written without transparency; --save white puts "
                        "the object before white")
    targets = _targets(path, folder, kinds)
    with closing(Film(path)) as film, ExitStack() as stack:
        add = {kind: stack.enter_context(film_writer(target, film.rate, film.size))
               for kind, target in targets.items()}
        frames, bar = film.frames(), tqdm(total=film.count or None, unit="frame", desc=path.name,
                                          disable=None)
        while chunk := list(islice(frames, batch)):
            for frame, saliency in zip(chunk, predict(chunk), strict=True):
                levels = np.round(255 * saliency).astype(np.uint8)
                add["map"](levels)
                for kind in kinds:
                    add[kind](KINDS[kind](frame, levels))
                bar.update()
        bar.close()
    return list(targets.values())


def part_films(words: Sequence[str], world: World) -> tuple[list[Path], list[str]]:
    """The films that --input names, themselves or by a pattern, and its other words.

    Raises:
        UserError: two films would be written to one file, or there are several processes.
    """
    films, others = [], []
    for word in words:
        matches = [word] if Path(word).exists() else sorted(glob.glob(word, recursive=True))
        own = [match for match in matches if is_film(match)]
        films += map(Path, own)
        others += [match for match in matches if match not in own] if own else [word]
    if len({film.stem for film in films}) < len(films):
        raise UserError("films are written by stem, and two of them share one; predict them one at "
                        "a time with different --out")
    if films and world.size > 1:
        raise UserError("--input: films are predicted by one process; run test.py without torchrun")
    return films, others


def predict_films(predictor: Predictor, films: Sequence[Path], folder: Path, kinds: Sequence[str],
                  world: World, origin: MapsOrigin) -> None:
    """Write films of maps into the folder of --input, and those of these kinds of pictures beside.
    """
    require_new(films, folder, kinds)
    with locked(folder, world, "Wait for it or stop it, or give another --out or name=…."), \
            terminable():  # so that half a film does not stay behind
        left = list(folder.rglob("*.png")) if origin.differs_from(folder) else []
        origin.begin(folder, len(left))
        for film in films:
            written = predict_film(predictor, predictor.config.test.batch, film, folder, kinds)
            print(f"{film} without its sound: {', '.join(map(str, written))}")
        origin.end(folder)
