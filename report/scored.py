"""Methods scored for reports: the rules of eval.py, with what is wrong kept beside the scores."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.pairing import Pair, by_stem, list_images
from metrics import CORE, PROFILES, Evaluator, FolderScores, How, score_folder
from metrics.jobs import Job, find_jobs
from utils.errors import UserError, list_problems


@dataclass
class Scored:
    """A method's maps of one data set.

    Attributes:
        maps: stem → file, of all maps, those that could not be scored included.
        given: whether the method gets a row and curves: all maps were there, or it was asked
            for without.
        problems: what is wrong, with files named from the method's or the set's folder on.
    """

    method: str
    maps: dict[str, Path]
    result: FolderScores
    given: bool
    problems: list[str]

    @property
    def evaluator(self) -> Evaluator:
        return self.result.evaluator

    @cached_property
    def row(self) -> dict:
        """What ``eval.py`` prints; the measures only when they are ``given``."""
        about = {"images": self.evaluator.images, "expected": self.result.expected,
                 "resized": self.result.resized}
        return about | self.measures

    @cached_property
    def measures(self) -> dict[str, float]:
        return self.evaluator.compute() if self.given else {}

    def why_not(self, name: str) -> str:
        """Why the image has no score of this method; empty when it has one."""
        if name in self.evaluator.per_image:
            return ""
        if name not in self.maps:
            return "no map"
        named = re.compile(rf"(?:^|/|: ){re.escape(name)}\.\w+\b")
        return next(filter(named.search, self.problems), "not scored")


@dataclass
class ScoredSet:
    """All methods that have maps of a data set."""

    name: str
    pairs: list[Pair]
    methods: list[Scored]

    @property
    def given(self) -> list[Scored]:
        return [method for method in self.methods if method.given]


@dataclass(frozen=True)
class Request:
    """What to report on; the fields are those of ``metrics.jobs.find_jobs`` and ``How``."""

    pred: Path
    root: Path
    gt: Path | None = None
    data: Sequence[str] = ()
    methods: Sequence[str] | None = None
    profile: str = "pysodmetrics"
    resize: bool = False
    allow_missing: bool = False
    cache: Path | None = None


def score_sets(request: Request) -> tuple[list[ScoredSet], int]:
    """Score all maps, and list on stderr what is wrong with them.

    Returns:
        The sets in the order in which they were asked for, and how many scores are not given.

    Raises:
        UserError: nothing to score.
    """
    jobs, refused = find_jobs(request.pred, request.gt, request.data, request.root,
                              request.methods)
    if not jobs:
        raise UserError(f"no maps in {request.pred} that could be scored, see above")
    refused = 0 if request.allow_missing else refused
    families = tuple(name for name in PROFILES[request.profile].families if name in CORE)
    how = How(profile=request.profile, measures=families, resize=request.resize,
              cache=request.cache)
    sets: dict[str, ScoredSet] = {}
    for job in jobs:
        scored = _score(job, how, request.allow_missing)
        refused += not scored.given
        found = sets.setdefault(job.dataset, ScoredSet(job.dataset, job.pairs, []))
        if any(other.method == job.method for other in found.methods):
            raise UserError(f"two methods are called {job.method}; rename one of their folders")
        found.methods.append(scored)
    return list(sets.values()), refused


def _score(job: Job, how: How, allow_missing: bool) -> Scored:
    files = list_images(job.maps)
    result = score_folder(files, job.pairs, f"{job.method} {job.dataset}", how)
    if result.evaluator.images == 0:
        result.problems = result.problems or [f"no maps in {job.maps}"]
    if result.problems:
        print(list_problems(f"{job.method} on {job.dataset}", result.problems), file=sys.stderr)
    given = bool(result.evaluator.images) and (not result.problems or allow_missing)
    return Scored(job.method, by_stem(files, "maps")[0], result, given,
                  _without_folders(result.problems, job))


def _without_folders(problems: Sequence[str], job: Job) -> list[str]:
    """A page is handed on: where things lie on this machine is nothing to its readers."""
    folders = {job.maps} | {path.parent.parent for pair in job.pairs for path in pair.files}
    for folder in sorted(folders, key=lambda path: -len(str(path))):
        problems = [problem.replace(f"{folder}/", "") for problem in problems]
    return list(problems)


def lower_is_better(measure: str) -> bool:
    """Of the core measures, the error."""
    return measure == "MAE"
