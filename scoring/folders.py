"""Scoring a folder of saliency maps against a folder of masks, strictly."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.decode import decode_mask, stored_shape
from data.pairing import Pair, by_stem
from metrics.evaluator import Evaluator, Result
from metrics.profiles import CORE, PROFILES
from utils.maps import UnreadableError, read_map

from .cache import ScoreCache, digest_of

_CHUNK = 16  # maps that a thread takes at a time
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_AHEAD = 2 * _CORES  # chunks in work or waiting to be taken

#: A map's file and the pair that it is scored against.
Task = tuple[Path, Pair]


@dataclass
class FolderScores:
    """Scores over the maps that could be scored, and everything that was wrong.

    Attributes:
        digests: map → digest of what it and its mask hold, of those that could be scored.
    """

    evaluator: Evaluator
    expected: int
    problems: list[str] = field(default_factory=list)
    resized: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Tells apart scores of other maps or masks, whatever their folder is called."""
        digest = hashlib.blake2b(digest_size=16)
        for name, one in sorted(self.digests.items()):
            digest.update(os.fsencode(name) + b"\0" + one)
        return digest.hexdigest()


@dataclass(frozen=True)
class How:
    """How to score a folder: the evaluator's arguments, and what to do beside them.

    Attributes:
        device, profile, measures: see ``Evaluator``.
        resize: bring maps of another size to their mask's, instead of refusing them.
        cache: where results are kept between evaluations, or None.
    """

    device: object = "cpu"
    profile: str = "pysodmetrics"
    measures: tuple[str, ...] = CORE
    resize: bool = False
    cache: Path | None = None

    def under(self, profile: str) -> How:
        """The same under another profile: those of the measures that it defines."""
        measures = tuple(family for family in PROFILES[profile].families
                         if family in self.measures)
        return replace(self, profile=profile, measures=measures)


def read_truth(pair: Pair) -> np.ndarray:
    """The pair's mask as uint8 (H, W), turned upright as its image is, where that is known.

    Raises:
        UnreadableError: a file that does not decode.
    """
    return decode_mask(pair.mask, pair.image)


def score_folder(maps: Iterable[Path], pairs: Sequence[Pair], title: str = "",
                 how: How | None = None) -> FolderScores:
    """Score every map against the mask of the pair that it is named after.

    Missing, extra, unreadable and wrongly sized maps, maps that share a stem, and unreadable
    masks are listed by file in ``problems``; the scores are those of all other maps. Files are
    decoded by as many threads as there are cores, which on the CPU score them as well.
    """
    how = how or How()
    maps = list(maps)
    table, problems = by_stem(maps, "maps")
    shared = {stem for stem, number in Counter(path.stem for path in maps).items() if number > 1}
    names = {pair.name for pair in pairs}
    problems += [f"no map for {pair.mask}" for pair in pairs if pair.name not in table]
    problems += [f"no mask for {path}" for stem, path in table.items() if stem not in names]
    jobs = [(table[pair.name], pair) for pair in pairs
            if pair.name in table and pair.name not in shared]
    scorer = _Scorer(how)
    result = FolderScores(scorer.evaluator(), len(pairs), problems)
    try:
        with tqdm(total=len(jobs), unit="map", desc=title, disable=None, leave=False) as bar:
            for part in scorer.parts(jobs, result.evaluator):
                result.problems += part.problems
                result.resized += part.resized
                result.digests |= part.digests
                bar.update(part.expected)
    finally:
        scorer.close()
    return result


