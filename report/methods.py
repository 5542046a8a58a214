"""Methods scored for the figures and the page: image by image, with what is wrong beside it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from data.affixes import NONE, Affix
from data.pairing import Pair
from metrics import CORE, MEASURES, Evaluator
from metrics.profiles import Profile
from scoring import ScoringOptions, read_truth
from scoring.jobs import Job, JobScores, decide_codings, find_jobs, score_job
from scoring.scores import Row
from utils.errors import UserError, note_once
from utils.images import UnreadableError
from utils.origin import origin_of

from .recipes import Recipe, Recipes


@dataclass
class Method:
    """A method's maps of one data set.

    Attributes:
        number: among all methods of the report; it gives the method its look in every figure.
        maps: stem → file, of all maps, those that could not be scored included.
        given: whether the method gets a row and curves: all maps could be scored, or
            ``--allow-missing`` lets some be missing.
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
        """The scores as in ``eval.py --json``; without measures where they are not given."""
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
class SetScores:
    """All methods that have maps of a data set.

    Attributes:
        pairs: those that were scored.
        whole: how many pairs the set has.
        absent: names of the report's other methods that were to have maps of it.
    """

    name: str
    pairs: list[Pair]
    whole: int
    methods: list[Method]
    absent: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The name; with ``--limit`` also how many of the set's images these are."""
        few = len(self.pairs)
        return self.name if few == self.whole else f"{self.name}, {few} of {self.whole} images"

    @property
    def given(self) -> list[Method]:
        return [method for method in self.methods if method.given]

    def object_sizes(self, profile: Profile) -> dict[str, float]:
        """Image → share of foreground in [0, 1], of the masks that can be read."""
        sizes = {}
        for pair in self.pairs:
            with suppress(UnreadableError):
                sizes[pair.name] = foreground_share(read_truth(pair), profile)
        return sizes


def foreground_share(truth: np.ndarray, profile: Profile) -> float:
    """Share of a mask's pixels, uint8 (H, W), that the profile counts as foreground."""
    return float((truth > profile.foreground_above).mean())


def score_sets(pred: Path, root: Path | None, gt: Path | None = None, data: Sequence[str] = (),
               methods: Sequence[str] | None = None, profile: str = "pysodmetrics",
               resize: bool = False, allow_missing: bool = False,
               recipes: Recipes | None = None, affix: Affix = NONE, limit: int | None = None,
               **choice: object) -> tuple[list[SetScores], int]:
    """Score all maps, and list on stderr what is wrong with them.

    Args:
        pred, root, gt, data, methods: see ``scoring.jobs.find_jobs``.
        resize: bring maps of another size to the mask's.
        recipes: to hold the methods against their papers' numbers; None to leave that out.
        affix: what the names of maps have beyond those of the masks; none to find out.
        limit: score, and show, only the first so many images of each set; None for all.
        choice: ``names``, ``dataset`` and ``words`` of ``find_jobs``.

    Returns:
        The sets in the order in which they were asked for, and how many scores are not given.

    Raises:
        UserError: nothing to score, two methods of one name, a recipe for none of them.
    """
    jobs, absent = find_jobs(pred, gt, data, root, methods, **choice)
    if not jobs:
        raise UserError(f"no maps in {pred} that could be scored, see above")
    refused = 0 if allow_missing else len(absent)
    measures = CORE
    if any(job.masks.mask_void == "ignore" for job in jobs):
        measures = tuple(name for name in CORE if MEASURES[name].pixelwise)
        note_once(f"void pixels are left out, so these alone are given: {', '.join(measures)}")
    options = ScoringOptions(measures=measures, resize=resize, affix=affix,
                             limit=limit).under(profile)
    decide_codings(jobs, options)
    sets: dict[str, SetScores] = {}
    names = list(dict.fromkeys(job.method for job in jobs))
    if recipes:
        recipes.require(names)
    for job in jobs:
        scores = sets.setdefault(job.dataset, SetScores(
            job.dataset, job.pairs[:limit], len(job.pairs), [],
            [name for name, where in absent if where == job.dataset]))
        scored = score_job(job, options)
        method = Method(scored, names.index(job.method), scored.result.maps,
                        scored.is_given(allow_missing),
                        _without_folders(scored.result.problems, job))
        scores.methods.append(method)
        if not method.given:
            refused += 1
        elif recipes:
            origin = origin_of(job.maps)
            method.recipe = recipes.of(job.method, origin)
            method.elsewhere = [score_job(job, options.under(name), quiet=True).row
                                for name in recipes.profiles(job.method, job.dataset, origin)
                                if name != profile]
    return list(sets.values()), refused


def scored_as_asked(args: argparse.Namespace, methods: Sequence[str] | None,
                    recipes: Recipes | None = None) -> tuple[list[SetScores], int]:
    """``score_sets`` of what a command line says by the options of ``scoring.arguments``."""
    return score_sets(args.pred, args.root, args.gt, args.data, methods, args.profile, args.resize,
                      args.allow_missing, recipes, args.affix, args.limit, names=args.name,
                      dataset=args.set, words=args.words)


def _without_folders(problems: Sequence[str], job: Job) -> list[str]:
    """A page is handed on, and its readers have no use for this machine's folders."""
    folders = {job.maps} | {path.parent.parent for pair in job.pairs for path in pair.files}
    longest_first = "|".join(re.escape(f"{folder}/") for folder in sorted(folders, reverse=True))
    return [re.sub(longest_first, "", problem) for problem in problems]
