"""Reads a folder of saliency maps and scores it, strictly, against the masks of a data set."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from threading import Event

import cv2
import numpy as np
from tqdm import tqdm

from data.masks import decode_mask
from data.pairing import Pair, by_stem
from data.sizes import turned
from metrics import CORE, PROFILES, Evaluator
from utils.errors import UserError
from utils.images import UnreadableError, stored_shape
from utils.machine import cores
from utils.maps import read_map

_CHUNK = 16  # maps that a thread takes at a time


@dataclass
class FolderScores:
    """Scores over the maps that could be scored, and everything that was wrong.

    Attributes:
        evaluator: has the scores.
        expected: how many maps there should be.
        problems: a line for each map or mask that is missing, too many or unusable.
        resized: how many maps were brought to their mask's size.
        digests: map → digest of what it and its mask hold, of those that could be scored.
    """

    evaluator: Evaluator
    expected: int
    problems: list[str] = field(default_factory=list)
    resized: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Tells apart scores of different maps or masks, whatever their folder is called."""
        digest = hashlib.blake2b(digest_size=16)
        for name, digest_of_map in sorted(self.digests.items()):
            digest.update(os.fsencode(name) + b"\0" + digest_of_map)
        return digest.hexdigest()


@dataclass(frozen=True)
class ScoringOptions:
    """How a folder is scored.

    Attributes:
        device, profile, measures: see ``Evaluator``.
        resize: bring maps of another size to their mask's, instead of refusing them.
    """

    device: object = "cpu"
    profile: str = "pysodmetrics"
    measures: tuple[str, ...] = CORE
    resize: bool = False

    def under(self, profile: str) -> ScoringOptions:
        """The same under another profile, with those of the measures that it defines."""
        measures = tuple(name for name in PROFILES[profile].measures if name in self.measures)
        return replace(self, profile=profile, measures=measures)

    def evaluator(self) -> Evaluator:
        return Evaluator(self.device, self.profile, self.measures)


def read_truth(pair: Pair) -> np.ndarray:
    """The pair's mask as uint8 (H, W), turned upright as its image is, where that is known.

    Raises:
        UnreadableError: a file that does not decode.
    """
    return decode_mask(pair.mask, pair.image)


def score_folder(maps: Iterable[Path], pairs: Sequence[Pair], title: str = "",
                 options: ScoringOptions | None = None) -> FolderScores:
    """Score every map against the mask of the pair that it is named after.

    Missing, extra, unreadable and wrongly sized maps, maps that share a stem, and unreadable
    masks are listed by file in ``problems``; the scores are those of all other maps. Files are
    decoded by as many threads as there are cores, which on the CPU score them as well.

    Args:
        title: names the folder beside the progress bar.

    Raises:
        UserError: a measure needs a package that is not installed.
    """
    options = options or ScoringOptions()
    maps = list(maps)
    table, problems = by_stem(maps, "maps")
    shared = {stem for stem, number in Counter(path.stem for path in maps).items() if number > 1}
    names = {pair.name for pair in pairs}
    problems += [f"no map for {pair.mask}" for pair in pairs if pair.name not in table]
    problems += [f"no mask for {path}" for stem, path in table.items() if stem not in names]
    tasks = [(table[pair.name], pair) for pair in pairs
             if pair.name in table and pair.name not in shared]
    result = FolderScores(options.evaluator(), len(pairs), problems)
    try:
        with tqdm(total=len(tasks), unit="map", desc=title, disable=None, leave=False) as bar:
            for part in _parts(tasks, options, result.evaluator):
                result.problems += part.problems
                result.resized += part.resized
                result.digests |= part.digests
                bar.update(part.expected)
    except ImportError as error:
        raise UserError(str(error)) from None
    return result