class _Scorer:
    """Scores jobs in parts, with what is known of earlier evaluations."""

    def __init__(self, how: How):
        self.how = how
        settings = (how.profile, *how.measures, f"resize={how.resize}")
        self.cache = ScoreCache(how.cache, settings) if how.cache else None
        self._waiting: dict[str, tuple[bytes, bool]] = {}  # name → key, resized: to be kept
        self._stopped = False

    def evaluator(self) -> Evaluator:
        evaluator = Evaluator(self.how.device, self.how.profile, self.how.measures)
        if self.cache is not None:
            evaluator.on_scored = self._keep
        return evaluator

    def _keep(self, name: str, result: Result) -> None:
        key, resized = self._waiting.pop(name)
        self.cache.put(key, result | {"resized": float(resized)})

    def close(self) -> None:
        if self.cache is not None:
            self.cache.close()

    def parts(self, jobs: list[Task], evaluator: Evaluator) -> Iterator[FolderScores]:
        """Score into ``evaluator``: on the CPU threads load and score, else they only load.

        ``expected`` of what is yielded is the number of maps that were tried.
        """
        chunks = [jobs[i:i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
        pool = ThreadPoolExecutor(_CORES)
        try:
            with _one_thread_each():
                if str(self.how.device) == "cpu":
                    for part in _in_order(pool, self._load_and_score, chunks):
                        evaluator.merge(part.evaluator)
                        yield part
                else:
                    for loaded in _in_order(pool, lambda chunk: list(self._load(chunk)), chunks):
                        yield self._score(loaded, evaluator)
                    evaluator.flush()
        finally:  # after an error, or Ctrl-C, at once
            self._stopped = True
            pool.shutdown(cancel_futures=True)

    def _load_and_score(self, chunk: list[Task]) -> FolderScores:
        part = self._score(self._load(chunk), self.evaluator())
        part.evaluator.flush()
        return part

    def _load(self, chunk: list[Task]) -> Iterator[_Loaded]:
        for path, pair in chunk:
            if self._stopped:
                return
            yield _Loaded(path, pair, self.how.resize, self.cache)

    def _score(self, chunk: Iterable[_Loaded], evaluator: Evaluator) -> FolderScores:
        """Score maps as they come; only those that wait for their batch stay in memory."""
        part = FolderScores(evaluator, 0)
        for loaded in chunk:
            part.expected += 1
            part.resized += loaded.resized
            if loaded.problem is not None:
                part.problems.append(loaded.problem)
                continue
            part.digests[loaded.name] = loaded.digest
            if loaded.known is not None:
                evaluator.recall(loaded.name, loaded.known)
            else:
                if self.cache is not None:
                    self._waiting[loaded.name] = loaded.key, loaded.resized
                evaluator.update(loaded.name, loaded.prediction, loaded.truth)
        return part


class _Loaded:
    """A map read with its mask, or the result that is known of them, or what is wrong."""

    def __init__(self, path: Path, pair: Pair, resize: bool, cache: ScoreCache | None):
        self.name = pair.name
        self.problem: str | None = None
        self.known: Result | None = None
        self.resized = False
        try:
            turn = stored_shape(pair.image) if pair.image else None
            turns = turn is not None and turn[1] != 1  # the mask with it, see decode_mask
            self.digest = digest_of((path, pair.mask), str(turn) if turns else "")
            if cache is not None:
                self.key = cache.key(self.digest)
                self.known = cache.get(self.key)
            if self.known is None:
                self.prediction, self.truth = read_map(path), read_truth(pair)
                self._fit(path, resize)
            else:
                self.resized = bool(self.known.pop("resized", 0))
        except UnreadableError as error:
            self.problem = str(error)
        except OSError as error:
            self.problem = f"{error.filename}: {error.strerror}"

    def _fit(self, path: Path, resize: bool) -> None:
        size, wanted = (f"{array.shape[1]}×{array.shape[0]}"
                        for array in (self.prediction, self.truth))
        if size == wanted:
            return
        if not resize:
            raise UnreadableError(f"{path} is {size}, its mask {wanted}")
        self.resized = True
        self.prediction = cv2.resize(self.prediction, self.truth.shape[::-1],
                                     interpolation=cv2.INTER_LINEAR)


def _in_order(pool: ThreadPoolExecutor, work: Callable, items: Iterable) -> Iterator:
    """Results in order, a few items ahead of the reader: ``pool.map`` would run away from it."""
    ahead: deque = deque()
    for item in items:
        ahead.append(pool.submit(work, item))
        if len(ahead) > _AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV's own threads would only get in the way of ours."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
