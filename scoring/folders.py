"""Reads a folder of saliency maps and scores it, strictly, against the masks of a data set."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from threading import Event, Lock

import cv2
import numpy as np
from tqdm import tqdm

from data.affixes import NONE, Affix
from data.decode import upright_size
from data.masks import mask_of
from data.pairing import Pair, assign
from data.sizes import Size, turned
from metrics import CORE, MEASURES, PROFILES, Evaluator
from utils.errors import UserError, note_once
from utils.images import UnreadableError, declared_pixels, stored_shape
from utils.machine import cores
from utils.maps import read_map
from utils.schema import DataConfig

_CHUNK = 16  # maps that a thread takes at a time
LARGE = 2**25  # pixels of a map, above which threads score one after another
_ALONE = Lock()


@dataclass
class FolderScores:
    """Scores over the maps that could be scored, and everything that was wrong.

    Attributes:
        evaluator: has the scores.
        expected: how many maps there should be.
        problems: a line for each map or mask that is missing, too many or unusable.
        resized: how many maps were brought to their mask's size.
        empty: how many of the masks that were scored have no foreground.
        digests: map → digest of what it and its mask hold, of those that could be scored.
        maps: name of a pair → its map.
        remarks: a line for each mask that is not black and yet has no foreground.
    """

    evaluator: Evaluator
    expected: int
    problems: list[str] = field(default_factory=list)
    resized: int = 0
    empty: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)
    maps: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

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
        affix: what the names of maps have beyond those of the masks; none to find out.
        limit: score only the maps of the first so many pairs; None for all.
    """

    device: object = "cpu"
    profile: str = "pysodmetrics"
    measures: tuple[str, ...] = CORE
    resize: bool = False
    affix: Affix = NONE
    limit: int | None = None

    def require_measures(self, masks: DataConfig) -> None:
        """Raise a UserError if, as is decided on ``masks``, void pixels are to be left out of
        measures that need whole images."""
        unable = [name for name in self.measures if not MEASURES[name].pixelwise]
        if masks.mask_void == "ignore" and unable:
            able = " ".join(name for name, measure in MEASURES.items() if measure.pixelwise)
            raise UserError(f"data.mask_void=ignore: {', '.join(unable)} look at where pixels lie, "
                            f"and are not defined without those that are void. Give --measures "
                            f"MAE F E, or some of {able}")

    def under(self, profile: str) -> ScoringOptions:
        """The same under another profile, with those of the measures that it defines."""
        measures = tuple(name for name in PROFILES[profile].measures if name in self.measures)
        return replace(self, profile=profile, measures=measures)

    def evaluator(self) -> Evaluator:
        return Evaluator(self.device, self.profile, self.measures)


def read_truth(pair: Pair) -> np.ndarray:
    """The pair's mask as uint8 (H, W), turned upright as its image is, where that is known.

    Raises:
        UnreadableError: a file that does not decode, or not as the coding of its set.
    """
    return mask_of(pair).values


def score_folder(maps: Iterable[Path], pairs: Sequence[Pair], title: str = "",
                 options: ScoringOptions | None = None) -> FolderScores:
    """Score every map against the mask of the pair that it is named after.

    Missing, extra, unreadable and wrongly sized maps, maps that share a stem, and unreadable
    masks are listed by file in ``problems``; the scores are those of all other maps, or of those
    of them within the limit. Files are decoded by as many threads as there are cores, which on the
    CPU score them as well.

    Args:
        title: names the folder beside the progress bar.

    Raises:
        UserError: a measure needs a package that is not installed.
    """
    options = options or ScoringOptions()
    table, problems, notes = assign(maps, pairs, options.affix, options.limit)
    note_once(*notes)
    tasks = [(table[pair.name], pair) for pair in pairs[:options.limit] if pair.name in table]
    result = FolderScores(options.evaluator(), len(pairs), problems, maps=table)
    try:
        with tqdm(total=len(tasks), unit="map", desc=title, disable=None, leave=False) as bar:
            for part in _parts(tasks, options, result.evaluator):
                result.problems += part.problems
                result.resized += part.resized
                result.empty += part.empty
                result.digests |= part.digests
                result.remarks += part.remarks
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
        loaded = (each for path, pair in chunk if not stopped.is_set()
                  for each in _loaded(path, pair, options.resize))
        with closing(loaded):  # lets go of the lock, whatever happens
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
            part.remarks += [loaded.remark] if loaded.remark else []
            part.empty += not (loaded.truth > evaluator.profile.foreground_above).any()
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
        remark: see ``Mask``.
    """

    name: str
    digest: bytes = b""
    prediction: np.ndarray | None = None
    truth: np.ndarray | None = None
    resized: bool = False
    problem: str = ""
    remark: str = ""


def _loaded(path: Path, pair: Pair, resize: bool) -> Iterator[LoadedPair]:
    """The one pair; of large ones, the next is read when this one is scored."""
    try:
        alone = _ALONE if is_large(path, pair) else nullcontext()
    except (UnreadableError, OSError):  # which ``load_pair`` finds again, and lists
        alone = nullcontext()
    with alone:
        yield load_pair(path, pair, resize)


def load_pair(path: Path, pair: Pair, resize: bool) -> LoadedPair:
    """Read a map and its mask; ``resize`` brings a map of another size to the mask's, unless it
    lies on its side."""
    try:
        if is_large(path, pair):  # before gigabytes are decoded
            require_fitting(path, upright_size(path), upright_size(pair.mask, pair.image), resize)
        digest = _digest(path, pair)
        prediction, mask = read_map(path), mask_of(pair)
        truth = mask.values
        resized = prediction.shape != truth.shape
        require_fitting(path, prediction.shape[::-1], truth.shape[::-1], resize)
        if resized:
            prediction = cv2.resize(prediction, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
        prediction, truth = mask.known(prediction)
        if not truth.size:
            raise UnreadableError(f"{pair.mask}: all pixels are void")
        return LoadedPair(pair.name, digest, prediction, truth, resized, remark=mask.remark)
    except UnreadableError as error:
        return LoadedPair(pair.name, problem=str(error))
    except OSError as error:
        return LoadedPair(pair.name, problem=f"{error.filename}: {error.strerror}")


def is_large(path: Path, pair: Pair) -> bool:
    """Whether a map or its mask declares more pixels than maps that are decoded side by side.

    Raises:
        UnreadableError: a file that is no image.
    """
    return max(declared_pixels(path), declared_pixels(pair.mask)) > LARGE


def require_fitting(path: Path, size: Size, wanted: Size, resize: bool) -> None:
    """Refuse a map whose width and height are not its mask's, the ``wanted`` ones, and that may not
    or cannot be brought to them.

    Raises:
        UnreadableError: with the reason.
    """
    aside = size != wanted and turned(wanted, size)
    if size != wanted and (aside or not resize):
        why = "it lies on its side; turn it, or its mask" if aside else \
            "--resize brings it to the mask's size"
        raise UnreadableError(f"{path} is {size[0]}×{size[1]}, its mask {wanted[0]}×{wanted[1]}: "
                              f"{why}")


def _digest(path: Path, pair: Pair) -> bytes:
    """Of what decides a map's scores: both files' content, and how the mask is turned and coded."""
    size, turn = stored_shape(pair.image) if pair.image else ((0, 0), 1)
    decided = str((size, turn)) if turn != 1 else ""  # the mask follows its image
    coding = pair.codings.get("mask")
    decided += coding.key if coding else ""
    digest = hashlib.blake2b(digest_size=16)
    for content in (decided.encode(), path.read_bytes(), pair.mask.read_bytes()):
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()
