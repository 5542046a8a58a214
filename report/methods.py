"""Methods scored for pages and figures: image by image, with what is wrong beside the scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from data.pairing import Pair, by_stem, list_images
from metrics import CORE, Evaluator
from scoring import ScoringOptions
from scoring.jobs import Job, JobScores, find_jobs, score_job
from scoring.scores import Row
from utils.errors import UserError
from utils.origin import origin_of

from .recipes import Recipe, Recipes


@dataclass
class Method:
    """A method's maps of one data set.

    Attributes:
        number: among all methods of the report; it looks the same in every figure.
        maps: stem → file, of all maps, those that could not be scored included.
        given: whether the method gets a row and curves: all maps were there, or it was asked
            for without.
        problems: what is wrong, with files named from the method's or the set's folder on.
        recipe: whose reported numbers it is held against, None for no recipe's.
        elsewhere: its scores under other profiles that those numbers were made with.
    """

    scored: JobScores
    number: int
    maps: dict[str, Path]
    given: bool
    problems: list[str]
    recipe: Recipe | None = None
    elsewhere: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.scored.job.method

    @property
    def evaluator(self) -> Evaluator:
        return self.scored.result.evaluator

    @cached_property
    def row(self) -> Row:
        """What ``eval.py`` gives; without measures when it gives none."""
        if self.given:
            return self.scored.row
        return {"images": self.evaluator.images, "expected": self.scored.result.expected}

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
    """All methods that have maps of a data set.

    Attributes:
        absent: names of the report's other methods that were to have maps of it.
    """

    name: str
    pairs: list[Pair]
    methods: list[Method]
    absent: list[str] = field(default_factory=list)

    @property
    def given(self) -> list[Method]:
        return [method for method in self.methods if method.given]


@dataclass(frozen=True)
class Request:
    """What to report on; the fields are those of ``scoring.jobs.find_jobs`` and
    ``ScoringOptions``.

    Attributes:
        recipes: to hold the methods against their papers' numbers; None to leave that out.
    """

    pred: Path
    root: Path
    gt: Path | None = None
    data: Sequence[str] = ()
    methods: Sequence[str] | None = None
    profile: str = "pysodmetrics"
    resize: bool = False
    allow_missing: bool = False
    recipes: Recipes | None = None


def score_sets(request: Request) -> tuple[list[ScoredSet], int]:
    """Score all maps, and list on stderr what is wrong with them.

    Returns:
        The sets in the order in which they were asked for, and how many scores are not given.

    Raises:
        UserError: nothing to score, methods of the same name, a recipe for none of them.
    """
    jobs, absent = find_jobs(request.pred, request.gt, request.data, request.root,
                             request.methods)
    if not jobs:
        raise UserError(f"no maps in {request.pred} that could be scored, see above")
    refused = 0 if request.allow_missing else len(absent)
    options = ScoringOptions(measures=CORE, resize=request.resize).under(request.profile)
    sets: dict[str, ScoredSet] = {}
    names = list(dict.fromkeys(job.method for job in jobs))
    if request.recipes:
        request.recipes.require(names)
    for job in jobs:
        found = sets.setdefault(job.dataset, ScoredSet(
            job.dataset, job.pairs, [], [name for name, where in absent if where == job.dataset]))
        if any(other.name == job.method for other in found.methods):
            raise UserError(f"two methods are called {job.method}; rename one of their folders")
        method = _score(job, names.index(job.method), options, request.allow_missing)
        refused += not method.given
        if request.recipes and method.given:
            _find_paper(method, request.recipes)
        found.methods.append(method)
    return list(sets.values()), refused


def _score(job: Job, number: int, options: ScoringOptions, allow_missing: bool) -> Method:
    scored = score_job(job, options)
    return Method(scored, number, by_stem(list_images(job.maps), "maps")[0],
                  scored.is_given(allow_missing), _without_folders(scored.result.problems, job))


def _find_paper(method: Method, recipes: Recipes) -> None:
    job, options = method.scored.job, method.scored.options
    origin = origin_of(job.maps)
    method.recipe = recipes.of(job.method, origin)
    method.elsewhere = [score_job(job, options.under(profile), quiet=True).row
                        for profile in recipes.profiles(job.method, job.dataset, origin)
                        if profile != options.profile]


def _without_folders(problems: Sequence[str], job: Job) -> list[str]:
    """A page is handed on: where things lie on this machine is nothing to its readers."""
    folders = {job.maps} | {path.parent.parent for pair in job.pairs for path in pair.files}
    for folder in sorted(folders, key=lambda path: (-len(str(path)), path)):
        problems = [problem.replace(f"{folder}/", "") for problem in problems]
    return list(problems)