def _parts(tasks: Sequence[tuple[Path, Pair]], options: ScoringOptions,
           evaluator: Evaluator) -> Iterator[FolderScores]:
    """Score maps into ``evaluator``: on the CPU threads load and score, otherwise they only load.

    ``expected`` of what is yielded is the number of maps that were tried.
    """
    on_cpu, stopped = str(options.device) == "cpu", Event()

    def work(chunk: Sequence[tuple[Path, Pair]]) -> FolderScores | list[LoadedPair]:
        loaded = (load_pair(path, pair, options.resize) for path, pair in chunk
                  if not stopped.is_set())
        if not on_cpu:
            return list(loaded)
        part = _score(loaded, options.evaluator())
        part.evaluator.flush()
        return part

    chunks = (tasks[start:start + _CHUNK] for start in range(0, len(tasks), _CHUNK))
    pool, opencv_threads = ThreadPoolExecutor(cores()), cv2.getNumThreads()
    cv2.setNumThreads(1)  # else OpenCV starts threads inside those that score
    try:
        # ``pool.map`` would load all maps at once, however long a device takes to score them.
        waiting = deque(pool.submit(work, chunk) for chunk in islice(chunks, 2 * cores()))
        while waiting:
            part = waiting.popleft().result()
            waiting += [pool.submit(work, chunk) for chunk in islice(chunks, 1)]
            if on_cpu:
                evaluator.merge(part.evaluator)
            yield part if on_cpu else _score(part, evaluator)
        evaluator.flush()
    finally:  # after an error, or Ctrl-C, at once
        stopped.set()
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(opencv_threads)


def _score(pairs: Iterable[LoadedPair], evaluator: Evaluator) -> FolderScores:
    """Score maps as they come; only those that wait for their batch stay in memory."""
    part = FolderScores(evaluator, 0)
    for loaded in pairs:
        part.expected += 1
        part.resized += loaded.resized
        if loaded.problem:
            part.problems.append(loaded.problem)
        else:
            part.digests[loaded.name] = loaded.digest
            evaluator.update(loaded.name, loaded.prediction, loaded.truth)
    return part


@dataclass
class LoadedPair:
    """A map that was read with its mask, or what is wrong with them.

    Attributes:
        digest: of what the files hold.
        prediction, truth: uint8 (H, W), of the same size.
        resized: whether the map had another size.
        problem: why the map cannot be scored; empty when it can.
    """

    name: str
    digest: bytes = b""
    prediction: np.ndarray | None = None
    truth: np.ndarray | None = None
    resized: bool = False
    problem: str = ""


def load_pair(path: Path, pair: Pair, resize: bool) -> LoadedPair:
    """Read a map and its mask; ``resize`` brings a map of another size to the mask's, unless it
    lies on its side."""
    try:
        digest = _digest(path, pair)
        prediction, truth = read_map(path), read_truth(pair)
        resized = prediction.shape != truth.shape
        if resized and (not resize or turned(truth.shape, prediction.shape)):
            size, wanted = (f"{array.shape[1]}×{array.shape[0]}" for array in (prediction, truth))
            why = "it lies on its side" if turned(truth.shape, prediction.shape) else \
                "--resize brings it to the mask's size"
            raise UnreadableError(f"{path} is {size}, its mask {wanted}: {why}")
        if resized:
            prediction = cv2.resize(prediction, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return LoadedPair(pair.name, digest, prediction, truth, resized)
    except UnreadableError as error:
        return LoadedPair(pair.name, problem=str(error))
    except OSError as error:
        return LoadedPair(pair.name, problem=f"{error.filename}: {error.strerror}")


def _digest(path: Path, pair: Pair) -> bytes:
    """Of what decides a map's scores: both files' content, and how the mask is turned."""
    size, turn = stored_shape(pair.image) if pair.image else ((0, 0), 1)
    turned = str((size, turn)) if turn != 1 else ""  # the mask follows its image
    digest = hashlib.blake2b(digest_size=16)
    for content in (turned.encode(), path.read_bytes(), pair.mask.read_bytes()):
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()
